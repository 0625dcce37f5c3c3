"""Effects, predicates and verdicts: does a claim still hold? Needs numbers only, never torch."""

from dtclaims.stats.components import CombinedVerdict, judge_components
from dtclaims.stats.multiplicity import holm
from dtclaims.stats.predicates import Predicate, above, below, equivalent, holds_in
from dtclaims.stats.rules import Outcome
from dtclaims.stats.verdict import Verdict, judge, judge_unpaired

__all__ = [
    "CombinedVerdict",
    "Outcome",
    "Predicate",
    "Verdict",
    "above",
    "below",
    "equivalent",
    "holds_in",
    "holm",
    "judge",
    "judge_components",
    "judge_unpaired",
]
