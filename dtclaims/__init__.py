"""dtclaims: executable claims about pre-training for offline reinforcement learning.

What a claim file needs is here; everything else lives in the packages named in the README.
"""

from statistics import fmean as mean

from dtclaims.harness.declare.claim import Claim, Paper, claim, composite, limitation
from dtclaims.harness.lab import By, Need, by
from dtclaims.harness.stats import Predicate, above, below, equivalent, holds_in

__version__ = "0.1.0"

__all__ = [
    "By",
    "Claim",
    "Need",
    "Paper",
    "Predicate",
    "__version__",
    "above",
    "below",
    "by",
    "claim",
    "composite",
    "equivalent",
    "holds_in",
    "limitation",
    "mean",
]
