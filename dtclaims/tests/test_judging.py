"""From stored results to report entries, without training."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dtclaims.claim import Claim
from dtclaims.data.hdf5 import save_hdf5
from dtclaims.errors import StoreError
from dtclaims.registry import load_claims
from dtclaims.report import validate
from dtclaims.runs.planner import Cell
from dtclaims.settings import make_settings
from dtclaims.study import Study, cells_of
from dtclaims.tests.examples import fill_store, made_up

CLAIMS = load_claims()


def study(tmp_path: Path, ids: list[str] | None = None, **choices: str) -> Study:
    settings = make_settings({"store": str(tmp_path / "store"), "report": str(tmp_path / "report"), **choices})
    chosen: list[Claim] = [CLAIMS[name] for name in ids or CLAIMS]
    return Study(cells_of(chosen, settings), settings)


def value_of(planned: Any) -> Any:
    """The same value for every arm, by measurement."""
    return {"cka": {"h.0": 0.5}, "displacement": 2.0, "attention_gap": [1.0, 9.0, 1.0]}[planned.name]


def filled(tmp_path: Path, **options: str) -> Study:
    first = study(tmp_path, **options)
    fill_store(first.plan, first.store, {"random_init": 50.0, "language_pretrained": 3000.0}, value_of)
    return study(tmp_path, **options)


def entries(of: Study) -> dict[tuple[str, str], dict[str, Any]]:
    return {(entry["id"], entry["protocol"]): entry for entry in map(of.judge, of.cells)}


def test_an_empty_store_says_how_to_fill_it(tmp_path: Path) -> None:
    """Claims whose runs are absent are not run, with the command that makes them run."""
    for entry in entries(study(tmp_path)).values():
        assert entry["verdict"] == "not_run"
        assert entry["remedy"].startswith("pytest claims --scale mini --protocol")
        assert entry["effect"]["per_seed"] == {}


def test_stored_results_are_judged(tmp_path: Path) -> None:
    """One effect per seed, the interval, and the verdict that follows from them."""
    found = entries(filled(tmp_path))
    fails = found["S5.5-k1-random-fails-hopper", "published"]
    assert fails["verdict"] == "reproduced"
    assert fails["provisional"]
    assert set(fails["effect"]["per_seed"]) == {"0", "1", "2"}
    assert found["S5.5-k1-gpt2-faster", "corrected"]["verdict"] == "reproduced"
    # Equal displacement in both arms is a ratio of exactly 1: below what was declared.
    assert found["S5.3-l2-small-gpt2", "published"]["verdict"] == "refuted"
    assert found["S5.6.2-gap-random-large", "published"]["components"].keys() == {"ratio", "difference"}


def test_the_score_switches_change_the_numbers(tmp_path: Path) -> None:
    """Published and corrected score the same returns with other references (DEV-29)."""
    found = entries(filled(tmp_path))
    published, corrected = (
        found["S5.5-k1-random-fails-hopper", name]["effect"]["mean"] for name in ("published", "corrected")
    )
    assert published == pytest.approx(100 * (51 - 18.40) / (3511.36 - 18.40))
    assert corrected == pytest.approx(100 * (51 + 20.272305) / (3234.3 + 20.272305))


def test_the_document_is_valid(tmp_path: Path) -> None:
    """What the judge writes is what the report's schema asks for, verdicts of every kind included."""
    for one in (filled(tmp_path / "a"), study(tmp_path / "b"), study(tmp_path / "c", scale="small", device="cpu")):
        document = one.document([one.judge(cell) for cell in one.cells])
        validate(document)
        json.dumps(document, allow_nan=False)


def test_too_few_seeds_are_inconclusive(tmp_path: Path) -> None:
    """Two seeds never make a verdict (statistics rule 2)."""
    assert {entry["verdict"] for entry in entries(filled(tmp_path, seeds="2")).values()} == {"inconclusive"}


def test_a_failed_run_is_an_error_not_a_verdict(tmp_path: Path) -> None:
    """Claims that rest on a failed run are errors that say what failed; the others are judged."""
    one = filled(tmp_path)
    spoiled = one.plan.run_keys(next(cell for cell in one.cells if cell.claim.id == "S5.5-k1-random-fails-hopper"))[0]
    one._judge.failures = {spoiled: "the loss stopped being finite"}
    found = entries(one)
    assert found["S5.5-k1-random-fails-hopper", "published"]["verdict"] == "error"
    assert "stopped being finite" in found["S5.5-k1-random-fails-hopper", "published"]["reason"]
    assert found["S4-gpt2-not-worse", "published"]["verdict"] == "reproduced"


def test_an_effect_that_cannot_be_computed_is_an_error(tmp_path: Path) -> None:
    """0/0 in a claim's function is an error with its reason, not a value."""
    first = study(tmp_path, ["S5.3-l2-small-gpt2"])
    fill_store(first.plan, first.store, {"random_init": 1.0, "language_pretrained": 1.0}, 0.0)
    entry = entries(study(tmp_path, ["S5.3-l2-small-gpt2"]))["S5.3-l2-small-gpt2", "published"]
    assert entry["verdict"] == "error"
    assert "ZeroDivisionError" in entry["reason"]


def judged_with(one: Study, change: Any) -> dict[str, Any]:
    """The entry of a claim one of whose runs has its provenance changed."""
    cell: Cell = next(cell for cell in one.cells if cell.claim.id == "S5.5-k1-random-fails-hopper")
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
        (lambda p: p["data"].update(sha256="another set"), ("data.sha256", "another set", "made up")),
        (lambda p: p.update(versions={"mujoco": "4.0.0"}), ("versions is ", "4.0.0", "None")),
        (lambda p: p.update(score_reference={"name": "older"}), ()),
    ],
)
def test_runs_of_different_provenance_are_not_pooled(tmp_path: Path, change: Any, named: tuple[str, ...]) -> None:
    """Two sets of data or two simulators under one claim: an error that names both.

    The score reference is the judge's own, so whatever a run says of it does not count.
    """
    entry = judged_with(filled(tmp_path, protocol="published"), change)
    assert entry["verdict"] == ("error" if named else "reproduced")
    assert all(word in entry["reason"] for word in named)


def test_the_score_reference_is_part_of_the_provenance(tmp_path: Path) -> None:
    """What means 0 and what means 100 stands with every score, by task, and only with scores (DEV-29)."""
    found = entries(filled(tmp_path))
    published, corrected = (
        found["S5.5-k1-random-fails-hopper", name]["provenance"]["score_reference"]
        for name in ("published", "corrected")
    )
    assert published == {"hopper": {"name": "dataset_means", "random": 18.40, "expert": 3511.36}}
    assert corrected == {"hopper": {"name": "d4rl", "random": -20.272305, "expert": 3234.3}}
    assert "score_reference" not in found["S5.3-l2-small-gpt2", "published"]["provenance"]


def test_given_data_are_named(tmp_path: Path) -> None:
    """The label, the provenance and the remedy of a study with --data speak of that file."""
    save_hdf5(made_up([30, 40]), tmp_path / "mine.hdf5")
    one = study(tmp_path, data=str(tmp_path / "mine.hdf5"))
    label = one.document([])["provenance"]["label"]
    assert "data from mine.hdf5" in label
    assert "self-collected data" not in label
    entry = one.judge(one.cells[0])
    assert f"--data {tmp_path / 'mine.hdf5'}" in entry["remedy"]
    assert "self-collected data" in study(tmp_path).document([])["provenance"]["label"]


def test_a_damaged_run_stops_the_plan(tmp_path: Path) -> None:
    """Damage is found while planning, before anything is trained or judged."""
    one = filled(tmp_path)
    key = next(iter(one.plan.runs))
    (one.store.root / "runs" / key / "result.json").write_text("{}")
    with pytest.raises(StoreError, match="damaged"):
        study(tmp_path)


def test_claims_that_need_a_gpu_say_so(tmp_path: Path) -> None:
    """Without a CUDA device every claim at small or paper scale is not run, with the remedy."""
    for scale in ("small", "paper"):
        for entry in entries(study(tmp_path, scale=scale, device="cpu")).values():
            assert entry["verdict"] == "not_run"
            assert "CUDA" in entry["reason"]
            assert "pytest claims -m gpu --seeds 5" in entry["remedy"]


def test_judging_needs_no_torch(tmp_path: Path) -> None:
    """Planning, judging and rendering a stored study import no torch: a laptop can do it."""
    filled(tmp_path)
    code = (
        "import sys; from dtclaims.cli import main; "
        f"status = main(['report', '--store', {str(tmp_path / 'store')!r}, '--report', {str(tmp_path / 'report')!r}]); "
        "assert status == 0; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)
    assert (tmp_path / "report" / "report.html").is_file()
