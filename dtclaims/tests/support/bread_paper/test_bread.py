"""The claims of a made-up paper: one that holds, one that falls with the oven, and some that are not to be had."""

from dtclaims import Need, Paper, above, below, check, claim, composite


@check("the dough lives", needs={"short": Need("rise", hours=1)}, trend=above(1.0), unit="mm")
def lives(short: float) -> float:
    """How far it rises in an hour."""
    return short


@claim(
    "BREAD-1-longer",
    section="2",
    headline=True,
    quote="The longer it proves, the higher it stands.",
    scope="rye, 8 hours",
    effect="rise in 8 hours over rise in 4",
    unit="mm",
    needs={"long": Need("rise", hours=8), "short": Need("rise", hours=4)},
    trend=above(0.0),
    paper=Paper("12 mm", (12.0,)),
)
def test_longer(long: float, short: float) -> float:
    """How much higher the longer one stands."""
    return long - short


@claim(
    "BREAD-2-high",
    section="2",
    quote="After four hours it stands well above the tin.",
    scope="4 hours",
    effect="rise in 4 hours",
    unit="mm",
    needs={"rise": Need("rise", hours=4)},
    trend=above(5.0),
    paper=Paper("12 mm", (12.0,)),
    deviations=(3,),
)
def test_high(rise: float) -> float:
    """How far it rises."""
    return rise


@claim(
    "BREAD-3-both-flours",
    section="3",
    quote="Rye and spelt alike.",
    scope="rye and spelt",
    effect="rise in 8 hours",
    unit="mm",
    needs={"rye": Need("rise", task="rye", hours=8), "spelt": Need("rise", task="spelt", hours=8)},
    trend=above(0.0),
    paper=Paper("24 mm", (24.0,)),
    tasks=(),
)
def test_both(rye: float, spelt: float) -> float:
    """The smaller of the two."""
    return min(rye, spelt)


@claim(
    "BREAD-4-crust",
    section="3",
    quote="The crust stays thin.",
    scope="a whole load",
    effect="thickness",
    unit="mm",
    needs={"crust": Need("crust")},
    trend=below(4.0),
    paper=Paper("2 mm", (2.0,)),
)
def test_crust(crust: float) -> float:
    """How thick it is."""
    return crust


@claim(
    "BREAD-5-alive",
    section="3",
    quote="A living dough needs no more than an hour.",
    scope="1 hour",
    effect="rise in an hour",
    unit="mm",
    needs={"rise": Need("rise", hours=1)},
    trend=above(2.0),
    paper=Paper("3 mm", (3.0,)),
    checks=(lives,),
)
def test_alive(rise: float) -> float:
    """How far it rises."""
    return rise


@claim(
    "BREAD-6-lighter",
    section="4",
    quote="What proves longer weighs less.",
    scope="8 hours",
    effect="loss of weight from 4 to 8 hours",
    unit="g",
    needs={"long": Need("weight", hours=8), "short": Need("weight", hours=4)},
    trend=above(0.0),
    paper=Paper("4 g", (4.0,)),
)
def test_lighter(long: float, short: float) -> float:
    """How much lighter the longer one is."""
    return short - long


@claim(
    "BREAD-7-slices",
    section="4",
    quote="And it feeds more.",
    scope="8 hours",
    effect="slices after 8 hours over those after 4",
    unit="slices",
    needs={"long": Need("slices", hours=8), "short": Need("slices", hours=4)},
    trend=above(0.0),
    paper=Paper("4", (4.0,)),
)
def test_slices(long: int, short: int) -> float:
    """How many more there are."""
    return float(long - short)


BREAD = composite(
    "BREAD-all",
    section="abstract",
    headline=True,
    quote="Longer proving is always better.",
    parts=("BREAD-1-longer", "BREAD-2-high"),
    scope="all",
    paper=Paper("yes"),
)
