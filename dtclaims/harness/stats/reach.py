"""What a verdict could be at all: whether so many seeds can reproduce or refute a claim, whatever their effects."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from dtclaims.harness.stats.components import CombinedVerdict
from dtclaims.harness.stats.intervals import FEWEST_SEEDS, FULL_SEEDS, spent
from dtclaims.harness.stats.parts import judge_parts
from dtclaims.harness.stats.trends import TRUTHS, Trend

MOST_ASKED = 100
"""Beyond so many seeds "from how many" has no answer."""


@dataclass(frozen=True)
class Reach:
    """Which verdicts some effects of so many seeds would give, and from how many on a verdict not provisional."""

    n: int
    reproduced: bool
    refuted: bool
    reproduced_from: int | None
    refuted_from: int | None
    """None: not with up to `MOST_ASKED` seeds."""

    def to_json(self) -> dict[str, object]:
        """All fields as JSON types."""
        return dict(vars(self))


def reach(
    trends: Mapping[str, Trend],
    n: int,
    *,
    any_of: Iterable[frozenset[str]] = (),
    deciding: frozenset[str] | None = None,
    alpha: float = 0.05,
    level: float | None = None,
    sharing: int = 1,
) -> Reach:
    """Which verdicts a claim of these parts can have: extreme effects are made up and judged (`judge_parts`).

    Args:
        trends: of each part.
        n: seeds.
        any_of: as in `judge_parts`.
        deciding: as in `judge_parts`.
        alpha: as in `judge_parts`.
        level: as in `judge_parts`; the same for each number of seeds that is asked.
        sharing: among how many parts of a composite alpha is shared where this one is to refute it, so that only
            refutations at alpha / sharing count.

    Raises:
        StatisticsError: as `judge_parts`.
    """
    say = frozenset(trends) if deciding is None else frozenset(deciding)
    asked = _Asked(
        tuple(trends.items()), tuple(any_of), say, alpha, spent(alpha) if level is None else level, max(1, sharing)
    )
    reproduced_from, refuted_from = _first(asked, "reproduced"), _first(asked, "refuted")
    return Reach(n, _can(asked, n, "reproduced"), _can(asked, n, "refuted"), reproduced_from, refuted_from)


def reach_whole(parts: Sequence[Reach], n: int) -> Reach:
    """Which verdicts a composite can have.

    Args:
        parts: of each part and of the composite's own effect, asked at this n with the number of all these as `sharing`
            (times that of a composite around it).
        n: seeds.
    """
    reproduced = [part.reproduced_from for part in parts]
    refuted = [part.refuted_from for part in parts if part.refuted_from is not None]
    known = [first for first in reproduced if first is not None]
    return Reach(
        n,
        bool(parts) and all(part.reproduced for part in parts),
        any(part.refuted for part in parts),
        max(known, default=None) if len(known) == len(reproduced) else None,
        min(refuted, default=None),
    )


@dataclass(frozen=True)
class _Asked:
    trends: tuple[tuple[str, Trend], ...]
    any_of: tuple[frozenset[str], ...]
    deciding: frozenset[str]
    alpha: float
    level: float
    sharing: int


def _first(asked: _Asked, outcome: str) -> int | None:
    return next((n for n in range(FULL_SEEDS, MOST_ASKED + 1) if _can(asked, n, outcome)), None)


@lru_cache(maxsize=4096)
def _can(asked: _Asked, n: int, outcome: str) -> bool:
    if n < FEWEST_SEEDS:
        return False
    return any(_is(_judged(asked, n, worst), outcome, asked) for worst in _candidates(asked, outcome))


def _candidates(asked: _Asked, outcome: str) -> list[frozenset[str]]:
    """Sets of parts that are made to be as far against the claim as can be, the others for it."""
    if outcome == "reproduced":
        return [frozenset()]
    # Each alone, each group, and all of them.
    grouped = [group & asked.deciding for group in asked.any_of]
    return [asked.deciding, *grouped, *(frozenset({name}) for name in asked.deciding)]


def _judged(asked: _Asked, n: int, worst: frozenset[str]) -> CombinedVerdict:
    effects = {name: _extreme(trend, n, against=name in worst) for name, trend in asked.trends}
    return judge_parts(
        effects,
        dict(asked.trends),
        any_of=asked.any_of,
        deciding=asked.deciding,
        alpha=asked.alpha,
        level=asked.level,
    )


def _is(found: CombinedVerdict, outcome: str, asked: _Asked) -> bool:
    enough = found.p_against is not None and found.p_against <= asked.alpha / asked.sharing
    return found.outcome == outcome and (outcome != "refuted" or enough)


def _extreme(trend: Trend, n: int, *, against: bool) -> dict[int, float]:
    """Effects of n seeds that speak for or against a trend as clearly as effects can."""
    if trend.kind in TRUTHS:
        true = 0 if against else n // 2 if trend.kind == "rate" else n
        return {seed: float(seed < true) for seed in range(n)}
    numbers = [abs(value) for value in (trend.null, trend.bound) if value is not None]
    # Far beyond every number of the trend, with a spread that is small beside it: a point has no t.
    far, spread = 10 * (1 + max(numbers) + trend.interest), 1e-3
    if trend.kind == "equivalence" and not against:
        assert trend.null is not None
        assert trend.bound is not None
        far, spread, sign = trend.null, spread * trend.bound, 1
    else:
        sign = -trend.direction if against else trend.direction
    return {seed: sign * far + spread * (seed / n - 0.5) for seed in range(n)}
