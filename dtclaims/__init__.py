"""dtclaims: executable claims about pre-training for offline reinforcement learning.

What a claim file needs is here; everything else lives in the packages named in the README.
"""

from statistics import fmean as mean
from typing import TYPE_CHECKING

from dtclaims.harness.declare.claim import Check, Claim, Paper, check, claim, composite, limitation
from dtclaims.harness.lab import By, Need, Scale, Switch, by
from dtclaims.harness.stats.trends import (
    Trend,
    above,
    below,
    equivalent,
    exists,
    in_most_seeds,
    in_some_seeds,
    level_above,
    level_below,
    not_above,
    not_below,
)

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
    "Check",
    "Claim",
    "FunctionLab",
    "Need",
    "Paper",
    "Scale",
    "Switch",
    "Trend",
    "__version__",
    "above",
    "below",
    "by",
    "check",
    "claim",
    "composite",
    "equivalent",
    "exists",
    "in_most_seeds",
    "in_some_seeds",
    "level_above",
    "level_below",
    "limitation",
    "mean",
    "not_above",
    "not_below",
]
