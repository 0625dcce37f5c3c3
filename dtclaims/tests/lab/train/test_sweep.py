"""The sweep over learning rates: the runs that claims train, without their roll-outs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dtclaims.harness.commands.main import main
from dtclaims.lab.design import scales
from dtclaims.lab.design.scales import SCALES, Scale
from dtclaims.lab.inputs import Inputs, backbones_for
from dtclaims.lab.train.loop import Trainer
from dtclaims.lab.train.sweep import Ended, regime_spec, table, train_at
from dtclaims.tests.support.examples import made_up

DATA = made_up([300, 400])


@pytest.fixture
def tiny() -> Scale:
    """The mini scale's networks, for two epochs of two steps."""
    budget = replace(SCALES["mini"].budget, epochs=2, steps_per_epoch=2, batch_size=2)
    return replace(SCALES["mini"], budget=budget)


def test_a_sweep_trains_what_claims_train(tiny: Scale) -> None:
    """Displacement, saturation, clipping and loss are those of the run that is rolled out after every epoch."""
    spec = regime_spec(tiny, "hopper", "language_pretrained", 900, 1e-3)
    backbones = Inputs("hopper", {}, backbones_for(spec.arm, tiny)).load_backbones()
    ended = train_at(spec, DATA, backbones, device="cpu")
    trainer = Trainer(spec, DATA, backbones)
    while trainer.epoch < spec.epochs:
        trainer.run_epoch()
    curves = trainer.curves
    assert ended == Ended(
        "language_pretrained",
        900,
        1e-3,
        trainer.displacement() or 0.0,
        curves["saturated"][-1],
        sum(curves["clipped"]) / 2,
        curves["loss_mean"][-1],
    )
    assert ended.displacement > 0
    slower = train_at(regime_spec(tiny, "hopper", spec.arm, 900, 1e-5), DATA, backbones, device="cpu")
    assert slower.displacement < ended.displacement / 10


def test_the_table_has_means_over_seeds() -> None:
    """A row per arm and rate, with each seed's displacement beside the mean."""
    ended = [Ended("random_init", seed, rate, rate * seed, 0.5, 1.0, 0.2) for rate in (0.001, 0.1) for seed in (1, 3)]
    assert table(ended)[2:] == [
        "| random_init | 0.001 | 0.002 | 1: 0.001, 3: 0.003 | 0.50 | 1.00 | 0.2000 |",
        "| random_init | 0.1 | 0.200 | 1: 0.100, 3: 0.300 | 0.50 | 1.00 | 0.2000 |",
    ]


def test_the_command_prints_and_writes(
    tiny: Scale, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`dtclaims regime`: the table on the screen, every run in the file."""
    monkeypatch.setitem(scales.SCALES, "mini", tiny)
    monkeypatch.setattr("dtclaims.lab.data.collect.obtain", lambda recipe, progress: DATA)
    out = tmp_path / "regime.json"
    words = ["regime", "--rate", "1e-4", "1e-3", "--arm", "language_pretrained", "random_init", "--out", str(out)]
    assert main([*words, "--device", "cpu"]) == 0
    runs = [Ended(**one) for one in json.loads(out.read_text())]
    assert {(one.arm, one.learning_rate, one.seed) for one in runs} == {
        (arm, rate, seed)
        for arm in ("language_pretrained", "random_init")
        for rate in (1e-4, 1e-3)
        for seed in (900, 901)
    }
    assert capsys.readouterr().out.splitlines()[-6:] == table(runs)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rate", "0"], "a learning rate is a positive number"),
        (["--rate", "nan"], "a learning rate is a positive number"),
        (["--rate", "1e-4", "--scale", "huge"], "unknown scale"),
        (["--rate", "1e-4", "--scale", "full"], "the backbone language-paper is not shipped"),
    ],
)
def test_what_cannot_be_swept_is_refused(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One message, before anything trains."""
    monkeypatch.setattr("dtclaims.lab.data.collect.obtain", lambda recipe, progress: DATA)
    assert main(["regime", *words]) == 2
    assert message in capsys.readouterr().err
