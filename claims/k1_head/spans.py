"""What the experiments without context have in common: spans, units, sentences, and what a head start is."""

from collections.abc import Callable

from dtclaims import Claim, Paper, above

Declare = Callable[[Callable[..., float]], Claim]

EQUAL_EPS = 1e-8
LATE = {"first": 8, "last": 10}
EARLY = {"first": 1, "last": 10}

HEAD_START = above(
    0.0,
    interest=5,
    why="About twice the spread of two seeds in Tables 1 and 2 for a model that learns (2.5 and 3 points).",
)

NO_NUMBER = Paper("not tested in the paper")
POINTS = "normalised points"
IMITATED = 10.0
WHY_IMITATED = "A quarter of what the data score (40 and more): below it they are hardly imitated."
FASTER = "GPT2 reaches the high mean return much faster than the randomly initialized model"
FAILS = "the randomly initialized model fails to learn the trajectory for a dataset (Hopper)"
LIKE_CONTEXT = "already acquired some kind of context-like information through pre-training"
