"""A claim: the paper's sentence as data, and the effect that tests it.

A claim is a declaration and a short function. The declaration names what the function needs, each
need one measurement of one run; the function gets their values for one seed and returns one number,
positive in the direction the paper states. Everything else (which runs that means under a protocol,
training them, judging, reporting) follows from the declaration.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dtclaims.errors import UsageError
from dtclaims.stats import Predicate

Effect = Callable[..., float | Mapping[str, float]]


@dataclass(frozen=True)
class Need:
    """One measurement of one run of the claim's seed."""

    measurement: str
    """Name in `dtclaims.measurements.MEASUREMENTS`."""
    arm: str
    context: int | Mapping[str, int]
    """K, or K by protocol where the protocols read different runs."""
    task: str = "hopper"
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def context_under(self, protocol: str) -> int:
        """K under a protocol."""
        return self.context if isinstance(self.context, int) else self.context[protocol]


@dataclass(frozen=True)
class Paper:
    """What the paper reports: as a reader would quote it, and the bare numbers that can be plotted."""

    text: str
    numbers: tuple[float, ...] = ()


@dataclass(frozen=True)
class Claim:
    """One inventoried finding. Made by the decorator `claim`."""

    id: str
    section: str
    headline: bool
    quote: str
    scope: str
    effect: str
    """What the number per seed is, in words."""
    units: Mapping[str, str]
    """Of the effect, by component."""
    needs: Mapping[str, Need]
    predicates: Mapping[str, Predicate]
    """By component; a claim of one part has the single component `effect`."""
    paper: Paper
    deviations: tuple[str, ...]
    function: Effect
    doc: str

    def __call__(self, **values: Any) -> dict[str, float]:
        """The effect of one seed, by component."""
        result = self.function(**values)
        if not isinstance(result, Mapping):
            result = {"effect": result}
        if set(result) != set(self.predicates):
            raise UsageError(
                f"claim {self.id} returned other components than it declares",
                given=sorted(result),
                expected=sorted(self.predicates),
            )
        return {name: float(result[name]) for name in self.predicates}

    def to_json(self) -> dict[str, Any]:
        """The declaration as plain data (`dtclaims claims --json`)."""
        return {
            "id": self.id,
            "section": self.section,
            "headline": self.headline,
            "quote": self.quote,
            "scope": self.scope,
            "effect": self.effect,
            "units": dict(self.units),
            "predicates": {name: predicate.to_json() for name, predicate in self.predicates.items()},
            "paper_value": {"text": self.paper.text, "numbers": list(self.paper.numbers)},
            "deviations": list(self.deviations),
            "needs": {
                name: {
                    "measurement": need.measurement,
                    "arm": need.arm,
                    "task": need.task,
                    "context": need.context if isinstance(need.context, int) else dict(need.context),
                }
                for name, need in self.needs.items()
            },
            "measured": self.doc,
        }


def claim(
    id: str,
    *,
    section: str,
    quote: str,
    scope: str,
    effect: str,
    unit: str | Mapping[str, str],
    needs: Mapping[str, Need],
    predicate: Predicate | Mapping[str, Predicate],
    paper: Paper,
    deviations: tuple[int, ...],
    headline: bool = False,
) -> Callable[[Effect], Claim]:
    """Declare the claim that the decorated function tests.

    Args:
        id: the inventory's id.
        section: of the paper.
        quote: the paper's sentence.
        scope: tasks, contexts, epochs and token it is tested on.
        effect: the number per seed, in words.
        unit: of that number; by component where they differ.
        needs: what the function takes, by parameter name.
        predicate: what must hold of the effect; several named ones if the claim has several parts.
        paper: the paper's own value.
        deviations: numbers of the audit items (DEV-nn) that threaten it.
        headline: feeds a headline of the paper.

    Raises:
        UsageError: a needless or nameless parameter, no predicate, no docstring.
    """

    def declare(function: Effect) -> Claim:
        parameters = list(inspect.signature(function).parameters)
        if set(parameters) != set(needs):
            raise UsageError(f"claim {id} must take what it needs", given=parameters, expected=sorted(needs))
        predicates = {"effect": predicate} if isinstance(predicate, Predicate) else dict(predicate)
        if not predicates:
            raise UsageError(f"claim {id} has no predicate", expected="what must hold of its effect")
        units = dict.fromkeys(predicates, unit) if isinstance(unit, str) else dict(unit)
        if set(units) != set(predicates):
            raise UsageError(f"claim {id} needs a unit per component", given=sorted(units), expected=sorted(predicates))
        if not function.__doc__:
            raise UsageError(f"claim {id} has no docstring", expected="what is measured, in our words")
        return Claim(
            id=id,
            section=section,
            headline=headline,
            quote=quote,
            scope=scope,
            effect=effect,
            units=units,
            needs=needs,
            predicates=predicates,
            paper=paper,
            deviations=tuple(f"DEV-{number:02d}" for number in deviations),
            function=function,
            doc=re.sub(r"\s+", " ", function.__doc__).strip(),
        )

    return declare
