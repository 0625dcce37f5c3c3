"""Edition 2: one claim about several parts, such as three tasks, or the statements of one sentence."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.components import CombinedVerdict
from dtclaims.harness.stats.effects import numbers_of
from dtclaims.harness.stats.flips import flip_p
from dtclaims.harness.stats.intervals import spent
from dtclaims.harness.stats.rules import Outcome
from dtclaims.harness.stats.tables import against
from dtclaims.harness.stats.trend_verdict import judge_trend
from dtclaims.harness.stats.trends import TRUTHS, Trend
from dtclaims.harness.stats.verdict import Turn, Verdict

if TYPE_CHECKING:
    from dtclaims.harness.stats.flips import Numbers

FEW = 3
"""Up to so many requirements share alpha in equal parts; more are compared by sign flips."""

Effects = Mapping[str, Mapping[int, float]]
"""Part → seed → effect."""


def judge_parts(
    effects: Effects,
    trends: Mapping[str, Trend],
    *,
    any_of: Iterable[frozenset[str]] = (),
    deciding: frozenset[str] | None = None,
    alpha: float = 0.05,
    looks: int = 1,
    level: float | None = None,
) -> CombinedVerdict:
    """Judge a claim that is made of every part.

    The requirements are the parts that have a say, each for itself, but a group of `any_of` is one requirement: of it
    one part suffices. The claim is reproduced if every requirement is, at the level (an intersection-union test needs
    no correction); of a group one of its m parts must be, by t or exact counts at level / m. It is refuted if one of
    the k requirements is, all parts of a group; that it may be any of them is paid for:

    - k ≤ 3: by t or exact counts at level / k, and the gate of its seeds at the level;
    - k > 3: by a max-T test over sign flips of whole seeds (`flips`), and t and gate at the level. Parts that are true
      or false in each seed still have level / k each, and leave the rest of the level to the others.

    With one part it says what `judge_trend` says.

    Args:
        effects: part to effects by seed.
        trends: of each part.
        any_of: disjoint groups of parts.
        deciding: parts that have a say (those of the primary task); the others are judged and reported. Default: all.
        alpha: probability of a false verdict, on each side, over all looks.
        looks: as in `judge_trend`.
        level: the share of alpha that this look may spend; default alpha / looks.

    Raises:
        StatisticsError: as `judge_trend`; also no parts, trends or a say of other parts, or parts with different seeds.
    """
    own = spent(alpha, looks) if level is None else spent(level)
    say = frozenset(effects) if deciding is None else frozenset(deciding)
    _check(effects, trends, say)
    groups = [kept for group in any_of if len(kept := group & say) > 1]
    grouped = frozenset[str]().union(*groups)
    requirements = (*(frozenset({name}) for name in effects if name in say and name not in grouped), *groups)
    claim = _Claim(effects, trends, requirements, alpha, looks, own)
    decided = claim.decide()
    p_against, gate_against = claim.against()

    def charged(p: float | None) -> float | None:
        return None if p is None else min(1.0, p * (alpha / own))

    return CombinedVerdict(
        decided.outcome,
        "; ".join(reason if len(effects) == 1 else f"{name}: {reason}" for name, reason in decided.reasons.items()),
        provisional=all(claim.verdicts[name].provisional for name in say),
        p_value=charged(claim.largest(_value_of)),
        alpha=alpha,
        looks=looks,
        components=claim.verdicts,
        decided_by=tuple(decided.reasons),
        turn=decided.turn,
        p_t=charged(claim.largest(_t_of)),
        p_free=charged(claim.largest(_free_of)),
        p_against=charged(p_against),
        gate_against=gate_against,
    )


def _check(effects: Effects, trends: Mapping[str, Trend], say: frozenset[str]) -> None:
    if not effects:
        raise StatisticsError("a claim needs a part to be judged on", given="none")
    if trends.keys() != effects.keys():
        raise StatisticsError("trends and effects differ", given=sorted(trends), expected=sorted(effects))
    if not say or not say <= effects.keys():
        raise StatisticsError("parts that decide and are not there", given=sorted(say), expected=sorted(effects))
    if len({frozenset(numbers_of(part)) for part in effects.values()}) > 1:
        raise StatisticsError(
            "the parts have different seeds",
            given={name: sorted(part) for name, part in effects.items()},
            remedy="Run the missing ones, or give nan for a run that failed.",
        )


@dataclass(frozen=True)
class _Decided:
    outcome: Outcome
    reasons: Mapping[str, str]
    """Of the parts that decided."""
    turn: Turn = ""


class _Claim:
    """The parts that have a say, as requirements: each of one part, or of several of which one suffices."""

    def __init__(
        self,
        effects: Effects,
        trends: Mapping[str, Trend],
        requirements: tuple[frozenset[str], ...],
        alpha: float,
        looks: int,
        level: float,
    ) -> None:
        self._effects, self._trends, self._requirements = effects, trends, requirements
        self._alpha, self._looks, self._level = alpha, looks, level
        self.verdicts = {name: self._judge(name, level) for name in effects}
        say = frozenset[str]().union(*requirements)
        self._errors = {
            name: verdict.reason
            for name, verdict in self.verdicts.items()
            if name in say and verdict.outcome == "error"
        }
        self._against = {} if self._errors else self._paid()

    def _judge(self, name: str, level: float) -> Verdict:
        # What several share is the level: the gate of seeds asks the same of each.
        return judge_trend(
            self._effects[name],
            self._trends[name],
            alpha=self._alpha,
            looks=self._looks,
            level=level,
            gate=self._level,
        )

    def decide(self) -> _Decided:
        """Error before refuted before open."""
        if self._errors:
            return _Decided("error", self._errors)
        if failing := [one for one in self._requirements if self._fails(one)]:
            names = [name for one in failing for name in sorted(one)]
            strict = {name: self._strict(name) for name in names}
            reasons = {name: verdict.reason for name, verdict in strict.items()}
            reverse = any(verdict.turn == "reversed" for verdict in strict.values())
            return _Decided("refuted", reasons, "reversed" if reverse else "absent")
        shown: dict[str, str] = {}
        unsettled: dict[str, str] = {}
        for one in self._requirements:
            found = {name: self._judge(name, self._level / len(one)) for name in sorted(one)}
            holding = {name: verdict.reason for name, verdict in found.items() if verdict.outcome == "reproduced"}
            shown |= holding
            if not holding:
                unsettled |= {name: self._open(name, verdict) for name, verdict in found.items()}
        return _Decided("inconclusive", unsettled) if unsettled else _Decided("reproduced", shown)

    def _fails(self, requirement: frozenset[str]) -> bool:
        p = self._against.get(requirement)
        return (
            p is not None and p < self._level and all(self.verdicts[name].outcome == "refuted" for name in requirement)
        )

    def _strict(self, name: str) -> Verdict:
        """A refuted part's verdict at its share of the level, if it has one."""
        count = len(self._requirements)
        if count > FEW and self._trends[name].kind not in TRUTHS:
            return self.verdicts[name]
        return self._judge(name, self._level / count)

    def _open(self, name: str, verdict: Verdict) -> str:
        """Why a part leaves its requirement open: of one that is refuted alone, why that is not enough."""
        if self.verdicts[name].outcome != "refuted":
            return verdict.reason
        strict = self._strict(name)
        if strict is not self.verdicts[name]:
            return strict.reason
        return f"{strict.reason}, but not so far that it could not be the furthest of {len(self._requirements)} by luck"

    def _paid(self) -> dict[frozenset[str], float | None]:
        """p of each requirement failing, times what that it may be any of them costs; None below three seeds."""
        count = len(self._requirements)
        alone = {one: _largest([self.verdicts[name].p_against for name in one]) for one in self._requirements}
        exact = {one for one in alone if any(self._trends[name].kind in TRUTHS for name in one)}
        each = {one: None if p is None else min(1.0, p * count) for one, p in alone.items()}
        others = [one for one in alone if one not in exact]
        if count <= FEW or not others or None in alone.values():
            return each
        share = len(others) / count
        found = flip_p([[self._distances(name) for name in sorted(one)] for one in others], share * self._level)
        return {one: p for one, p in each.items() if one in exact} | {
            one: min(1.0, p / share) for one, p in zip(others, found, strict=True)
        }

    def _distances(self, name: str) -> "Numbers":
        """Seeds × sides that refute a part: its effects as distances beyond the cut."""
        import numpy as np

        numbers = numbers_of(self._effects[name])
        values = np.array([numbers[seed] for seed in sorted(numbers)])
        # The last of a contrast's sides holds the first.
        sides = against(self._trends[name])
        sides = sides[-1:] if self._trends[name].kind == "contrast" else sides
        return np.stack([side.sign * (values - side.cut) for side in sides], axis=1)

    def against(self) -> tuple[float | None, bool]:
        """The smallest p of a requirement failing, of those whose seeds agree on it if there are any."""
        known = {one: p for one, p in self._against.items() if p is not None}
        gated = {one: p for one, p in known.items() if all(self.verdicts[name].gate_against for name in one)}
        return min((gated or known).values(), default=None), bool(gated)

    def largest(self, of: Callable[[Verdict, bool, int], float | None]) -> float | None:
        """The largest p of the requirements; of several parts that of the best of them, times their number."""
        found = []
        for one in self._requirements:
            each = [of(self.verdicts[name], self._trends[name].kind in TRUTHS, len(one)) for name in one]
            found.append(min((p for p in each if p is not None), default=None))
        return _largest(found)


def _largest(found: Sequence[float | None]) -> float | None:
    known = [p for p in found if p is not None]
    return max(known) if len(known) == len(found) else None


def _value_of(verdict: Verdict, exact: bool, chances: int) -> float | None:
    p_t, p_free = _t_of(verdict, exact, chances), verdict.p_free
    # The gate of several parts is asked at the level, not at a share of it.
    return p_t if exact or p_t is None or p_free is None else max(p_t, p_free)


def _t_of(verdict: Verdict, exact: bool, chances: int) -> float | None:
    return None if verdict.p_t is None else min(1.0, chances * verdict.p_t)


def _free_of(verdict: Verdict, exact: bool, chances: int) -> float | None:
    return None if verdict.p_free is None else min(1.0, chances * verdict.p_free)
