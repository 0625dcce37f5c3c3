"""The simulator as a choice: what is evaluated and collected in which, and what says so."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from dtclaims.addresses import key_of
from dtclaims.closure import code_of
from dtclaims.errors import FixtureError, MissingDependency, PoolingError, StoreError, UsageError
from dtclaims.harness.commands.main import main
from dtclaims.harness.evidence.file import read_evidence
from dtclaims.harness.lab import Circumstances, Need, Provenance, Reading, Unavailable, Wish
from dtclaims.harness.report import FORMATS, parse, render, summary_lines
from dtclaims.harness.store.pooling import pool
from dtclaims.harness.store.recorded import Recorded
from dtclaims.harness.study import Study
from dtclaims.lab import LAB, laboratory
from dtclaims.lab.data import collect as collecting
from dtclaims.lab.data import scores
from dtclaims.lab.data.collect import collect_recipe, collected_path, obtain, shipped_recipe
from dtclaims.lab.data.hdf5 import save_hdf5
from dtclaims.lab.data.physics import BatchedEnv
from dtclaims.lab.data.references import measure_references
from dtclaims.lab.data.scores import measured_references, references_file, score_reference
from dtclaims.lab.data.simulators import GYM_V2, SIMULATORS, V4, said_of, simulator_of_data, version_of
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.lab.design.tasks import TASKS, get_task
from dtclaims.lab.inputs import Inputs, find_data, portable
from dtclaims.lab.jobs import run_job
from dtclaims.lab.laboratory import Session
from dtclaims.lab.perform import provenance
from dtclaims.lab.results import inputs_of, meaning, spec_of
from dtclaims.lab.train.company import Company
from dtclaims.lab.train.loop import Trainer
from dtclaims.places import ROOT, fixture_dir
from dtclaims.tests.support import another_world
from dtclaims.tests.support.examples import SAMPLE_CLAIMS, fill_store, made_up, tiny_backbone, tiny_spec
from dtclaims.tests.support.studies import RETURNS, study, value_of

SET = made_up([30, 40])
NEED = Need("score", arm="random_init", context=1)


@pytest.fixture(autouse=True)
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DTCLAIMS_HOME and D4RL's folder in the test's own, and short collecting."""
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path / "d4rl"))
    monkeypatch.setattr(collecting, "MAX_EPISODE_STEPS", 30)
    monkeypatch.setattr(collecting, "WAVE", 4)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in counts as the legacy environment."""
    another_world.install(monkeypatch)


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No legacy environment."""
    another_world.remove(monkeypatch)


@pytest.fixture
def as_if_d4rl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The made-up set passes for D4RL's; its file."""
    monkeypatch.setitem(TASKS, "hopper", replace(TASKS["hopper"], medium=SET.facts()))
    save_hdf5(SET, tmp_path / "hopper_medium-v2.hdf5")
    return tmp_path / "hopper_medium-v2.hdf5"


def session(scale: str = "mini", *, works: bool = False, **options: str) -> Session:
    # The hub's checkpoint is not here, and where weights come from is not what is asked.
    model = {"language_model": str(fixture_dir() / "backbones" / "language-mini")} if scale == "paper" else {}
    return LAB.session(Wish(scale, ("hopper",), False, {**model, **options}, works=works))


def resolved(of: Session, need: Need = NEED, protocol: str = "published") -> Reading | Unavailable:
    at = Circumstances(PROTOCOLS[protocol], of.scale, "hopper", 0, (0, 1, 2))
    return of.resolve(need, at, device="cpu", precision="float32")


def reading(of: Session, **how: Any) -> Reading:
    found = resolved(of, **how)
    assert isinstance(found, Reading), found
    return found


def identity_of(of: Session) -> dict[str, Any]:
    (job,) = reading(of).jobs
    parts = {part: json.loads(json.dumps(dict(getattr(job, part)))) for part in ("what", "how", "resolved")}
    return {"kind": "run", "device": "cpu", "precision": "float32", **parts}


@pytest.mark.usefixtures("installed")
def test_a_batch_is_stepped_by_the_simulator_it_names() -> None:
    """Equal seeds and actions: the stand-in pays twice what v4 pays, which is taken where none is named."""
    rewards = {}
    for name in (None, *SIMULATORS):
        env = BatchedEnv(TASKS["hopper"], 2) if name is None else BatchedEnv(TASKS["hopper"], 2, simulator=name)
        env.reset([1, 2])
        rewards[name] = env.step(np.full((2, 3), 0.5))[1]
        env.close()
    np.testing.assert_array_equal(rewards[None], rewards[V4])
    np.testing.assert_array_equal(rewards[GYM_V2], 2 * rewards[V4])


def test_there_are_two_simulators() -> None:
    """Another name is refused with those there are."""
    with pytest.raises(UsageError, match="unknown simulator: got 'v5', expected one of v4, gym-v2"):
        BatchedEnv(TASKS["hopper"], 1, simulator="v5")
    with pytest.raises(UsageError, match="unknown simulator"):
        session(simulator="v5")


@pytest.mark.usefixtures("installed")
def test_runs_are_evaluated_by_their_simulator() -> None:
    """The same training, and the first episodes' first step: other returns, by what the specification names."""
    curves = {}
    for name in SIMULATORS:
        company = Company([Trainer(tiny_spec(simulator=name), SET, {"language": tiny_backbone()}, "cpu", "float32")])
        company.run_epoch([lambda done, total: None])
        curves[name] = company.trainers[0].curves
    assert curves[V4]["loss_mean"] == curves[GYM_V2]["loss_mean"]
    assert curves[GYM_V2]["return_mean"][0] > 1.5 * curves[V4]["return_mean"][0] > 0


@pytest.mark.usefixtures("installed")
def test_a_set_is_of_the_simulator_that_it_was_collected_in() -> None:
    """The same states, twice the rewards; name and version stand in recipe, file and cache, so that sets lie apart."""
    # No policy was fitted to either for this task: one and the same acts.
    recipes = {name: shipped_recipe("walker2d", steps=60, simulator=name) for name in SIMULATORS}
    sets = {name: obtain(recipe, workers=1) for name, recipe in recipes.items()}
    np.testing.assert_array_equal(sets[V4].observations, sets[GYM_V2].observations)
    np.testing.assert_allclose(sets[GYM_V2].rewards, 2 * sets[V4].rewards, rtol=1e-6)
    assert len({collected_path(recipe) for recipe in recipes.values()}) == 2
    for name, data in sets.items():
        assert data.provenance["simulator"] == version_of(name)
        assert simulator_of_data(recipes[name].identity()) == name
    assert sets[GYM_V2].provenance["simulator"]["mujoco"] == "2.1.0"
    assert "as D4RL's sets were" in sets[GYM_V2].provenance["note"]
    assert collect_recipe(recipes[V4], workers=1).provenance["note"].startswith("Another simulator than")


def test_a_version_is_part_of_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs and sets of another mujoco-py are others; d4rl's package, which reads data, changes nothing."""
    keys, sets = [], []
    for version in ({}, {"d4rl": "1.2"}, {"mujoco-py": "2.1.3"}):
        another_world.install(monkeypatch, **version)
        keys.append(key_of(identity_of(session(simulator=GYM_V2))))
        sets.append(collected_path(shipped_recipe("hopper", steps=60, simulator=GYM_V2)))
    assert keys[0] == keys[1] != keys[2]
    assert sets[0] == sets[1] != sets[2]
    assert key_of(identity_of(session())) not in keys


@pytest.mark.usefixtures("installed")
def test_a_run_depends_on_its_own_simulators_code() -> None:
    """v4's runs hold nothing of the legacy worker, and gym-v2's none of the slots in this process."""
    codes = {}
    for name in SIMULATORS:
        job = run_job(tiny_spec("mlp", simulator=name), Inputs("hopper", {}, {}), device="cpu", precision="float32")
        codes[name] = code_of(*job.code.entries, chosen=job.code.chosen, rows=job.code.rows).to_json()
    assert {"class Present", "class Slots"} <= codes[V4].keys()
    assert {"class Legacy", "class LegacySlots"} <= codes[GYM_V2].keys()
    assert not {"class Legacy", "class LegacySlots"} & codes[V4].keys()
    assert "class Present" not in codes[GYM_V2]


@pytest.mark.usefixtures("installed")
def test_the_papers_scale_takes_the_papers_simulator(as_if_d4rl: Path) -> None:
    """gym-v2 at paper, v4 elsewhere; what is asked for counts at any scale."""
    data = str(as_if_d4rl)
    assert {name: session(name, data=data).simulator for name in SCALES} == {
        "mini": V4,
        "small": V4,
        "full": V4,
        "paper": GYM_V2,
    }
    assert session("paper", data=data, simulator=V4).simulator == V4
    run = reading(session(simulator=GYM_V2)).jobs[0]
    assert (run.what["simulator"], run.resolved["simulator"]["name"]) == (GYM_V2, GYM_V2)
    assert run.how["data"]["simulator"]["name"] == GYM_V2
    assert GYM_V2 in run.name
    assert "mujoco" not in run.versions


@pytest.mark.usefixtures("absent")
def test_what_is_not_installed_is_not_run_with_the_remedy(as_if_d4rl: Path) -> None:
    """At the paper's scale unless v4 is asked for, and wherever gym-v2 was asked for; data alone are measured."""
    for of in (session("paper", data=str(as_if_d4rl)), session(simulator=GYM_V2)):
        found = resolved(of, NEED)
        assert isinstance(found, Unavailable)
        assert "the simulator gym-v2 is not here: the legacy environment is not installed" in found.reason
        assert "dtclaims legacy install" in found.remedy
        assert "--simulator v4" in found.remedy
    of_data = reading(session("paper", data=str(as_if_d4rl)), need=Need("data_information"), protocol="corrected")
    assert of_data.jobs[0].needs == ()
    assert reading(session("paper", data=str(as_if_d4rl), simulator=V4)).jobs[0].what["simulator"] == V4


@pytest.mark.usefixtures("absent")
def test_asked_for_but_not_installed_is_one_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where jobs would be done, before anything is; a plan of them can be made."""
    with pytest.raises(MissingDependency, match=r"not installed.*dtclaims legacy install"):
        session(simulator=GYM_V2, works=True)
    folder = ["--claims", str(SAMPLE_CLAIMS), "--store", str(tmp_path / "store")]
    assert main(["run", *folder, "--simulator", GYM_V2]) == 2
    assert capsys.readouterr().err.count("the legacy environment is not installed") == 1
    assert main(["plan", *folder, "--simulator", GYM_V2]) == 0
    told = capsys.readouterr().out
    assert "0 runs" not in told
    assert "needed first: " in told
    assert "the simulator gym-v2 is not here" in told
    assert "dtclaims legacy install" in told
    for command in (["collect", "hopper"], ["references", "hopper"]):
        assert main(["data", *command, "--simulator", GYM_V2]) == 2
        assert "dtclaims legacy install" in capsys.readouterr().err
    assert not (tmp_path / "home" / "data").exists()


@pytest.mark.usefixtures("installed")
def test_what_verdicts_are_of_names_the_simulator() -> None:
    """With its versions; where data are collected in it nothing else is to be said."""
    for name, told in ((V4, "v4 (gymnasium's v4 tasks, MuJoCo 3.3.7)"), (GYM_V2, "gym-v2 (gym's v2 tasks")):
        of = session(simulator=name)
        reading(of)
        assert f"Simulator: {told}" in of.label
        assert "evaluated in" not in of.label


@pytest.mark.usefixtures("installed")
def test_d4rls_data_evaluated_in_v4_are_said_to_be(as_if_d4rl: Path) -> None:
    """Provenance and label name both simulators at any scale; in the paper's own there is nothing to say."""
    for scale in ("mini", "paper"):
        of = session(scale, data=str(as_if_d4rl), simulator=V4)
        (job,) = reading(of).jobs
        assert "was collected in gym-v2 and the runs are evaluated in v4" in of.label
        assert "This is not the paper's environment." in of.label
        said = provenance(job, "cpu", SET).to_json()
        assert said["of"]["data"]["hopper"]["simulator"] == {"name": GYM_V2}
        assert said["shared"]["simulator"] == version_of(V4)
    of = session("paper", data=str(as_if_d4rl))
    assert reading(of).jobs[0].what["simulator"] == GYM_V2
    assert "not the paper's environment" not in of.label


@pytest.mark.usefixtures("installed")
def test_a_file_says_its_simulator_or_that_it_is_not_known(tmp_path: Path) -> None:
    """A set of ours does, by its provenance; one without is not taken to be of any. It is in no address."""
    save_hdf5(collect_recipe(shipped_recipe("hopper", steps=60, simulator=GYM_V2), workers=1), tmp_path / "ours.hdf5")
    save_hdf5(SET, tmp_path / "theirs.hdf5")
    ours, theirs = (find_data("hopper", SCALES["mini"], str(tmp_path / f"{name}.hdf5")) for name in ("ours", "theirs"))
    assert isinstance(ours, dict)
    assert isinstance(theirs, dict)
    assert (simulator_of_data(ours), simulator_of_data(theirs)) == (GYM_V2, None)
    assert portable(ours) == {"kind": "file", "sha256": ours["sha256"]}
    of = session(data=str(tmp_path / "ours.hdf5"))
    reading(of)
    assert "ours.hdf5 was collected in gym-v2 and the runs are evaluated in v4" in of.label
    of = session(data=str(tmp_path / "theirs.hdf5"))
    reading(of)
    assert "In which simulator theirs.hdf5 was collected is not known." in of.label


def test_d4rls_own_files_are_known_by_their_layout(tmp_path: Path) -> None:
    """Any set that D4RL distributes, not the medium ones alone: they hold the policy that made them, and its states."""
    save_hdf5(SET, tmp_path / "expert.hdf5")
    with h5py.File(tmp_path / "expert.hdf5", "a") as file:
        for name in list(file.attrs):
            del file.attrs[name]
        file["metadata/algorithm"] = "SAC"
        file["infos/qpos"] = np.zeros((70, 6))
    found = find_data("hopper", SCALES["mini"], str(tmp_path / "expert.hdf5"))
    assert isinstance(found, dict)
    assert (found["kind"], simulator_of_data(found)) == ("file", GYM_V2)


@pytest.mark.usefixtures("installed")
def test_results_of_two_simulators_are_never_pooled(monkeypatch: pytest.MonkeyPatch) -> None:
    """One error names both; what is recorded of one stands for nothing of the other."""
    found = [provenance(reading(session(simulator=name)).jobs[0], "cpu", SET) for name in SIMULATORS]
    with pytest.raises(PoolingError, match=r"simulator.name is v4 and gym-v2"):
        pool([Provenance(one.shared, one.of) for one in found])
    ours, theirs = (identity_of(session(simulator=name)) for name in SIMULATORS)
    assert Recorded(LAB, [theirs]).match(ours) == ours
    wish = Wish("mini", ("hopper",), False, {}, recorded=[ours, theirs], only_recorded=True)
    with pytest.raises(StoreError, match="runs of several simulators: got gym-v2 and v4"):
        LAB.session(wish)
    # Evidence is judged where there is no MuJoCo at all: what is installed is not looked at.
    monkeypatch.setattr(laboratory, "find_simulator", lambda name: pytest.fail("looked for"))
    monkeypatch.setattr(laboratory, "check_here", lambda name: pytest.fail("looked for"))
    alone = LAB.session(replace(wish, recorded=[theirs], options={"simulator": GYM_V2}))
    assert reading(alone).jobs[0].what["simulator"] == alone.simulator == GYM_V2
    assert "Simulator: gym-v2" in alone.label


def test_what_was_made_before_there_was_a_choice_is_v4s() -> None:
    """Runs and collected sets of shipped evidence mean what v4's of today mean."""
    evidence = read_evidence(ROOT / "claims" / "evidence" / "hopper-small.json")
    assert {spec_of(run.identity).simulator for run in evidence.runs} == {V4}
    old = evidence.runs[0].identity
    assert "simulator" not in json.dumps({name: old.get(name) for name in ("spec", "what", "how")})
    data, backbones = inputs_of(old)
    assert (data["kind"], simulator_of_data(data)) == ("collected", V4)
    assert meaning(old)["run"]["simulator"] == V4
    assert meaning(old)["data"]["simulator"] == V4
    now = {**shipped_recipe("hopper", steps=data["steps"], seed=data["seed"]).identity()}
    spec = {**spec_of(old).to_json(), "data": now, "backbones": backbones}
    made = {name: old[name] for name in ("device", "precision")}
    assert meaning({"kind": "run", "what": {}, "how": spec, **made}) == meaning(old)
    session = LAB.session(
        Wish("small", ("hopper",), False, {}, recorded=[run.identity for run in evidence.runs], only_recorded=True)
    )
    assert session.simulator == V4
    assert said_of({}) == "v4 (gymnasium's v4 tasks)"


@pytest.mark.usefixtures("installed")
def test_references_are_of_one_simulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its own there is an error that names the command; what that writes is found; v4's stay v4's."""
    hopper, shipped = get_task("hopper"), measured_references()
    monkeypatch.setattr(scores, "fixture_dir", lambda: tmp_path / "shipped")
    with pytest.raises(
        FixtureError,
        match=r"of gym-v2 were not measured.*`dtclaims data references all --simulator gym-v2 --out .*gym-v2\.json`",
    ):
        score_reference(hopper, "own_simulator", GYM_V2)
    assert references_file(GYM_V2) == tmp_path / "home" / "references-gym-v2.json"
    found = measure_references([hopper], episodes=2, simulator=GYM_V2)
    assert (found["simulator"], found["versions"]["mujoco"]) == (GYM_V2, "2.1.0")
    assert found["made_with"] == "dtclaims data references hopper --simulator gym-v2 --episodes 2 --seed 0"
    references_file(GYM_V2).parent.mkdir(exist_ok=True)
    references_file(GYM_V2).write_text(json.dumps(found))
    measured = found["tasks"]["hopper"]
    assert score_reference(hopper, "own_simulator", GYM_V2) == (measured["random"]["mean"], measured["expert"]["mean"])
    with pytest.raises(FixtureError, match="no score references of walker2d in gym-v2"):
        score_reference(get_task("walker2d"), "own_simulator", GYM_V2)
    references_file(GYM_V2).write_text(json.dumps(shipped))
    with pytest.raises(FixtureError, match=r"of another simulator: got .*: v4, expected gym-v2"):
        score_reference(hopper, "own_simulator", GYM_V2)


@pytest.mark.usefixtures("installed")
def test_provenance_says_where_score_references_come_from() -> None:
    """D4RL's constants are of gym-v2, whatever runs are evaluated in."""
    found = reading(session(), protocol="corrected").rests_on["score_reference"]["hopper"]
    assert (found["name"], found["simulator"]) == ("d4rl", GYM_V2)


def of_store(folder: Path, name: str) -> Study:
    """A study in a simulator on a store that holds what it needs."""
    found = study(folder, store=str(folder / "store"), simulator=name)
    fill_store(found.plan, found.store, RETURNS, value_of)
    return study(folder, store=str(folder / "store"), simulator=name)


@pytest.mark.usefixtures("installed")
def test_every_rendering_begins_with_the_simulator(tmp_path: Path) -> None:
    """Page, Markdown and terminal name it before the first verdict; the two reports of one store share no run."""
    keys: list[set[str]] = []
    for name in SIMULATORS:
        of = of_store(tmp_path, name)
        document = of.document([of.judge(cell) for cell in of.cells])
        keys.append(set(of.plan.runs))
        written = render(document, tmp_path / name, ["html", "md"])
        texts: Mapping[str, str] = {
            "terminal": "\n".join(summary_lines(document, 400)),
            **{kind: path.read_text(encoding="utf-8") for kind, path in written.items()},
        }
        assert texts.keys() == {"terminal", "html", "md"} <= {"terminal", *FORMATS}
        for kind, text in texts.items():
            place = text.find(f"Simulator&#58; {name}" if f"Simulator&#58; {name}" in text else f"Simulator: {name}")
            assert 0 <= place < text.find("SAMPLE-"), kind
        assert parse(document.to_json()).provenance.label == document.provenance.label
    assert not keys[0] & keys[1]


@pytest.mark.usefixtures("installed")
def test_a_store_is_cleaned_by_the_simulator_of_each_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run is compared with what claims need in its own simulator, also where that is not installed any more; of one
    of another version of it only evidence can be made."""
    of_store(tmp_path, GYM_V2)
    command = ["store", "gc", "--results", "--store", str(tmp_path / "store"), "--claims", str(SAMPLE_CLAIMS)]
    assert main(command) == 0
    assert "0 entries would go" in capsys.readouterr().out
    another_world.remove(monkeypatch)
    assert main(command) == 0
    assert "0 entries would go" in capsys.readouterr().out
    another_world.install(monkeypatch, gym="0.26.2")
    assert main(command) == 0
    assert "made otherwise than today: resolved.simulator.gym" in capsys.readouterr().out


@pytest.mark.usefixtures("installed")
def test_evidence_keeps_its_simulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Made of a store with runs in both, where the simulator is here and where it is not; judged by the declarations in
    it and by today's."""
    for name in SIMULATORS:
        of_store(tmp_path, name)
    words = ["--store", str(tmp_path / "store"), "--claims", str(SAMPLE_CLAIMS), "--simulator", GYM_V2]
    for here in (True, False):
        if not here:
            another_world.remove(monkeypatch)
        file = tmp_path / f"{here}.json"
        assert main(["evidence", str(file), *words]) == 0
        assert {spec_of(run.identity).simulator for run in read_evidence(file).runs} == {GYM_V2}
        capsys.readouterr()
        for how in ([], ["--restated", "--claims", str(SAMPLE_CLAIMS)]):
            assert main(["judge", str(file), *how]) == 0
            told = " ".join(capsys.readouterr().out.split())
            assert "Simulator: gym-v2 (gym's v2 tasks on mujoco-py, MuJoCo 2.1.0)." in told
            assert "REPRODUCED" in told


def test_a_specification_of_old_has_its_default() -> None:
    """What a stored run does not say of its simulator is v4; its name is the one it always had."""
    spec = tiny_spec()
    assert "v4" not in spec.name
    assert tiny_spec(simulator=GYM_V2).name != spec.name
    said = {name: value for name, value in asdict(spec).items() if name != "simulator"}
    assert spec_of({"what": {}, "how": said}) == spec
