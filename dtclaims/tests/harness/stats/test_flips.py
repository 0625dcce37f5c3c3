"""The sign-flip max-T test against a plain transcription."""

from itertools import product

import numpy as np
import pytest
from scipy import stats as oracle

from dtclaims.harness.stats.flips import flip_p
from dtclaims.seeding import generator


def plain(against, level):
    """Turn signs one way after another, take t of every column, and count."""
    n = len(against[0][0])

    def firm(members):
        return any(
            all(oracle.ttest_1samp(column, 0, alternative="less").pvalue < level / 10 for column in one.T)
            for one in members
        )

    def t(members, signs):
        turned = [np.asarray(signs)[:, None] * one for one in members]
        return min(max(oracle.ttest_1samp(column, 0).statistic for column in one.T) for one in turned)

    kept = [not firm(members) for members in against]
    observed = [t(members, np.ones(n)) for members in against]
    beaten = np.zeros(len(against))
    for signs in product([1, -1], repeat=n):
        largest = max(t(members, signs) for members, keep in zip(against, kept, strict=True) if keep)
        beaten += [largest >= one - 1e-9 for one in observed]
    return [min(1, count / 2**n / 0.9) if keep else 1.0 for count, keep in zip(beaten, kept, strict=True)]


def matrices(draw, n, centres, sides=1):
    return [[draw.normal(size=(n, sides)) + centre] for centre in centres]


@pytest.mark.parametrize("n", [4, 5])
def test_it_is_what_turning_every_seed_gives(n):
    """Whole seeds are turned, parts that firmly hold are set aside, and the rest pays for that."""
    draw = generator(n, "flips/plain")
    for centres in ([0, 0, 0, 0], [3, 0, 0, -1], [2, -9, -9, -9]):
        against = matrices(draw, n, centres)
        assert flip_p(against, 0.05) == pytest.approx(plain(against, 0.05))


def test_groups_and_sides():
    """A group's t is the least of its members', a part that can be refuted on two sides has the larger of them."""
    draw = generator(1, "flips/groups")
    wide = draw.normal(size=(5, 1))
    against = [
        [draw.normal(size=(5, 1)) + 2, draw.normal(size=(5, 1)) + 1],
        [np.concatenate([wide - 0.5, -wide - 0.5], axis=1)],
        *matrices(draw, 5, [0, 1]),
    ]
    assert flip_p(against, 0.05) == pytest.approx(plain(against, 0.05))


def test_one_part_far_off_is_seen_by_five_seeds_beside_parts_that_firmly_hold():
    """Without the first step each of them would be as far off once all seeds are turned."""
    draw = generator(2, "flips/far")
    against = matrices(draw, 5, [20, *[-200] * 5])
    assert flip_p(against, 0.05) == pytest.approx([1 / 32 / 0.9] + [1] * 5)
    assert flip_p(matrices(draw, 5, [-200] * 4), 0.05) == [1.0] * 4


def test_more_than_twelve_seeds_are_turned_at_random_and_always_alike():
    """The p is a multiple of 1/4096, near what enumeration gives, and the same when asked again."""
    draw = generator(3, "flips/many")
    against = matrices(draw, 13, [0.5, 0, 0, 0.2])
    once = flip_p(against, 0.05)
    assert once == flip_p(against, 0.05)
    assert once == pytest.approx(plain_by_sums(against), abs=0.03)


def plain_by_sums(against):
    """All 2^13 turns, by the sums that t grows with."""
    signs = np.array(list(product([1, -1], repeat=13)))
    rise = np.array([(signs @ one)[:, 0] / np.sqrt((one**2).sum()) for (one,) in against])
    return [min(1, (rise.max(0) >= found[0] - 1e-9).mean() / 0.9) for found in rise]


def test_effects_without_spread_or_size_are_turned_too():
    """A point beyond its cut is the furthest there is, one at its cut goes nowhere, and none of them is a nan."""
    point, nothing = np.full((5, 1), 2.0), np.zeros((5, 1))
    huge = [[1e150 * np.array([[1.0], [2.0], [1.5], [1.2], [1.1]])]]
    p = flip_p([[point], [nothing], [nothing], *huge], 0.05)
    assert p == pytest.approx([1 / 32 / 0.9, 1.0, 1.0, 2 / 32 / 0.9], abs=0.04)
    assert p[1:3] == [1.0, 1.0]
