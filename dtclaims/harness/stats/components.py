"""One claim about several components, such as three environments (statistics rule 8)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.predicates import Predicate
from dtclaims.harness.stats.rules import Outcome
from dtclaims.harness.stats.verdict import Turn, Verdict, judge


@dataclass(frozen=True)
class CombinedVerdict:
    """The verdict on a claim that says something of every component, and the verdicts it is made of."""

    outcome: Outcome
    reason: str
    provisional: bool
    p_value: float | None
    """The largest p of the components; None if one of them has none.

    Edition 2: of those that have a say, and paid for the look (times alpha / level), as are all p below.
    """
    alpha: float
    looks: int
    components: Mapping[str, Verdict]
    """Each component judged alone, at what the look may spend of alpha."""
    decided_by: tuple[str, ...] = ()
    """The components that decided: what refuted it, all that had a say where it is reproduced, else what is open."""
    turn: Turn = ""
    """Why it is refuted."""
    p_t: float | None = None
    """As `p_value`, by t alone."""
    p_free: float | None = None
    """As `p_value`, assuming no distribution."""
    p_against: float | None = None
    """p of what would refute it, paid for the number of components and looks; from three seeds on."""
    gate_against: bool = False
    """Whether the seeds of the component that `p_against` is of are a proven majority on that side."""

    def to_json(self) -> dict[str, object]:
        """All fields as JSON types."""
        return {**vars(self), "components": {name: verdict.to_json() for name, verdict in self.components.items()}}


def judge_components(
    effects: Mapping[str, Mapping[int, float]],
    predicates: Mapping[str, Predicate] | Predicate,
    *,
    any_of: Iterable[frozenset[str]] = (),
    alpha: float = 0.05,
    looks: int = 1,
) -> CombinedVerdict:
    """Judge a claim made of every component: "in all three environments".

    It is reproduced only if every component is, each at alpha (an intersection-union test, which needs no
    correction). It is refuted if any of the k components is refuted at alpha / k, error if any is an error, and
    inconclusive otherwise. With one component it says what `judge` says.

    Of a group in `any_of` one component suffices ("improves on some"): of its k members one must be reproduced at
    alpha / k, and it is refuted only if every member is refuted, each at alpha / (number of requirements).

    Args:
        effects: component to effects by seed.
        predicates: one for all components, or one for each.
        any_of: disjoint groups of components.
        alpha: probability of a false verdict, on each side.
        looks: as in `judge`.

    Raises:
        StatisticsError: as `judge`; also no components, predicates for other components, or components with
            different seeds.
    """
    if not effects:
        raise StatisticsError("a claim needs a component to be judged on", given="none")
    declared = dict.fromkeys(effects, predicates) if isinstance(predicates, Predicate) else predicates
    if declared.keys() != effects.keys():
        raise StatisticsError("predicates and effects differ", given=sorted(declared), expected=sorted(effects))
    verdicts = {name: judge(effects[name], declared[name], alpha=alpha, looks=looks) for name in effects}
    if len({frozenset(component) for component in effects.values()}) > 1:
        raise StatisticsError(
            "the components have different seeds",
            given={name: sorted(component) for name, component in effects.items()},
            remedy="Run the missing ones, or give nan for a run that failed.",
        )
    groups = [group for group in any_of if len(group) > 1]
    grouped = {name for group in groups for name in group}
    requirements = [frozenset({name}) for name in effects if name not in grouped] + groups
    outcome, decisive = _combine(verdicts, effects, declared, requirements, alpha, looks)
    single = len(effects) == 1
    p_values = [p for group in requirements if (p := _group_p(verdicts, group)) is not None]
    return CombinedVerdict(
        outcome,
        "; ".join(verdict.reason if single else f"{name}: {verdict.reason}" for name, verdict in decisive.items()),
        provisional=all(verdict.provisional for verdict in verdicts.values()),
        p_value=max(p_values) if len(p_values) == len(requirements) else None,
        alpha=alpha,
        looks=looks,
        components=verdicts,
    )


def _group_p(verdicts: Mapping[str, Verdict], group: frozenset[str]) -> float | None:
    """p of "one of these holds": the smallest, times how many were tried (Bonferroni)."""
    p_values = [p for name in group if (p := verdicts[name].p_value) is not None]
    return min(1.0, min(p_values) * len(group)) if len(p_values) == len(group) else None


def _combine(
    verdicts: Mapping[str, Verdict],
    effects: Mapping[str, Mapping[int, float]],
    predicates: Mapping[str, Predicate],
    requirements: list[frozenset[str]],
    alpha: float,
    looks: int,
) -> tuple[Outcome, Mapping[str, Verdict]]:
    """The outcome and the component verdicts that explain it."""
    if errors := {name: verdict for name, verdict in verdicts.items() if verdict.outcome == "error"}:
        return "error", errors

    def at(level: float, names: Iterable[str]) -> dict[str, Verdict]:
        return {name: judge(effects[name], predicates[name], alpha=level, looks=looks) for name in sorted(names)}

    unsettled: dict[str, Verdict] = {}
    for group in requirements:
        strict = at(alpha / len(requirements), group)
        if all(verdict.outcome == "refuted" for verdict in strict.values()):
            return "refuted", strict
        shared = at(alpha / len(group), group)
        if not any(verdict.outcome == "reproduced" for verdict in shared.values()):
            unsettled |= {
                name: strict[name] if verdicts[name].outcome == "refuted" else shared[name] for name in sorted(group)
            }
    return ("inconclusive", unsettled) if unsettled else ("reproduced", verdicts)
