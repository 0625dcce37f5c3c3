"""Statistics of curves against naive ones, and what the figure is given."""

import inspect
import math
import re
from dataclasses import replace
from statistics import fmean, stdev

import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from dtclaims.errors import UsageError
from dtclaims.harness.report.curve_views import figure, table
from dtclaims.harness.report.curves import draw
from dtclaims.harness.report.variants import select, variants
from dtclaims.lab.train.loop import Trainer
from dtclaims.lab.views import VIEWS
from dtclaims.tests.support.evidence_example import run
from dtclaims.tests.support.examples import TINY_BUDGET

EPOCHS = 8
VALUES = st.lists(
    st.lists(st.floats(-100, 100), min_size=EPOCHS, max_size=EPOCHS), min_size=2, max_size=6, unique_by=tuple
)


def t_interval(values: list[float]) -> tuple[float, float]:
    half = scipy.stats.t.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return fmean(values) - half, fmean(values) + half


@settings(max_examples=25)
@given(VALUES)
def test_the_band_is_the_t_interval_of_each_epoch(curves: list[list[float]]) -> None:
    """Mean and 95 % interval over seeds, epoch by epoch, as scipy has them."""
    found = variants([run(seed=i, curves={"return_mean": c}) for i, c in enumerate(curves)], "return_mean", VIEWS)
    line = figure(found, "return_mean", VIEWS).lines[0]
    assert line.band is not None
    for epoch in range(EPOCHS):
        values = [curve[epoch] for curve in curves]
        assert line.mean[epoch] == pytest.approx(fmean(values), abs=1e-9)
        assert (line.band[0][epoch], line.band[1][epoch]) == pytest.approx(t_interval(values), abs=1e-9)


def test_one_seed_has_no_band() -> None:
    """A line, and nothing that looks like an interval."""
    assert figure(variants([run()], "saturated", VIEWS), "saturated", VIEWS).lines[0].band is None


def test_the_table_is_the_mean_of_the_last_quarter() -> None:
    """Two of eight epochs, or as many as asked for; interval, s and the values by seed."""
    ends = {0: 3.0, 1: 5.0, 2: 10.0}
    runs = [run(seed=s, curves={"loss_mean": [*[99.0] * 5, end - 4, end - 1, end + 1]}) for s, end in ends.items()]
    found = variants(runs, "loss_mean", VIEWS)
    low, high = t_interval(list(ends.values()))
    assert table(found, "loss_mean", VIEWS).splitlines()[2:] == [
        "| variant | n | mean of epochs 7, 8 [95% interval] | s | by seed |",
        "|---|---|---|---|---|",
        f"| random_init | 3 | 6.0 [{low:.1f}, {high:.1f}] | 3.61 | 0: 3, 1: 5, 2: 10 |".replace("[-", "[−"),
    ]
    assert "mean of epoch 8 [" in table(found, "loss_mean", VIEWS, last=1)
    assert "0: 1.67" in table(found, "loss_mean", VIEWS, last=3)
    for wrong in (0, 9):
        with pytest.raises(UsageError, match="1 to 8"):
            table(found, "loss_mean", VIEWS, last=wrong)


def test_differences_are_paired_by_seed() -> None:
    """Seeds that only one of both has are left out; mean, d and the count are of the pairs."""
    first, second = {0: 1.0, 1: 2.0, 2: 3.0, 7: 50.0}, {0: 1.5, 1: 1.0, 2: 6.0, 8: -50.0}
    runs = [run(seed=seed, curves={"loss_mean": [value]}) for seed, value in first.items()]
    runs += [run("mlp", seed, {"loss_mean": [value]}) for seed, value in second.items()]
    found = variants(runs, "loss_mean", VIEWS)
    row = table(found, "loss_mean", VIEWS, against="random").splitlines()[-1]
    pairs = [0.5, -1.0, 3.0]
    low, high = t_interval(pairs)
    cells = [cell.strip().replace("−", "-") for cell in row.strip("|").split("|")]
    assert cells[:2] == ["mlp", "3"]
    assert [float(x) for x in re.findall(r"-?[\d.]+", cells[2])] == pytest.approx([fmean(pairs), low, high], abs=0.06)
    assert float(cells[4]) == pytest.approx(fmean(pairs) / stdev(pairs), abs=0.01)
    assert "Paired by seed.\n" in table(found, "loss_mean", VIEWS, against="random")
    assert cells[5:] == ["2 of 3", "0: 0.5, 1: -1, 2: 3"]


def test_n_counts_checkpoints() -> None:
    """Seeds of one checkpoint are averaged first, in tables, figures and differences, as a verdict has them; arms that
    start from none keep their seeds. Which seed has which is said."""
    values = {0: 1.0, 1: 2.0, 2: 6.0, 3: 3.0, 4: 9.0, 5: 4.0}
    names = ["language-mini", "language-mini@2", "language-mini@3"]
    start = {seed: (names[seed % 3], str(seed % 3)) for seed in values}
    runs = [
        run("language_pretrained", seed, {"loss_mean": [value]}, checkpoint=start[seed])
        for seed, value in values.items()
    ]
    runs += [run("mlp", seed, {"loss_mean": [value / 2]}) for seed, value in values.items()]
    found = variants(runs, "loss_mean", VIEWS)
    low, high = t_interval([2.0, 5.5, 5.0])
    said = table(found, "loss_mean", VIEWS, against="mlp")
    assert f"| language_pretrained | 3 | 4.2 [{low:.1f}, {high:.1f}] |".replace("[-", "[−") in said
    assert "| mlp | 6 | 2.1 [" in said
    assert (
        "n where seeds start from a checkpoint counts checkpoints, each averaged over its seeds first: "
        "language-mini@1 (seeds 0, 3), language-mini@2 (seeds 1, 4), language-mini@3 (seeds 2, 5)." in said
    )
    low, high = t_interval([1.0, 2.75, 2.5])
    cells = [cell.strip().replace("−", "-") for cell in said.splitlines()[-1].strip("|").split("|")]
    assert (cells[1], cells[5]) == ("3", "3 of 3")
    assert [float(x) for x in re.findall(r"-?[\d.]+", cells[2])] == pytest.approx([6.25 / 3, low, high], abs=0.06)
    language = figure(found, "loss_mean", VIEWS).lines[0]
    assert (language.mean, language.units, len(language.seeds)) == ([12.5 / 3], 3, 6)
    assert language.band is not None
    assert (language.band[0][0], language.band[1][0]) == pytest.approx(t_interval([2.0, 5.5, 5.0]))
    drawn = draw(figure(found, "loss_mean", VIEWS))
    assert "language_pretrained (6 seeds over 3 checkpoints)" in drawn
    assert "mlp (6 seeds)" in drawn
    assert "or over checkpoints, each averaged over its seeds first" in drawn


def test_runs_that_share_no_data_order_are_told() -> None:
    """The pairs are then pairs of seeds only (DEV-21)."""
    same = variants([run("random_init", paired=False, head=head) for head in ("tied", "untied")], "saturated", VIEWS)
    assert "share no data order" not in table(same, "saturated", VIEWS, against="untied")
    found = variants([run(arm, paired=False) for arm in ("random_init", "mlp")], "saturated", VIEWS)
    assert "share no data order" in table(found, "saturated", VIEWS, against="mlp")


def test_against_names_one_variant() -> None:
    """Several or none is an error that lists them; a whole name is one even if others contain it."""
    found = variants([run(), run(clip=False), run("mlp")], "saturated", VIEWS)
    for wrong in ("init", "nothing"):
        with pytest.raises(UsageError, match="must name one variant"):
            table(found, "saturated", VIEWS, against=wrong)
    assert "less random_init |" in table(found, "saturated", VIEWS, against="random_init")
    apart = variants([run(seed=0), run("mlp", seed=1)], "saturated", VIEWS)
    for view in (figure, table):
        with pytest.raises(UsageError, match="no seed has both"):
            view(apart, "saturated", VIEWS, against="mlp")


def test_a_figure_of_differences_is_of_pairs() -> None:
    """Each other variant less the named one, epoch by epoch, for the seeds that both have; its line is 0."""
    runs = [run(seed=seed, curves={"saturated": [0.5, 0.25]}) for seed in (0, 1, 7)]
    runs += [run("mlp", seed, {"saturated": [0.75, 0.25 - seed / 8]}) for seed in (0, 1, 8)]
    drawn = figure(variants(runs, "saturated", VIEWS), "saturated", VIEWS, against="random")
    (line,) = drawn.lines
    assert (line.name, line.seeds) == ("mlp", {0: [0.25, 0.0], 1: [0.25, -0.125]})
    assert line.mean == [0.25, -0.0625]
    assert line.band is not None
    assert (line.band[0][1], line.band[1][1]) == pytest.approx(t_interval([0.0, -0.125]), abs=1e-9)
    assert (drawn.level, drawn.bounds) == (("no difference", 0.0), (-1.0, 1.0))
    assert drawn.y_label.startswith("less random_init, paired by seed: share of ")


def test_what_cannot_be_compared_is_said() -> None:
    """Curves of other lengths, and one variant alone."""
    longer = variants(
        [run(curves={"saturated": [0.1, 0.2]}), run("mlp", curves={"saturated": [0.1]})], "saturated", VIEWS
    )
    with pytest.raises(UsageError, match="curves of different lengths"):
        figure(longer, "saturated", VIEWS, against="mlp")
    alone = variants([run()], "saturated", VIEWS)
    for view in (figure, table):
        with pytest.raises(UsageError, match="nothing is left to compare: got random_init alone"):
            view(alone, "saturated", VIEWS, against="random_init")


@pytest.mark.parametrize("chosen", [{}, {"head": ["tied"]}, {"adam_eps": ["1e-06"]}])
def test_against_takes_every_name_that_was_shown(chosen: dict[str, list[str]]) -> None:
    """Those of the same table, and those that its variants had in one of all runs, which say what was then chosen; an
    error lists what is taken, of a part of several names those several."""
    arms = ("random_init", "language_pretrained")
    runs = [run(arm, head=head, adam_eps=eps) for arm in arms for head in ("tied", "untied") for eps in (1e-8, 1e-6)]
    wide = {one.runs[0].key: one.name for one in variants(runs, "saturated", VIEWS)}
    found = variants(select(runs, chosen), "saturated", VIEWS)
    for one in found:
        for name in (one.name, wide[one.runs[0].key]):
            assert f"| less {one.name} |" in table(found, "saturated", VIEWS, against=name)
    names = [one.name for one in found]
    several = [name for name in names if "random_init" in name]
    for wrong, taken in (("nothing", names), ("random_init", several)):
        with pytest.raises(UsageError) as error:
            table(found, "saturated", VIEWS, against=wrong)
        assert error.value.expected == f"the name of one variant: {'; '.join(taken)}"


def test_the_level_is_shared_or_refused() -> None:
    """Seeds that train on parts of their own may differ a little; tasks may not."""
    runs = [run(seed=0, constant_error=0.40), run(seed=1, constant_error=0.41), run("mlp", constant_error=0.6)]
    drawn = figure(variants(runs[:2], "saturated", VIEWS), "saturated", VIEWS, level="constant_error")
    assert drawn.level == ("best constant prediction", pytest.approx(0.405))
    with pytest.raises(UsageError, match="no common constant_error"):
        figure(variants(runs, "saturated", VIEWS), "saturated", VIEWS, level="constant_error")


def test_updates_are_shown_only_if_an_epoch_is_the_same_for_all() -> None:
    """Otherwise an axis of updates would be wrong for some."""
    runs = [run(), run(budget=replace(TINY_BUDGET, steps_per_epoch=5))]
    assert figure(variants(runs[:1], "saturated", VIEWS), "saturated", VIEWS).steps_per_epoch == 3
    assert figure(variants(runs, "saturated", VIEWS), "saturated", VIEWS).steps_per_epoch is None


def test_every_curve_that_runs_log_can_be_drawn() -> None:
    """The names here are those that the trainer documents, and `score`."""
    documented = inspect.getsource(Trainer).split("self.curves:")[1].split("self._held_out")[0]
    assert set(re.findall(r"`(\w+)`", documented)) == set(VIEWS.curves) - {"score"}
