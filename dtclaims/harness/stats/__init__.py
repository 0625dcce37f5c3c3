"""Effects, predicates and verdicts: does a claim still hold? Needs numbers only, never torch."""

from dtclaims.harness.stats.components import CombinedVerdict, judge_components
from dtclaims.harness.stats.multiplicity import holm
from dtclaims.harness.stats.predicates import Predicate, above, below, equivalent, holds_in
from dtclaims.harness.stats.rules import Outcome
from dtclaims.harness.stats.verdict import Verdict, judge, judge_unpaired

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
