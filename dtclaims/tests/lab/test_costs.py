"""What jobs cost: the table that ships, and what is made of it."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import FixtureError
from dtclaims.harness.lab import Once, protocols_of
from dtclaims.harness.plan.planner import expected_of
from dtclaims.harness.store.timings import Timing, add_timing
from dtclaims.lab import costs
from dtclaims.lab.costs import measurement_cost, run_cost, shape_of, table
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.design.spec import RunSpec, resolve
from dtclaims.lab.design.switches import SWITCHES
from dtclaims.lab.design.tasks import ALL_TASKS
from dtclaims.lab.inputs import Inputs, find_data
from dtclaims.tests.support import cost_rows
from dtclaims.tests.support.examples import made_up

ROUNDING = 1e-9
ARMS = (("random_init", 1), ("random_init", 20), ("image_native", 20), ("mlp", 1), ("block_3_language", 1))


def spec(scale: str, arm: str, context: int, task: str = "hopper", paper_epochs: int = 40) -> RunSpec:
    """A run of the corrected protocol."""
    return resolve(
        task=task,
        arm=arm,
        context=context,
        seed=0,
        scale=scale,
        budget=SCALES[scale].budget,
        protocol=protocols_of(SWITCHES)["corrected"],
        paper_epochs=paper_epochs,
    )


def cost(of: RunSpec, device: str) -> Any:
    """Of a run on data that are at hand."""
    shape = {"language": {"config": {"blocks": 12, "width": 128}}}
    return run_cost(of, Inputs(of.task, {"kind": "file"}, shape), device)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:3"])
@pytest.mark.parametrize("task", ALL_TASKS)
def test_every_run_has_a_cost_that_grows_with_its_epochs(scale: str, device: str, task: str) -> None:
    """Beside a GPU its network is the GPU's and its physics is spread over cores; on a CPU all is one core's."""
    for arm, context in ARMS:
        whole = cost(spec(scale, arm, context, task), device)
        short = cost(spec(scale, arm, context, task, paper_epochs=10), device)
        assert 0 < short.whole < whole.whole
        assert (whole.accelerator > 0) == (whole.spread > 0) == (device != "cpu")
        assert whole.unit == "epochs"
        assert whole.like == (shape_of(spec(scale, arm, context)), task)


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_a_run_in_company_takes_less_of_a_gpu(scale: str) -> None:
    """For each of a group less than alone, and the group more than one run."""
    for arm, context in ARMS:
        one = cost(spec(scale, arm, context), "cuda")
        each = [one.accelerator_of(size) for size in (1, 2, 4, 8, 16, 32)]
        assert all(more <= fewer + ROUNDING for fewer, more in itertools.pairwise(each))
        whole = [size * seconds for size, seconds in zip((1, 2, 4, 8, 16, 32), each, strict=True)]
        assert all(fewer <= more + ROUNDING for fewer, more in itertools.pairwise(whole))


def test_longer_and_larger_costs_more() -> None:
    """K = 20 more than K = 1, the image stack more than twelve blocks, the paper's sizes more than small ones."""
    for device, scale in (("cpu", "mini"), ("cuda", "small"), ("cuda", "full")):
        seconds = [cost(spec(scale, arm, k), device).whole for arm, k in (("mlp", 1), *ARMS[:3])]
        assert seconds == sorted(seconds)
    assert cost(spec("full", "random_init", 20), "cuda").whole > cost(spec("small", "random_init", 20), "cuda").whole


def test_data_are_collected_once_where_they_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set that is not on disk is a cost of the session; one that is, is none."""
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path))
    costs._is_there.cache_clear()
    data = find_data("hopper", SCALES["mini"])
    assert isinstance(data, dict)

    def made() -> list[Once]:
        found = run_cost(spec("mini", "random_init", 1), Inputs("hopper", data, {}), "cpu").once
        return [one for one in found if one.by == "session"]

    (collected,) = made()
    assert collected.name == "hopper data"
    assert collected.seconds == pytest.approx(50_000 / 5500 / 0.7)
    costs._is_there.cache_clear()
    monkeypatch.setattr("dtclaims.lab.data.collect.collected_path", lambda recipe: Path(__file__))
    assert made() == []
    costs._is_there.cache_clear()


def test_what_a_run_keeps_is_known() -> None:
    """Four checkpoints of twelve squares of the width per block, in float32; none of runs that are read by curves."""
    long, short = spec("small", "random_init", 1), spec("small", "random_init", 1, paper_epochs=10)
    assert cost(long, "cpu").nbytes - cost(short, "cpu").nbytes == 4 * 4 * 12 * 12 * 128**2


def test_measurements_have_their_own_rows() -> None:
    """By quantity and scale; one that was never timed is a guess."""
    at_hand = (Inputs("hopper", {"kind": "file"}, {}),)
    rows = table()["devices"]["cpu"]["measurements"]["mini"]
    assert measurement_cost("probe_steps", "mini", at_hand, "cpu").seconds == rows["probe_steps"]
    assert measurement_cost("unheard_of", "mini", at_hand, "cpu").seconds == rows["any"]
    assert measurement_cost("unheard_of", "paper", at_hand, "cuda").seconds > 0


def test_what_fills_a_gpu_is_planned_as_that(tmp_path: Path) -> None:
    """Mutual information trains hundreds of millions of weights, and slows all that trains beside it.

    One that took twice what its session expected of the company makes both of its numbers twice as large.
    """
    at_hand = (Inputs("hopper", {"kind": "file"}, {}),)
    before = measurement_cost("information_steps", "small", at_hand, "cuda")
    assert before.accelerator > 5 * before.seconds
    assert measurement_cost("cka", "small", at_hand, "cuda").accelerator == 0
    for factor in (1.0, 2.0, 2.0):
        seconds = 3.0 * factor * (before.seconds + before.accelerator)
        add_timing(tmp_path, Timing("measurement", before.like, "cuda", 1, seconds, 1, 16, 2, 32, slowed=3.0))
    row = cost_rows.from_store(tmp_path, "cuda")["devices"]["cuda"]["measurements"]["small"]["information_steps"]
    assert row == {
        "seconds": pytest.approx(2 * before.seconds, abs=0.01),
        "accelerator": pytest.approx(2 * before.accelerator, abs=0.01),
    }


def test_rows_are_as_they_can_be() -> None:
    """In a larger group a run takes no longer, and the group no less, whatever one session says of each size."""
    assert cost_rows.sensible({"1": 2.0, "5": 1.0, "10": 1.2, "30": 0.1}) == {
        "1": 2.0,
        "5": 1.0,
        "10": 1.0,
        "30": pytest.approx(0.334),
    }


@pytest.mark.parametrize("content", ["{}", "[]", "{", '{"schema": 99}', None])
def test_a_broken_table_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None) -> None:
    """With the way to restore it."""
    monkeypatch.setattr(costs, "fixture_dir", lambda: tmp_path)
    costs.table.cache_clear()
    if content is not None:
        (tmp_path / "costs.json").write_text(content)
    with pytest.raises(FixtureError, match=r"costs.json is no table of costs.*git checkout"):
        table()


def test_a_run_that_is_done_alone_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `python -m dtclaims.tests.support.cost_rows` writes into the table: updates and roll-out steps."""
    monkeypatch.setattr(Inputs, "load_data", lambda self, progress=None: made_up([30, 40, 25, 35]))
    found = cost_rows.kind(cost_rows.spec_of("mini", "random_init", 1, "hopper"), "cpu", 1e9)
    assert set(found) == {"update_ms", "forward_ms", "begin_s", "compile_s"}
    assert 0 < found["forward_ms"] < found["update_ms"]


def test_rows_are_what_jobs_of_a_store_took(tmp_path: Path) -> None:
    """Runs that took twice their row make it twice as long, and a measurement's is the median."""
    row = table()["devices"]["cpu"]["runs"]["mini stack of 12 blocks K=1"]
    expected = expected_of(
        run_cost(cost_rows.spec_of("mini", "random_init", 1, "hopper"), Inputs("hopper", {}, {}), "cpu"),
        Timing("run", ("mini stack of 12 blocks K=1", "hopper"), "cpu", 10, 1.0, 1, 2, 0, 2),
    )
    for factor in (1.0, 2.0, 2.0):
        run = Timing("run", ("mini stack of 12 blocks K=1", "hopper"), "cpu", 10, factor * expected, 1, 2, 0, 2)
        add_timing(tmp_path, run)
        add_timing(tmp_path, Timing("measurement", ("cka", "mini"), "cpu", 1, 3 * factor, 1, 2, 0, 2))
    found = cost_rows.from_store(tmp_path, "cpu")["devices"]["cpu"]
    for name in ("update_ms", "forward_ms"):
        assert found["runs"]["mini stack of 12 blocks K=1"][name]["1"] == pytest.approx(2 * row[name]["1"], abs=1e-3)
    assert found["measurements"]["mini"]["cka"] == 6
