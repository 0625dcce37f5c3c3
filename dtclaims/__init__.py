"""dtclaims: executable claims about pre-training for offline reinforcement learning.

What a claim file needs is here; everything else lives in the packages named in the README.
"""

from statistics import fmean as mean
from typing import TYPE_CHECKING

from dtclaims.harness.declare.claim import Claim, Paper, claim, composite, limitation
from dtclaims.harness.lab import By, Need, Scale, Switch, by
from dtclaims.harness.stats import Predicate, above, below, equivalent, holds_in

if TYPE_CHECKING:
    from dtclaims.harness.functions import FunctionLab
else:

    def __getattr__(name):
        # Only a paper's own lab needs it.
        if name != "FunctionLab":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from dtclaims.harness.functions import FunctionLab

        return FunctionLab


__version__ = "0.1.0"

__all__ = [
    "By",
    "Claim",
    "FunctionLab",
    "Need",
    "Paper",
    "Predicate",
    "Scale",
    "Switch",
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
