"""A made-up claim that holds and one that does not: no training, no data."""

from dtclaims import Need, Paper, above, claim


@claim(
    "TINY-1",
    section="1",
    quote="a is more than twice b",
    scope="everywhere",
    effect="a over b",
    unit="ratio",
    needs={"a": Need("reading", side="a"), "b": Need("reading", side="b")},
    trend=above(2.0),
    paper=Paper("3", (3.0,)),
)
def test_tiny_one(a: float, b: float) -> float:
    """a over b."""
    return a / b


@claim(
    "TINY-2",
    section="1",
    quote="a is more than ten times b",
    scope="everywhere",
    effect="a over b",
    unit="ratio",
    needs={"a": Need("reading", side="a"), "b": Need("reading", side="b")},
    trend=above(10.0),
    paper=Paper("30", (30.0,)),
)
def test_tiny_two(a: float, b: float) -> float:
    """a over b."""
    return a / b
