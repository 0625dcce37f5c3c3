"""The claims of a made-up paper: that momentum makes gradient descent faster, here and everywhere.

Its lab is `toy_lab.py` beside this file. `published` does as the authors did, `corrected` tunes both methods. One claim
survives that, another does not.
"""

from dtclaims import Need, Paper, above, claim, in_most_seeds


@claim(
    "TOY-1-ill-conditioned",
    section="3",
    headline=True,
    quote="On ill-conditioned problems, momentum needs less than half the steps of gradient descent.",
    scope="condition number 300",
    effect="steps without momentum over steps with it",
    unit="ratio",
    needs={
        "plain": Need("steps", condition=300.0, momentum=False),
        "momentum": Need("steps", condition=300.0, momentum=True),
    },
    trend=above(2.0),
    paper=Paper("300 times fewer", (300.0,)),
)
def test_ill_conditioned(plain: int, momentum: int) -> float:
    """How many times more steps the baseline takes."""
    return plain / momentum


@claim(
    "TOY-2-everywhere",
    section="4",
    quote="Even on well-conditioned problems, momentum is never slower.",
    scope="condition number 2",
    effect="steps without momentum over steps with it",
    unit="ratio",
    needs={
        "plain": Need("steps", condition=2.0, momentum=False),
        "momentum": Need("steps", condition=2.0, momentum=True),
    },
    trend=above(1.0),
    paper=Paper("3 times fewer", (3.0,)),
)
def test_everywhere(plain: int, momentum: int) -> float:
    """How many times more steps the baseline takes."""
    return plain / momentum


@claim(
    "TOY-3-unstable",
    section="4",
    quote="Beyond a step size of 2, gradient descent diverges.",
    scope="condition number 2, step size 2.1",
    effect="gradient descent ends farther away than it began",
    unit="share of seeds",
    needs={"diverges": Need("diverges", condition=2.0, step_size_tried=2.1)},
    trend=in_most_seeds(),
    paper=Paper("always", (1.0,)),
)
def test_unstable(diverges: bool) -> float:
    """Whether it diverges."""
    return float(diverges)
