"""Behaviour of `dtclaims.harness.report.part`: a part never replaces the whole report."""

from pathlib import Path
from typing import Any

import pytest

from dtclaims.harness.report import parse, write
from dtclaims.harness.report.part import place
from dtclaims.tests.support import report_example

IDS = len({entry["id"] for entry in report_example.content()["claims"]})


def report(**provenance: Any) -> dict[str, Any]:
    """The example, as the whole of what is declared."""
    content = report_example.content()
    family = {"claims": IDS, "headlines": 1}
    content["provenance"] |= {"family": family, "tasks": ["hopper", "walker2d"], "seeds": [0, 1, 2], **provenance}
    return content


def without(content: dict[str, Any], id_: str) -> dict[str, Any]:
    return {**content, "claims": [one for one in content["claims"] if one["id"] != id_]}


def nothing_judged(content: dict[str, Any]) -> dict[str, Any]:
    idle = [report_example.claim(one["id"], one["protocol"]) for one in content["claims"]]
    return {**content, "claims": idle}


WHOLE = report()


@pytest.mark.parametrize(
    ("there", "new", "told"),
    [
        (WHOLE, WHOLE, ""),
        (WHOLE, without(WHOLE, "ABS-no-context"), f"{IDS - 1} of {IDS} claims"),
        (WHOLE, report(protocols=["corrected"]), "corrected only"),
        (WHOLE, {**WHOLE, "claims": [WHOLE["claims"][0], *WHOLE["claims"][2:]]}, "without 1 of 10 verdicts"),
        (WHOLE, report(tasks=["hopper"]), "hopper only"),
        (WHOLE, report(seeds=[7, 8]), "2 of 3 seeds"),
        (WHOLE, report(seeds=[7, 8, 9, 10]), ""),
        (WHOLE, nothing_judged(WHOLE), "nothing was judged in it"),
        # A part, and a report in which nothing was judged, protect nothing.
        (without(WHOLE, "ABS-no-context"), without(WHOLE, "S4-not-worse"), ""),
        (nothing_judged(WHOLE), without(WHOLE, "ABS-no-context"), ""),
        # Of reports from before it was said what they are of, the ids speak.
        (report(family=None), without(report(family=None), "ABS-no-context"), f"{IDS - 1} of {IDS} claims"),
    ],
)
def test_what_says_less_lies_beside(there: dict[str, Any], new: dict[str, Any], told: str, tmp_path: Path) -> None:
    """Fewer claims, protocols, tasks or seeds, or nothing judged at all, go beside the whole report; as much, or more,
    goes in its place."""
    write(parse(there), tmp_path / "report.json")
    found = place(parse(new), tmp_path)
    assert found.folder == (tmp_path / "part" if told else tmp_path)
    assert found.told.startswith(f"a part ({told})" if told else "")
    assert bool(found.told) == bool(told)


def test_another_scale_is_another_report(tmp_path: Path) -> None:
    """A whole session at another scale replaces, with however few seeds; one of the scales of several does not."""
    small = report(seeds=[0, 1], scale="small")
    for entry in small["claims"]:
        entry["scale"] = "small"
    write(parse(WHOLE), tmp_path / "report.json")
    assert place(parse(small), tmp_path).folder == tmp_path
    both = {**WHOLE, "claims": [*WHOLE["claims"], *small["claims"]]}
    write(parse(both), tmp_path / "report.json")
    assert "scale small only" in place(parse(small), tmp_path).told


def test_what_cannot_be_read_is_replaced_by_a_whole_report_only(tmp_path: Path) -> None:
    """Nobody knows what a damaged or newer report holds."""
    (tmp_path / "report.json").write_text('{"schema": 9, "claims": []}')
    assert place(parse(WHOLE), tmp_path).folder == tmp_path
    assert "cannot be read" in place(parse(without(WHOLE, "ABS-no-context")), tmp_path).told


def test_an_empty_folder_takes_anything(tmp_path: Path) -> None:
    """There is nothing to protect."""
    assert place(parse(without(WHOLE, "ABS-no-context")), tmp_path / "new").folder == tmp_path / "new"
