"""The one place where an entry is made: of what a claim declares, and of what the statistics say.

Nothing here knows where effects come from, so that a session and a file of evidence say the same thing in the same
words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from dtclaims.harness.judge.entries import (
    CheckShown,
    Component,
    Effect,
    Entry,
    ErrorProbabilities,
    Free,
    Over,
    PaperReading,
    PaperValue,
    Part,
    Reach,
    RunUsed,
    Size,
    Statistics,
    TrendShown,
)
from dtclaims.harness.stats import CombinedVerdict, Predicate, Trend, Verdict, sizes
from dtclaims.harness.stats.composites import Said
from dtclaims.harness.stats.editions import TODAY, Edition
from dtclaims.harness.stats.intervals import FEWEST_SEEDS
from dtclaims.harness.stats.units import observations

Effects = Mapping[str, Mapping[int, float]]
"""Component → seed → effect."""

ALONE: Mapping[int, str] = {}
"""Each seed is an observation of its own."""

PARTS = TrendShown("parts", "all parts hold")
"""Stands for the trend of a claim that has only parts."""

PARTS_UNIT, PARTS_NAME = "none of its own", "its parts' verdicts"


OTHERWISE = "measured otherwise than in the paper"
ELSEWHERE = "this protocol tests another quantity than the paper reports"
"""Reasons why the paper's value is of another quantity than ours."""


@dataclass(frozen=True, kw_only=True)
class Declared:
    """What an entry says whatever the verdict: a claim under one protocol at one scale."""

    id: str
    section: str
    headline: bool
    quote: str
    scope: str
    """With where it was judged, if that is less than the claim is about."""
    protocol: str
    scale: str
    trends: Mapping[str, Trend | Predicate] = field(default_factory=dict)
    """By component; none for a claim that has only parts. Predicates of the first edition of the rule."""
    units: Mapping[str, str] = field(default_factory=dict)
    """By component."""
    any_of: tuple[frozenset[str], ...] = ()
    """Groups of components of which one suffices."""
    deciding: frozenset[str] | None = None
    """Components that have a say; None: all."""
    effect: str = PARTS_NAME
    """What is tested, in words."""
    paper: PaperValue
    deviations: tuple[str, ...] = ()
    switches: Free = field(default_factory=dict)
    measured: str = ""
    parts: tuple[str, ...] = ()
    """Ids of the claims that it is made of."""
    sizes: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """The paper's values of the effect, by component."""
    incomparable: str = ""
    """Why they cannot be compared with ours; empty where they can."""
    paper_data: tuple[PaperReading, ...] = ()
    reachable: Reach | None = None
    over: Over | None = None
    warnings: tuple[str, ...] = ()
    rule: str = TODAY.version

    def judge(
        self,
        effects: Effects,
        *,
        alpha: float,
        looks: int,
        level: float | None = None,
        rule: Edition = TODAY,
        unit_of: Mapping[int, str] = ALONE,
    ) -> CombinedVerdict:
        """The statistics' verdict on some effects.

        Args:
            effects: by component and seed.
            alpha: of the verdict over all looks, on each side.
            looks: at these data, this one included.
            level: what this look may spend of alpha, where looks were declared.
            rule: of the edition that the trends are of.
            unit_of: seed to what it is an observation of, where several are of one (`Factors.unit_of`).

        Raises:
            StatisticsError: as `judge_components` or `judge_parts`, or a seed without a unit.
        """
        return rule.components(
            self.observed(effects, unit_of),
            self.trends,
            any_of=self.any_of,
            deciding=self.deciding,
            alpha=alpha,
            looks=looks,
            level=level,
        )

    def observed(self, effects: Effects, unit_of: Mapping[int, str]) -> Effects:
        """One effect per independent observation: per seed, or per unit where several seeds are of one."""
        if not unit_of:
            return effects
        return {name: observations(one, unit_of, self.trends[name].kind) for name, one in effects.items()}


@dataclass(frozen=True)
class Basis:
    """What an entry rests on."""

    runs: tuple[RunUsed, ...] = ()
    diagnostics: Mapping[str, float | None] | None = None
    """None where the runs are not all there."""
    provenance: Free = field(default_factory=dict)


NOTHING = Basis()


def not_run(declared: Declared, reason: str, remedy: str | None, basis: Basis = NOTHING) -> Entry:
    """The entry of a claim that nothing was judged of, with the command that would change that."""
    return replace(_bare(declared, basis), reason=reason, remedy=remedy)


def failed(declared: Declared, reason: str, basis: Basis = NOTHING) -> Entry:
    """The entry of a claim that a run or a measurement failed of, or whose results do not belong together."""
    return replace(_bare(declared, basis), verdict="error", reason=reason)


def not_evaluable(declared: Declared, checks: Sequence[CheckShown], basis: Basis = NOTHING) -> Entry:
    """The entry of a claim that presupposes what was not shown here, with the checks that said so."""
    failing = [f"{one.name}: {one.reason}" for one in checks if one.verdict != "reproduced"]
    return replace(
        _bare(declared, basis),
        verdict="not_evaluable",
        reason="; ".join(failing),
        n=max((len(one.effect.per_seed) for one in checks), default=0),
        decided_by=tuple(one.name for one in checks if one.verdict != "reproduced"),
        checks=tuple(checks),
    )


@dataclass(frozen=True)
class Checked:
    """What a manipulation check declares."""

    name: str
    effect: str
    """What is checked, in words."""
    unit: str
    trend: Trend


def judge_check(
    check: Checked,
    effects: Effects,
    declared: Declared,
    *,
    alpha: float,
    rule: Edition = TODAY,
    unit_of: Mapping[int, str] = ALONE,
) -> CheckShown:
    """A manipulation check, judged by the claim's rule at the claim's alpha.

    Args:
        check: as declared.
        effects: by component, which are tasks here, and seed.
        declared: the claim, whose primary task decides here too.
        alpha: of the claim.
        rule: of the claim.
        unit_of: as in `Declared.judge`.
    """
    own = replace(
        declared,
        trends=dict.fromkeys(effects, check.trend),
        units=dict.fromkeys(effects, check.unit),
        any_of=(),
        deciding=None if declared.deciding is None else declared.deciding & effects.keys() or None,
    )
    combined = own.judge(effects, alpha=alpha, looks=1, rule=rule, unit_of=unit_of)
    # Shown is what decided first.
    decided = (combined.decided_by or tuple(effects))[0]
    shown = _effect(check.effect, check.unit, combined.components[decided], effects[decided])
    return CheckShown(check.name, combined.outcome, shown, TrendShown.of(check.trend), combined.reason)


def presupposed_is_missing(checks: Sequence[CheckShown], n: int) -> bool:
    """Whether a check was not passed: what too few seeds cannot show of a claim they cannot show of a check either.

    Args:
        checks: of a claim, judged.
        n: independent observations that they were judged on.
    """
    return n >= FEWEST_SEEDS and any(one.verdict != "reproduced" for one in checks)


def judged(
    declared: Declared,
    combined: CombinedVerdict,
    effects: Effects,
    basis: Basis = NOTHING,
    *,
    checks: Sequence[CheckShown] = (),
    unit_of: Mapping[int, str] = ALONE,
    level: float | None = None,
) -> Entry:
    """The entry of a claim with the statistics' verdict on its effects.

    Args:
        declared: with a trend and a unit for each component.
        combined: the verdict, as `Declared.judge` gives it.
        effects: what it is on.
        basis: what they rest on.
        checks: those that were passed.
        unit_of: as `Declared.judge` was given it.
        level: likewise.
    """
    observed, deciding = declared.observed(effects, unit_of), declared.deciding
    components = {
        name: Component(
            verdict.outcome,
            _effect(declared.effect, declared.units[name], verdict, effects[name]),
            TrendShown.of(declared.trends[name]),
            Statistics.of(verdict, level),
            _size(declared, name, observed[name], verdict.alpha),
            reported=deciding is not None and name not in deciding,
        )
        for name, verdict in combined.components.items()
    }
    # A claim of several components shows what decided it, or it would show a number beside another's verdict.
    first = components[next((name for name in combined.decided_by if name in components), next(iter(components)))]
    said = None if combined.p_against is None else ErrorProbabilities.of(combined)
    return replace(
        _bare(declared, basis),
        verdict=combined.outcome,
        reason=combined.reason,
        turn=combined.turn,
        decided_by=combined.decided_by,
        provisional=combined.provisional,
        n=next(iter(combined.components.values())).n,
        p_value=combined.p_value,
        tests=said,
        effect=first.effect,
        trend=first.trend,
        statistics=first.statistics,
        size=first.size,
        components=components if len(components) > 1 else {},
        checks=tuple(checks),
    )


def _size(declared: Declared, name: str, effects: Mapping[int, float], alpha: float) -> Size | None:
    trend, paper = declared.trends[name], declared.sizes.get(name, ())
    if isinstance(trend, Predicate):
        return None
    if not paper:
        return Size("not shown", "the paper does not show this effect")
    if declared.incomparable:
        return Size("not comparable", declared.incomparable)
    found = sizes.compare(effects, trend, paper, level=alpha)
    if found is None:
        return Size("not shown", f"fewer than {FEWEST_SEEDS} seeds, or an effect that is no number")
    against = {
        "prediction": f"the prediction interval for a mean of {len(paper)} seeds",
        "ours": "our interval",
        "exact": "the exact interval of our share",
    }[found.how]
    return Size(
        found.word,
        f"the paper's {found.paper:.4g} against {against}, [{found.low:.4g}, {found.high:.4g}]",
        found.low,
        found.high,
    )


def with_parts(
    declared: Declared, own: Entry | None, parts: Sequence[Entry], *, alpha: float, rule: Edition = TODAY
) -> Entry:
    """The entry of a claim that holds only if its parts do.

    Args:
        declared: the claim; of its parts those without an entry are said to be left out.
        own: the entry on its own effect, None if it has none.
        parts: the entries of its parts under the same protocol at the same scale.
        alpha: of the verdict, on each side.
        rule: says what they amount to.
    """
    others = [*([] if own is None else [own]), *parts]
    said = {part.id: _said(part) for part in parts}
    composite = rule.composite(
        said,
        own=None if own is None else _said(own),
        left_out=[name for name in declared.parts if name not in said],
        alpha=alpha,
    )
    remedies = [one.remedy for one in others if one.verdict == composite.outcome and one.remedy]
    entry = _bare(declared, NOTHING) if own is None else own
    return replace(
        entry,
        verdict=composite.outcome,
        reason=composite.reason,
        turn=composite.turn,
        decided_by=composite.decided_by,
        tests=None if composite.p_against is None else ErrorProbabilities.of(composite),
        provisional=composite.provisional,
        n=composite.n,
        parts=tuple(Part(part.id, part.verdict) for part in parts),
        runs=tuple({run.key: run for one in others for run in one.runs}.values()),
        remedy=remedies[0] if composite.outcome == "not_run" and remedies else None,
        provenance=entry.provenance or next((one.provenance for one in others if one.provenance), {}),
        p_value=composite.p_value,
    )


def _said(entry: Entry) -> Said:
    said = {} if entry.tests is None else vars(entry.tests)
    return Said(entry.verdict, entry.reason, entry.provisional, entry.n, entry.p_value, entry.turn, **said)


def _paper(declared: Declared) -> PaperValue:
    """What the paper reports; its numbers stand beside ours only where they are of the same quantity."""
    if not declared.incomparable.startswith((OTHERWISE, ELSEWHERE)):
        return declared.paper
    return replace(declared.paper, numbers=(), otherwise=declared.incomparable)


def _bare(declared: Declared, basis: Basis) -> Entry:
    trends = [TrendShown.of(one) for one in declared.trends.values()]
    return Entry(
        id=declared.id,
        section=declared.section,
        headline=declared.headline,
        quote=declared.quote,
        scope=declared.scope,
        protocol=declared.protocol,
        scale=declared.scale,
        verdict="not_run",
        reason="",
        provisional=False,
        n=0,
        effect=Effect.none(next(iter(declared.units.values()), PARTS_UNIT), declared.effect),
        statistics=None,
        components={},
        trend=next(iter(trends), PARTS),
        paper_data=declared.paper_data,
        reachable=declared.reachable,
        over=declared.over,
        warnings=declared.warnings,
        rule=declared.rule,
        paper_value=_paper(declared),
        deviations=declared.deviations,
        switches=declared.switches,
        measured=declared.measured,
        runs=basis.runs,
        remedy=None,
        provenance=basis.provenance,
        diagnostics=basis.diagnostics,
    )


def _effect(name: str, unit: str, verdict: Verdict, per_seed: Mapping[int, float]) -> Effect:
    # What the statistics refused is no number to show.
    shown = {} if verdict.outcome == "error" else dict(per_seed)
    return Effect(verdict.mean, verdict.low, verdict.high, shown, unit, name)
