"""From stored results to report entries, without training."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dtclaims.harness.declare.claim import Claim
from dtclaims.harness.declare.registry import load_claims
from dtclaims.harness.judge.entries import Entry, Part
from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.report import validate
from dtclaims.harness.settings import make_settings
from dtclaims.harness.study import Study, cells_of
from dtclaims.lab import LAB
from dtclaims.lab.data.hdf5 import save_hdf5
from dtclaims.tests.support.examples import SAMPLE_CLAIMS, fill_store, made_up

CLAIMS = load_claims(SAMPLE_CLAIMS)


def study(tmp_path: Path, ids: list[str] | None = None, **choices: str) -> Study:
    settings = make_settings(
        {"store": str(tmp_path / "store"), "report": str(tmp_path / "report"), **choices}, LAB, tasks=LAB.tasks
    )
    chosen: list[Claim] = [CLAIMS[name] for name in ids or CLAIMS]
    return Study(cells_of(chosen, settings), settings)


def value_of(planned: Any) -> Any:
    """The same value for every arm, by measurement."""
    return {"attention_gap": [1.0, 9.0, 1.0]}[planned.job.what["quantity"]]


RETURNS = {"random_init": 50.0, "language_pretrained": 3000.0, "language_moments": 100.0}


def filled(tmp_path: Path, **options: str) -> Study:
    first = study(tmp_path, **options)
    fill_store(first.plan, first.store, RETURNS, value_of)
    return study(tmp_path, **options)


def entries(of: Study) -> dict[tuple[str, str], Entry]:
    return {(entry.id, entry.protocol): entry for entry in map(of.judge, of.cells)}


def test_an_empty_store_says_how_to_fill_it(tmp_path: Path) -> None:
    """Claims whose runs are absent are not run, with the command that makes them run."""
    for entry in entries(study(tmp_path, ["SAMPLE-fails", "SAMPLE-ratio"])).values():
        assert entry.verdict == "not_run"
        assert re.match(r"pytest \S+sample_claims --scale mini --protocol \w+ --task hopper --seeds", entry.remedy)
        assert entry.effect.per_seed == {}


def test_stored_results_are_judged(tmp_path: Path) -> None:
    """One effect per seed, the interval, and the verdict that follows from them."""
    found = entries(filled(tmp_path))
    fails = found["SAMPLE-fails", "published"]
    assert fails.verdict == "reproduced"
    assert fails.provisional
    assert set(fails.effect.per_seed) == {0, 1, 2}
    # Equal gaps in both arms are a ratio of exactly 1: below what was declared.
    assert found["SAMPLE-ratio", "published"].verdict == "refuted"
    assert found["SAMPLE-everywhere", "published"].components.keys() == {"not worse", "better"}


def test_a_claim_is_judged_on_the_tasks_of_the_session(tmp_path: Path) -> None:
    """On one task it says so in its scope; on all it has a component per part and task, and a paper's number for each.

    A claim that compares tasks is not run where one of them is left out.
    """
    one = entries(filled(tmp_path / "one"))
    assert "judged on hopper only, of hopper, halfcheetah, walker2d" in one["SAMPLE-everywhere", "published"].scope
    assert one["SAMPLE-tasks", "published"].verdict == "not_run"
    assert "--task all" in one["SAMPLE-tasks", "published"].remedy
    whole = entries(filled(tmp_path / "all", task="all"))
    everywhere = whole["SAMPLE-everywhere", "published"]
    assert "judged on" not in everywhere.scope
    assert set(everywhere.components) == {
        f"{part} ({task})" for part in ("not worse", "better") for task in ("hopper", "halfcheetah", "walker2d")
    }
    assert everywhere.verdict == "reproduced"
    assert whole["SAMPLE-tasks", "published"].verdict in ("reproduced", "refuted", "inconclusive")


def test_a_composite_is_the_verdict_of_its_parts(tmp_path: Path) -> None:
    """Refuted if a part is, reproduced if all are, not run if one is not; it names the parts that decide."""
    all_found = entries(filled(tmp_path / "a"))
    found = all_found["SAMPLE-whole", "published"]
    assert found.verdict == "refuted"
    assert (found.p_value, found.decided_by) == (None, ("SAMPLE-ratio",)), "below five seeds no p is printed"
    assert found.parts == (Part("SAMPLE-fails", "reproduced"), Part("SAMPLE-ratio", "refuted"))
    assert "SAMPLE-ratio" in found.reason
    assert found.runs
    alone = study(tmp_path / "b", ["SAMPLE-whole"])
    assert alone.judge(alone.cells[0]).verdict == "not_run"
    fill_store(
        alone.plan,
        alone.store,
        RETURNS,
        lambda one: [3.0 if "random" in str(alone.plan.jobs[one.needs[0]].job.order.spec) else 1.0],
    )
    again = study(tmp_path / "b", ["SAMPLE-whole"], protocol="published")
    assert again.judge(again.cells[0]).verdict == "reproduced"


def test_a_form_and_a_protocol_of_its_own(tmp_path: Path) -> None:
    """Where a switch is corrected another effect is tested; a claim for one protocol is not run under the other."""
    found = entries(filled(tmp_path))
    assert found["SAMPLE-ratio", "published"].effect.unit == "ratio"
    assert found["SAMPLE-ratio", "corrected"].effect.unit == "share"
    assert found["SAMPLE-ratio", "corrected"].effect.mean == 0.0
    assert found["SAMPLE-corrected-only", "corrected"].verdict == "reproduced"
    assert found["SAMPLE-corrected-only", "published"].verdict == "not_run"
    assert "only the corrected protocol" in found["SAMPLE-corrected-only", "published"].reason


def test_switches_that_matter_are_named(tmp_path: Path) -> None:
    """--factor judges one switch at a time from either end; switches that change nothing it reads are left out."""
    options = {"factor": "all", "protocol": "published"}
    first = study(tmp_path, ["SAMPLE-fails"], **options)

    def spoiled(plan: Any) -> dict[str, float]:
        return {"random_init": 50.0}

    fill_store(first.plan, first.store, spoiled(first.plan))
    one = study(tmp_path, ["SAMPLE-fails"], **options)
    found = one.judge(one.cells[0]).attribution
    assert found is not None
    # Which runs: the head, the architecture, data order, the held-out part. How they are read: selection, references.
    assert set(found.variants) == {"head", "random_arch", "seeding", "action_error", "selection", "score_refs"}
    assert found.smallest == ()
    assert {variant.verdict for variant in found.variants.values()} == {"reproduced"}


def test_growing_a_set_of_seeds_costs_a_look(tmp_path: Path) -> None:
    """Judged on three seeds and then on five, alpha is shared by two looks; again on the same five, by no more."""

    def looks(seeds: str) -> int:
        first = study(tmp_path, ["SAMPLE-fails"], seeds=seeds, protocol="published")
        fill_store(first.plan, first.store, RETURNS)
        one = study(tmp_path, ["SAMPLE-fails"], seeds=seeds, protocol="published")
        statistics = one.judge(one.cells[0]).statistics
        assert statistics is not None
        return statistics.looks

    assert [looks("3"), looks("5"), looks("5"), looks("8"), looks("3")] == [1, 2, 2, 3, 1]


def test_the_score_switches_change_the_numbers(tmp_path: Path) -> None:
    """Published and corrected score the same returns with other references (DEV-29)."""
    found = entries(filled(tmp_path))
    published, corrected = (found["SAMPLE-fails", name].effect.mean for name in ("published", "corrected"))
    assert published == pytest.approx(100 * (51 - 18.40) / (3511.36 - 18.40))
    assert corrected == pytest.approx(100 * (51 + 20.272305) / (3234.3 + 20.272305))


def test_the_document_is_valid(tmp_path: Path) -> None:
    """What the judge writes is what the report's schema asks for, verdicts of every kind included."""
    for one in (filled(tmp_path / "a"), study(tmp_path / "b"), study(tmp_path / "c", scale="small", device="cpu")):
        document = one.document([one.judge(cell) for cell in one.cells])
        validate(document)
        json.dumps(document.to_json(), allow_nan=False)


def test_too_few_seeds_are_inconclusive(tmp_path: Path) -> None:
    """Two seeds never make a verdict (statistics rule 2)."""
    found = entries(filled(tmp_path, seeds="2"))
    assert {entry.verdict for entry in found.values() if entry.n} == {"inconclusive"}


def test_a_failed_run_is_an_error_not_a_verdict(tmp_path: Path) -> None:
    """Claims that rest on a failed run are errors that say what failed; the others are judged."""
    one = filled(tmp_path)
    spoiled = one.plan.run_keys(next(cell for cell in one.cells if cell.claim.id == "SAMPLE-fails"))[0]
    one._judge.failures = {spoiled: "the loss stopped being finite"}
    found = entries(one)
    assert found["SAMPLE-fails", "published"].verdict == "error"
    assert "stopped being finite" in found["SAMPLE-fails", "published"].reason
    assert found["SAMPLE-everywhere", "published"].verdict == "reproduced"


def test_an_effect_that_cannot_be_computed_is_an_error(tmp_path: Path) -> None:
    """0/0 in a claim's function is an error with its reason, not a value."""
    first = study(tmp_path, ["SAMPLE-ratio"])
    fill_store(first.plan, first.store, RETURNS, [0.0])
    entry = entries(study(tmp_path, ["SAMPLE-ratio"]))["SAMPLE-ratio", "published"]
    assert entry.verdict == "error"
    assert "ZeroDivisionError" in entry.reason


def judged_with(one: Study, change: Any) -> Entry:
    """The entry of a claim one of whose runs has its provenance changed."""
    cell: Cell = next(cell for cell in one.cells if cell.claim.id == "SAMPLE-fails")
    key = one.plan.run_keys(cell)[0]
    real_find = one.store.find

    def find(wanted: str) -> Any:
        run = real_find(wanted)
        if wanted == key and run is not None:
            change(run.result["provenance"])
        return run

    one.store.find = find  # type: ignore[method-assign]
    return one.judge(cell)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            lambda p: p["of"]["data"]["hopper"].update(sha256="another set"),
            ("data.hopper.sha256", "another set", "made up"),
        ),
        (lambda p: p["shared"].update(versions={"mujoco": "4.0.0"}), ("versions is ", "4.0.0", "None")),
        (lambda p: p["shared"].update(device="another"), ("device is ", "another", "cpu")),
    ],
)
def test_runs_of_different_provenance_are_not_pooled(tmp_path: Path, change: Any, named: tuple[str, ...]) -> None:
    """Two sets of data, two simulators or two devices under one claim: an error that names both."""
    entry = judged_with(filled(tmp_path, protocol="published"), change)
    assert entry.verdict == "error"
    assert all(word in entry.reason for word in named)


def test_the_score_reference_is_part_of_the_provenance(tmp_path: Path) -> None:
    """What means 0 and what means 100, and the simulator that it was measured in, stands with every score, by task, and
    only with scores (DEV-29)."""
    found = entries(filled(tmp_path))
    published, corrected = (
        found["SAMPLE-fails", name].provenance["score_reference"] for name in ("published", "corrected")
    )
    means = {"name": "dataset_means", "random": 18.40, "expert": 3511.36, "simulator": "gym-v2"}
    assert published == {"hopper": means}
    assert corrected == {
        "hopper": {"name": "d4rl", "random": -20.272305, "expert": 3234.3, "simulator": "gym-v2"},
    }
    assert "score_reference" not in found["SAMPLE-ratio", "published"].provenance


def test_given_data_are_named(tmp_path: Path) -> None:
    """The label, the provenance and the remedy of a study with --data speak of that file."""
    save_hdf5(made_up([30, 40]), tmp_path / "mine.hdf5")
    one = study(tmp_path, data=str(tmp_path / "mine.hdf5"))
    label = one.document([]).provenance.label
    assert "data from mine.hdf5" in label
    assert "self-collected data" not in label
    entry = one.judge(one.cells[0])
    assert f"--data {tmp_path / 'mine.hdf5'}" in entry.remedy
    assert "self-collected data" in study(tmp_path).document([]).provenance.label


def test_claims_that_need_a_gpu_say_so(tmp_path: Path) -> None:
    """Without a CUDA device every claim at small or paper scale is not run, with the remedy."""
    for scale in ("small", "paper"):
        for entry in entries(study(tmp_path, ["SAMPLE-fails", "SAMPLE-ratio"], scale=scale, device="cpu")).values():
            assert entry.verdict == "not_run"
            assert "CUDA" in entry.reason
            assert f"-m gpu --scale {scale} --seeds 5 --store {tmp_path / 'store'} " in entry.remedy
            assert "--device" not in entry.remedy


def test_judging_needs_no_torch(tmp_path: Path) -> None:
    """Planning, judging and rendering a stored study import no torch: a laptop can do it."""
    filled(tmp_path)
    code = (
        "import sys; from dtclaims.harness.commands.main import main; "
        f"status = main(['report', '--claims', {str(SAMPLE_CLAIMS)!r}, '--store', {str(tmp_path / 'store')!r}, "
        f"'--report', {str(tmp_path / 'report')!r}]); "
        "assert status == 0; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
    assert (tmp_path / "report" / "report.html").is_file()
