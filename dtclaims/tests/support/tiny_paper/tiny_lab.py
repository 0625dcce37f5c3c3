"""A lab of one number."""

from dtclaims import FunctionLab

LAB = FunctionLab("tiny")


@LAB.quantity
def reading(seed: int, side: str) -> float:
    """A number that depends on the seed only."""
    return (40.0 if side == "a" else 10.0) + seed
