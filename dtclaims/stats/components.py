"""One claim about several components, such as three environments (statistics rule 8)."""

from collections.abc import Mapping
from dataclasses import dataclass

from dtclaims.errors import StatisticsError
from dtclaims.stats.predicates import Predicate
from dtclaims.stats.rules import Outcome
from dtclaims.stats.verdict import Verdict, judge


@dataclass(frozen=True)
class CombinedVerdict:
    """The verdict on a claim that says something of every component, and the verdicts it is made of."""

    outcome: Outcome
    reason: str
    provisional: bool
    p_value: float | None
    """The largest p of the components; None if one of them was not tested."""
    alpha: float
    looks: int
    components: Mapping[str, Verdict]
    """Each component judged alone, at alpha."""

    def to_json(self) -> dict[str, object]:
        """All fields as JSON types."""
        return {**vars(self), "components": {name: verdict.to_json() for name, verdict in self.components.items()}}


def judge_components(
    effects: Mapping[str, Mapping[int, float]],
    predicates: Mapping[str, Predicate] | Predicate,
    *,
    alpha: float = 0.05,
    looks: int = 1,
) -> CombinedVerdict:
    """Judge a claim made of every component: "in all three environments".

    It is reproduced only if every component is, each at alpha (an intersection-union test, which needs no
    correction). It is refuted if any of the k components is refuted at alpha / k, error if any is an error, and
    inconclusive otherwise. With one component it says what `judge` says.

    Args:
        effects: component to effects by seed.
        predicates: one for all components, or one for each.
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
    outcome, decisive = _combine(verdicts, effects, declared, alpha / len(effects), looks)
    single = len(effects) == 1
    p_values = [verdict.p_value for verdict in verdicts.values() if verdict.p_value is not None]
    return CombinedVerdict(
        outcome,
        "; ".join(verdict.reason if single else f"{name}: {verdict.reason}" for name, verdict in decisive.items()),
        provisional=all(verdict.provisional for verdict in verdicts.values()),
        p_value=max(p_values) if len(p_values) == len(verdicts) else None,
        alpha=alpha,
        looks=looks,
        components=verdicts,
    )


def _combine(
    verdicts: Mapping[str, Verdict],
    effects: Mapping[str, Mapping[int, float]],
    predicates: Mapping[str, Predicate],
    shared_alpha: float,
    looks: int,
) -> tuple[Outcome, Mapping[str, Verdict]]:
    """The outcome and the component verdicts that explain it."""
    if errors := {name: verdict for name, verdict in verdicts.items() if verdict.outcome == "error"}:
        return "error", errors
    strict = {
        name: judge(effects[name], predicates[name], alpha=shared_alpha, looks=looks)
        for name, verdict in verdicts.items()
        if verdict.outcome == "refuted"
    }
    if refuted := {name: verdict for name, verdict in strict.items() if verdict.outcome == "refuted"}:
        return "refuted", refuted
    unsettled = {
        name: strict.get(name, verdict) for name, verdict in verdicts.items() if verdict.outcome != "reproduced"
    }
    return ("inconclusive", unsettled) if unsettled else ("reproduced", verdicts)
