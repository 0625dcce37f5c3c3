"""What this paper's lab calls things in reports: plain data, which a report carries with it."""

SCALES = {
    "mini": "toy size: the pipeline works, and the direction at toy size",
    "small": "reduced size: a conceptual replication",
    "full": "the paper's size and length, on data and backbones of our own",
    "paper": "the paper's size; its own claim where weights and data are the paper's",
}
"""Each scale with what a verdict at it says, the smallest first."""

RUN = "arm, task, context length"
"""What tells runs apart beside the seed."""

VALUES = {"context": "K={}"}
"""How a value of a run's condition is written where it does not speak for itself."""
