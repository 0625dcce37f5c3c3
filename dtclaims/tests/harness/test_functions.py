"""A lab of functions: what can be declared, and what a need of it may be."""

import pytest

from dtclaims import FunctionLab, Need, Switch
from dtclaims.errors import MissingDependency, UsageError
from dtclaims.harness.lab import Circumstances, Wish, protocols_of


def lab() -> FunctionLab:
    one = FunctionLab("mine", switches=(Switch("tuning", "one", "both"),))

    @one.quantity
    def level(seed: int, tuning: str, base: float, more: float = 0.0) -> float:
        """A level."""
        return base + more + seed + (1.0 if tuning == "both" else 0.0)

    return one


def test_a_need_is_one_job_per_seed_switch_and_condition() -> None:
    """What it is and what the switches make of it stand apart; the value is the job's own."""
    one = lab()
    session = one.session(Wish(None, (), False, {}))
    keys = []
    for protocol in protocols_of(one.switches).values():
        at = Circumstances(protocol, session.scale, None, 3, (3,))
        reading = session.resolve(Need("level", base=2.0), at, device="cpu", precision="float32")
        (job,) = reading.jobs
        assert job.what == {"quantity": "level", "seed": 3, "scale": "all", "parameters": {"base": 2.0}}
        keys.append(job.how["switches"]["tuning"])
        assert not reading.derived
    assert keys == ["one", "both"]


@pytest.mark.parametrize("condition", [{}, {"bass": 1.0}, {"base": float("nan")}, {"base": object()}])
def test_a_condition_that_fits_nothing_is_refused(condition: dict[str, object]) -> None:
    """Words that the function lacks or needs, and values that are no plain data."""
    session = lab().session(Wish(None, (), False, {}))
    session.check(Need("level", base=1.0), session.scale)
    with pytest.raises(UsageError, match="level"):
        session.check(Need("level", **condition), session.scale)


def test_incomplete_quantities_are_refused() -> None:
    """No seed, no docstring, or a package that is not installed."""
    one = lab()
    with pytest.raises(UsageError, match="must take its seed"):

        @one.quantity
        def seedless(base: float) -> float:
            """Doc."""
            return base

    with pytest.raises(UsageError, match="no docstring"):

        @one.quantity
        def silent(seed: int) -> float:
            return 0.0

    with pytest.raises(MissingDependency, match="pip install no-such-package"):

        @one.quantity(packages=("no-such-package",))
        def absent(seed: int) -> float:
            """Doc."""
            return 0.0
