"""The one place where an entry is made: of what a claim declares, and of what the statistics say.

Nothing here knows where effects come from, so that a session and a file of evidence say the same thing in the same
words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from dtclaims.harness.judge.entries import (
    Component,
    Effect,
    Entry,
    Free,
    PaperValue,
    Part,
    PredicateShown,
    RunUsed,
    Statistics,
)
from dtclaims.harness.stats import CombinedVerdict, Predicate, Verdict
from dtclaims.harness.stats.composites import Said
from dtclaims.harness.stats.editions import TODAY, Edition

Effects = Mapping[str, Mapping[int, float]]
"""Component → seed → effect."""

PARTS = PredicateShown("parts", None, "all parts hold")
"""Stands for the predicate of a claim that has only parts."""

PARTS_UNIT, PARTS_NAME = "none of its own", "its parts' verdicts"


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
    predicates: Mapping[str, Predicate] = field(default_factory=dict)
    """By component; none for a claim that has only parts."""
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

    def judge(
        self, effects: Effects, *, alpha: float, looks: int, level: float | None = None, rule: Edition = TODAY
    ) -> CombinedVerdict:
        """The statistics' verdict on some effects.

        Args:
            effects: by component.
            alpha: of the verdict over all looks, on each side.
            looks: at these data, this one included.
            level: what this look may spend of alpha, where looks were declared.
            rule: of the edition that the predicates are of.

        Raises:
            StatisticsError: as `judge_components` or `judge_parts`.
        """
        return rule.components(
            effects,
            self.predicates,
            any_of=self.any_of,
            deciding=self.deciding,
            alpha=alpha,
            looks=looks,
            level=level,
        )


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


def judged(declared: Declared, combined: CombinedVerdict, effects: Effects, basis: Basis = NOTHING) -> Entry:
    """The entry of a claim with the statistics' verdict on its effects.

    Args:
        declared: with a predicate and a unit for each component.
        combined: the verdict, as `Declared.judge` gives it.
        effects: what it is on.
        basis: what they rest on.
    """
    components = {
        name: Component(
            verdict.outcome,
            _effect(declared.effect, declared.units[name], verdict, effects[name]),
            PredicateShown.of(declared.predicates[name]),
            Statistics.of(verdict),
        )
        for name, verdict in combined.components.items()
    }
    first = next(iter(components.values()))
    return replace(
        _bare(declared, basis),
        verdict=combined.outcome,
        reason=combined.reason,
        provisional=combined.provisional,
        n=next(iter(combined.components.values())).n,
        p_value=combined.p_value,
        effect=first.effect,
        statistics=first.statistics,
        components=components if len(components) > 1 else {},
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
        verdict=composite.outcome,  # type: ignore[arg-type]  # "not_evaluable" is edition 2's
        reason=composite.reason,
        provisional=composite.provisional,
        n=composite.n,
        parts=tuple(Part(part.id, part.verdict) for part in parts),
        runs=tuple({run.key: run for one in others for run in one.runs}.values()),
        remedy=remedies[0] if composite.outcome == "not_run" and remedies else None,
        provenance=entry.provenance or next((one.provenance for one in others if one.provenance), {}),
        p_value=composite.p_value,
    )


def _said(entry: Entry) -> Said:
    return Said(entry.verdict, entry.reason, entry.provisional, entry.n, entry.p_value)


def _bare(declared: Declared, basis: Basis) -> Entry:
    predicates = [PredicateShown.of(one) for one in declared.predicates.values()]
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
        predicate=next(iter(predicates), PARTS),
        paper_value=declared.paper,
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
