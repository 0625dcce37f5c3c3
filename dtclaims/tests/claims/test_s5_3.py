"""Claims of section 5.3 and appendix J.3 on made-up parameter changes: what makes each true, and what false."""

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
        kept_from: block from which on cosines are 0.999; 0.5 before.
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
            None if name.endswith("bias") else 0.999 if b >= kept_from else 0.5
            for name, b in zip(names, block, strict=True)
        ],
        **summary,
    }


FOUR = {"language moves less", "image moves less", "language keeps direction", "image keeps direction"}
MOVED = change(distance=276.0, cosine=0.30)
STILL = change(distance=150.0, cosine=0.97)
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
    (
        "S5.3-params-little-change",
        {"language": change(relative=0.1), "image": change(relative=0.2)},
        {"language", "image"},
    ),
    ("S5.3-params-little-change", {"language": change(relative=0.3), "image": change(relative=0.2)}, {"image"}),
    (
        "S5.3-shallow-larger",
        {**NO_SHALLOW, "language": change(shallow=3.4), "image": change(shallow=18.0, blocks=24)},
        {"language", "image", "language minus random", "image minus random"},
    ),
    ("S5.3-shallow-larger", NO_SHALLOW, set()),
    (
        "S5.3-shallow-larger",
        {
            "language": change(shallow=2.0),
            "random": change(shallow=3.0),
            "image": change(shallow=2.0, blocks=24),
            "random_for_image": change(shallow=3.0, blocks=24),
        },
        {"language", "image"},
    ),
    ("S5.3-unchanged-exist", {"language": change(kept_from=3)}, ONE),
    ("S5.3-unchanged-exist", {"language": change(kept_from=8)}, set()),
    ("J3-other-envs", LIKE_THE_PAPER, FOUR),
    ("J3-other-envs", {**LIKE_THE_PAPER, "image": change(distance=100.0)}, FOUR - {"image keeps direction"}),
    ("J3-other-envs", EXCHANGED, set()),
    ("J3-seed42", LIKE_THE_PAPER, ONE),
    ("J3-seed42", {**LIKE_THE_PAPER, "language": MOVED}, set()),
]


@BOTH
@pytest.mark.parametrize(("name", "values", "expected"), CASES)
def test_effects(name: str, values: dict[str, Any], expected: set[str], protocol: str) -> None:
    """Changes like the paper's, or their opposite, read alike under both protocols: measurements obey the switch."""
    assert holding(CLAIMS[name], protocol, values) == expected


def test_image_cosines_count_biases_only_as_published() -> None:
    """Biases that start at 0 pull the published mean to one half; the corrected form leaves them out (DEV-19)."""
    image = {"image": change(all_cosine=0.5, weight_cosine=0.99)}
    assert holding(CLAIMS["S5.3-cos-large-igpt"], "published", image) == {"weights"}
    assert holding(CLAIMS["S5.3-cos-large-igpt"], "corrected", image) == ONE
    turned = {"image": change(all_cosine=0.95, weight_cosine=0.8)}
    assert holding(CLAIMS["S5.3-cos-large-igpt"], "published", turned) == {"all tensors"}
    assert holding(CLAIMS["S5.3-cos-large-igpt"], "corrected", turned) == set()


def changed_representation(value: float) -> dict[str, Any]:
    """CKA of this level in blocks 3 and later, 1 before; points without parameters are high."""
    layers = [f"h.{b}.{point}" for b in range(12) for point in (*MODULES, "mlp.act", "resid_out")]
    state = [value if layer.endswith(MODULES) and int(layer.split(".")[1]) >= 3 else 1.0 for layer in layers]
    return {"layers": layers, "state": state}


@BOTH
def test_representations_may_change_alone(protocol: str) -> None:
    """Low CKA, high cosine and no causal effect of the layers' own change: each can fail."""
    claim = CLAIMS["S5.3-rep-changes-with-few-params"]
    true = {"language": change(kept_from=3), "cka": changed_representation(0.1), "own": 0.01}
    assert holding(claim, protocol, true) == {"share", "own change"}
    assert holding(claim, protocol, {**true, "cka": changed_representation(0.3)}) == {"own change"}
    assert holding(claim, protocol, {**true, "language": change(kept_from=9)}) == {"own change"}
    assert holding(claim, protocol, {**true, "own": 0.2}) == {"share"}


def test_the_summary_is_causal() -> None:
    """Only the corrected protocol has the control: blocks 3-11 drawn afresh must cost more than 5 points."""
    summary = CLAIMS["SUM-5.3"]
    assert summary.protocols == ("corrected",)
    assert summary.parts == ("S5.3-unchanged-exist",)
    assert holding(summary, "corrected", {"language": 79.5, "redrawn": 60.0}) == ONE
    assert holding(summary, "corrected", {"language": 79.5, "redrawn": 77.0}) == set()
    assert PROTOCOLS["corrected"].corrects("random_arch")
