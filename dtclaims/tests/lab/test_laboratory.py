"""Which checkpoint a seed's runs start from (dtclaims/lab/laboratory.py)."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from dtclaims.addresses import key_of
from dtclaims.errors import BackboneError, UsageError
from dtclaims.harness.lab import Circumstances, Need, Provenance, Reading, Unavailable, Wish
from dtclaims.harness.store.pooling import pool
from dtclaims.lab import LAB
from dtclaims.lab.cards import with_digest
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.lab.inputs import find_backbone, numbers_at_hand
from dtclaims.lab.laboratory import Session
from dtclaims.lab.perform import provenance
from dtclaims.places import fixture_dir, sha256_file
from dtclaims.tests.support.examples import made_up

MINI = SCALES["mini"]
LANGUAGE = Need("score", arm="language_pretrained")
RANDOM = Need("score", arm="random_init")
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Puts a checkpoint with another number into DTCLAIMS_HOME: the shipped one, its weights scaled."""
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path))

    def number(number: int, name: str = "language-mini", *, seed: int | None = None, scaled: bool = True) -> Path:
        folder = tmp_path / "backbones" / f"{name}@{number}"
        shutil.copytree(fixture_dir() / "backbones" / name, folder)
        card = json.loads((folder / "card.json").read_text())
        card["settings"]["seed"] = number if seed is None else seed
        if scaled:
            tensors = load_file(folder / "model.safetensors")
            save_file({name: tensor * number for name, tensor in tensors.items()}, folder / "model.safetensors")
            card["files"]["model.safetensors"]["sha256"] = sha256_file(folder / "model.safetensors")
        (folder / "card.json").write_text(json.dumps(with_digest(card)))
        return folder

    return number


def session(checkpoints: str | None = None, **options: str) -> Session:
    given = {**options, **({} if checkpoints is None else {"checkpoints": checkpoints})}
    return LAB.session(Wish("mini", ("hopper",), False, given))


def resolved(need: Need, seed: int, of: Session, seeds: tuple[int, ...] = (0, 1, 2, 3)) -> Reading:
    at = Circumstances(PROTOCOLS["published"], of.scale, "hopper", seed, seeds)
    found = of.resolve(need, at, device="cpu", precision="float32")
    assert isinstance(found, Reading), found
    return found


def of_run(reading: Reading) -> str:
    """All that the run of a reading depends on beside code and versions."""
    (job,) = reading.jobs
    return key_of({"what": dict(job.what), "how": dict(job.how), "resolved": dict(job.resolved)})


def test_seeds_are_spread_over_the_checkpoints(make: Make) -> None:
    """By number and seed; name, identity and factor of a run say which, and a random arm's say nothing of it."""
    make(2)
    both, first = session("1,2"), session()
    found = [resolved(LANGUAGE, seed, both) for seed in range(4)]
    assert [one.factors["language checkpoint"] for one in found] == ["language-mini@1", "language-mini@2"] * 2
    assert [one.jobs[0].name.rpartition(" on ")[2] for one in found][1::2] == ["language-mini@2"] * 2
    assert found[0].jobs[0].name.endswith("seed0/mini")
    shas = [one.jobs[0].how["backbones"]["language"]["sha256"] for one in found]
    assert shas[0] == shas[2] != shas[1] == shas[3]
    # What is there already stays what it is: seeds of the first, and all random arms.
    assert of_run(found[0]) == of_run(resolved(LANGUAGE, 0, first))
    for seed in range(4):
        random = resolved(RANDOM, seed, both)
        assert of_run(random) == of_run(resolved(RANDOM, seed, first))
        assert set(random.factors) == {"data set"}


@given(st.sets(st.integers(0, 200), min_size=1, max_size=6), st.sets(st.integers(0, 200), max_size=6))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_more_seeds_leave_every_run_as_it_is(make: Make, few: set[int], more: set[int]) -> None:
    """Which checkpoint a seed starts from depends on no other seed."""
    if numbers_at_hand("language", MINI) == [1]:
        make(2)
    of, other = session("1,2"), session("1,2")
    for seed in few:
        alone = resolved(LANGUAGE, seed, of, tuple(sorted(few)))
        assert of_run(alone) == of_run(resolved(LANGUAGE, seed, other, tuple(sorted(few | more))))


def test_two_seeds_are_compared_on_one_checkpoint(make: Make) -> None:
    """A difference between seeds must not be one between pre-trainings; too few seeds of each say how many it takes."""
    make(2)
    of, need = session("1,2"), Need("cka_profile_distance", arm="language_pretrained", next_seed=True)
    for seed, other in ((0, 2), (1, 3), (2, 0)):
        (job,) = resolved(need, seed, of).jobs
        assert [run.what["seed"] for run in job.needs] == [seed, other]
        assert len({run.how["backbones"]["language"]["sha256"] for run in job.needs}) == 1
    at = Circumstances(PROTOCOLS["published"], of.scale, "hopper", 0, (0, 1))
    found = of.resolve(need, at, device="cpu", precision="float32")
    assert found == Unavailable("it compares runs of two seeds of one checkpoint", "Ask for --seeds 4 or more.")


def test_seeds_of_two_checkpoints_can_be_judged_together(make: Make) -> None:
    """Their provenance says the weights of each under its own name; the first's is called as it always was."""
    make(2)
    of, data = session("1,2"), made_up([30, 40])
    found = [provenance(resolved(LANGUAGE, seed, of).jobs[0], "cpu", data) for seed in (0, 1)]
    found.append(provenance(resolved(RANDOM, 1, of).jobs[0], "cpu", data))
    weights = pool([Provenance(one.shared, one.of) for one in found])["backbones"]
    assert set(weights) == {"language", "language@2"}
    assert weights["language@2"]["name"] == "language-mini@2"


def test_a_number_that_is_not_there_names_the_command(make: Make) -> None:
    """Claims that need it are not run; those of random arms are."""
    of = session("1,2")
    at = Circumstances(PROTOCOLS["published"], of.scale, "hopper", 1, (0, 1))
    found = of.resolve(LANGUAGE, at, device="cpu", precision="float32")
    assert isinstance(found, Unavailable)
    assert "language-mini@2 is not here" in found.reason
    assert "dtclaims pretrain language --scale mini --corpus corpus --seed 2 --updates " in found.remedy
    assert resolved(RANDOM, 1, of).jobs
    hub = find_backbone("language", SCALES["paper"], number=2)
    assert isinstance(hub, Unavailable)
    assert "gpt2 is one checkpoint: it has no number 2" in hub.reason


def test_one_checkpoint_is_not_two(make: Make) -> None:
    """A copy under another number, or a folder that another number's card lies in, is an error that names both."""
    make(2, scaled=False)
    of = session("1,2")
    resolved(LANGUAGE, 0, of)
    told = r"numbers 1 and 2 of the language backbone are one checkpoint.*Put number 2 aside\. .*--seed 2 --updates "
    with pytest.raises(BackboneError, match=told):
        resolved(LANGUAGE, 1, of)
    make(3, seed=4)
    with pytest.raises(BackboneError, match=r"whose card says --seed 4, expected --seed 3.*language-mini@4"):
        find_backbone("language", MINI, number=3)


def test_numbers_have_one_shape(make: Make) -> None:
    """A checkpoint of another network is no other draw of the same."""
    folder = make(2)
    card = json.loads((folder / "card.json").read_text())
    card["config"]["heads"] = 4
    (folder / "card.json").write_text(json.dumps(with_digest(card)))
    of = session("1,2")
    resolved(LANGUAGE, 0, of)
    with pytest.raises(BackboneError, match="numbers 1 and 2 of the language backbone are networks of two shapes"):
        resolved(LANGUAGE, 1, of)


def test_a_recipe_that_differs_in_more_than_its_seed_is_said(make: Make) -> None:
    """What verdicts are evidence of names the checkpoints and what else they differ in; of one recipe nothing."""
    folder = make(2)
    of = session("1,2")
    assert [resolved(LANGUAGE, seed, of).quantity for seed in (0, 1)] == ["score", "score"]
    assert "differ in more" not in of.label
    card = json.loads((folder / "card.json").read_text())
    card["settings"]["updates"] = 60
    (folder / "card.json").write_text(json.dumps(with_digest(card)))
    told = f"{MINI.label} language-mini@1 and language-mini@2 differ in more than their seed: updates."
    assert of.label.startswith(told)


def test_a_number_can_be_given_by_name(make: Make) -> None:
    """`--language-model language-mini@2` is a checkpoint of ours wherever the command is given; one that is not there
    says how it is made; beside several numbers it is refused."""
    folder = make(2)
    found, first = (find_backbone("language", MINI, name) for name in ("language-mini@2", "language-mini@1"))
    assert isinstance(found, dict)
    assert (found["name"], found["path"]) == ("language-mini@2", str(folder))
    assert first == find_backbone("language", MINI)
    with pytest.raises(BackboneError, match="no such checkpoint here: got language-mini@3"):
        find_backbone("language", MINI, "language-mini@3")
    with pytest.raises(UsageError, match="a model that is given is one checkpoint"):
        session("1,2", language_model="language-mini@2")
    with pytest.raises(UsageError, match="--checkpoints cannot be read"):
        session("one")


def test_a_store_is_cleaned_of_no_checkpoint_that_is_here(make: Make) -> None:
    """What lies in DTCLAIMS_HOME counts as at hand, whether this session names it or not."""
    folder = make(2)
    assert numbers_at_hand("language", MINI) == [1, 2]
    inputs, _ = session().inputs_at_hand()
    card: dict[str, Any] = json.loads((folder / "card.json").read_text())
    assert card["files"]["model.safetensors"]["sha256"] in {one.get("sha256") for one in inputs}


def test_recorded_runs_say_which_seed_had_which(make: Make) -> None:
    """Where nothing but recorded results is looked at, each seed has the weights that its run had, by their number."""
    make(2)
    of = session("1,2")
    jobs = [resolved(need, seed, of).jobs[0] for need in (LANGUAGE, RANDOM) for seed in range(4)]
    parts = ("what", "how", "resolved")
    identities = [{"kind": "run", **{part: dict(getattr(job, part)) for part in parts}} for job in jobs]
    wish = Wish("mini", ("hopper",), False, {"checkpoints": "1,2"}, recorded=identities, only_recorded=True)
    again = LAB.session(wish)
    for need in (LANGUAGE, RANDOM):
        for seed in range(4):
            assert of_run(resolved(need, seed, again)) == of_run(resolved(need, seed, of))
    found = [resolved(LANGUAGE, seed, again).factors["language checkpoint"] for seed in range(4)]
    assert found == ["language-mini@1", "language-mini@2"] * 2
