"""Evidence: what a study's verdicts rest on, in one file that travels with the code, and judged from it.

What is here needs the file alone. Making one is in `export`, `freeze` and `gather`, judging one by today's claims in
`restated`: those need the claims and what they are about.
"""

from dtclaims.harness.evidence.contents import Evidence, EvidenceMeasurement, EvidenceRun
from dtclaims.harness.evidence.file import (
    check_evidence,
    files_in,
    files_of,
    load,
    name_of,
    read_evidence,
    write_evidence,
)
from dtclaims.harness.evidence.frozen import Frozen, FrozenCell, FrozenClaim, FrozenComponent
from dtclaims.harness.evidence.judge import Judged, judge_evidence, judge_frozen

__all__ = [
    "Evidence",
    "EvidenceMeasurement",
    "EvidenceRun",
    "Frozen",
    "FrozenCell",
    "FrozenClaim",
    "FrozenComponent",
    "Judged",
    "check_evidence",
    "files_in",
    "files_of",
    "judge_evidence",
    "judge_frozen",
    "load",
    "name_of",
    "read_evidence",
    "write_evidence",
]
