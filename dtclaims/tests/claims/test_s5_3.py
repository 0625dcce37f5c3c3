"""Claims of section 5.3 and appendices J.3 and L on made-up parameter changes: what makes each true, and what false."""

from typing import Any

import pytest

from dtclaims.harness.declare.claim import SINGLE
from dtclaims.harness.declare.registry import load_claims
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.tests.support.effects import holding

CLAIMS = load_claims()
ONE = {SINGLE}
BOTH = pytest.mark.parametrize("protocol", ["published", "corrected"])
MODULES = ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")


def change(
    *,
    distance: float = 1.0,
    cosine: float = 0.5,
    shallow: float = 1.0,
    kept_from: int = 12,
    blocks: int = 12,
    **summary: float,
) -> dict[str, Any]:
    """A value of the measurement `parameter_change`.

    Args:
        distance: also of `rms` and `relative` unless said.
        cosine: also of `all_cosine` and `weight_cosine` unless said.
        shallow: L2 distance of each tensor in the first quarter of the blocks; 1 in the others.
        kept_from: block from which on weights' cosines are 0.999; 0.5 before. Layer norms' are 0.999 everywhere.
        blocks: how many.
        summary: other values.
    """
    names = [f"h.{b}.{module}.{kind}" for b in range(blocks) for module in MODULES for kind in ("weight", "bias")]
    block = [int(name.split(".")[1]) for name in names]
    return {
        **dict.fromkeys(("distance", "rms", "relative"), distance),
        **dict.fromkeys(("cosine", "all_cosine", "weight_cosine"), cosine),
        "names": names,
        "sizes": [1] * len(names),
        "l2": [shallow if b < blocks // 4 else 1.0 for b in block],
        "starts": [1.0] * len(names),
        # Biases start at 0 and have no cosine.
        "cosines": [
            None if name.endswith("bias") else 0.999 if b >= kept_from or ".ln_" in name else 0.5
            for name, b in zip(names, block, strict=True)
        ],
        **summary,
    }


MOVED = change(distance=276.0, cosine=0.60)
STILL = change(distance=150.0, cosine=0.99)
STILL_MORE = change(distance=100.0)
LIKE_THE_PAPER = {"random": MOVED, "language": STILL, "random_for_image": MOVED, "image": STILL}
EXCHANGED = {"random": STILL, "language": MOVED, "random_for_image": STILL, "image": MOVED}
NO_SHALLOW = {
    "random": change(),
    "language": change(),
    "random_for_image": change(blocks=24),
    "image": change(blocks=24),
}

# Claim, values of its needs, and the parts that hold for them.
CASES: list[tuple[str, dict[str, Any], set[str]]] = [
    ("S5.3-l2-small-gpt2", {"random": MOVED, "language": STILL}, ONE),
    ("S5.3-l2-small-gpt2", {"random": MOVED, "language": change(distance=240.0)}, set()),
    ("S5.3-l2-small-igpt", {"random": change(rms=3.0), "image": change(rms=1.0)}, ONE),
    ("S5.3-l2-small-igpt", {"random": change(distance=9.0, rms=1.0), "image": change(rms=1.0)}, set()),
    ("S5.3-cos-large-gpt2", {"language": STILL, "random": MOVED}, ONE),
    ("S5.3-cos-large-gpt2", {"language": MOVED, "random": STILL}, set()),
    ("S5.3-cos-large-igpt", {"image": STILL, "random": MOVED}, ONE),
    ("S5.3-cos-large-igpt", {"image": change(cosine=0.62), "random": MOVED}, set()),
    ("S5.3-params-little-change", {**LIKE_THE_PAPER, "language": STILL_MORE, "image": STILL_MORE}, ONE),
    # The arm that moves most decides.
    ("S5.3-params-little-change", {**LIKE_THE_PAPER, "language": STILL_MORE}, set()),
    (
        "S5.3-shallow-larger",
        {**NO_SHALLOW, "language": change(shallow=3.4), "image": change(shallow=18.0, blocks=24)},
        {"over other blocks", "over the random arm"},
    ),
    ("S5.3-shallow-larger", NO_SHALLOW, set()),
    ("S5.3-shallow-larger", {**NO_SHALLOW, "language": change(shallow=3.4)}, set()),
    (
        "S5.3-shallow-larger",
        {
            "language": change(shallow=2.0),
            "random": change(shallow=3.0),
            "image": change(shallow=2.0, blocks=24),
            "random_for_image": change(shallow=3.0, blocks=24),
        },
        {"over other blocks"},
    ),
    ("S5.3-unchanged-exist", {"language": change(kept_from=3), "random": change()}, ONE),
    ("S5.3-unchanged-exist", {"language": change(kept_from=11), "random": change()}, set()),
    ("S5.3-unchanged-exist", {"language": change(kept_from=3), "random": change(kept_from=3)}, set()),
    ("J3-other-envs", LIKE_THE_PAPER, {"moves less", "keeps direction"}),
    ("J3-other-envs", {**LIKE_THE_PAPER, "image": change(distance=100.0, cosine=0.6)}, {"moves less"}),
    ("J3-other-envs", {**LIKE_THE_PAPER, "image": change(distance=300.0, cosine=0.99)}, {"keeps direction"}),
    ("J3-other-envs", EXCHANGED, set()),
    ("J3-seed42", LIKE_THE_PAPER, ONE),
    # Three signs of four, and two.
    ("J3-seed42", {**LIKE_THE_PAPER, "language": change(distance=300.0, cosine=0.99)}, ONE),
    ("J3-seed42", {**LIKE_THE_PAPER, "language": MOVED}, set()),
]


@BOTH
@pytest.mark.parametrize(("name", "values", "expected"), CASES)
def test_effects(name: str, values: dict[str, Any], expected: set[str], protocol: str) -> None:
    """Changes like the paper's, or their opposite, read alike under both protocols: measurements obey the switch."""
    assert holding(CLAIMS[name], protocol, values) == expected


@BOTH
@pytest.mark.parametrize("name", ["S5.3-cos-large-gpt2", "S5.3-cos-large-igpt"])
def test_biases_that_start_at_zero_decide_nothing(name: str, protocol: str) -> None:
    """The reference counts them as 0, which sets the random arm apart by construction; weights alone count (DEV-19)."""
    pretrained = "image" if name.endswith("igpt") else "language"
    arms = {pretrained: change(cosine=0.97, weight_cosine=0.7), "random": change(cosine=0.3, weight_cosine=0.7)}
    assert holding(CLAIMS[name], protocol, arms) == set()


def representation(later: float, earlier: float = 1.0) -> dict[str, Any]:
    """A value of `cka`: raw and as retention one level in blocks 3 and later, another before."""
    layers = [f"h.{b}.{point}" for b in range(12) for point in (*MODULES, "mlp.act", "resid_out")]
    values = [later if int(layer.split(".")[1]) >= 3 else earlier for layer in layers]
    return {"layers": layers, "state": values, "retention": {"state": values}}


@BOTH
def test_representations_may_change_alone(protocol: str) -> None:
    """Low CKA and high cosine, in more layers than of the random arm: it takes both."""
    claim = CLAIMS["S5.3-rep-changes-with-few-params"]
    true: dict[str, Any] = {
        "language": change(kept_from=3),
        "random": change(),
        "language_cka": representation(0.1),
        "random_cka": representation(0.5),
    }
    causal = {"own": 0.1} if protocol == "corrected" else {}
    rest = {"own change"} if protocol == "corrected" else set()
    assert holding(claim, protocol, {**true, **causal}) == ({"layers"} if causal else ONE) | rest
    assert holding(claim, protocol, {**true, **causal, "language_cka": representation(0.3)}) == rest
    assert holding(claim, protocol, {**true, **causal, "language": change()}) == rest
    like_language = {"random": change(kept_from=3), "random_cka": representation(0.1)}
    assert holding(claim, protocol, {**true, **causal, **like_language}) == rest


def test_what_layers_change_themselves_is_a_part_of_it() -> None:
    """Of a change of 0.9, less than half may go when the later blocks get their old parameters back."""
    claim = CLAIMS["S5.3-rep-changes-with-few-params"]
    values = {
        "language": change(kept_from=3),
        "random": change(),
        "language_cka": representation(0.1),
        "random_cka": representation(0.5),
    }
    assert holding(claim, "corrected", {**values, "own": 0.44}) == {"layers", "own change"}
    assert holding(claim, "corrected", {**values, "own": 0.46}) == {"layers"}


@pytest.mark.parametrize("name", ["S5.3-rep-changes-with-few-params", "L-random-vice-versa"])
def test_retention_needs_a_scale(name: str) -> None:
    """Where another random network is as like the trained one as its own start, what it keeps cannot be said."""
    (test,) = CLAIMS[name].corrections["cka_axis"].checks
    assert test.trend.holds_for(test(cka={"regressed_null": {"state": [0.3, None, 0.2]}}))
    assert not test.trend.holds_for(test(cka={"regressed_null": {"state": [0.8, None, 0.6]}}))


@BOTH
def test_weights_may_change_alone(protocol: str) -> None:
    """Layers of the random arm turn their weights and keep what they represent; not so in the language arm."""
    claim = CLAIMS["L-random-vice-versa"]
    true = {
        "language": change(kept_from=3),
        "random": change(),
        "language_cka": representation(0.1, 0.1),
        "random_cka": representation(0.1, 0.5),
    }
    assert holding(claim, protocol, true) == ONE
    assert holding(claim, protocol, {**true, "random_cka": representation(0.1, 0.1)}) == set()
    assert holding(claim, protocol, {**true, "random": change(kept_from=0)}) == set()
    assert holding(claim, protocol, {**true, "language_cka": representation(0.1, 0.5)}) == set()


@pytest.mark.parametrize("name", [name for name, one in CLAIMS.items() if name.startswith(("S5.3-", "J3-"))])
def test_what_is_said_of_the_image_arm_needs_its_failure(name: str) -> None:
    """The paper's image arm fails; one that learns is another arm, and nothing is said of it."""
    form = CLAIMS[name].form
    assert form is not None
    uses_it = any(need.condition.get("arm") == "image_pretrained" for need in form.needs.values())
    assert [one.name for one in form.checks] == ["the image arm fails, as the paper's does"] * uses_it


def test_the_summary_is_causal() -> None:
    """Only the corrected protocol has the control: blocks 3-11 drawn afresh must cost more than 5 points."""
    summary = CLAIMS["SUM-5.3"]
    assert summary.protocols == ("corrected",)
    assert summary.parts == ("S5.3-unchanged-exist",)
    assert holding(summary, "corrected", {"language": 79.5, "redrawn": 60.0}) == ONE
    assert holding(summary, "corrected", {"language": 79.5, "redrawn": 77.0}) == set()
    assert PROTOCOLS["corrected"].corrects("random_arch")
