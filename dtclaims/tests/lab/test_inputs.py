"""Which data a run uses, and what of them is part of its key."""

import pickle
import re
import shlex
import shutil
from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import BackboneError, DataError
from dtclaims.harness.commands.table import commands_of
from dtclaims.harness.declare.registry import DEFAULT_FOLDER, load_claims
from dtclaims.harness.lab import Wish
from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.plan.plan import Plan
from dtclaims.harness.plan.planner import make_plan
from dtclaims.harness.store.store import Store
from dtclaims.lab import LAB
from dtclaims.lab.data.hdf5 import save_hdf5
from dtclaims.lab.data.minari import save_minari
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.lab.design.tasks import TASKS, get_task
from dtclaims.lab.inputs import (
    OTHER_RECIPES,
    Inputs,
    Sources,
    Unavailable,
    auto_scale,
    find_backbone,
    find_data,
    portable,
    where_claims_look,
)
from dtclaims.lab.models import StackConfig, build_model
from dtclaims.lab.models.checkpoints import stack_config_of
from dtclaims.lab.pretrain import network
from dtclaims.places import fixture_dir, read_card
from dtclaims.tests.support import another_world
from dtclaims.tests.support.checkpoints import IMAGE, hub_checkpoint
from dtclaims.tests.support.command_line import parse
from dtclaims.tests.support.examples import made_up, paths

MINI, PAPER = SCALES["mini"], SCALES["paper"]
SET = made_up([30, 40])


@pytest.fixture(autouse=True)
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """DTCLAIMS_HOME, D4RL's and Minari's folder in the test's own; D4RL's."""
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path / "d4rl"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "d4rl"


@pytest.fixture
def as_if_d4rl(monkeypatch: pytest.MonkeyPatch) -> None:
    """The made-up set passes for D4RL's."""
    monkeypatch.setitem(TASKS, "hopper", replace(TASKS["hopper"], medium=SET.facts()))


def identity(source: Path | str | None, scale: Any = MINI, task: str = "hopper") -> dict[str, Any]:
    found = find_data(task, scale, None if source is None else str(source))
    assert not isinstance(found, Unavailable), found
    return found


def test_small_scales_collect_unless_told_otherwise(roots: Path) -> None:
    """What lies in D4RL's folder changes no verdict by itself; `auto` takes it."""
    save_hdf5(SET, roots / "hopper_medium-v2.hdf5")
    assert identity(None)["kind"] == "collected"
    assert identity("auto")["name"] == "hopper_medium-v2.hdf5"
    assert identity("auto", task="walker2d")["kind"] == "collected"


def test_a_files_identity_is_its_content(tmp_path: Path) -> None:
    """Kind, name and digest of the content: the place does not count, one changed number does."""
    save_hdf5(SET, tmp_path / "mine.hdf5")
    save_hdf5(replace(SET, provenance={"source": "x"}), tmp_path / "other" / "mine.hdf5")
    first = identity(tmp_path / "mine.hdf5")
    assert portable(first) == {"kind": "file", "sha256": SET.sha256}
    assert portable(identity(tmp_path / "other" / "mine.hdf5")) == portable(first)
    save_hdf5(made_up([30, 40], seed=1), tmp_path / "mine.hdf5")
    assert identity(tmp_path / "mine.hdf5")["sha256"] != first["sha256"]


@pytest.mark.usefixtures("as_if_d4rl")
def test_d4rls_set_is_one_set_in_any_format(tmp_path: Path) -> None:
    """HDF5, pickle and Minari of D4RL's content share their runs."""
    save_hdf5(SET, tmp_path / "hopper.hdf5")
    (tmp_path / "hopper.pkl").write_bytes(pickle.dumps(paths(SET)))
    save_minari(SET, tmp_path / "hopper-v0")
    found = [portable(identity(tmp_path / name, PAPER)) for name in ("hopper.hdf5", "hopper.pkl", "hopper-v0")]
    assert found == [{"kind": "d4rl", "sha256": SET.sha256}] * 3


@pytest.mark.usefixtures("as_if_d4rl")
def test_the_papers_scale_finds_d4rls_set(roots: Path, tmp_path: Path) -> None:
    """Searched in order; a file that is not D4RL's is passed over, a broken one too."""
    missing = find_data("hopper", PAPER)
    assert isinstance(missing, Unavailable)
    assert str(roots / "hopper_medium-v2.hdf5") in missing.remedy
    home = tmp_path / "home" / "data"
    save_hdf5(made_up([5, 6]), home / "hopper_medium-v2.hdf5")
    (home / "hopper-medium-v2.hdf5").write_bytes(b"no data")
    passed_over = find_data("hopper", PAPER)
    assert isinstance(passed_over, Unavailable)
    assert "steps 11 where D4RL's has 70" in passed_over.reason
    assert "no known format" in passed_over.reason
    save_hdf5(SET, roots / "hopper_medium-v2.hdf5")
    assert identity(None, PAPER)["path"] == str(roots / "hopper_medium-v2.hdf5")


def test_only_d4rls_set_counts_as_the_papers(tmp_path: Path) -> None:
    """Other data at the paper's scale are no verdict on the paper: not run, with what differs."""
    save_hdf5(SET, tmp_path / "mine.hdf5")
    found = find_data("hopper", PAPER, str(tmp_path / "mine.hdf5"))
    assert isinstance(found, Unavailable)
    assert "is not D4RL's hopper-medium-v2: trajectories 2 where D4RL's has 2186" in found.reason


def test_one_file_is_of_one_task(tmp_path: Path) -> None:
    """Claims on other tasks are not run and say why; a folder serves the tasks it has files of."""
    save_hdf5(SET, tmp_path / "hopper.hdf5")
    other = find_data("walker2d", MINI, str(tmp_path / "hopper.hdf5"))
    assert isinstance(other, Unavailable)
    assert "another task" in other.reason
    absent = find_data("walker2d", MINI, str(tmp_path))
    assert isinstance(absent, Unavailable)
    assert "no single set of walker2d" in absent.reason
    assert identity(tmp_path)["name"] == "hopper.hdf5"


def test_data_asked_for_have_to_be_sound(tmp_path: Path) -> None:
    """A broken file that was named is an error, not a reason to use something else."""
    (tmp_path / "hopper.hdf5").write_bytes(b"no data")
    with pytest.raises(DataError, match="no known format"):
        find_data("hopper", MINI, str(tmp_path / "hopper.hdf5"))


def test_data_that_change_under_a_plan_are_refused(tmp_path: Path) -> None:
    """A worker trains on what was planned or not at all."""
    save_hdf5(SET, tmp_path / "mine.hdf5")
    inputs = Inputs("hopper", identity(tmp_path / "mine.hdf5"), {})
    assert inputs.load_data().sha256 == SET.sha256
    save_hdf5(made_up([30, 40], seed=1), tmp_path / "mine.hdf5")
    with pytest.raises(DataError, match="changed after the runs were planned"):
        inputs.load_data()


@pytest.mark.usefixtures("as_if_d4rl")
def test_auto_scale_sees_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the paper's weights, simulator and D4RL's data at hand, by --data or in their place, auto means paper."""
    another_world.install(monkeypatch)
    hub_checkpoint(tmp_path / "gpt2")
    hub_checkpoint(tmp_path / "imagegpt-small", IMAGE)
    monkeypatch.setattr("dtclaims.lab.models.hub.hub_folder", lambda name, **_: tmp_path / Path(name).name)
    assert auto_scale(True, ["hopper"], Sources())[0] == "small"
    save_hdf5(SET, tmp_path / "mine" / "hopper.hdf5")
    assert auto_scale(True, ["hopper"], Sources(str(tmp_path / "mine")))[0] == "paper"
    shutil.copytree(tmp_path / "mine", tmp_path / "home" / "data")
    (tmp_path / "home" / "data" / "hopper.hdf5").rename(tmp_path / "home" / "data" / "hopper_medium-v2.hdf5")
    assert auto_scale(True, ["hopper"], Sources())[0] == "paper"


def test_a_backbone_of_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--language-model` takes a folder of ours or a hub's; its content, not its place, is what a run depends on."""
    shipped = fixture_dir() / "backbones" / "language-mini"
    shutil.copytree(shipped, tmp_path / "mine")
    given = find_backbone("language", MINI, str(tmp_path / "mine"))
    own = find_backbone("language", MINI)
    assert isinstance(given, dict)
    assert isinstance(own, dict)
    assert given["sha256"] == own["sha256"]
    assert portable(given) == portable(own)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackboneError, match="no checkpoint"):
        find_backbone("language", MINI, str(tmp_path / "empty"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BackboneError, match="hf download nobody/nothing"):
        find_backbone("language", MINI, "nobody/nothing")


@pytest.mark.parametrize("left", [(), ("card.json",), ("model.safetensors",)])
def test_a_folder_whose_making_has_not_ended_is_no_backbone(
    left: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of a scale's own without weights, or without a card, is not at hand: claims that need none go on, the others
    say what makes it. It was an error that ended the session, with remedies that did not mend it."""
    folder, shipped = tmp_path / "backbones" / "markov-paper", fixture_dir() / "backbones" / "markov-mini"
    folder.mkdir(parents=True)
    for name in left:
        shutil.copy(shipped / name, folder / name)
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path))
    found = find_backbone("markov", SCALES["full"])
    assert isinstance(found, Unavailable)
    assert "dtclaims pretrain synthetic --kind markov --scale paper" in found.remedy


def commands_in(remedy: str) -> list[Namespace]:
    """The commands between backticks, as their program takes them."""
    (found,) = re.findall("`(.*)`", remedy)
    lines = [shlex.split(line) for line in found.split(" && ")]
    assert {line[0] for line in lines} == {"dtclaims"}
    return [parse(line[1:], commands_of(LAB)) for line in lines]


@pytest.mark.parametrize("source", ["language", "image", "iid", "markov"])
@pytest.mark.parametrize("scale", ["mini", "small"])
def test_the_command_for_another_number_makes_it_by_the_recipe_of_the_first(
    source: str, scale: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pasted as it stands, it makes what is missing where claims look for it, with the settings of the checkpoint that
    it is to be pooled with, which may not be the scale's own; on the corpus that the command before it fetches."""
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path))
    found = find_backbone(source, SCALES[scale], number=2)
    assert isinstance(found, Unavailable)
    *corpus, made = commands_in(found.remedy)
    settings = read_card(fixture_dir() / "backbones" / f"{source}-{scale}")["settings"]
    assert (made.updates, made.batch, made.scale, made.out) == (settings["updates"], settings["batch"], scale, None)
    assert where_claims_look(f"{source}-{made.scale}", made.seed) == tmp_path / "backbones" / f"{source}-{scale}@2"
    assert [one.out for one in corpus] == getattr(made, "corpus", [])
    assert len(corpus) == (source in ("language", "image"))
    assert "recipe" not in found.remedy


def test_a_command_that_knows_no_recipe_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where number 1 is not here either its settings are not known: what is made is of the usual recipe, which a
    registration's weights may not be. A checkpoint that is named says the same as one that is missing."""
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path))
    for number in (1, 2):
        found = find_backbone("language", SCALES["full"], number=number)
        assert isinstance(found, Unavailable)
        _, made = commands_in(found.remedy)
        assert (made.scale, made.seed, made.updates, made.batch) == ("paper", number, None, None)
        assert found.remedy.endswith(f" {OTHER_RECIPES}")
        with pytest.raises(BackboneError) as error:
            find_backbone("language", SCALES["full"], f"language-paper@{number}")
        assert error.value.remedy == found.remedy


def test_every_source_has_a_backbone_at_mini_and_small() -> None:
    """Language, image and both synthetic backbones ship with the package; at paper scale the command that makes one is
    named."""
    for source in ("language", "image", "iid", "markov"):
        for scale in ("mini", "small"):
            assert isinstance(find_backbone(source, SCALES[scale]), dict), (source, scale)
    missing = find_backbone("markov", SCALES["paper"])
    assert isinstance(missing, Unavailable)
    assert "dtclaims pretrain synthetic --kind markov --scale paper" in missing.remedy


@pytest.mark.parametrize("source", ["language", "image"])
def test_the_sizes_of_the_full_scale_are_those_that_are_pre_trained(source: str) -> None:
    """Random arms at `full` have the network that loading a backbone of `dtclaims pretrain --scale paper` would give.

    Its dropout is the fine-tuning's, 0.1, 0.1 and 0.2 (protocol §3.2), not the one of pre-training.
    """
    made = {"language": network.SCALES, "image": network.IMAGE_SCALES}[source]["paper"].config
    loaded = stack_config_of(asdict(made), Path("card.json"))
    found = StackConfig(**SCALES["full"].sizes[source])
    assert found == loaded
    assert (found.embd_dropout, found.attn_dropout, found.resid_dropout) == (0.1, 0.1, 0.2)


def test_random_arms_need_no_backbone_at_full(tmp_path: Path) -> None:
    """Their runs take sizes only, which the run's identity holds; an arm with weights of its own is not run."""
    claims = load_claims(DEFAULT_FOLDER / "k1_head")
    session = LAB.session(Wish("full", ("hopper",), False, {}))
    cells = [
        Cell(claims[name], PROTOCOLS["published"], session.scale, LAB, ("hopper",))
        for name in ("K1-untied-head-rescues", "K1-language-faster-untied")
    ]
    plan = make_plan(cells, lab=LAB, session=session, seeds=[0], device="cuda", store=Store(tmp_path / "store"))
    assert {run.job.name for run in plan.runs.values()} == {
        "hopper/K1/random_init/reference-tied-eps1e-08-unpaired/seed0/full/10ep",
        "hopper/K1/random_init/reference-untied-eps1e-08-unpaired/seed0/full/10ep",
    }
    for run in plan.runs.values():
        assert run.identity["how"]["backbones"]["language"]["kind"] == "sizes"
        (backbone,) = run.job.order.inputs.load_backbones().values()
        model = build_model(
            run.job.order.spec.arm,
            task=get_task("hopper"),
            head=run.job.order.spec.head,
            architecture=run.job.order.spec.architecture,
            backbones={"language": backbone},
            seed=0,
        )
        assert (model.config.width, model.config.heads, model.config.activation) == (768, 1, "relu")
    assert "pretrain" in plan.unavailable[cells[1].name].remedy


def test_what_is_not_here_is_planned_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing but a plan is asked for: the runs are counted, and what has to be got first is named with how."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    claims = load_claims(DEFAULT_FOLDER / "k1_head")
    name = "K1-language-faster-untied"

    def planned(scale: str, **options: str) -> tuple[Cell, Plan]:
        session = LAB.session(Wish(scale, ("hopper",), False, options, planned=True))
        cell = Cell(claims[name], PROTOCOLS["published"], session.scale, LAB, ("hopper",))
        seeds = [0, 1]
        return cell, make_plan([cell], lab=LAB, session=session, seeds=seeds, device="cuda", store=Store(tmp_path))

    cell, plan = planned("full")
    assert cell.name not in plan.unavailable
    assert sorted(run.job.what["arm"] for run in plan.runs.values()) == [
        *["language_pretrained"] * 2,
        *["random_init"] * 2,
    ]
    (absent,) = plan.absent[cell.name]
    assert "language-paper" in absent.reason
    assert "dtclaims pretrain language --scale paper" in absent.remedy
    assert all(run.cost.nbytes > 0 for run in plan.runs.values())

    cell, plan = planned("paper", simulator="v4")
    assert len(plan.runs) == 4
    assert [word for one in plan.absent[cell.name] for word in ("hopper-medium-v2", "gpt2") if word in one.reason] == [
        "hopper-medium-v2",
        "gpt2",
    ]

    # Another number's sizes are the first one's, which ships: their runs cost alike and train together.
    cell, plan = planned("small", checkpoints="1,2")
    (absent,) = plan.absent[cell.name]
    assert "language-small@2" in absent.reason
    language = [run.job for run in plan.runs.values() if run.job.what["arm"] == "language_pretrained"]
    assert len({job.together for job in language}) == 1
    assert len({run.key for run in plan.runs.values()}) == 4


def test_what_is_not_here_is_run_by_nobody(tmp_path: Path) -> None:
    """A session that would do jobs has none of what is not at hand."""
    claims = load_claims(DEFAULT_FOLDER / "k1_head")
    session = LAB.session(Wish("full", ("hopper",), False, {}, works=True))
    cell = Cell(claims["K1-language-faster-untied"], PROTOCOLS["published"], session.scale, LAB, ("hopper",))
    plan = make_plan([cell], lab=LAB, session=session, seeds=[0], device="cuda", store=Store(tmp_path))
    assert not plan.jobs
    assert not plan.absent
    assert cell.name in plan.unavailable
