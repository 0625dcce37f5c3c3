"""Attention distance: the published number against the reference, the corrected one against its definition."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.distance import cityblock

from dtclaims.errors import MeasurementError, UndefinedMeasurement
from dtclaims.lab.metrics import attention_change, attention_gap, causal_attention_distance, fused_attention_distance
from dtclaims.places import fixture_dir
from dtclaims.seeding import generator

Matrix = NDArray[np.float64]
modest = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def draw(seed: int, samples: int = 3, tokens: int = 9, width: int = 8) -> tuple[Matrix, Matrix, np.random.Generator]:
    """Random queries and keys, large enough for uneven attention."""
    rng = generator(seed, "test/attention")
    query, key = 2 * rng.normal(size=(2, samples, tokens, width))
    return query, key, rng


def naive_causal(query: Matrix, key: Matrix, heads: int, mask: Matrix) -> list[float]:
    """The corrected distance by loops: one softmax per sample, head and real query."""
    size = query.shape[2] // heads
    result = []
    for q, k, real in zip(query, key, mask, strict=True):
        distances = []
        for h in range(heads):
            columns = slice(h * size, (h + 1) * size)
            for i in np.flatnonzero(real):
                keys = [j for j in range(i + 1) if real[j]]
                weights = [math.exp(q[i, columns] @ k[j, columns] / math.sqrt(size)) for j in keys]
                distances.append(sum(w * (i - j) for w, j in zip(weights, keys, strict=True)) / sum(weights))
        result.append(float(np.mean(distances)))
    return result


@pytest.mark.parametrize("model", ["dt", "gpt2", "igpt"])
def test_fused_golden(model: str) -> None:
    """The published distance equals the reference's on its own queries and keys, block by block."""
    golden = np.load(fixture_dir() / "golden" / "attention_distance.npz")
    for query, key, expected in zip(*(golden[f"{k}/{model}"] for k in ("query", "key", "distance")), strict=True):
        np.testing.assert_allclose(fused_attention_distance(query, key), expected, rtol=1e-5)


def test_gap_golden() -> None:
    """The published gap is the absolute difference per sample."""
    golden = np.load(fixture_dir() / "golden" / "attention_distance.npz")
    for dt, gpt2, gap in zip(*(golden[k] for k in ("distance/dt", "distance/gpt2", "gap/dt_gpt2")), strict=True):
        np.testing.assert_allclose(attention_gap(dt, gpt2), gap, rtol=1e-6)
        np.testing.assert_array_equal(attention_gap(gpt2, dt), attention_gap(dt, gpt2))


@pytest.mark.parametrize("tokens", [15, 60])
def test_uniform_logits(tokens: int) -> None:
    """Equal logits give (1 − 1/T²)/6 published (0.1666 at T=60) and (T − 1)/4 tokens corrected (14.75)."""
    zeros = np.zeros((2, tokens, 4))
    np.testing.assert_allclose(fused_attention_distance(zeros, zeros), (1 - tokens**-2) / 6)
    np.testing.assert_allclose(causal_attention_distance(zeros, zeros, 2, None), (tokens - 1) / 4)


def test_extremes() -> None:
    """Attention to oneself is distance 0; attention to the first token is the maximum of either form."""
    tokens = 60
    own = 100 * np.eye(tokens)[None]
    np.testing.assert_allclose(fused_attention_distance(own, own), 0, atol=1e-12)
    np.testing.assert_allclose(causal_attention_distance(own, own, 1, None), 0, atol=1e-12)
    query, key = np.ones((1, tokens, 4)), np.zeros((1, tokens, 4))
    key[:, 0] = 1000
    np.testing.assert_allclose(fused_attention_distance(query, key), (tokens - 1) / (2 * tokens))
    np.testing.assert_allclose(causal_attention_distance(query, key, 2, None), (tokens - 1) / 2)


@pytest.mark.parametrize("heads", [1, 2, 4])
@modest
@given(seed=seeds, real=st.lists(st.integers(1, 9), min_size=3, max_size=3))
def test_causal_equals_definition(heads: int, seed: int, real: list[int]) -> None:
    """The corrected distance equals a loop over heads and real queries, for left-padded windows."""
    query, key, _ = draw(seed)
    mask = np.array([[0] * (9 - n) + [1] * n for n in real])
    expected = naive_causal(query, key, heads, mask)
    np.testing.assert_allclose(causal_attention_distance(query, key, heads, mask), expected, atol=1e-10)


@modest
@given(seed=seeds)
def test_bounds(seed: int) -> None:
    """Both distances lie between 0 and their maxima, (T − 1)/(2T) and (T − 1)/2."""
    query, key, _ = draw(seed)
    fused, causal = fused_attention_distance(query, key), causal_attention_distance(query, key, 2, None)
    assert (fused >= 0).all()
    assert (fused <= 8 / 18).all()
    assert (causal >= 0).all()
    assert (causal <= 4).all()


@modest
@given(seed=seeds, first=st.integers(1, 8))
def test_future_keys_never_matter_in_the_corrected_form(seed: int, first: int) -> None:
    """Keys from `first` on may change at will: a window cut there has the same distances up to it."""
    query, key, rng = draw(seed)
    before = np.zeros((3, 9))
    before[:, :first] = 1
    changed = key.copy()
    changed[:, first:] = 50 * rng.normal(size=changed[:, first:].shape)
    expected = causal_attention_distance(query[:, :first], key[:, :first], 2, None)
    for keys in (key, changed):
        np.testing.assert_allclose(causal_attention_distance(query, keys, 2, before), expected, atol=1e-12)


@modest
@given(seed=seeds, padding=st.integers(1, 8))
def test_padding_never_matters_in_the_corrected_form(seed: int, padding: int) -> None:
    """A left-padded window measures as the same window without its padding, whatever the padding holds."""
    query, key, _ = draw(seed)
    mask = torch.ones(3, 9, dtype=torch.bool)
    mask[:, :padding] = False
    expected = causal_attention_distance(query[:, padding:], key[:, padding:], 2, None)
    np.testing.assert_allclose(causal_attention_distance(query, key, 2, mask.numpy()), expected, atol=1e-12)


def test_dev08_published_form_depends_on_the_future() -> None:
    """DEV-08: raising only the logits of later keys lowers the published distance; the corrected one stays.

    Extra dimensions add 20 to the logit of every later key and nothing to the others: query i holds 20 in the
    dimensions of the keys after it, and key j a one in its own.
    """
    tokens = 9
    query, key, _ = draw(1, samples=2, tokens=tokens, width=8)
    later = 20 * np.sqrt(8 + tokens) * np.triu(np.ones((tokens, tokens)), 1)
    zeros = np.zeros((2, tokens, tokens))
    plain = np.concatenate([query, zeros], axis=2), np.concatenate([key, zeros], axis=2)
    future = (
        np.concatenate([query, np.broadcast_to(later, zeros.shape)], axis=2),
        np.concatenate([key, np.broadcast_to(np.eye(tokens), zeros.shape)], axis=2),
    )
    assert (fused_attention_distance(*future) < 0.6 * fused_attention_distance(*plain)).all()
    np.testing.assert_allclose(
        causal_attention_distance(*future, 1, None), causal_attention_distance(*plain, 1, None), atol=1e-12
    )


def test_dev08_published_form_fuses_heads() -> None:
    """DEV-08: opposite heads cancel in the published form, which then reads uniform attention."""
    one = generator(2, "test/fuse").normal(size=(2, 9, 4)) * 3
    query, key = np.concatenate([one, one], axis=2), np.concatenate([one, -one], axis=2)
    np.testing.assert_allclose(fused_attention_distance(query, key), (1 - 1 / 81) / 6)
    per_head = causal_attention_distance(query, key, 2, None)
    assert (np.abs(per_head - (9 - 1) / 4) > 0.01).all()
    halves = [causal_attention_distance(one, sign * one, 1, None) for sign in (1, -1)]
    np.testing.assert_allclose(per_head, np.mean(halves, axis=0), atol=1e-12)


def heads_maps(query: Matrix, key: Matrix, heads: int, mask: Matrix) -> Matrix:
    """Attention maps by torch's own attention, of which identity matrices as values are the weights."""
    samples, tokens, width = query.shape
    q, k = (
        torch.from_numpy(side).view(samples, tokens, heads, width // heads).transpose(1, 2) for side in (query, key)
    )
    real = torch.from_numpy(mask).bool()
    allowed = (real[:, None, :] & torch.ones(tokens, tokens).tril().bool()) | torch.eye(tokens).bool()
    values = torch.eye(tokens, dtype=torch.float64).expand(samples, heads, tokens, tokens)
    return torch.nn.functional.scaled_dot_product_attention(q, k, values, attn_mask=allowed[:, None]).numpy()


@pytest.mark.parametrize("heads", [1, 2, 4])
@modest
@given(seed=seeds, real=st.lists(st.integers(1, 9), min_size=3, max_size=3))
def test_change_is_the_total_variation_of_the_networks_own_maps(heads: int, seed: int, real: list[int]) -> None:
    """Half the L1 distance of rows of torch's attention, mean over real queries, for left-padded windows."""
    pre, post = draw(seed)[:2], draw(seed + 1)[:2]
    mask = np.array([[0] * (9 - n) + [1] * n for n in real])
    before, after = (heads_maps(*side, heads, mask) for side in (pre, post))
    expected = [
        [np.mean([cityblock(a, b) / 2 for a, b in zip(mine[-n:], theirs[-n:], strict=True)]) for mine, theirs in pairs]
        for n, pairs in zip(
            real, (list(zip(*one, strict=True)) for one in zip(before, after, strict=True)), strict=True
        )
    ]
    np.testing.assert_allclose(attention_change(pre, post, heads, mask), expected, atol=1e-12)


def maps_as_logits(*weights: Matrix) -> list[tuple[Matrix, Matrix]]:
    """Query and key of one head whose maps are these matrices of weights, (T, T)."""
    tokens = len(weights[0])
    query = math.sqrt(tokens) * np.eye(tokens)[None]
    return [(query, np.log(np.maximum(one, 1e-300)).T[None]) for one in weights]


@pytest.mark.parametrize("tokens", [2, 15, 60])
def test_known_changes_of_maps(tokens: int) -> None:
    """Oneself, all alike and the first token: 1 − H_T / T, (T − 1) / T and 1 − H_T / T apart; nothing from itself."""
    ends = np.eye(tokens), np.tril(np.ones((tokens, tokens))), np.eye(1, tokens) * np.ones((tokens, 1))
    own, uniform, first = maps_as_logits(*ends)
    harmonic = sum(1 / n for n in range(1, tokens + 1)) / tokens
    for one, other, expected in (
        (own, uniform, 1 - harmonic),
        (own, first, 1 - 1 / tokens),
        (uniform, first, 1 - harmonic),
    ):
        np.testing.assert_allclose(attention_change(one, other, 1, None), [[expected]], atol=1e-12)
        np.testing.assert_array_equal(attention_change(one, one, 1, None), [[0.0]])


def test_dev08_a_map_may_change_where_its_distance_does_not() -> None:
    """DEV-08: one token back always, or as often none as two: the same distance, and all attention has moved."""
    tokens = 12
    back, split = np.eye(tokens, k=-1), (np.eye(tokens) + np.eye(tokens, k=-2)) / 2
    back[0], split[:2] = np.eye(tokens)[0], back[:2]
    split[0] = back[0]
    pre, post = maps_as_logits(back, split)
    before, after = (causal_attention_distance(*side, 1, None) for side in (pre, post))
    np.testing.assert_allclose(attention_gap(after, before), 0, atol=1e-12)
    np.testing.assert_allclose(attention_change(pre, post, 1, None), [[(tokens - 2) / tokens]], atol=1e-12)


@modest
@given(seed=seeds)
def test_change_is_a_distance_by_head(seed: int) -> None:
    """Between 0 and 1, 0 from itself, the same both ways, never longer by a third map, and heads keep their places."""
    sides = [draw(seed + i)[:2] for i in range(3)]
    one, two, three = (attention_change(*pair, 2, None) for pair in zip(sides, (*sides[1:], sides[0]), strict=True))
    assert one.shape == (3, 2)
    assert ((one > 0) & (one <= 1)).all()
    assert (attention_change(sides[0], sides[0], 2, None) == 0).all()
    np.testing.assert_allclose(attention_change(sides[1], sides[0], 2, None), one, atol=1e-12)
    assert (three <= one + two + 1e-12).all()
    swapped = [tuple(np.roll(side, 4, axis=2) for side in pair) for pair in sides[:2]]
    np.testing.assert_allclose(attention_change(*swapped, 2, None), one[:, ::-1], atol=1e-12)


@modest
@given(seed=seeds, padding=st.integers(1, 8))
def test_only_what_a_query_may_see_changes_its_map(seed: int, padding: int) -> None:
    """What all keys share moves no attention, and neither does what padding holds."""
    query, key, rng = draw(seed)
    shifted = key + rng.normal(size=8)
    np.testing.assert_allclose(attention_change((query, key), (query, shifted), 2, None), 0, atol=1e-12)
    mask = np.ones((3, 9))
    mask[:, :padding] = 0
    other = key.copy()
    other[:, :padding] = rng.normal(size=other[:, :padding].shape)
    np.testing.assert_allclose(attention_change((query, key), (query, other), 2, mask), 0, atol=1e-12)
    pre, post = (query, key), (query, rng.normal(size=key.shape))
    without = [tuple(side[:, padding:] for side in pair) for pair in (pre, post)]
    np.testing.assert_allclose(attention_change(pre, post, 2, mask), attention_change(*without, 2, None), atol=1e-12)


def test_inputs_agree() -> None:
    """numpy, torch, single precision and gradient-carrying tensors give the same distances."""
    query, key, _ = draw(4)
    q, k = (torch.from_numpy(side).requires_grad_() for side in (query, key))
    np.testing.assert_array_equal(fused_attention_distance(q, k), fused_attention_distance(query, key))
    causal = causal_attention_distance(query, key, 2, None)
    np.testing.assert_array_equal(causal_attention_distance(q, k, 2, torch.ones(3, 9)), causal)
    np.testing.assert_allclose(causal_attention_distance(q.float(), k.float(), 2, None), causal, atol=1e-5)


@pytest.mark.parametrize("odd", [None, "abc", [[1.0], [1.0, 2.0]], np.array([["a"]]), np.array([object()])])
def test_what_is_not_numbers_is_refused(odd: Any) -> None:
    """Whatever numpy or torch would say of it, one kind of error names the argument and what it is."""
    with pytest.raises(MeasurementError, match=f"query cannot be measured: got {type(odd).__name__}, expected an"):
        fused_attention_distance(odd, np.zeros((1, 2, 4)))


def test_errors() -> None:
    """Shapes, heads, masks and gaps that cannot be measured are refused, 0/0 with its own type."""
    query, key, _ = draw(0)
    with pytest.raises(MeasurementError, match="query and key do not belong together"):
        fused_attention_distance(query, key[:, :6])
    with pytest.raises(MeasurementError, match="3 non-empty axes"):
        fused_attention_distance(query[0], key[0])
    with pytest.raises(MeasurementError, match="key holds NaN"):
        causal_attention_distance(query, key * np.nan, 2, None)
    with pytest.raises(MeasurementError, match="3 heads, width 8"):
        causal_attention_distance(query, key, 3, None)
    with pytest.raises(MeasurementError, match=r"mask does not fit the query: got \(3, 3\)"):
        causal_attention_distance(query, key, 2, np.ones((3, 3)))
    with pytest.raises(UndefinedMeasurement, match="padding only"):
        causal_attention_distance(query, key, 2, np.zeros((3, 9)))
    with pytest.raises(MeasurementError, match="3 heads, width 8"):
        attention_change((query, key), (query, key), 3, None)
    with pytest.raises(MeasurementError, match="2 before, 3 after"):
        attention_gap(np.ones(3), np.ones(2))
    with pytest.raises(MeasurementError, match="negative"):
        attention_gap(np.ones(2), np.array([1.0, -1.0]))
    with pytest.raises(MeasurementError, match=r"compared per sample, head and token: got \(2, 2, 9, 9\) before"):
        attention_change((query, key), (query[:2], key[:2]), 2, None)
