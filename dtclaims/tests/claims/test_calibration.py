"""The instrument on the paper's own numbers: an instrument that fails there cannot refute the paper."""

import json
from pathlib import Path

from dtclaims.harness.declare.exceptions import exceptions_beside, known_only
from dtclaims.harness.declare.registry import DEFAULT_FOLDER, load_claims
from dtclaims.harness.judge.calibration import Calibration, calibrate
from dtclaims.harness.plan.cells import Cell
from dtclaims.lab import LAB
from dtclaims.lab.design.switches import PROTOCOLS

CLAIMS = load_claims()
SECOND_SEED = Path(__file__).with_name("fails_on_the_second_seed.json")
"""What fails on the paper's second seed, claim by claim: the appendix's numbers, which excuse and accuse nothing."""
REMEDY = f"If the claims changed on purpose, write this into {SECOND_SEED.name}:"


def calibration() -> Calibration:
    """Of all shipped claims."""
    return calibrate([Cell(one, PROTOCOLS["published"], LAB.scales["mini"], LAB, LAB.tasks) for one in CLAIMS.values()])


def test_every_published_form_holds_on_the_main_seed_or_is_an_exception() -> None:
    """What fails on the paper's own main text does so because the paper contradicts itself there, and says where."""
    found = calibration()
    assert found.failing == ()


def test_every_exception_fails_in_its_direction() -> None:
    """An exception of a claim that holds, or whose size alone fails, would hide the next fault."""
    known_only(exceptions_beside(DEFAULT_FOLDER), CLAIMS, DEFAULT_FOLDER)
    assert calibration().stale == ()
    assert exceptions_beside(DEFAULT_FOLDER)


def test_what_fails_on_the_second_seed_is_known() -> None:
    """Nothing is demanded of the appendix's seed, but a change of what fails there is seen."""
    second = LAB.published.seeds[1]
    fails: dict[str, list[str]] = {}
    for one in calibration().rows:
        if one.seed == second and one.said == "fails":
            fails.setdefault(one.claim, []).append(one.part)
    expected = json.loads(SECOND_SEED.read_text(encoding="utf-8"))
    assert fails == expected, f"{REMEDY}\n{_written(fails)}"


def test_most_of_the_claims_can_be_calibrated() -> None:
    """Nine tenths of what the published forms say is shown by the paper on its main seed: the check is no formality."""
    rows = [one for one in calibration().rows if one.seed == LAB.published.seeds[0]]
    assert sum(one.said != "not shown" for one in rows) > 0.9 * len(rows)


def _written(fails: dict[str, list[str]]) -> str:
    return json.dumps(fails, indent=1, ensure_ascii=False)
