"""Many named pairs at once: each is what it would be alone, and those without a value are named and counted."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dtclaims.errors import MeasurementError, UsageError
from dtclaims.lab.metrics import (
    HeldOutMine,
    MutualInformation,
    PublishedMine,
    evaluable,
    mutual_information,
    mutual_informations,
    unreadable_share,
)
from dtclaims.lab.metrics.estimates import above_chance, found
from dtclaims.seeding import generator

Matrix = NDArray[np.float64]
FAST = PublishedMine(passes=5, batch=20, lr=1e-3, hidden=32)
HELD = HeldOutMine(least=100, seeds=2, steps=30, batch=32, every=10, hidden=16)
# Read before and after training only: which of two close readings is the best can hang on rounding (seed 439).
ENDS = HeldOutMine(least=100, seeds=2, steps=30, batch=32, every=30, hidden=16)


def pairs_of(n: int, widths: list[tuple[int, int]], seed: int = 0) -> dict[str, tuple[Matrix, Matrix]]:
    rng = generator(seed, "test/pairs")
    pairs = {}
    for number, (left, right) in enumerate(widths):
        x = rng.normal(size=(n, left))
        pairs[f"token {number}"] = (x, x[:, :1] + rng.normal(size=(n, right)))
    return pairs


def same(first: MutualInformation, second: MutualInformation) -> bool:
    return first.status == second.status and all(
        np.allclose(a, b, atol=2e-3, equal_nan=True) for a, b in zip(first[:4], second[:4], strict=True)
    )


@pytest.mark.parametrize("how", [FAST, ENDS])
@settings(max_examples=3)
@example(seed=439, chunk=1)
@given(seed=st.integers(0, 2**32 - 1), chunk=st.integers(1, 9))
def test_each_pair_is_what_it_is_alone(how: PublishedMine | HeldOutMine, seed: int, chunk: int) -> None:
    """Neither the pairs beside it (also of other widths), nor their order, nor the chunk size changes an estimate."""
    pairs = pairs_of(100, [(11, 6), (1, 6), (3, 6), (3, 9)], seed)
    protocol: Any = "published" if how is FAST else "corrected"
    together = mutual_informations(pairs, protocol=protocol, seed=seed, settings=how)
    reversed_pairs = dict(reversed(pairs.items()))
    again = mutual_informations(reversed_pairs, protocol=protocol, seed=seed, settings=how, chunk=chunk)
    assert list(together) == list(pairs)
    for name, pair in pairs.items():
        alone = mutual_informations({name: pair}, protocol=protocol, seed=seed, settings=how)[name]
        assert same(alone, together[name])
        assert same(alone, again[name])


def test_seed_name_and_windows_decide() -> None:
    """The same windows, seed and name give the same number; another seed, name or set of windows another one
    (DEV-22: models are to be compared on the same windows)."""
    pair = pairs_of(60, [(3, 4)])["token 0"]

    def value(name: str = "a", seed: int = 0, rows: slice = slice(0, 40)) -> float:
        cut = (pair[0][rows], pair[1][rows])
        return mutual_informations({name: cut}, protocol="published", seed=seed, settings=FAST)[name].value

    values = [value(), value(name="b"), value(seed=1), value(rows=slice(20, 60))]
    assert value() == values[0]
    assert len(set(values)) == 4


def test_tensors_equal_arrays() -> None:
    """Torch tensors and numpy arrays of the same numbers give the same estimate, in either float type's rounding."""
    x, z = pairs_of(40, [(3, 4)])["token 0"]
    of_arrays = mutual_information(x, z, protocol="published", seed=0, settings=FAST)
    tensors = torch.from_numpy(x).float(), torch.from_numpy(z).float()
    assert same(of_arrays, mutual_information(*tensors, protocol="published", seed=0, settings=FAST))


def test_a_failing_pair_stays_alone() -> None:
    """DEV-20: a pair on which the reference's training raises is NaN, named "failed" and counted; the pairs beside it
    are untouched."""
    pairs = pairs_of(40, [(3, 4), (3, 4), (3, 4)])
    healthy = mutual_informations(pairs, protocol="published", seed=0, settings=FAST)
    broken = {**pairs, "token 1": (pairs["token 1"][0] * 1e6, pairs["token 1"][1])}
    result = mutual_informations(broken, protocol="published", seed=0, settings=FAST)
    assert [estimate.status for estimate in result.values()] == ["finite", "failed", "finite"]
    assert math.isnan(result["token 1"].value)
    assert same(result["token 0"], healthy["token 0"])
    assert same(result["token 2"], healthy["token 2"])
    assert unreadable_share(result.values()) == pytest.approx(1 / 3)


def test_scale_that_breaks_the_published_form_is_harmless_when_corrected() -> None:
    """DEV-20: data on which the published estimate is NaN has a finite corrected one."""
    x, z = pairs_of(100, [(3, 4)])["token 0"]
    assert mutual_information(1e6 * x, z, protocol="published", seed=0, settings=FAST).status == "failed"
    result = mutual_information(1e6 * x, z, protocol="corrected", seed=0, settings=HELD)
    assert result.status == "finite"
    assert result.value == pytest.approx(
        mutual_information(x, z, protocol="corrected", seed=0, settings=HELD).value, abs=0.1
    )


@pytest.mark.parametrize(
    ("value", "status"), [(0.5, "finite"), (-3.9, "finite"), (math.nan, "failed"), (math.inf, "infinite")]
)
def test_status_names_what_is_not_finite(value: float, status: str) -> None:
    """DEV-20: NaN and ±inf are told apart and kept; a negative estimate is a number like any other."""
    estimate = found(value, np.array([value]), np.empty(0))
    assert estimate.status == status
    np.testing.assert_equal(estimate.value, value)
    assert found(-value, np.array([-value]), np.empty(0)).status == status


@given(lost=st.integers(0, 60), kind=st.sampled_from([math.nan, math.inf, -math.inf]))
def test_evaluable_up_to_five_percent(lost: int, kind: float) -> None:
    """DEV-20: a model with more than 5 % of its estimates NaN or infinite (3 of 60) is not evaluable."""
    estimates = [found(kind if i < lost else 1.0, np.zeros(1), np.zeros(1)) for i in range(60)]
    assert evaluable(estimates) == (lost <= 3)
    assert unreadable_share(estimates) == pytest.approx(lost / 60)


def test_infinite_bound_and_null_are_counted() -> None:
    """A corrected estimate whose bound and null are both infinite is NaN and counted, without a warning."""
    both = above_chance(np.array([math.inf, 1.0]), np.array([math.inf, 0.0]), 2)
    assert both.status == "failed"


def test_padding_is_data_to_the_published_estimator() -> None:
    """DEV-23: setting four actions of a hundred to the padding's −10 changes the published estimate."""
    rng = generator(0, "test/padding")
    x, z = rng.normal(size=(100, 3)), rng.normal(size=(100, 4))
    padded = x.copy()
    padded[:4] = -10
    how = PublishedMine(passes=100, lr=1e-3, hidden=64, null=False)
    plain, changed = (
        mutual_information(side, z, protocol="published", seed=0, settings=how).value for side in (x, padded)
    )
    assert abs(changed - plain) > 0.2


def test_null_beside_the_published_estimate_is_optional() -> None:
    """Without its null the published estimate is the same number, for half the work."""
    x, z = pairs_of(40, [(3, 4)])["token 0"]
    with_null = mutual_information(x, z, protocol="published", seed=0, settings=FAST)
    bare = PublishedMine(passes=5, batch=20, lr=1e-3, hidden=32, null=False)
    without = mutual_information(x, z, protocol="published", seed=0, settings=bare)
    assert without.value == pytest.approx(with_null.value, abs=1e-3)
    assert (with_null.nulls.shape, without.nulls.shape) == ((1,), (0,))
    assert math.isnan(without.spread)


X, Z = np.ones((40, 2)), np.ones((40, 3))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({}, "no pair"),
        ({"a": (X, Z[:39])}, "z of a"),
        ({"a": (X, Z), "b": (X[:30], Z[:30])}, "x of b"),
        ({"a": (X, Z * np.nan)}, "z of a holds NaN"),
        ({"a": (X, Z[:, :0])}, "z of a cannot be measured"),
        ({"a": (X[0], Z)}, "x of a cannot be measured"),
        ({"a": (X[:19], Z[:19])}, "too few samples"),
    ],
)
def test_unusable_data(pairs: dict[str, tuple[Matrix, Matrix]], message: str) -> None:
    """Data that cannot be measured is refused before training, and named."""
    with pytest.raises(MeasurementError, match=message):
        mutual_informations(pairs, protocol="published", seed=0, settings=FAST)


@pytest.mark.parametrize(
    "wrong",
    [{"protocol": "other"}, {"protocol": "corrected", "settings": FAST}, {"settings": HELD}, {"chunk": 0}],
)
def test_unusable_arguments(wrong: dict[str, Any]) -> None:
    """An unknown protocol, the other protocol's settings and empty chunks are refused."""
    with pytest.raises(UsageError):
        mutual_informations({"a": (X, Z)}, **{"protocol": "published", "seed": 0, **wrong})


def test_nothing_to_count() -> None:
    """A share of no estimates has no value."""
    with pytest.raises(MeasurementError, match="no estimate"):
        evaluable([])
