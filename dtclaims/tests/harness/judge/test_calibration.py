"""Behaviour of `dtclaims.harness.judge.calibration`: a claim's own test on the paper's own values."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import UsageError
from dtclaims.harness.declare.claim import Claim, Paper, claim
from dtclaims.harness.declare.registry import load_claims
from dtclaims.harness.judge.calibration import calibrate, holds, readings, whole
from dtclaims.harness.lab import Need, NotShown
from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.stats.trends import Trend, above, in_most_seeds, in_some_seeds
from dtclaims.lab import LAB
from dtclaims.lab.design.switches import PROTOCOLS

TASKS = ("hopper", "halfcheetah", "walker2d")


class Shown:
    """A paper that shows some values: by task and seed, None for one that it does not show."""

    seeds = (666, 42)

    def __init__(self, values: Mapping[tuple[str, int], float | None]) -> None:
        self._values = values

    def value(self, need: Need, task: str | None, seed: int) -> float:
        """The value of the task and the seed, whatever is needed."""
        found = self._values.get((task or "", seed))
        if found is None:
            raise NotShown("drawn as a raster")
        return found

    def note(self, need: Need, task: str | None, seed: int) -> str:
        """Of Walker2d there is something to say."""
        return "a two-seed mean" if task == "walker2d" else ""


def cell_of(values: Mapping[tuple[str, int], float | None], trend: Trend | Mapping[str, Trend], **more: Any) -> Cell:
    """A claim about three tasks, in a lab whose paper shows these values."""
    parts = trend if isinstance(trend, Mapping) else None

    @claim(
        "X",
        section="1",
        quote="q",
        scope="s",
        effect="e",
        unit="u",
        needs={"a": Need("score", arm="random_init", context=1)},
        trend=trend,
        paper=Paper("1"),
        tasks=TASKS,
        **more,
    )
    def made(a: float) -> Any:
        """The value itself, of each part."""
        return dict.fromkeys(parts, a) if parts else a

    lab = _with_values(values)
    assert isinstance(made, Claim)
    return Cell(made, PROTOCOLS["published"], LAB.scales["mini"], lab, TASKS)


def _with_values(values: Mapping[tuple[str, int], float | None]) -> Any:
    class Lab(type(LAB)):  # type: ignore[misc]  # the lab, but for what its paper shows
        published = Shown(values)

    return Lab()


VALUES: dict[tuple[str, int], float | None] = {
    ("hopper", 666): 2.0,
    ("halfcheetah", 666): 0.5,
    ("walker2d", 666): -1.0,
    ("hopper", 42): 3.0,
    ("halfcheetah", 42): None,
    ("walker2d", 42): 4.0,
}


def test_each_value_of_the_paper_is_read_with_its_reason() -> None:
    """By seed and task: the effect and whether the trend holds, or why it is not shown; notes travel with it."""
    found = readings(cell_of(VALUES, above(0.0)))
    assert [(one.seed, one.component, one.effect, one.holds, one.note) for one in found] == [
        (666, "hopper", 2.0, True, ""),
        (666, "halfcheetah", 0.5, True, ""),
        (666, "walker2d", -1.0, False, "a two-seed mean"),
        (42, "hopper", 3.0, True, ""),
        (42, "halfcheetah", None, None, "drawn as a raster"),
        (42, "walker2d", 4.0, True, "a two-seed mean"),
    ]


def test_an_effect_too_small_to_be_one_does_not_hold() -> None:
    """Beyond the null, but below the smallest effect of interest: the verdict on many such seeds would be "absent"."""
    found = readings(cell_of(VALUES, above(0.0, interest=1.0, why="a reader would not act on less")))
    assert [one.holds for one in found if one.seed == 666] == [True, False, False]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {666: False, 42: None}),
        ({"primary": "hopper"}, {666: True, 42: True}),
        ({"any_of": ("effect",)}, {666: True, 42: True}),
    ],
    ids=["every task", "a primary task", "some task"],
)
def test_the_whole_claim_holds_by_what_decides(more: dict[str, Any], expected: dict[int, bool | None]) -> None:
    """A task that is only reported fails nothing, and of a group one suffices; what is not shown leaves it open."""
    cell = cell_of(VALUES, above(0.0), **more)
    found = readings(cell)
    assert {seed: whole(cell, found, seed) for seed in (666, 42)} == expected


def test_a_rate_needs_both_seeds() -> None:
    """That something is so on some seeds and not on others is no statement about one of them."""
    trend = in_some_seeds(0.05, why="one seed in twenty is rare")
    assert holds(trend, 1.0, {666: 1.0, 42: 0.0}) is True
    assert holds(trend, 1.0, {666: 1.0, 42: 1.0}) is False
    assert holds(trend, 1.0, {666: 1.0}) is None
    assert holds(in_most_seeds(), 0.0, {666: 0.0}) is False


def test_what_no_protocol_publishes_has_no_reading() -> None:
    """A claim that only the corrected protocol tests has no published form to be run on the paper's values."""
    cell = cell_of(VALUES, above(0.0))
    assert not readings(replace(cell, claim=replace(cell.claim, protocols=("corrected",))))


# --- all claims at once, and the exceptions beside them ---------------------------------------------------------------


def beside(cell: Cell, folder: Path, *exceptions: dict[str, Any]) -> Cell:
    """The cell with its claim declared in a folder that has these exceptions."""
    (folder / "exceptions.json").write_text(json.dumps([{"claim": "X", "seed": 666, **one} for one in exceptions]))
    return replace(cell, claim=replace(cell.claim, file=folder / "test_x.py"))


def test_a_failure_without_an_exception_is_named(tmp_path: Path) -> None:
    """Every reading is a row; a claim that fails on the paper's main seed is called failing, one on 42 alone is not."""
    found = calibrate([beside(cell_of(VALUES, above(0.0)), tmp_path)])
    assert found.failing == ("X",)
    assert [(one.seed, one.part, one.said) for one in found.rows] == [
        (666, "hopper", "holds"),
        (666, "halfcheetah", "holds"),
        (666, "walker2d", "fails"),
        (42, "hopper", "holds"),
        (42, "halfcheetah", "not shown"),
        (42, "walker2d", "holds"),
    ]
    assert found.summary() == [
        "seed 666: 2 holds, 1 fails, 0 not shown",
        "seed 42: 2 holds, 0 fails, 1 not shown",
        "fails on the paper's own values, and is no exception: X",
    ]
    assert not calibrate([cell_of({**VALUES, ("walker2d", 666): 1.0, ("hopper", 42): -1.0}, above(0.0))]).failing


def test_an_exception_gives_the_failure_its_reason(tmp_path: Path) -> None:
    """A listed failure is none of the instrument's; its reason stands on the reading, and so on the card."""
    cell = beside(cell_of(VALUES, above(0.0)), tmp_path, {"component": "walker2d", "reason": "contradicted by Fig. 8"})
    found = calibrate([cell])
    assert (found.failing, found.stale) == ((), ())
    (row,) = [one for one in found.rows if one.said == "fails"]
    assert (row.part, row.exception, row.reason) == ("walker2d", True, "contradicted by Fig. 8; a two-seed mean")
    assert [one.note for one in readings(cell) if one.holds is False] == [row.reason]


def test_an_exception_of_another_component_excuses_nothing(tmp_path: Path) -> None:
    """Hopper's exception is not Walker2d's; and as Hopper holds, it is stale."""
    found = calibrate([beside(cell_of(VALUES, above(0.0)), tmp_path, {"component": "hopper", "reason": "r"})])
    assert found.failing == ("X",)
    assert found.stale == ("X 666 hopper is an exception, and does not fail",)


def test_an_exception_is_for_a_direction_that_fails(tmp_path: Path) -> None:
    """A smallest effect of interest that the paper's effect is below was chosen badly: no exception mends that."""
    trend = above(0.0, interest=1.0, why="a reader would not act on less")
    values = {**VALUES, ("walker2d", 666): 4.0}
    found = calibrate([beside(cell_of(values, trend), tmp_path, {"reason": "it is small"})])
    assert found.stale == ("X 666 is an exception, though only halfcheetah's size fails: its direction holds",)


def test_a_lab_without_the_papers_values_cannot_be_calibrated() -> None:
    """The toy lab has none: that is said, and nothing is called sound."""
    cell = cell_of(VALUES, above(0.0))

    class Lab(type(LAB)):  # type: ignore[misc]  # the lab, but without the paper's values
        published = None

    with pytest.raises(UsageError, match="no values of the paper's own"):
        calibrate([replace(cell, lab=Lab())])


def composite_of(folder: Path, *exceptions: dict[str, Any]) -> Cell:
    """A claim made of one part, which fails on Walker2d; both are declared in the folder."""
    (folder / "exceptions.json").write_text(json.dumps([{"claim": "PART", "seed": 666, **one} for one in exceptions]))
    (folder / "test_parts.py").write_text(
        "from dtclaims import Need, Paper, above, claim, composite\n"
        "@claim('PART', section='1', quote='q', scope='s', effect='e', unit='u', paper=Paper('1'), trend=above(0.0),\n"
        "       needs={'a': Need('score', arm='random_init', context=1)}, tasks=('hopper', 'walker2d'))\n"
        "def test_part(a):\n    '''The value.'''\n    return a\n"
        "test_whole = composite('WHOLE', section='1', quote='q', parts=('PART',), scope='s', paper=Paper('1'))\n"
    )
    claims = load_claims(folder)
    return Cell(claims["WHOLE"], PROTOCOLS["published"], LAB.scales["mini"], _with_values(VALUES), TASKS)


def test_a_composite_shares_its_parts_exceptions(tmp_path: Path) -> None:
    """What a part's reason excuses fails no composite, and the composite's reading repeats the reason."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert calibrate([composite_of(tmp_path / "a")]).failing == ("WHOLE",)
    found = calibrate([composite_of(tmp_path / "b", {"component": "walker2d", "reason": "contradicted by Fig. 8"})])
    assert (found.failing, found.stale) == ((), ())
    assert [(one.part, one.said, one.exception, one.reason) for one in found.rows if one.seed == 666] == [
        ("PART", "fails", True, "contradicted by Fig. 8; a two-seed mean")
    ]
