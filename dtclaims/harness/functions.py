"""A lab made of functions: enough for a paper whose quantities are computed in a call each.

    LAB = FunctionLab("momentum-2026", switches=(Switch("step_size", "default", "tuned"),))

    @LAB.quantity(packages=("numpy",))
    def steps(seed: int, step_size: str, condition: float) -> int:
        '''Steps until the gradient is a millionth of what it was.'''

    needs={"easy": Need("steps", condition=2.0), "hard": Need("steps", condition=100.0)}

A quantity is taken once for each seed, setting of the switches it takes, and condition, in a worker process; its value
is stored under an address that also depends on the code that the function reaches, in its file and those beside it.
The claims are in other files: another threshold or quote measures nothing again.
"""

import inspect
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeVar, overload

from dtclaims.addresses import versions
from dtclaims.closure import code_of
from dtclaims.errors import MeasurementError, MissingDependency, StoreError, UsageError, no_docstring
from dtclaims.harness.lab import (
    Circumstances,
    CodeUsed,
    Command,
    Cost,
    Job,
    Need,
    Option,
    PlanView,
    Preparation,
    PublishedValues,
    Quantity,
    Reading,
    RunViews,
    Scale,
    Setting,
    Stored,
    Switch,
    Unavailable,
    Wish,
    Workbench,
)

Function = TypeVar("Function", bound=Callable[..., Any])

ONLY = (Scale("all", "what the functions of this paper's lab compute"),)
"""The scale of a lab that has no smaller and larger ones."""
GIVEN = ("seed", "task", "scale", "bench")
"""Parameters that a function is given if it has them; `seed` it must have."""


@dataclass(frozen=True)
class Measured:
    """One function and what its values depend on."""

    function: Callable[..., Any]
    switches: tuple[str, ...]
    packages: tuple[str, ...]
    says: str
    scales: tuple[str, ...] | None
    keeps_files: bool

    @property
    def words(self) -> tuple[str, ...]:
        """Words of its condition: its other parameters."""
        known = inspect.signature(self.function).parameters
        return tuple(name for name in known if name not in (*GIVEN, *self.switches))


@dataclass(frozen=True)
class Session:
    """The lab with one user's choices made."""

    lab: "FunctionLab"
    scale: Scale
    reason: str
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The scale's."""
        return self.scale.label

    def check(self, need: Need, scale: Scale) -> None:
        """Refuse a condition that the function cannot be called with.

        Raises:
            UsageError: words that it does not take or lacks, or values that are no plain data.
        """
        measured = self.lab.measured[need.quantity]
        parameters = inspect.signature(measured.function).parameters
        needed = [name for name in measured.words if parameters[name].default is inspect.Parameter.empty]
        given = set(need.condition)
        if given - set(measured.words) or set(needed) - given:
            raise UsageError(
                f"{need.quantity} cannot be needed like that",
                given=", ".join(sorted(given)) or "no condition",
                expected=f"{', '.join(measured.words) or 'no condition'}"
                + (f", at least {', '.join(needed)}" if needed else ""),
            )
        try:
            json.dumps(
                {
                    name: list(one.values.values()) if hasattr(one, "under") else one
                    for name, one in need.condition.items()
                },
                allow_nan=False,
            )
        except (TypeError, ValueError) as error:
            raise UsageError(f"{need.quantity} is needed under no plain data", given=error) from None

    def resolve(self, need: Need, at: Circumstances, *, device: str, precision: str) -> Reading | Unavailable:
        """The job of one call."""
        measured = self.lab.measured[need.quantity]
        parameters = need.under(at.protocol)
        switches = {name: at.protocol[name] for name in measured.switches}
        words = " ".join(f"{name}={value}" for name, value in {**switches, **parameters}.items())
        entry = f"{Path(inspect.getfile(measured.function)).resolve()}:{measured.function.__qualname__}"
        job = Job(
            kind="experiment",
            name=f"{need.quantity}/seed{at.seed}{' ' + words if words else ''}",
            what={
                "quantity": need.quantity,
                "seed": at.seed,
                "scale": at.scale.name,
                "parameters": parameters,
                **({"task": at.task} if at.task else {}),
            },
            how={"switches": switches},
            resolved={},
            code=CodeUsed((entry,)),
            versions=measured.packages,
            device=device,
            precision=precision,
            keeps_files=measured.keeps_files,
            cost=Cost((need.quantity,)),
            seed=at.seed,
            task=at.task,
            # As it is planned; a worker imports the files later.
            order=code_of(entry).to_json(),
        )
        return Reading(need.quantity, (job,), measured.keeps_files, switches, parameters)

    def inputs_at_hand(self) -> tuple[Sequence[Mapping[str, Any]], bool]:
        """There are none, and so all are here."""
        return (), True

    def preparations(self, jobs: Sequence[Job]) -> Sequence[Preparation]:
        """Nothing is shared."""
        return ()


@dataclass
class FunctionLab:
    """A lab whose quantities are functions (`dtclaims.harness.lab.Lab`).

    Args:
        name: of the lab, like no other's.
        switches: audited differences; a function takes those that it has a parameter for.
        scales: the first is the default.
        tasks: what claims are tested on, each alone.
        words: what reports call things.
    """

    name: str
    switches: Mapping[str, Switch] | Sequence[Switch] = ()
    scales: Mapping[str, Scale] | Sequence[Scale] = ONLY
    tasks: tuple[str, ...] = ()
    words: Mapping[str, Any] = field(default_factory=dict)
    options: tuple[Option, ...] = ()
    diagnostics: tuple[str, ...] = ()
    shown: tuple[str, ...] = ("quantity", "task")
    views: ClassVar = RunViews()
    published: ClassVar[PublishedValues | None] = None
    measured: dict[str, Measured] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # What is given as a list is known by name.
        if not isinstance(self.switches, Mapping):
            self.switches = {one.name: one for one in self.switches}
        if not isinstance(self.scales, Mapping):
            self.scales = {one.name: one for one in self.scales}

    @property
    def quantities(self) -> dict[str, Quantity]:
        """The functions, as the harness knows them."""
        return {
            name: Quantity(name, dict.fromkeys(("published", "corrected"), one.says), one.switches, one.scales)
            for name, one in self.measured.items()
        }

    @overload
    def quantity(self, function: Function, /) -> Function: ...
    @overload
    def quantity(
        self,
        function: None = None,
        /,
        *,
        packages: Sequence[str] = (),
        scales: Sequence[str] | None = None,
        keeps_files: bool = False,
    ) -> Callable[[Function], Function]: ...
    def quantity(
        self,
        function: Function | None = None,
        /,
        *,
        packages: Sequence[str] = (),
        scales: Sequence[str] | None = None,
        keeps_files: bool = False,
    ) -> Callable[[Function], Function] | Function:
        """Declare a quantity: a function `(seed, [switches], **condition)` at the top level of a file.

        It returns plain data, draws from nothing but its seed, and has a docstring that says what it measures. With a
        parameter `bench` it is given the workbench (progress, device, cores), with one `scale` the scale's name, with
        one `task` the task that the claim is tested on.

        Args:
            function: where the decorator stands without parentheses.
            packages: installed packages whose version its values depend on.
            scales: where it is offered; None means everywhere.
            keeps_files: whether it takes long: it then works in `bench.folder`, where it finds what a worker that was
                stopped left.

        Raises:
            UsageError: no `seed`, no docstring, a task where the lab has none, a package that is not there, or two
                quantities of one name.
        """
        if function is None:
            return lambda inner: self._declared(inner, packages, scales, keeps_files)
        return self._declared(function, packages, scales, keeps_files)

    def _declared(
        self, function: Function, packages: Sequence[str], scales: Sequence[str] | None, keeps_files: bool
    ) -> Function:
        name, known = function.__name__, inspect.signature(function).parameters
        if "seed" not in known:
            raise UsageError(f"quantity {name} must take its seed", given=str(inspect.signature(function)))
        if "task" in known and not self.tasks:
            raise UsageError(
                f"quantity {name} takes a task, and the lab {self.name} has none", expected="FunctionLab(…, tasks=(…))"
            )
        if not (doc := inspect.getdoc(function)):
            raise no_docstring(f"quantity {name}")
        if absent := [package for package, found in versions(*packages).items() if found is None]:
            raise MissingDependency(
                f"quantity {name} depends on packages that are not installed",
                given=", ".join(absent),
                remedy=f"pip install {' '.join(absent)}",
            )
        if name in self.measured and not _again(self.measured[name].function, function):
            raise UsageError(f"two functions of the lab {self.name} measure {name}", remedy="Rename one of them.")
        switches = tuple(one for one in known if one in self.switches)
        offered = None if scales is None else tuple(scales)
        said = " ".join(doc.split())
        self.measured[name] = Measured(function, switches, tuple(packages), said, offered, keeps_files)
        return function

    def session(self, wish: Wish) -> Session:
        """The lab at the scale asked for, or at its first."""
        assert isinstance(self.scales, Mapping)
        if wish.scale is None:
            return Session(self, next(iter(self.scales.values())), f"the first of the lab {self.name}")
        return Session(self, self.scales[wish.scale], "as asked")

    def perform(self, job: Job, bench: Workbench) -> Any:
        """Call the function.

        Raises:
            MeasurementError: its code is no longer what its address says.
        """
        if code_of(*job.code.entries).to_json() != job.order:
            raise MeasurementError(
                f"code of the lab {self.name} changed after {job.name} was planned", remedy="Start the session again."
            )
        started = time.monotonic()
        measured = self.measured[job.what["quantity"]]
        known = inspect.signature(measured.function).parameters
        given = {"seed": job.seed, "task": job.task, "scale": job.what["scale"], "bench": bench}
        given = {name: value for name, value in given.items() if name in known}
        value = measured.function(**given, **job.how["switches"], **job.what["parameters"])
        if not job.keeps_files or value is None:
            # Nothing is no value: refused by whoever asked, in a folder as well.
            return value
        shared = {"versions": versions(*job.versions), "device": bench.device, "precision": job.precision}
        provenance = {"shared": shared, "of": {}}
        return {"value": value, "curves": {}, "seconds": time.monotonic() - started, "provenance": provenance}

    def derive(self, reading: Reading, results: Sequence[Stored]) -> Any:
        """The value of a job that keeps files."""
        return results[0].result["value"]

    def meaning(self, identity: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a value is of, whatever code and versions made it.

        Raises:
            StoreError: a result that no lab of functions can have made.
        """
        try:
            return {name: identity[name] for name in ("kind", "what", "how", "device", "precision")}
        except KeyError as error:
            raise StoreError("a result of another kind of lab", given=f"no {error}") from None

    def figures(self, view: PlanView, protocols: Sequence[Setting], alpha: float) -> tuple[Any, Any]:
        """None."""
        return {}, {}

    def regime(self, view: PlanView, protocols: Sequence[Setting]) -> Sequence[Any]:
        """None."""
        return ()

    def commands(self) -> Sequence[Command]:
        """None."""
        return ()


def _again(known: Callable[..., Any], function: Callable[..., Any]) -> bool:
    """Whether a function is the one that is known, its file having been imported once more."""
    same_file = inspect.getfile(known) == inspect.getfile(function)
    return same_file and known.__globals__ is not function.__globals__
