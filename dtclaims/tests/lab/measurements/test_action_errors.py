"""Action errors read off stored curves."""

from dataclasses import replace
from pathlib import Path
from statistics import pstdev
from typing import Any

import pytest

from dtclaims.harness.store.store import StoredRun
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.lab.measurements import MEASUREMENTS
from dtclaims.lab.measurements.action_errors import action_error_jumps, action_errors, errors_and_returns
from dtclaims.tests.support.examples import TINY_BUDGET, tiny_spec

PUBLISHED, CORRECTED = (PROTOCOLS[name].switches for name in ("published", "corrected"))

LAST_BATCH = [9.0, 4.0, 5.0, 2.0, 3.0, 1.0, 8.0, 7.0]
HELD_OUT = [value / 10 for value in LAST_BATCH]
RETURNS = [10.0 * epoch for epoch in range(8)]


def run(epochs: int = 8, of: int = 8, **curves: Any) -> StoredRun:
    """A stored run with these curves, cut to the epochs it trained of those that stand for the paper's 40."""
    given = {"action_error": LAST_BATCH, "held_out_error": HELD_OUT, "return_mean": RETURNS, **curves}
    spec = tiny_spec(budget=replace(TINY_BUDGET, epochs=of), epochs=epochs).to_json()
    return StoredRun(Path(), {"spec": spec}, {"curves": {name: values[:epochs] for name, values in given.items()}}, {})


def test_each_protocol_reads_its_own_error() -> None:
    """The last minibatch as published, the trajectories kept out as corrected, neither smoothed (DEV-12)."""
    assert action_errors(run(), PUBLISHED) == LAST_BATCH
    assert action_errors(run(), CORRECTED) == HELD_OUT


def test_spans_are_in_the_papers_epochs() -> None:
    """With 8 epochs for the paper's 40, the first two stand for 10; a span is never empty."""
    assert action_errors(run(), PUBLISHED, last=10) == LAST_BATCH[:2]
    assert action_errors(run(), PUBLISHED, first=11, last=20) == LAST_BATCH[2:4]
    assert action_errors(run(), PUBLISHED, first=11) == LAST_BATCH[2:]
    assert action_errors(run(), PUBLISHED, first=6, last=7) == LAST_BATCH[1:2]


def test_a_short_run_ends_where_a_span_of_a_long_one_does() -> None:
    """The tenth epoch of a run of ten epochs is that of a run of forty (App. G.3)."""
    assert action_errors(run(epochs=2), PUBLISHED)[-1] == action_errors(run(), PUBLISHED, last=10)[-1]


def test_jumps_are_the_spread_of_the_changes() -> None:
    """The standard deviation of e_i - e_(i-1) for i = 2 to 10; a straight line has none, however steep."""
    curve = [5.0, 3.0, 2.0, 2.5, 1.0, 0.5, 0.5, 0.4, 0.3, 0.1, *[77.0] * 30]
    long = run(40, 40, action_error=curve, held_out_error=[3.0 * value for value in curve])
    changes = [-2.0, -1.0, 0.5, -1.5, -0.5, 0.0, -0.1, -0.1, -0.2]
    assert action_error_jumps(long, PUBLISHED) == pytest.approx(pstdev(changes))
    assert action_error_jumps(long, CORRECTED) == pytest.approx(3 * pstdev(changes))
    line = run(10, 40, action_error=[20.0 - 2 * epoch for epoch in range(10)])
    assert action_error_jumps(line, PUBLISHED) == pytest.approx(0, abs=1e-12)


def test_jumps_are_not_offered_where_there_is_one() -> None:
    """A scale with two epochs for the paper's ten has one change between them, which has no spread."""
    offered = MEASUREMENTS["action_error_jumps"].scales
    assert offered == tuple(name for name, scale in SCALES.items() if scale.budget.epoch(10) > 2)


def test_errors_stand_beside_returns() -> None:
    """Of all epochs, in one order."""
    assert errors_and_returns(run(), PUBLISHED) == {"error": LAST_BATCH, "return": RETURNS}
    assert errors_and_returns(run(epochs=2), CORRECTED) == {"error": HELD_OUT[:2], "return": RETURNS[:2]}
