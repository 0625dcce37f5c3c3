"""Claims of section 5.1 and its appendices on made-up CKA values: what makes each true, and what false."""

from collections.abc import Callable
from typing import Any

import pytest

from dtclaims.harness.declare.claim import SINGLE
from dtclaims.harness.declare.registry import load_claims
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.lab.design.tasks import ALL_TASKS
from dtclaims.tests.support.effects import holding

CLAIMS = load_claims()
ONE = {SINGLE}

PUBLISHED = "ln_1 attn.c_attn attn.c_proj attn.resid_dropout ln_2 mlp.c_fc mlp.c_proj mlp.act mlp.dropout"
CORRECTED = "ln_1 attn.c_attn attn.c_proj ln_2 mlp.c_fc mlp.act mlp.c_proj resid_mid resid_out"
POINTS = {"published": PUBLISHED.split(), "corrected": CORRECTED.split()}
BOTH = pytest.mark.parametrize("protocol", ["published", "corrected"])

Level = Callable[[int, str], float | None]


def cka(protocol: str, state: Level, action: float = 0.0, returns: float = 0.0, floor: float = 0.0) -> dict[str, Any]:
    """A value of the measurement `cka`, by block and point at the state token, flat at the others.

    Corrected, the layers keep all of it beyond what a null network of 0 does.
    """
    layers = [(block, point) for block in range(12) for point in POINTS[protocol]]
    raw = {
        "state": [state(block, point) for block, point in layers],
        "action": [action] * len(layers),
        "return_to_go": [returns] * len(layers),
    }
    value = {"layers": [f"h.{block}.{point}" for block, point in layers], "floor": floor, **raw}
    return value if protocol == "published" else {**value, "retention": raw}


def flat(value: float) -> Level:
    """The same everywhere."""
    return lambda block, point: value


def norms(high: float, low: float) -> Level:
    """One level in layer norms, one elsewhere."""
    return lambda block, point: high if point.startswith("ln") else low


def shallow(high: float, low: float, blocks: int = 8) -> Level:
    """One level in the first blocks, one in the others."""
    return lambda block, point: high if block < blocks else low


def but_one(level: Level) -> Level:
    """The same with a layer that has no CKA."""
    return lambda block, point: None if (block, point) == (5, "mlp.act") else level(block, point)


# Claim, values of its needs by name, and the parts that hold for them.
PROFILES: list[tuple[str, dict[str, Level], set[str]]] = [
    ("S5.1-cka-gpt2-low", {"language": but_one(shallow(0.9, 0.1, 1)), "random": shallow(0.9, 0.1, 4)}, ONE),
    ("S5.1-cka-gpt2-low", {"language": shallow(0.9, 0.1, 4), "random": shallow(0.9, 0.1, 1)}, set()),
    ("S5.1-cka-igpt-low", {"image": but_one(flat(0.22)), "random": flat(0.24)}, ONE),
    ("S5.1-cka-igpt-low", {"image": but_one(flat(0.24)), "random": flat(0.24)}, set()),
    ("S5.1-pretrained-change-rep", {"language": flat(0.1), "image": flat(0.4)}, ONE),
    ("S5.1-pretrained-change-rep", {"language": flat(0.6), "image": flat(0.4)}, set()),
    ("S5.1-pretrained-change-rep", {"language": flat(0.1), "image": flat(0.6)}, set()),
    ("S5.1-cka-random-shallow-mid", {"random": but_one(shallow(0.3, 0.2, 6))}, ONE),
    ("S5.1-cka-random-shallow-mid", {"random": shallow(0.2, 0.3, 6)}, set()),
    ("S5.1-cka-random-higher-gpt2", {"random": flat(0.17), "language": but_one(flat(0.12))}, ONE),
    ("S5.1-cka-random-higher-gpt2", {"random": flat(0.12), "language": flat(0.17)}, set()),
    ("S5.1-cka-random-higher-igpt", {"random": flat(0.17), "image": flat(0.06)}, ONE),
    ("S5.1-cka-random-higher-igpt", {"random": flat(0.05), "image": flat(0.06)}, set()),
    ("S5.1-cka-random-higher-uniform", {"random": flat(0.2), "language": shallow(0.3, 0.1, blocks=2)}, ONE),
    ("S5.1-cka-random-higher-uniform", {"random": norms(0.9, 0.1), "language": but_one(norms(0.1, 0.2))}, set()),
    ("S5.1-ln-dominates-high", {"random": norms(0.9, 0.1)}, ONE),
    ("S5.1-ln-dominates-high", {"random": flat(0.9)}, set()),
    ("S5.1-ln-dominates-high", {"random": flat(0.1)}, set()),
    ("D3-list-exact", {"random": norms(0.5, 0.1)}, ONE),
    ("D3-list-exact", {"random": norms(0.1, 0.1)}, set()),
    ("D3-list-exact", {"random": lambda b, p: 0.5 if p.startswith("ln") or b < 3 else 0.1}, set()),
    ("D3-threshold", {"random": norms(0.5, 0.1)}, set()),
    ("S5.1-ln-related-to-pretraining", {"random": norms(0.5, 0.1), "language": but_one(flat(0.1))}, ONE),
    ("S5.1-ln-related-to-pretraining", {"random": flat(0.5), "language": flat(0.1)}, set()),
    ("S5.1-multimodal-differs", {"language": shallow(0.2, 0.9, blocks=4)}, ONE),
    ("S5.1-multimodal-differs", {"language": shallow(0.9, 0.1, blocks=4)}, set()),
]


@BOTH
@pytest.mark.parametrize(("name", "levels", "expected"), PROFILES)
def test_profiles(name: str, levels: dict[str, Level], expected: set[str], protocol: str) -> None:
    """Profiles like the paper's, or their opposite, read alike under both protocols."""
    values = {need: cka(protocol, level) for need, level in levels.items()}
    assert holding(CLAIMS[name], protocol, values) == expected


def test_the_level_of_chance_is_subtracted() -> None:
    """0.55 with a floor of 0.1 is below one half."""
    values = {name: cka("published", flat(0.55), floor=0.1) for name in ("language", "image")}
    assert holding(CLAIMS["S5.1-pretrained-change-rep"], "published", values) == ONE


LEVELS = sorted(name for name, claim in CLAIMS.items() if name.startswith(("S5.1-", "D3-")) and claim.corrections)


def test_levels_are_of_retention_under_corrected() -> None:
    """What is said of one arm's level is said of what it keeps beyond its inputs; contrasts stay raw (DEV-01)."""
    assert LEVELS == [
        "D3-list-exact",
        "D3-threshold",
        "S5.1-cka-gpt2-low",
        "S5.1-cka-igpt-low",
        "S5.1-cka-random-shallow-mid",
        "S5.1-ln-dominates-high",
        "S5.1-multimodal-differs",
        "S5.1-pretrained-change-rep",
    ]


@pytest.mark.parametrize("name", LEVELS)
def test_raw_cka_decides_no_level_under_corrected(name: str) -> None:
    """Two networks that share nothing but their inputs have a high raw CKA: the same retention, the same verdict."""
    form = CLAIMS[name].under(PROTOCOLS["corrected"])
    assert form is not None
    kept = {arm: cka("corrected", norms(0.5, 0.1)) for arm in form.needs}
    like_inputs = {arm: {**value, "state": [0.9] * len(value["layers"]), "floor": 0.4} for arm, value in kept.items()}
    assert form(**kept) == form(**like_inputs)


@pytest.mark.parametrize("name", sorted(set(LEVELS) - {"S5.1-cka-random-shallow-mid"}))
def test_levels_need_a_null_network_below_them(name: str) -> None:
    """Where another random network is as like the trained one as its own start, what it keeps cannot be said."""
    checks = [one for one in CLAIMS[name].corrections["cka_axis"].checks if set(one.needs) == {"cka"}]
    assert checks
    for null in checks:
        assert null.trend.holds_for(null(cka={"regressed_null": {"state": [0.3, None, 0.2]}}))
        assert not null.trend.holds_for(null(cka={"regressed_null": {"state": [0.8, None, 0.6]}}))


@pytest.mark.parametrize("name", ["S5.1-cka-igpt-low", "S5.1-cka-random-higher-igpt", "D5-random-lattice-igpt"])
@BOTH
def test_the_image_arm_must_fail(name: str, protocol: str) -> None:
    """The paper's image arm is one that learned nothing; another says nothing of it."""
    form = CLAIMS[name].under(PROTOCOLS[protocol])
    assert form is not None
    (fails,) = (one for one in form.checks if set(one.needs) == {"image"})
    assert fails.trend.holds_for(fails(image=4.3))
    assert not fails.trend.holds_for(fails(image=45.0))


@BOTH
def test_two_arms_must_differ_more_than_two_seeds(protocol: str) -> None:
    """The distance is layer by layer: profiles of equal means can differ."""
    values = {"random": cka(protocol, shallow(0.4, 0.2, 6)), "language": cka(protocol, but_one(shallow(0.2, 0.4, 6)))}
    assert holding(CLAIMS["S5.1-structure-differs"], protocol, {**values, "seeds": 0.1}) == ONE
    assert holding(CLAIMS["S5.1-structure-differs"], protocol, {**values, "seeds": 0.3}) == set()


@BOTH
def test_the_stated_threshold_must_select_the_listed_layers(protocol: str) -> None:
    """All layer norms and the ten others of App. D.3 (those that the protocol measures), and nothing else."""
    others = {0: ("attn.c_attn", "mlp.c_fc", "mlp.c_proj", "mlp.dropout"), 3: ("mlp.c_fc",)}
    others |= dict.fromkeys((1, 4, 5, 6, 10), ("attn.c_attn",))

    def listed(block: int, point: str) -> float:
        return 0.5 if point.startswith("ln") or point in others.get(block, ()) else 0.3

    def one_more(block: int, point: str) -> float:
        return 0.5 if (block, point) == (2, "mlp.act") else listed(block, point)

    assert holding(CLAIMS["D3-threshold"], protocol, {"random": cka(protocol, listed)}) == ONE
    assert holding(CLAIMS["D3-threshold"], protocol, {"random": cka(protocol, one_more)}) == set()


@BOTH
def test_other_tokens(protocol: str) -> None:
    """It takes both, action and return-to-go; the state token does not count."""
    claim = CLAIMS["J1-cka-tokens"]
    low = cka(protocol, flat(0.9), action=0.1, returns=0.1)
    assert holding(claim, protocol, {"random": cka(protocol, flat(0.0), 0.2, 0.3), "language": low}) == ONE
    assert holding(claim, protocol, {"random": cka(protocol, flat(1.0), 0.2, 0.0), "language": low}) == set()
    assert holding(claim, protocol, {"random": cka(protocol, flat(1.0), 0.0, 0.3), "language": low}) == set()


@BOTH
@pytest.mark.parametrize(("exceptions", "expected"), [(0, ONE), (4, ONE), (5, set()), (9, set())])
def test_most_cells_must_agree(protocol: str, exceptions: int, expected: set[str]) -> None:
    """Three tasks by three tokens, each a cell; the paper's second seed has six of nine."""
    values = {}
    for index, task in enumerate(ALL_TASKS):
        state, action, returns = (0.0 if 3 * index + token < exceptions else 0.2 for token in range(3))
        values[f"random_{task}"] = cka(protocol, flat(state), action=action, returns=returns)
        values[f"language_{task}"] = cka(protocol, flat(0.1), action=0.1, returns=0.1)
    assert holding(CLAIMS["J1-cka-seed42"], protocol, values) == expected


def grid(diagonal: float, within: float, between: float) -> list[list[float]]:
    """Blocks 0-2 and 3-11 as two groups."""
    return [[diagonal if i == j else within if (i < 3) == (j < 3) else between for j in range(12)] for i in range(12)]


PAIRS = ("random_language", "random_image", "language_image")
SEEDS = ("random_seeds", "language_seeds", "image_seeds")


@BOTH
def test_models_differ(protocol: str) -> None:
    """The two arms most alike are below the paper's line, and two seeds of one arm are more alike than two arms.

    Corrected, what two random networks share is subtracted first.
    """
    null = 0.5 if protocol == "corrected" else 0.0
    nulls = {f"{pair}_null": null for pair in PAIRS} if null else {}

    def alike(pairs: tuple[float, ...], seeds: float) -> set[str]:
        crossing = {pair: null + value for pair, value in zip(PAIRS, pairs, strict=True)}
        values = {**crossing, **dict.fromkeys(SEEDS, null + seeds)}
        found = holding(CLAIMS["D4-cross-model-low"], protocol, {**values, **nulls})
        assert ("same arm minus other" in found) == bool(holding(CLAIMS["J1-models-differ"], protocol, values))
        return found

    assert alike((0.1, 0.05, 0.0), 0.3) == {"small", "same arm minus other"}
    assert alike((0.1, 0.05, 0.0), 0.04) == {"small"}
    assert alike((0.1, 0.05, 0.3), 0.9) == {"same arm minus other"}


# Claim, values of its needs, and the parts that hold for them.
VALUES: list[tuple[str, dict[str, Any], set[str]]] = [
    ("D5-random-lattice", {"language": grid(0.5, 0.4, 0.4), "random": grid(0.5, 0.1, 0.1)}, ONE),
    ("D5-random-lattice", {"language": grid(0.9, 0.1, 0.1), "random": grid(0.5, 0.1, 0.1)}, set()),
    ("D5-random-lattice-igpt", {"image": grid(0.5, 0.4, 0.4), "random": grid(0.5, 0.1, 0.1)}, ONE),
    ("D5-random-lattice-igpt", {"image": grid(0.9, 0.1, 0.1), "random": grid(0.5, 0.1, 0.1)}, set()),
    ("D5-gpt2-groups", {"language": grid(0.5, 0.4, 0.1), "random": grid(0.5, 0.2, 0.1)}, ONE),
    ("D5-gpt2-groups", {"language": grid(0.9, 0.3, 0.3), "random": grid(0.5, 0.2, 0.2)}, set()),
    # What distance in depth alone gives, the random arm has too.
    ("D5-gpt2-groups", {"language": grid(0.5, 0.4, 0.1), "random": grid(0.5, 0.5, 0.1)}, set()),
    ("D5-random-separate", {"random": grid(0.6, 0.1, 0.1), "language": grid(0.6, 0.4, 0.4)}, ONE),
    ("D5-random-separate", {"random": grid(0.6, 0.4, 0.4), "language": grid(0.6, 0.1, 0.1)}, set()),
    ("D5-pre-grid", dict.fromkeys(("random", "language", "image"), grid(0.5, 0.1, 0.1)), ONE),
    (
        "D5-pre-grid",
        {"random": grid(0.5, 0.1, 0.1), "language": grid(0.5, 0.1, 0.1), "image": grid(0.1, 0.2, 0.2)},
        set(),
    ),
]


@BOTH
@pytest.mark.parametrize(("name", "values", "expected"), VALUES)
def test_matrices(name: str, values: dict[str, Any], expected: set[str], protocol: str) -> None:
    """Statements about pairs of layers, under both protocols."""
    assert holding(CLAIMS[name], protocol, values) == expected


@BOTH
def test_the_lattice_is_at_every_token(protocol: str) -> None:
    """The token that shows it least decides."""
    blocks, lattice = grid(0.5, 0.4, 0.4), grid(0.5, 0.1, 0.1)
    tokens = ("state", "action", "return_to_go")
    values = {f"{arm}_{token}": one for arm, one in (("language", blocks), ("random", lattice)) for token in tokens}
    assert holding(CLAIMS["J1-lattice"], protocol, values) == ONE
    for token in tokens:
        assert holding(CLAIMS["J1-lattice"], protocol, {**values, f"language_{token}": lattice}) == set()


def test_the_summary_has_a_causal_test_under_corrected_only() -> None:
    """Published: its parts alone. Corrected: weights without structure must do about as well, too."""
    summary = CLAIMS["SUM-5.1"]
    assert summary.parts == ("S5.1-cka-gpt2-low", "S4-gpt2-not-worse")
    assert summary.under(PROTOCOLS["published"]) is None
    assert holding(summary, "corrected", {"language": 75.0, "moments": 72.0}) == ONE
    assert holding(summary, "corrected", {"language": 80.0, "moments": 60.0}) == set()
