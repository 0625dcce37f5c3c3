"""dtclaims: executable claims about pre-training for offline reinforcement learning.

What a claim file needs is here; everything else lives in the packages named in the README.
"""

from statistics import fmean as mean
from typing import TYPE_CHECKING

from dtclaims.harness.declare.claim import ALL_TASKS, By, Claim, Need, Paper, by, claim, composite, limitation
from dtclaims.harness.stats import Predicate, above, below, equivalent, holds_in

if TYPE_CHECKING:
    from dtclaims.harness.declare.experiments import Experiment, experiment
else:

    def __getattr__(name):
        # Experiments load numpy; this package is imported by every pytest session that has the plugin installed.
        if name not in ("Experiment", "experiment"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from dtclaims.harness.declare import experiments

        return getattr(experiments, name)


__version__ = "0.1.0"

__all__ = [
    "ALL_TASKS",
    "By",
    "Claim",
    "Experiment",
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
    "experiment",
    "holds_in",
    "limitation",
    "mean",
]
