"""What claims over blocks and early learning read off curves, and the scale of blocks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dtclaims.harness.store.store import StoredRun
from dtclaims.lab.data.scores import score_reference
from dtclaims.lab.design.arms import BLOCKS
from dtclaims.lab.design.blocks import EDGES, MIDDLE, OTHERS, against_random, against_sham, by_block, gains, replaced
from dtclaims.lab.design.tasks import get_task
from dtclaims.lab.measurements.blocks import block_error, block_return, score_at, score_curve
from dtclaims.lab.measurements.parameters import block_scale
from dtclaims.tests.support.examples import TINY_BUDGET, tiny_spec
from dtclaims.tests.support.tiny_benches import CORRECTED, PUBLISHED, backbones, bench, scaled


def run(task: str = "hopper", *, epochs: int = 40, **curves: list[float]) -> StoredRun:
    """A stored run with these curves."""
    spec = tiny_spec(task=task, budget=replace(TINY_BUDGET, epochs=epochs)).to_json()
    return StoredRun(Path(), {"spec": spec}, {"curves": curves}, {})


def normalised(value: float, references: str, task: str = "hopper") -> float:
    """By the definition."""
    random, expert = score_reference(get_task(task), references)
    return 100 * (value - random) / (expert - random)


COUNTING = [float(epoch) for epoch in range(1, 41)]


def test_a_score_is_read_where_the_checkpoint_was_kept() -> None:
    """Epoch 4 of 40 is the fourth at full length and the first of eight, as it is for networks."""
    assert score_at(run(return_mean=COUNTING), PUBLISHED) == pytest.approx(normalised(4, "dataset_means"))
    assert score_at(run(return_mean=COUNTING), CORRECTED, epoch=40) == pytest.approx(normalised(40, "d4rl"))
    short = run(epochs=8, return_mean=COUNTING[:8])
    assert score_at(short, PUBLISHED) == pytest.approx(normalised(1, "dataset_means"))


def test_curves_are_told_in_the_papers_epochs() -> None:
    """Each of eight epochs stands for five."""
    curve = score_curve(run(epochs=8, return_mean=COUNTING[:8]), CORRECTED)
    assert [epoch for epoch, _ in curve] == [5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0, 40.0]
    assert [score for _, score in curve] == pytest.approx([normalised(value, "d4rl") for value in COUNTING[:8]])


@pytest.mark.parametrize(("task", "epochs"), [("hopper", 10), ("halfcheetah", 5), ("walker2d", 5)])
def test_block_runs_and_whole_arms_are_read_over_the_same_epochs(task: str, epochs: int) -> None:
    """Ten epochs on Hopper, five elsewhere: a run of forty reads as the block run that stopped there (DEV-31)."""
    whole, block = (
        run(task, return_mean=values, action_error=values, held_out_error=values)
        for values in (COUNTING, COUNTING[:epochs])
    )
    for switches in (PUBLISHED, CORRECTED):
        assert block_return(whole, switches) == block_return(block, switches)
        assert block_error(whole, switches) == block_error(block, switches)
    assert block_return(whole, CORRECTED) == pytest.approx(normalised((epochs + 1) / 2, "d4rl", task))
    assert block_error(whole, CORRECTED) == pytest.approx((epochs + 1) / 2)


def test_published_curves_are_smoothed_as_drawn() -> None:
    """The filter starts at 1.2 x: 1.2, 1.16, 1.128, 1.1024, 1.08192 for a constant 1 (DEV-12)."""
    drawn = float(np.mean([1.2, 1.16, 1.128, 1.1024, 1.08192]))
    one = run("walker2d", action_error=[1.0] * 5, held_out_error=[7.0] * 5, return_mean=[1000.0] * 5)
    assert block_error(one, PUBLISHED) == pytest.approx(drawn)
    assert block_error(one, CORRECTED) == pytest.approx(7.0)
    assert block_return(one, PUBLISHED) == pytest.approx(normalised(1000 * drawn, "dataset_means", "walker2d"))
    assert block_return(one, CORRECTED) == pytest.approx(normalised(1000, "d4rl", "walker2d"))


def test_the_scale_of_a_block_is_that_of_its_matrices(tmp_path: Path) -> None:
    """Root mean square at the start, vectors left out: matrices of -1 in one block and of 3 in the other."""
    sources = backbones()
    tensors = sources["language"].tensors
    for name, tensor in tensors.items():
        if tensor.ndim == 2 and name.startswith("h."):
            tensor.fill_(3.0 if name.startswith("h.1.") else -1.0)
    one = bench(tmp_path, "language_pretrained", scaled(5.0, "transformer."), sources=sources)
    assert block_scale(one, PUBLISHED) == pytest.approx([1.0, 3.0])


def test_needs_of_blocks_are_named_and_trained_by_block() -> None:
    """Twelve block runs of the task's own length, and what they are compared with."""
    sham = against_sham("block_return")
    assert len(sham) == 2 * BLOCKS
    assert sham["permuted_11"].condition["arm"] == "block_11_permuted"
    assert (sham["language_3"].condition["context"], sham["language_3"].condition["epochs"]["walker2d"]) == (1, 5)
    random = against_random("block_error")
    assert len(random) == BLOCKS + 1
    assert dict(random["random"].condition) == {"arm": "random_init", "context": 1}
    assert replaced("block_return", "language", task="hopper")["language_0_hopper"].task == "hopper"
    assert sorted((*MIDDLE, *EDGES)) == sorted((1, *OTHERS)) == list(range(BLOCKS))


def test_gains_are_over_the_random_arm_or_over_the_block_s_own_sham() -> None:
    """Each real block less the one random arm, or less the sham in its own place (DEV-13)."""
    real = {f"language_{block}": 10.0 * block for block in range(BLOCKS)}
    shams = {f"permuted_{block}": float(block) for block in range(BLOCKS)}
    assert gains({**real, "random": 1.0}) == [10.0 * block - 1 for block in range(BLOCKS)]
    assert gains({**shams, **real}) == [9.0 * block for block in range(BLOCKS)]
    assert by_block({f"language_{block}_hopper": 1.0 for block in range(BLOCKS)}, task="hopper") == [1.0] * BLOCKS
