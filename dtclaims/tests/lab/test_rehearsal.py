"""Short rehearsals of runs, for preflight, and look-alikes of what the paper's scale needs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dtclaims.harness.lab import Circumstances, Need, Reading, Wish
from dtclaims.lab import LAB
from dtclaims.lab.data.sources import unlike_d4rl
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.design.spec import rehearsed
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.lab.design.tasks import ALL_TASKS, get_task
from dtclaims.lab.laboratory import Session
from dtclaims.lab.models import load_backbone
from dtclaims.lab.perform import perform
from dtclaims.lab.train import company
from dtclaims.lab.train.company import REHEARSED_HORIZON, Company
from dtclaims.lab.train.loop import Trainer
from dtclaims.tests.support.examples import made_up, tiny_backbone, tiny_spec
from dtclaims.tests.support.lookalikes import like_d4rl, like_gpt2, like_igpt
from dtclaims.tests.support.training import Desk


def session(scale: str = "mini") -> Session:
    return LAB.session(Wish(scale, ("hopper",), False, {}))


def resolved(need: Need) -> Reading:
    of = session()
    at = Circumstances(PROTOCOLS["published"], of.scale, "hopper", 0, (0, 1, 2))
    found = of.resolve(need, at, device="cpu", precision="float32")
    assert isinstance(found, Reading)
    return found


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("share", [1.0, 0.25])
def test_only_the_length_is_another(scale: str, share: float) -> None:
    """Batches, evaluations, networks and data split are the run's own; a run that keeps files keeps some."""
    budget = SCALES[scale].budget
    spec = tiny_spec(scale=scale, budget=budget, epochs=round(share * budget.epochs))
    short = rehearsed(spec)
    assert short.epochs <= short.budget.epochs <= spec.budget.epochs
    assert bool(short.kept_epochs) == bool(spec.kept_epochs)
    same = replace(short, epochs=spec.epochs, budget=spec.budget)
    assert same == spec
    assert replace(short.budget, epochs=budget.epochs, steps_per_epoch=budget.steps_per_epoch) == budget


def test_the_rehearsal_of_a_job() -> None:
    """A run's knows the run that it stands for and has an address of its own; a measurement's reads such runs."""
    (measured,) = resolved(Need("attention_gap", arm="random_init")).jobs
    (run,) = measured.needs
    short = session().rehearsal(run, ())
    assert short.order.rehearses == run.order.spec
    assert short.order.inputs == run.order.inputs
    assert short.how["budget"] != run.how["budget"]
    again = session().rehearsal(measured, (short,))
    assert again.needs == (short,)
    assert (again.order, again.how) == (measured.order, measured.how)


class Bench(Desk):
    """A workbench of a test."""

    device, cores = "cpu", 1


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up data in place of those that are to be collected."""
    data = made_up([60] * 40, get_task("halfcheetah"))
    monkeypatch.setattr("dtclaims.lab.inputs.Inputs.load_data", lambda self: data)


@pytest.mark.usefixtures("loaded")
def test_what_a_rehearsal_says(tmp_path: Path) -> None:
    """Its roll-outs end soon after the window is full; the files of the whole run are counted by its own."""
    of = session()
    at = Circumstances(PROTOCOLS["published"], of.scale, "halfcheetah", 0, (0,))
    found = of.resolve(Need("score", arm="random_init", context=1), at, device="cpu", precision="float32")
    assert isinstance(found, Reading)
    (run,) = found.jobs
    result = perform(of.rehearsal(run, ()), Bench(tmp_path))
    assert set(result["fresh"]["last"]["lengths"]) == {2 + REHEARSED_HORIZON}
    files = {path.stat().st_size for path in tmp_path.glob("epoch_*")}
    assert result["rehearsal"]["kept"] == max(files) * len(run.order.spec.kept_epochs) > 0
    # Weights and Adam's two moments.
    assert result["rehearsal"]["at_work"] > 2.5 * max(files)


def test_what_is_compiled_is_decided_by_the_whole_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rehearsal of few steps compiles what its run would, so that what is compiled is there for the run."""
    asked: list[int] = []

    class Steps:
        def __init__(self, *given: Any, steps: int) -> None:
            asked.append(steps)

    monkeypatch.setattr(company, "STEPPING", {"plain": Steps, "stacked": Steps})
    spec = tiny_spec(budget=SCALES["small"].budget)
    trainer = Trainer(rehearsed(spec), made_up([60] * 40), {"language": tiny_backbone()})
    assert Company([trainer], rehearses=spec)._steps
    assert Company([trainer])._steps
    assert asked == [10_000, 6]


@pytest.mark.parametrize("task", ALL_TASKS)
def test_sets_like_d4rls(task: str) -> None:
    """By counts and returns nothing tells them from D4RL's own."""
    assert unlike_d4rl(like_d4rl(get_task(task))) is None


def test_checkpoints_like_the_hubs(tmp_path: Path) -> None:
    """They are read as the hub's are."""
    gpt2 = load_backbone(like_gpt2(tmp_path / "gpt2", blocks=2, width=16, heads=2))
    igpt = load_backbone(like_igpt(tmp_path / "igpt", blocks=3, width=16, heads=2))
    assert (gpt2.config.blocks, gpt2.config.norm, gpt2.config.activation) == (2, "layer", "gelu_new")
    assert (igpt.config.blocks, igpt.config.norm, igpt.config.activation) == (3, "rms", "quick_gelu")
