"""Every error dtclaims raises on purpose.

DtclaimsError
├── UsageError              an option, name or argument that cannot be used
├── MissingDependency       an optional package that is not importable
├── DataError               trajectories or a data file that break the format
│   └── WrongTask               data of another task than the one asked for
├── FixtureError            a shipped file that is absent or is not the recorded one
├── BackboneError           a checkpoint that does not fit the network it is read into
├── SimulatorError          an environment or physics version that cannot be used
├── MeasurementError        input a measurement cannot be taken on
│   └── UndefinedMeasurement    valid input on which the quantity has no value
├── StatisticsError         effects or predicates that cannot be judged
├── StoreError              a run store, or a file in it, that cannot be used
│   ├── StoreLocked             what another process is making, or has taken over
│   ├── NotPermitted            what this user may not read or write; it may be sound
│   ├── NotThere                what should be there and is not
│   ├── Damaged                 what is not as it was written
│   └── OtherVersion            what another version of dtclaims wrote
├── PoolingError            results of different versions, which are never judged together
├── RunFailed               a training run that ended without a result
└── ReportError             a report file that cannot be read, merged or written
"""

import sys

STOPS = (KeyboardInterrupt, GeneratorExit)
"""Raised from outside, to end whatever runs. All else that code raises is that code's own, `sys.exit` too."""


class DtclaimsError(Exception):
    """Base of all errors raised on purpose.

    The message has three parts, because a reader needs all three: what was `given`, what was
    `expected`, and the `remedy`. Parts that do not apply are left out.
    """

    def __init__(
        self,
        problem: str,
        *,
        given: object = None,
        expected: object = None,
        remedy: str | None = None,
    ) -> None:
        self.problem = problem
        self.given = given
        self.expected = expected
        self.remedy = remedy
        text = problem.rstrip(".")
        if given is not None:
            text += f": got {given}"
        if expected is not None:
            text += f", expected {expected}" if given is not None else f": expected {expected}"
        text += "."
        if remedy is not None:
            text += f" {remedy}"
        super().__init__(text)

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments do not survive the default reduction, and errors cross processes.
        parts = {"given": self.given, "expected": self.expected, "remedy": self.remedy}
        return (_rebuild, (type(self), self.problem, parts))


def _rebuild(kind: type[DtclaimsError], problem: str, parts: dict[str, object]) -> DtclaimsError:
    return kind(problem, **parts)  # type: ignore[arg-type]


class UsageError(DtclaimsError):
    """An option, name or argument that cannot be used."""


def words_of(error: BaseException) -> str:
    """Its kind and what it says; one of other people's code may fail at saying anything."""
    try:
        text = str(error)
    except Exception as failed:
        text = f"its text cannot be had ({type(failed).__name__})"
    return f"{type(error).__name__}: {text}".removesuffix(": ")


def no_docstring(of: str) -> UsageError:
    """What is raised of something whose docstring says what is measured, and that has none."""
    stripped = sys.flags.optimize >= 2
    return UsageError(
        f"{of} has no docstring",
        given="a Python that leaves them out" if stripped else None,
        expected="what is measured, in our words",
        remedy="Run it without -OO and PYTHONOPTIMIZE=2." if stripped else None,
    )


class MissingDependency(DtclaimsError):
    """An optional package that is not importable here."""


class DataError(DtclaimsError):
    """Trajectories or a data file that break the expected format."""


class WrongTask(DataError):
    """Data of another task than the one asked for."""


class FixtureError(DtclaimsError):
    """A shipped file that is absent or whose content is not the recorded one."""


class BackboneError(DtclaimsError):
    """A checkpoint that does not fit the network it is read into."""


class SimulatorError(DtclaimsError):
    """An environment or physics version that cannot be used."""


class MeasurementError(DtclaimsError):
    """Input that a measurement cannot be taken on."""


class UndefinedMeasurement(MeasurementError):
    """Valid input on which the measured quantity has no value (0/0)."""


class StatisticsError(DtclaimsError):
    """Effects or predicates that cannot be judged."""


class StoreError(DtclaimsError):
    """A run store, or a file in it, that cannot be used."""


class StoreLocked(StoreError):
    """A run or measurement that another process is making, or has taken over."""


class NotPermitted(StoreError):
    """What this user may not read or write. It may be sound: nothing of it is deleted or made again."""


class NotThere(StoreError):
    """A file that should be there and is not."""


class Damaged(StoreError):
    """A file that is not as it was written."""


class OtherVersion(StoreError):
    """A file that another version of dtclaims wrote, in a form that this one does not read."""


class PoolingError(DtclaimsError):
    """Results of different simulator, data or score-reference versions: never judged together."""


class RunFailed(DtclaimsError):
    """A training run that ended without a result."""


class ReportError(DtclaimsError):
    """A report file that cannot be read, merged or written."""
