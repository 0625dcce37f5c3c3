"""Evidence: the results behind a study's verdicts in one file that travels with the code, and judged from it."""

from dtclaims.harness.evidence.export import command_of, content_of, rounded, same_verdicts
from dtclaims.harness.evidence.file import (
    Evidence,
    EvidenceMeasurement,
    EvidenceRun,
    check_evidence,
    read_evidence,
    write_evidence,
)
from dtclaims.harness.evidence.gather import Gathered, gather
from dtclaims.harness.evidence.judge import Judged, judge_evidence

__all__ = [
    "Evidence",
    "EvidenceMeasurement",
    "EvidenceRun",
    "Gathered",
    "Judged",
    "check_evidence",
    "command_of",
    "content_of",
    "gather",
    "judge_evidence",
    "read_evidence",
    "rounded",
    "same_verdicts",
    "write_evidence",
]
