"""Effects, trends and verdicts: does a claim still hold? Needs numbers only, never torch."""

from dtclaims.harness.stats.components import CombinedVerdict
from dtclaims.harness.stats.multiplicity import holm
from dtclaims.harness.stats.parts import judge_parts
from dtclaims.harness.stats.predicates import Predicate
from dtclaims.harness.stats.rules import Outcome
from dtclaims.harness.stats.trend_verdict import judge_trend
from dtclaims.harness.stats.trends import Trend
from dtclaims.harness.stats.verdict import Turn, Verdict
from dtclaims.harness.stats.whole import judge_whole

__all__ = [
    "CombinedVerdict",
    "Outcome",
    "Predicate",
    "Trend",
    "Turn",
    "Verdict",
    "holm",
    "judge_parts",
    "judge_trend",
    "judge_whole",
]
