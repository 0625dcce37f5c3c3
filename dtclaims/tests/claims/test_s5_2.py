"""Claims of section 5.2 and appendices E, H.2, J.2 and M on made-up values: what makes each true, and what false."""

from typing import Any

import pytest

from dtclaims.errors import MeasurementError, UndefinedMeasurement
from dtclaims.harness.declare.claim import SINGLE
from dtclaims.harness.declare.registry import load_claims
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.lab.design.tasks import ALL_TASKS
from dtclaims.tests.support.effects import holding

CLAIMS = load_claims()
ONE = {SINGLE}
BOTH = pytest.mark.parametrize("protocol", ["published", "corrected"])


def profile(x: float = 1.0, y: float = 1.0, *, high: int = 0, returns: float = 0.0, **changes: Any) -> dict[str, Any]:
    """A value of `information_profile`.

    Args:
        x: of every token but the first `high`, which have one nat more.
        y: likewise.
        high: how many tokens have one nat more.
        returns: what the label has more at every return-to-go.
        changes: other fields.
    """
    more = [float(token < high) for token in range(59)]
    label = [y + more[token] + returns * (token % 3 == 0) for token in range(59)]
    inputs = [x + extra for extra in more]
    return {"tokens": list(range(59)), "x": inputs, "y": label, "lost": 0.0, "evaluable": True, **changes}


def ends(first: dict[str, Any], last: dict[str, Any]) -> dict[str, Any]:
    """A value of `information_ends`."""
    return {"first": first, "last": last}


def steps(state: float = 1.0, action: float = 1.0, *, reversed_in: int = 0) -> dict[str, Any]:
    """A value of `information_steps` over 12 blocks, of which some have 1.5 nats less than the others."""
    less = [1.5 * (block < reversed_in) for block in range(12)]
    return {
        "state": [state - one for one in less],
        "action": [action - one for one in less],
        "lost": 0.0,
        "evaluable": True,
    }


def data(state: float = 3.0, returns: float = 1.0) -> dict[str, Any]:
    """A value of `data_information`: one step of 20 is far off."""
    return {"state": [state] * 19 + [-6.8], "return": [returns] * 20, "lost": 0.0, "evaluable": True}


def curves(*points: tuple[float, float]) -> dict[str, list[float]]:
    """A value of `errors_and_returns` from (error, return) by epoch."""
    error, returns = zip(*points, strict=True)
    return {"error": list(error), "return": list(returns)}


RUNS = list(CLAIMS["M-error-not-return"].under(PROTOCOLS["published"]).needs)  # type: ignore[union-attr]
PARTS = {"input", "label"}
HIGH, LOW, NONE = profile(2.4, 2.7), profile(0.8, 1.3), profile(0.0, 0.0)

# Claim, values of its needs, and the parts that hold for them.
CASES: list[tuple[str, dict[str, Any], set[str]]] = [
    ("S5.2-mi-x-random-higher-gpt2", {"random": HIGH, "language": LOW}, ONE),
    ("S5.2-mi-x-random-higher-gpt2", {"random": profile(1.01, 9.0), "language": profile(1.0, 0.0)}, set()),
    ("S5.2-mi-y-random-higher-gpt2", {"random": HIGH, "language": LOW}, ONE),
    ("S5.2-mi-y-random-higher-gpt2", {"random": profile(9.0, 1.01), "language": profile(0.0, 1.0)}, set()),
    ("S5.2-mi-random-higher-igpt", {"random": HIGH, "image": NONE}, PARTS),
    ("S5.2-mi-random-higher-igpt", {"random": profile(0.5, 0.0), "image": NONE}, {"input"}),
    ("S5.2-mi-consistent", {"random": profile(high=50), "language": profile()}, ONE),
    ("S5.2-mi-consistent", {"random": profile(high=43), "language": profile()}, set()),
    ("S5.2-mi-consistent", {"random": profile(2.0, 1.0), "language": profile()}, set()),
    ("S5.2-mi-consistent-igpt", {"random": profile(high=50), "image": profile()}, ONE),
    ("S5.2-mi-consistent-igpt", {"random": profile(2.0, 1.0), "image": profile()}, set()),
    ("S5.2-mi-igpt-none", {"image": NONE, "random": HIGH}, ONE),
    ("S5.2-mi-igpt-none", {"image": profile(0.25, 0.0), "random": HIGH}, set()),
    ("S5.2-mi-igpt-none", {"image": profile(0.0, 0.28), "random": HIGH}, set()),
    ("S5.2-mi-gpt2-not-more", {"language": LOW, "random": HIGH}, PARTS),
    ("S5.2-mi-gpt2-not-more", {"language": profile(1.2, 1.01), "random": profile()}, {"label"}),
    ("S5.2-mi-y-rtg-gpt2", {"language": profile(returns=0.5)}, ONE),
    ("S5.2-mi-y-rtg-gpt2", {"language": profile(returns=-0.5)}, set()),
    ("S5.2-mi-y-rtg-not-random", {"random": profile(returns=-0.5)}, ONE),
    ("S5.2-mi-y-rtg-not-random", {"random": profile(returns=0.5)}, set()),
    ("S5.2-mi-y-rtg-each-layer", {"language": ends(profile(returns=0.5), profile(returns=0.5))}, ONE),
    ("S5.2-mi-y-rtg-each-layer", {"language": ends(profile(returns=0.5), profile(returns=-0.5))}, set()),
    ("J2-mi-shallow-deep", {"random": ends(HIGH, HIGH), "language": ends(LOW, LOW)}, PARTS),
    ("J2-mi-shallow-deep", {"random": ends(HIGH, profile(0.8, 9.0)), "language": ends(LOW, LOW)}, {"label"}),
    ("J2-mi-seed42", {"random": HIGH, "language": LOW}, PARTS),
    ("J2-mi-seed42", {"random": LOW, "language": HIGH}, set()),
    ("E3-mi-random-more", {"random": steps(2.0, 2.0, reversed_in=2), "language": steps()}, PARTS | {"generally"}),
    ("E3-mi-random-more", {"random": steps(2.0, 2.0, reversed_in=7), "language": steps()}, PARTS),
    ("E3-mi-random-more", {"random": steps(1.01, 2.0), "language": steps()}, {"label", "generally"}),
    ("E3-igpt-no-label", {"image": steps(3.0, 0.03), "random": steps()}, ONE),
    ("E3-igpt-no-label", {"image": steps(0.0, 0.3), "random": steps()}, set()),
    # Only the last epoch counts, and errors that are nearly equal do not deny it.
    ("SUM-5.2", {"language": [9.0, 0.185], "random": [0.1, 0.2]}, ONE),
    ("SUM-5.2", {"language": [0.3, 0.15], "random": [0.1, 0.2]}, set()),
    ("M-random-error-lower", {"language": [0.0, 0.3], "random": [9.0, 0.2]}, ONE),
    ("M-random-error-lower", {"language": [9.0, 0.2], "random": [0.0, 0.3]}, set()),
    ("H2-mi-rtg-hopper-lower", dict(zip(ALL_TASKS, (data(), data(0, 1.4), data(0, 1.6)), strict=True)), ONE),
    ("H2-mi-rtg-hopper-lower", dict(zip(ALL_TASKS, (data(), data(0, 1.4), data(0, 1.05)), strict=True)), set()),
    # Medians: the step that is far off does not count. What the return-to-go says differs by half, so may the states'.
    ("H2-mi-state-equal", dict(zip(ALL_TASKS, (data(2.9, 1.0), data(3.1, 1.4), data(2.7, 1.6)), strict=True)), ONE),
    ("H2-mi-state-equal", dict(zip(ALL_TASKS, (data(2.9, 1.0), data(4.9, 1.4), data(2.7, 1.6)), strict=True)), set()),
    ("H2-mi-state-equal", dict(zip(ALL_TASKS, (data(2.9, 1.0), data(3.1, 1.0), data(2.7, 1.0)), strict=True)), set()),
]


@BOTH
@pytest.mark.parametrize(("name", "values", "expected"), CASES)
def test_effects(name: str, values: dict[str, Any], expected: set[str], protocol: str) -> None:
    """Values like the paper's, or their opposite, read alike under both protocols: measurements obey the switch."""
    assert holding(CLAIMS[name], protocol, values) == expected


def ends_at(**ends: tuple[float, float]) -> dict[str, dict[str, list[float]]]:
    """Runs of four epochs, alike but for the second half of those given; the random arm's has 40."""
    runs = {name: curves((0.5, 9.0), (0.5, 9.0), (0.5, 9.0), (0.5, 9.0)) for name in RUNS}
    runs |= {name: curves((9.0, 99.0), (9.0, 99.0), end, end) for name, end in ends.items()}
    return {**runs, "random": {curve: values + [0.0] * 36 for curve, values in runs["random"].items()}}


@BOTH
@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ({"language_3": (0.4, 5.0)}, ONE),
        # A lower error and a higher return; a lower return, but hardly a lower error; hardly a lower return.
        ({"language_3": (0.4, 12.0)}, set()),
        ({"language_3": (0.48, 5.0)}, set()),
        ({"language_3": (0.4, 8.5)}, set()),
    ],
)
def test_an_error_is_not_a_return(ends: dict[str, tuple[float, float]], expected: set[str], protocol: str) -> None:
    """One clear pair of the two arms and twelve blocks is enough, over the second half of the epochs that all have."""
    assert len(RUNS) == 14
    assert CLAIMS["M-error-not-return"].primary == "hopper"
    assert holding(CLAIMS["M-error-not-return"], protocol, ends_at(**ends)) == expected


def test_information_is_read_by_a_probe_under_corrected() -> None:
    """Principal components hide what lies in directions of low variance; the data alone are estimated as before."""
    for name, claim in CLAIMS.items():
        if name.startswith(("S5.2-mi", "J2-", "E3-")):
            form = claim.under(PROTOCOLS["corrected"])
            assert form is not None
            assert {need.quantity.partition("_")[0] for need in form.needs.values()} == {"probe"}, name
            assert "nats" not in form.units.values()
            assert claim.form is not None
            assert {need.quantity.partition("_")[0] for need in claim.form.needs.values()} == {"information"}


def test_a_fiftieth_of_the_variance_is_no_difference() -> None:
    """R² has another scale than nats: 0.05 more is more, and a mean of 0.01 is not."""
    claim = CLAIMS["S5.2-mi-x-random-higher-gpt2"]
    for gap, expected in ((0.05, ONE), (0.01, set())):
        values = {"random": profile(0.6 + gap), "language": profile(0.6)}
        assert holding(claim, "corrected", values) == expected
        assert holding(claim, "published", values) == set()


@BOTH
def test_no_share_of_nothing(protocol: str) -> None:
    """Where the random arm has no information either, there is no share to take, and no verdict."""
    with pytest.raises(UndefinedMeasurement, match="no information to have a share of"):
        holding(CLAIMS["S5.2-mi-igpt-none"], protocol, {"image": NONE, "random": NONE})
    with pytest.raises(UndefinedMeasurement, match="no information to spread"):
        holding(CLAIMS["H2-mi-state-equal"], protocol, dict.fromkeys(ALL_TASKS, data(0.0)))


def test_estimates_that_failed_are_left_out() -> None:
    """Means are over what there is; tokens are compared where both arms have a value, steps if whole (DEV-20)."""
    gaps = profile(2.0, 2.0, returns=1.0)
    for token in (0, 4):
        gaps["x"][token] = gaps["y"][token] = None
    assert holding(CLAIMS["S5.2-mi-x-random-higher-gpt2"], "published", {"random": gaps, "language": profile()}) == ONE
    assert holding(CLAIMS["S5.2-mi-consistent"], "published", {"random": gaps, "language": profile()}) == ONE
    assert holding(CLAIMS["S5.2-mi-y-rtg-gpt2"], "published", {"language": gaps}) == ONE


@pytest.mark.parametrize("name", [name for name in CLAIMS if name.startswith(("S5.2-mi", "J2-", "E3-", "H2-mi"))])
def test_an_arm_that_is_not_evaluable_is_an_error(name: str) -> None:
    """A typed error with the share that was lost, in every claim that rests on the arm (DEV-20)."""
    form = CLAIMS[name].under(PROTOCOLS["corrected"])
    assert form is not None
    lost = {**profile(), **steps(), **data(), "lost": 0.4, "evaluable": False}
    lost |= ends(lost, lost)
    with pytest.raises(MeasurementError, match="40% of them NaN or infinite"):
        form(**dict.fromkeys(form.needs, lost))


def scores(**changes: float) -> dict[str, float]:
    """Scores as in the paper: only Hopper fails without context."""
    paper = {"hopper_20": 67.7, "halfcheetah_20": 48.6, "walker2d_20": 71.0}
    return {**paper, "hopper_1": -0.2, "halfcheetah_1": 49.0, "walker2d_1": 69.1, **changes}


@BOTH
def test_hopper_loses_most_without_context(protocol: str) -> None:
    """Relative to the score with context; false where another task loses as much, an error where there is no score."""
    claim = CLAIMS["H2-hopper-needs-context"]
    assert holding(claim, protocol, scores()) == ONE
    assert holding(claim, protocol, scores(hopper_1=60.0)) == set()
    assert holding(claim, protocol, scores(walker2d_1=0.0, halfcheetah_1=10.0)) == set()
    with pytest.raises(UndefinedMeasurement, match="walker2d"):
        holding(claim, protocol, scores(walker2d_20=-1.0))


def test_hopper_is_predicted_worst_from_one_step() -> None:
    """Worse than on either other task, by a network that sees no more; the paper concludes it and does not measure."""
    claim = CLAIMS["H2-current-step-hopper-lower"]
    assert claim.protocols == ("corrected",)
    assert holding(claim, "corrected", {"hopper": 0.6, "halfcheetah": 0.3, "walker2d": 0.5}) == ONE
    assert holding(claim, "corrected", {"hopper": 0.4, "halfcheetah": 0.3, "walker2d": 0.5}) == set()
