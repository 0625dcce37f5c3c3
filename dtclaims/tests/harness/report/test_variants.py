"""Which runs are one variant, what it is called, and what is refused."""

import pytest

from dtclaims.errors import PoolingError, UsageError
from dtclaims.harness.evidence import EvidenceRun, read_evidence
from dtclaims.harness.lab import RunViews
from dtclaims.harness.report.variants import select, variants
from dtclaims.lab.design.tasks import get_task
from dtclaims.lab.views import VIEWS
from dtclaims.places import ROOT
from dtclaims.tests.support.evidence_example import SHARED, run


def names(*runs: object) -> list[str]:
    return [one.name for one in variants(runs, "saturated", VIEWS)]  # type: ignore[arg-type]


def test_seeds_are_pooled_and_nothing_else() -> None:
    """Two seeds are one variant; every other field of the specification, the budget's too, makes another."""
    runs = [run(seed=1), run(seed=0), run(head="tied"), run(clip=False), run(context=20), run(adam_eps=1e-6)]
    found = variants(runs, "saturated", VIEWS)
    assert sorted(list(one.runs) for one in found) == [[0], [0], [0], [0], [0, 1]]
    assert len({one.name for one in found}) == 5


def test_a_variant_is_named_by_what_differs() -> None:
    """Fields that all share are left out, and so is what says nothing of an arm: `own`, the MLP's head."""
    runs = [
        run("mlp", architecture="own", head="untied"),
        run("language_pretrained", architecture="own", head="tied"),
        run(architecture="matched", head="untied"),
        run(architecture="reference", head="tied_low_scale"),
    ]
    assert names(*runs) == [
        "random_init, matched, head untied",
        "random_init, reference, head tied low scale",
        "language_pretrained, head tied",
        "mlp",
    ]
    assert names(run()) == ["random_init"]
    assert names(run(context=1), run(context=20)) == ["random_init, K=1", "random_init, K=20"]
    assert names(run(adam_eps=1e-8), run(adam_eps=1e-6)) == ["random_init, Adam eps 1e-8", "random_init, Adam eps 1e-6"]
    assert names(run(), run(clip=False), run(held_out=True)) == [
        "random_init, not clipped",
        "random_init",
        "random_init, a tenth held out",
    ]


def test_the_order_of_runs_does_not_matter() -> None:
    """The same variants in the same order, so that colours are stable."""
    runs = [run(arm, seed) for arm in ("mlp", "random_init", "block_3_language", "image_native") for seed in (0, 1)]
    assert names(*runs) == names(*reversed(runs)) == ["random_init", "image_native", "mlp", "block_3_language"]


def test_a_run_in_two_files_counts_once() -> None:
    """By its key."""
    assert len(variants([run(), run()], "saturated", VIEWS)[0].runs) == 1


@pytest.mark.parametrize("other", [{**SHARED, "code": {"train/loop.py": "bb"}}, {**SHARED, "precision": "tf32"}])
def test_seeds_of_other_code_or_precision_are_refused(other: dict[str, object]) -> None:
    """Also for the same seed, where only one of both could count."""
    for seed in (0, 1):
        with pytest.raises(PoolingError, match="differ in more than the seed"):
            variants([run(), run(seed=seed, shared=other)], "saturated", VIEWS)


@pytest.mark.parametrize(("name", "seeds"), [("k1-language.json", 8), ("small-seeds-5-9-published.json.gz", 5)])
def test_seeds_of_committed_evidence_are_one_variant(name: str, seeds: int) -> None:
    """Of runs whose addresses tell what a run is from how it is made; other weights are refused there too."""
    runs = read_evidence(ROOT / "claims" / "evidence" / name).runs
    found = variants(list(runs), "saturated", VIEWS)
    assert {len(one.runs) for one in found} == {seeds}
    one = next(run for run in runs if run.identity["how"]["backbones"])
    how = {**one.identity["how"], "backbones": {"language": {"sha256": "other"}}}
    what = {**one.identity["what"], "seed": 99}
    other = EvidenceRun("other", {**one.identity, "what": what, "how": how}, one.result)
    with pytest.raises(PoolingError, match="backbones"):
        variants([one, other], "saturated", VIEWS)


def spread(*seeds: tuple[int, str, str], arm: str = "language_pretrained") -> list[EvidenceRun]:
    """A run for each seed, name and content of a checkpoint."""
    return [run(arm, seed, checkpoint=(name, content)) for seed, name, content in seeds]


def test_seeds_over_checkpoints_of_one_recipe_are_one_variant() -> None:
    """They are draws of it: the variant says which seed has which. Where all have one there is nothing to say."""
    (one,) = variants(spread((0, "language-mini", "a"), (1, "language-mini@2", "b")), "saturated", VIEWS)
    assert one.units == {0: "language-mini@1", 1: "language-mini@2"}
    (same,) = variants(spread((0, "language-mini", "a"), (1, "language-mini", "a")), "saturated", VIEWS)
    assert same.units == {}


@pytest.mark.parametrize(
    "runs",
    [
        spread((0, "language-mini@2", "a"), (1, "language-mini@2", "b")),
        spread((0, "language-mini", "a"), (0, "language-mini@2", "b")),
        [*spread((0, "language-mini", "a")), run("language_pretrained", 1)],
    ],
    ids=["one number, made again", "one seed, two checkpoints", "weights that have no number"],
)
def test_other_weights_are_no_draws(runs: list[EvidenceRun]) -> None:
    """What is called alike is a checkpoint that was made again, a seed counts once, and other weights are others."""
    with pytest.raises(PoolingError, match="backbones"):
        variants(runs, "saturated", VIEWS)


def test_a_lab_without_draws_has_no_such_seeds() -> None:
    """Where the lab does not say what seeds may start from, all that differs is refused."""
    runs = spread((0, "language-mini", "a"), (1, "language-mini@2", "b"))
    with pytest.raises(PoolingError, match="backbones"):
        variants(runs, "saturated", RunViews(curves=VIEWS.curves))


def test_runs_without_the_curve_are_left_out() -> None:
    """If none has it, the message names the curves there are, and none that would be computed of one there is not."""
    runs = [run(curves={"held_out_error": [0.1]}, held_out=True), run()]
    assert [one.name for one in variants(runs, "held_out_error", VIEWS)] == ["random_init"]
    with pytest.raises(UsageError, match="expected held_out_error, saturated"):
        variants(runs, "clipped", VIEWS)


def test_scores_are_normalised_by_task() -> None:
    """With D4RL's constants: its random policy is 0, its expert 100."""
    runs = [run(task=task, curves={"return_mean": get_task(task).d4rl_reference}) for task in ("hopper", "walker2d")]
    assert [list(one.curves[0]) for one in variants(runs, "score", VIEWS)] == [pytest.approx([0, 100])] * 2


def test_select_by_any_field() -> None:
    """Values of one field are alternatives, fields have to hold together; what no run has is named."""
    runs = [run(head=head, context=context) for head in ("tied", "untied") for context in (1, 20)]
    assert len(select(runs, {"head": ["tied"], "context": ["1", "20"]})) == 2
    assert (
        select(runs, {"head": ["untied"], "held_out": ["false"], "budget.epochs": ["4"], "context": ["1"]}) == runs[2:3]
    )
    assert select(runs, {}) == runs
    with pytest.raises(UsageError, match="no run has this head: got tie, expected tied, untied"):
        select(runs, {"head": ["tie"]})
    with pytest.raises(UsageError, match="no run has such a field"):
        select(runs, {"heads": ["tied"]})
    with pytest.raises(UsageError, match="no run to take curves from: expected evidence with runs"):
        select([], {})
    with pytest.raises(UsageError, match="no run is left"):
        select([run(head="tied", context=1), run(head="untied", context=20)], {"head": ["tied"], "context": ["20"]})


def test_a_lab_that_says_nothing_of_its_runs() -> None:
    """Its variants are named by the task, then by field and value, and come in the order of the values."""
    runs = [run(context=20), run(context=3), run(context=3, clip=False)]
    assert [one.name for one in variants(runs, "saturated", RunViews())] == [
        "task hopper, clip false, context 3",
        "task hopper, clip true, context 3",
        "task hopper, clip true, context 20",
    ]
    assert [one.name for one in variants(runs[:1], "saturated", RunViews())] == ["task hopper"]
