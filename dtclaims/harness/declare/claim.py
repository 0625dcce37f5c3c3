"""A claim: the paper's sentence as data, and the effect that tests it.

A claim is a declaration and a short function. The declaration names what the function needs, each need a quantity under
a condition; the function gets their values for one seed (and one task) and returns one number, positive in the
direction the paper states. Everything else (which jobs that means under a protocol, doing them, judging, reporting)
follows from the declaration.
"""

import inspect
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, get_args

from dtclaims.errors import STOPS, UsageError, no_docstring, words_of
from dtclaims.harness.declare.unplugged import Unplugged
from dtclaims.harness.lab import Need, ProtocolName, Setting
from dtclaims.harness.stats.trends import Trend

Effect = Callable[..., float | Mapping[str, float]]

SINGLE = "effect"
"""Name of the only part of a claim that has one part."""


@dataclass(frozen=True)
class Paper:
    """What the paper reports: as a reader would quote it, and its value for the same effect (the claim's size).

    Raises:
        UsageError: a text that is none, or numbers that are no sequence of finite ones, by task or not.
    """

    text: str
    numbers: tuple[float, ...] | Mapping[str, tuple[float, ...]] = ()
    """By task where the claim is tested on several; of a claim of several parts one number for each. Needed only where
    the lab does not have the paper's own values (`Lab.published`)."""
    unit: str | None = None
    """Of the numbers; None is the effect's own, and no other can be compared with it."""

    def __post_init__(self) -> None:
        _check_text("what the paper reports", self.text)
        by_task = self.numbers if isinstance(self.numbers, Mapping) else {"": self.numbers}
        if not all(isinstance(said, tuple | list) and all(map(_finite, said)) for said in by_task.values()):
            raise UsageError(
                "the paper's numbers cannot be compared with",
                given=repr(self.numbers),
                expected="finite numbers, one too with a comma: (300.0,); by task where there are several",
            )

    def to_json(self) -> dict[str, Any]:
        """The value as plain data."""
        if isinstance(self.numbers, Mapping):
            return {"text": self.text, "numbers": {task: list(found) for task, found in self.numbers.items()}}
        return {"text": self.text, "numbers": list(self.numbers)}


@dataclass(frozen=True)
class Check:
    """What must be true before a claim is evaluable (a manipulation check). Made by the decorator `check`.

    It is judged like a claim, on the claim's own runs and seeds; where it is not shown, the claim is *not evaluable*.
    It must not use an outcome that the claim or its sentence asserts.
    """

    name: str
    """What must be true, in words: "the image arm collapses"."""
    needs: Mapping[str, Need]
    """Of the claim's own runs: other quantities may be read of them."""
    trend: Trend
    unit: str
    function: Callable[..., float]
    doc: str

    def __call__(self, **values: Any) -> float:
        """What is checked, of one seed on one task.

        Raises:
            UsageError: as `_called`; and whatever the function raises.
        """
        return float(_called(self.function, values))

    def to_json(self) -> dict[str, Any]:
        """The check as plain data."""
        return {
            "name": self.name,
            "needs": {name: need.to_json() for name, need in self.needs.items()},
            "trend": self.trend.to_json(),
            "unit": self.unit,
            "measured": self.doc,
        }


def check(name: str, *, needs: Mapping[str, Need], trend: Trend, unit: str) -> Callable[[Callable[..., float]], Check]:
    """Declare the manipulation check that the decorated function computes.

    Args:
        name: what must be true, in words.
        needs: what the function takes, by parameter name.
        trend: what must hold of it.
        unit: of its number.

    Raises:
        UsageError: a needless or nameless parameter, or no docstring.
    """

    def declare(function: Callable[..., float]) -> Check:
        _check_parameters(f"check {name!r}", function, needs)
        return Check(name, dict(needs), trend, unit, function, _doc(f"check {name!r}", function))

    return declare


@dataclass(frozen=True)
class Form:
    """How a claim is tested: what it needs, the effect, its trend."""

    effect: str
    """What the number per seed is, in words."""
    units: Mapping[str, str]
    """Of the effect, by part."""
    needs: Mapping[str, Need]
    trends: Mapping[str, Trend]
    """By part; a claim of one part has the single part `effect`."""
    any_of: frozenset[str]
    """Parts that need to hold on one task only; the others must hold on every task."""
    checks: tuple[Check, ...]
    """What must be true before it is evaluable."""
    function: Effect
    doc: str

    def __call__(self, **values: Any) -> dict[str, float]:
        """The effect of one seed on one task, by part.

        Raises:
            UsageError: other parts than are declared, or as `_called`; and whatever the function raises.
        """
        result = _called(self.function, values)
        if not isinstance(result, Mapping):
            result = {SINGLE: result}
        if set(result) != set(self.trends):
            raise UsageError(
                f"{self.function.__name__} returned other parts than it declares",
                given=sorted(result),
                expected=sorted(self.trends),
            )
        return {name: float(result[name]) for name in self.trends}

    def to_json(self) -> dict[str, Any]:
        """The form as plain data."""
        return {
            "effect": self.effect,
            "units": dict(self.units),
            "trends": {name: trend.to_json() for name, trend in self.trends.items()},
            "any_of": sorted(self.any_of),
            "checks": [one.to_json() for one in self.checks],
            "needs": {name: need.to_json() for name, need in self.needs.items()},
            "measured": self.doc,
        }


@dataclass(frozen=True)
class Claim(Unplugged):
    """One inventoried finding. Made by the decorator `claim`, or by `composite`."""

    id: str
    section: str
    headline: bool
    quote: str
    scope: str
    tasks: tuple[str, ...] | None
    """Tasks it must hold on, each tested alone; None means the lab's first. A claim that compares tasks has none here
    and names them in its needs."""
    primary: str | None
    """The task that decides, where the sentence is about one and the others are reported beside it; None: all do."""
    paper: Paper
    deviations: tuple[str, ...]
    parts: tuple[str, ...]
    """Ids of claims that must hold too."""
    form: Form | None
    """None for a claim made of its parts alone."""
    protocols: tuple[ProtocolName, ...]
    """Where it can be tested."""
    file: Path
    line: int
    corrections: Mapping[str, Form] = field(default_factory=dict)
    """Switch → the form that replaces `form` where that switch is corrected."""

    def __post_init__(self) -> None:
        # Said here, by name: what only the report refuses is found when everything has been measured.
        _check_text("a claim's id", self.id)
        if not self.id.strip():
            raise UsageError("a claim's id says nothing", given=repr(self.id), expected="a word, like no other's")
        for name in ("section", "quote", "scope"):
            _check_text(f"{name} of claim {self.id}", getattr(self, name))
        _check_items(self.id, "tasks", self.tasks or (), str)
        _check_items(self.id, "parts", self.parts, str)
        _check_items(self.id, "protocols", self.protocols, str)
        if not set(self.protocols) <= set(get_args(ProtocolName)):
            raise UsageError(
                f"claim {self.id} has a protocol that there is not",
                given=", ".join(self.protocols),
                expected=" or ".join(get_args(ProtocolName)),
            )
        if not isinstance(self.headline, bool):
            raise UsageError(f"headline of claim {self.id}", given=repr(self.headline), expected="True or False")

    def under(self, protocol: Setting) -> Form | None:
        """How the claim is tested under a protocol."""
        for switch, form in self.corrections.items():
            if protocol.corrects(switch):
                return form
        return self.form

    def corrected(
        self,
        switch: str,
        *,
        effect: str,
        needs: Mapping[str, Need],
        trend: Trend | Mapping[str, Trend],
        unit: str | Mapping[str, str],
        any_of: tuple[str, ...] = (),
        checks: tuple[Check, ...] = (),
    ) -> "Callable[[Effect], Claim]":
        """The claim with another effect for where `switch` is corrected; the function it is called on computes that.

        For the few claims whose valid test is a different statistic, not the same one measured better:
        `test_it = test_it.corrected("switch", …)(function)`.
        """

        def declare(function: Effect) -> Claim:
            form = _form(self.id, function, effect, unit, needs, trend, any_of, checks)
            return replace(self, corrections={**self.corrections, switch: form})

        return declare

    def to_json(self) -> dict[str, Any]:
        """The declaration as plain data (`dtclaims claims --json`)."""
        return {
            "id": self.id,
            "section": self.section,
            "headline": self.headline,
            "quote": self.quote,
            "scope": self.scope,
            "tasks": None if self.tasks is None else list(self.tasks),
            "primary": self.primary,
            "paper_value": self.paper.to_json(),
            "deviations": list(self.deviations),
            "parts": list(self.parts),
            "protocols": list(self.protocols),
            "test": self.form.to_json() if self.form else None,
            "corrections": {switch: form.to_json() for switch, form in self.corrections.items()},
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
    trend: Trend | Mapping[str, Trend],
    paper: Paper,
    deviations: tuple[int, ...] = (),
    headline: bool = False,
    tasks: tuple[str, ...] | None = None,
    primary: str | None = None,
    any_of: tuple[str, ...] = (),
    checks: tuple[Check, ...] = (),
    parts: tuple[str, ...] = (),
    protocols: tuple[ProtocolName, ...] = ("published", "corrected"),
) -> Callable[[Effect], Claim]:
    """Declare the claim that the decorated function tests.

    Args:
        id: the inventory's id.
        section: of the paper.
        quote: the paper's sentence.
        scope: contexts, epochs and token it is tested on.
        effect: the number per seed, in words.
        unit: of that number; by part where they differ.
        needs: what the function takes, by parameter name.
        trend: what the sentence says of the effect; several named ones if the claim has several parts.
        paper: the paper's own value.
        deviations: numbers of the audit items (DEV-nn) that threaten it.
        headline: feeds a headline of the paper.
        tasks: that it must hold on, each tested alone; empty if the needs name tasks of their own. Default: the lab's
            first, if it has any.
        primary: the one of them that decides, where the sentence is about it; the others are reported.
        any_of: parts that need to hold on one task only.
        checks: what must be true before the claim is evaluable.
        parts: ids of claims that must hold too.
        protocols: under which it can be tested.

    Raises:
        UsageError: a needless or nameless parameter, no trend, no docstring, tasks given twice or not at all, a primary
            task that is none of them, or the paper's value in another unit.
    """

    def declare(function: Effect) -> Claim:
        form = _form(id, function, effect, unit, needs, trend, any_of, checks)
        _check_size(id, paper, form)
        own_tasks = [need.task for need in needs.values() if need.task is not None]
        chosen = () if tasks is None and own_tasks else tasks
        if (own_tasks and (chosen or len(own_tasks) < len(needs))) or (chosen == () and not own_tasks):
            raise UsageError(
                f"claim {id} names its tasks in two ways, or not at all",
                given=f"tasks {chosen}, needs with a task {own_tasks}",
                expected="either tasks, or a task in every need",
            )
        if primary is not None and primary not in (chosen or ()):
            raise UsageError(
                f"claim {id} has a primary task that it is not tested on", given=primary, expected=f"one of {chosen}"
            )
        return Claim(
            id=id,
            section=section,
            headline=headline,
            quote=quote,
            scope=scope,
            tasks=chosen,
            primary=primary,
            paper=paper,
            deviations=_codes(deviations),
            parts=parts,
            form=form,
            protocols=protocols,
            file=Path(inspect.getfile(function)),
            line=function.__code__.co_firstlineno,
        )

    return declare


def composite(
    id: str,
    *,
    section: str,
    quote: str,
    parts: tuple[str, ...],
    scope: str,
    paper: Paper,
    deviations: tuple[int, ...] = (),
    headline: bool = False,
    tasks: tuple[str, ...] = (),
) -> Claim:
    """Declare a claim that holds if all its parts do, and is refuted if any of them is (inventory §11).

    `tasks` are those that an effect of its own is tested on, where `corrected` declares one.

    Raises:
        UsageError: no parts.
    """
    if not parts:
        raise UsageError(f"composite claim {id} has no parts", expected="ids of claims")
    frame = inspect.currentframe()
    assert frame is not None
    caller: FrameType | None = frame.f_back
    assert caller is not None
    return Claim(
        id=id,
        section=section,
        headline=headline,
        quote=quote,
        scope=scope,
        tasks=tasks,
        primary=None,
        paper=paper,
        deviations=_codes(deviations),
        parts=parts,
        form=None,
        protocols=("published", "corrected"),
        file=Path(caller.f_code.co_filename),
        line=caller.f_lineno,
    )


def limitation(id: str, *, section: str, quote: str, scope: str) -> Claim:
    """Declare a limitation that the paper states: it is listed with the claims, and no protocol can judge it."""
    frame = inspect.currentframe()
    assert frame is not None
    caller: FrameType | None = frame.f_back
    assert caller is not None
    file, line = Path(caller.f_code.co_filename), caller.f_lineno
    paper = Paper("a limitation that the paper states, not a value")
    return Claim(id, section, False, quote, scope, (), None, paper, (), (), None, (), file, line)


def _called(function: Callable[..., Any], values: Mapping[str, Any]) -> Any:
    """What a function of a claim makes of some values.

    Raises:
        UsageError: it would end more than itself, as `sys.exit` and pytest's `skip` and `fail` do.
        Exception: whatever the function raises.
    """
    try:
        return function(**values)
    except (Exception, *STOPS):
        raise
    except BaseException as error:
        raise UsageError(
            f"{function.__name__} gave no number",
            given=words_of(error),
            remedy="A test that may be left out is no test: what must be true first is declared with `checks=`.",
        ) from error


def _check_text(what: str, given: object) -> None:
    if not isinstance(given, str):
        raise UsageError(f"{what} is no text", given=repr(given), expected="text in quotes")
    try:
        given.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{what} is not valid Unicode text", given=ascii(given)) from None


def _check_items(id: str, name: str, given: object, kind: type) -> None:
    """Of several: a text is a sequence too, of its letters."""
    if not isinstance(given, tuple | list) or not all(isinstance(one, kind) for one in given):
        raise UsageError(
            f"{name} of claim {id} cannot be read",
            given=repr(given),
            expected=f"some of the kind {kind.__name__}, one too with a comma: (x,)",
        )


def _finite(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)


def _codes(deviations: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(f"DEV-{number:02d}" for number in deviations)


def _form(
    id: str,
    function: Effect,
    effect: str,
    unit: str | Mapping[str, str],
    needs: Mapping[str, Need],
    trend: Trend | Mapping[str, Trend],
    any_of: tuple[str, ...],
    checks: tuple[Check, ...],
) -> Form:
    _check_parameters(f"claim {id}", function, needs)
    _check_text(f"effect of claim {id}", effect)
    _check_items(id, "checks", checks, Check)
    _check_items(id, "any_of", any_of, str)
    trends = {SINGLE: trend} if isinstance(trend, Trend) else dict(trend)
    if not trends:
        raise UsageError(f"claim {id} has no trend", expected="what its sentence says of the effect")
    units = dict.fromkeys(trends, unit) if isinstance(unit, str) else dict(unit)
    for name, said in units.items():
        _check_text(f"unit of {name} of claim {id}", said)
    if wrong := [repr(one) for one in trends.values() if not isinstance(one, Trend)]:
        raise UsageError(f"claim {id} has a trend that is none", given=", ".join(wrong), expected="above(0.0), …")
    if set(units) != set(trends):
        raise UsageError(f"claim {id} needs a unit per part", given=sorted(units), expected=sorted(trends))
    if not set(any_of) <= set(trends):
        raise UsageError(f"claim {id} has no such part", given=sorted(any_of), expected=sorted(trends))
    return Form(
        effect, units, dict(needs), trends, frozenset(any_of), tuple(checks), function, _doc(f"claim {id}", function)
    )


def _check_parameters(who: str, function: Callable[..., Any], needs: Mapping[str, Need]) -> None:
    parameters = inspect.signature(function).parameters.values()
    named = {one.name for one in parameters if one.kind is not one.VAR_KEYWORD}
    # `**values` takes the needs that are not named: twelve blocks need no twelve parameters.
    if not named <= set(needs) or (len(named) == len(parameters) and named != set(needs)):
        raise UsageError(f"{who} must take what it needs", given=sorted(named), expected=sorted(needs))


def _check_size(id: str, paper: Paper, form: Form) -> None:
    if paper.unit is not None and set(form.units.values()) != {paper.unit}:
        raise UsageError(
            f"claim {id} has the paper's value in another unit than its effect",
            given=paper.unit,
            expected=" and ".join(sorted(set(form.units.values()))),
            remedy="Compute the effect from what the paper shows, or leave the numbers out and say them in the text.",
        )


def _doc(who: str, function: Callable[..., Any]) -> str:
    if not function.__doc__:
        raise no_docstring(who)
    return re.sub(r"\s+", " ", function.__doc__).strip()
