"""The door between the two floors: what a lab offers, and what the harness asks of it.

The harness knows claims, seeds, protocols, jobs and verdicts of any paper. A lab does one paper's work: it says what
can be measured, which jobs a need means, and carries them out. `paper.json` names a paper's lab; nothing else does.
Types only: this module imports neither floor.
"""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

from dtclaims.errors import UsageError

ProtocolName = Literal["published", "corrected"]
Progress = Callable[[int, int], None]
"""Called with what is done and what there is to do."""


# --- how a claim is tested --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Switch:
    """One audited difference between what was published and a valid comparison."""

    name: str
    published: str
    corrected: str
    deviations: tuple[str, ...] = field(default=(), metadata={"prose": True})
    """Items of the audit that it answers."""
    stage: Literal["training", "measurement", "both"] = field(default="measurement", metadata={"prose": True})
    """Whether it decides which jobs are done, how they are read, or both."""
    meaning: str = field(default="", metadata={"prose": True})


@dataclass(frozen=True)
class Setting:
    """A protocol: a named setting of every switch of a lab."""

    name: str
    switches: Mapping[str, str] = field(hash=False)
    known: Mapping[str, Switch] = field(default_factory=dict, hash=False, compare=False, repr=False)
    """The lab's switches."""

    def __getitem__(self, switch: str) -> str:
        if switch not in self.switches:
            raise self._unknown(switch)
        return self.switches[switch]

    @property
    def base(self) -> str:
        """`published` or `corrected`: the end it starts from."""
        return self.name.partition("+")[0]

    def corrects(self, switch: str) -> bool:
        """Whether the switch is at its corrected value.

        Raises:
            UsageError: no such switch.
        """
        return self._switch(switch).corrected == self.switches[switch]

    def flipped(self, switch: str) -> "Setting":
        """This protocol with one switch at its other value, named like `published+head`.

        Raises:
            UsageError: no such switch.
        """
        one = self._switch(switch)
        value = one.published if self.switches[switch] == one.corrected else one.corrected
        return Setting(f"{self.name}+{switch}", MappingProxyType({**self.switches, switch: value}), self.known)

    def _switch(self, name: str) -> Switch:
        if name not in self.known:
            raise self._unknown(name)
        return self.known[name]

    def _unknown(self, name: str) -> UsageError:
        return UsageError("unknown switch", given=repr(name), expected=f"one of {', '.join(self.known) or 'none'}")


def protocols_of(switches: Mapping[str, Switch]) -> dict[str, Setting]:
    """The two protocols of a lab: every switch as published, every switch corrected."""
    ends = {
        "published": {name: one.published for name, one in switches.items()},
        "corrected": {name: one.corrected for name, one in switches.items()},
    }
    return {name: Setting(name, MappingProxyType(values), switches) for name, values in ends.items()}


@dataclass(frozen=True)
class By:
    """A choice that depends on one switch of the protocol. Make it with `by`."""

    switch: str
    values: Mapping[str, Any]

    def under(self, protocol: Setting) -> Any:
        """The value under a protocol.

        Raises:
            UsageError: no such switch, or no value for what it is set to.
        """
        if (chosen := protocol[self.switch]) not in self.values:
            raise UsageError(
                f"a choice by {self.switch} has nothing for what it is set to",
                given=", ".join(map(str, self.values)) or "no value",
                expected=f"a value for {chosen}",
            )
        return self.values[chosen]


def by(switch: str, **values: Any) -> By:
    """A choice by switch: `by("context", one=1, twenty=20)`."""
    return By(switch, values)


@dataclass(frozen=True, init=False)
class Need:
    """A quantity and the condition it is wanted under, for the claim's seed: plain data that the lab resolves.

        Need("score", arm="random_init", context=1)

    Which quantities there are, and which words a condition has, is the lab's. The harness knows the task only.
    """

    quantity: str
    task: str | None
    """None: the task that the claim is being tested on, if there are tasks."""
    condition: Mapping[str, Any]
    """Plain data, or choices by switch (`By`)."""

    def __init__(self, quantity: str, *, task: str | None = None, **condition: Any) -> None:
        if not isinstance(quantity, str):
            raise UsageError(
                "a need names its quantity",
                given=type(quantity).__name__,
                expected="a name, then the condition by words",
            )
        object.__setattr__(self, "quantity", quantity)
        object.__setattr__(self, "task", task)
        object.__setattr__(self, "condition", MappingProxyType(dict(condition)))

    def under(self, protocol: Setting) -> dict[str, Any]:
        """The condition under a protocol, choices by switch made."""
        return {
            name: value.under(protocol) if isinstance(value, By) else value for name, value in self.condition.items()
        }

    def to_json(self) -> dict[str, Any]:
        """The need as plain data."""
        plain = {n: dict(v.values) if isinstance(v, By) else v for n, v in self.condition.items()}
        return {"quantity": self.quantity, "task": self.task, **plain}


@dataclass(frozen=True)
class Scale:
    """How large the jobs are, and so what a verdict on them can say."""

    name: str
    label: str = field(metadata={"prose": True})
    """What a verdict at this scale is evidence of; printed with every report."""
    needs_gpu: bool = False
    seeds: int = field(default=5, metadata={"prose": True})
    """How many are judged where the user names none."""
    tasks: tuple[str, ...] | None = field(default=None, metadata={"prose": True})
    """Which are judged where the user names none; None means all."""
    per_gpu: int = field(default=1, metadata={"prose": True})
    """At most how many jobs share one GPU."""
    apart: str = field(default="", metadata={"prose": True})
    """Why an effect's size at this scale cannot be compared with the paper's; empty where it can."""


@dataclass(frozen=True)
class Quantity:
    """Something that a lab can measure."""

    name: str
    says: Mapping[str, str]
    """Protocol → what is measured, in one sentence for the report."""
    switches: tuple[str, ...] = ()
    """Those it obeys; their values are part of its address."""
    scales: tuple[str, ...] | None = None
    """Where it is offered; None means at every scale."""


@dataclass(frozen=True)
class Circumstances:
    """What a need is to be resolved for."""

    protocol: Setting
    scale: Scale
    task: str | None
    seed: int
    seeds: tuple[int, ...]
    """All of the session, in its order."""


@dataclass(frozen=True)
class Unavailable:
    """Something that a need rests on is not at hand: why, and what would make it so."""

    reason: str
    remedy: str


# --- jobs -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CodeUsed:
    """Where a job's code begins; what it depends on is computed from there (`dtclaims.closure`)."""

    entries: tuple[str, ...]
    """`package.module:function`, or a file's path in the place of the module."""
    chosen: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    """Entries taken of tables of code (`dtclaims.choice.Choice`), by the table's name."""
    rows: tuple[str, ...] = ()
    """Tables of data whose rows the job's `resolved` holds, by name."""


@dataclass(frozen=True)
class Once:
    """Something that several jobs need and that is made once."""

    name: str
    seconds: float
    """Of one core, if the session makes it; else as long as a worker waits for it."""
    by: Literal["session", "machine", "worker"]
    """Once by the session, in the background, spread over all cores; by the first worker that needs it; or by each."""


@dataclass(frozen=True)
class Cost:
    """What a job is expected to take, by what it keeps busy; orders the plan and feeds its estimate
    (`dtclaims.harness.plan.estimate`)."""

    like: tuple[str, ...] = ()
    """Jobs of one kind and one `like` cost alike per step."""
    steps: float = 1.0
    seconds: float = 1.0
    """Of one core: all that can neither be spread over cores nor is a GPU's."""
    accelerator: float = 0.0
    """Seconds of a GPU, where it is done alone."""
    shared: tuple[tuple[int, float], ...] = ()
    """The same where several are done together: how many, and seconds of each of them. Between them, one part is taken
    to be each job's own and one the group's."""
    spread: float = 0.0
    """Core seconds that are spread over the cores of its worker, such as physics."""
    cores: float = math.inf
    """Over so many of them at most; of jobs that are done together, the sum."""
    once: tuple[Once, ...] = ()
    """What has to be made before, and serves others too."""
    unit: str = "steps"
    """What its steps are called."""
    nbytes: float = 0.0
    """That its files take in the store."""

    @property
    def whole(self) -> float:
        """Seconds of one worker with one core that does it alone."""
        return self.seconds + self.accelerator + self.spread

    def accelerator_of(self, together: int) -> float:
        """Seconds of a GPU where so many are done together."""
        before = (1, self.accelerator)
        for size, seconds in self.shared:
            if together <= size and size > before[0]:
                # In 1/n, in which the group's part is straight.
                share = (1 / before[0] - 1 / together) / (1 / before[0] - 1 / size)
                return before[1] + share * (seconds - before[1])
            before = (size, seconds)
        return before[1]

    def times(self, factor: float) -> "Cost":
        """The cost of a job that takes longer by a factor; what is made once is not its own."""
        return replace(
            self,
            seconds=self.seconds * factor,
            accelerator=self.accelerator * factor,
            shared=tuple((size, seconds * factor) for size, seconds in self.shared),
            spread=self.spread * factor,
        )


@dataclass(frozen=True)
class Job:
    """One thing to be made. Its address is the hash of all that can change its numbers."""

    kind: str
    """The lab's word: a run, a measurement, an experiment."""
    name: str
    """As people call it; in no address."""
    what: Mapping[str, Any]
    """What it is, whatever the switches: plain data."""
    how: Mapping[str, Any]
    """What switches, data and weights make of it: plain data."""
    resolved: Mapping[str, Any]
    """Rows of the lab's tables that it takes, as plain data."""
    code: CodeUsed
    versions: tuple[str, ...]
    """Names of the packages that its numbers depend on."""
    device: str
    """`cpu`, `cuda` or `cuda:i`; its class is part of the address."""
    precision: str
    needs: "tuple[Job, ...]" = ()
    """Whose results it reads."""
    keeps_files: bool = False
    """Whether it fills a folder, epoch by epoch, and can be taken up again; else it makes one value."""
    cost: Cost = Cost()
    seed: int | None = None
    task: str | None = None
    order: Any = None
    """The lab's own words for it, with places on this machine: picklable, in no address."""
    together: str | None = None
    """Jobs of one value may be done together by one worker (`PerformsTogether`); None: alone. In no address: a result
    depends on how a job is done, not on who is done beside it."""
    most_together: int = 1
    """At most so many."""


STATE = "state.safetensors"
"""A file of this name in a job's folder is what it can be taken up from: it is not kept with the result."""


class Stored(Protocol):
    """The result of a job that keeps files, in the store."""

    @property
    def key(self) -> str:
        """Its address."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything that it depends on; its hash is the key."""

    @property
    def result(self) -> Mapping[str, Any]:
        """What the lab returned: `curves` (name → a number per epoch), `diagnostics`, and what else it likes."""

    def file(self, name: str) -> Path:
        """A kept file, after checking it.

        Raises:
            StoreError: not kept, dropped, or not the one that was written.
        """


class Workbench(Protocol):
    """What a job is done at."""

    @property
    def device(self) -> str:
        """Where: the device class of the job, this worker's own GPU."""

    @property
    def cores(self) -> int:
        """That it may use beside a GPU; no result depends on them."""

    @property
    def folder(self) -> Path | None:
        """Of a job that keeps files: empty, or as an earlier worker that was stopped left it."""

    def report(self, done: int, total: int) -> None:
        """Steps done so far."""

    def note(self, text: str) -> None:
        """Tell the user something about the job."""

    def spent(self, seconds: Mapping[str, float]) -> None:
        """What the time of the job, or of the group that it is the first of, went into since the last call."""

    def tell(self, epoch: int, values: Mapping[str, float]) -> None:
        """An epoch's numbers, for loggers."""

    def check(self) -> None:
        """Between epochs.

        Raises:
            StoreLocked: somebody else has taken the job over.
        """

    def stored(self, job: Job) -> Stored:
        """The result of a job that this one needs.

        Raises:
            RunFailed: it is gone.
        """


@dataclass(frozen=True)
class Reading:
    """A need resolved: which jobs it means, and how its value is read from their results."""

    quantity: str
    jobs: tuple[Job, ...]
    """Whose results it is read from."""
    derived: bool = False
    """Whether the lab computes it from the results when asked (`Lab.derive`); else it is the one job's value."""
    switches: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    rests_on: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Provenance beside the jobs' own: part → of what → content (`Provenance.of`)."""
    factors: Mapping[str, str] = field(default_factory=dict)
    """What it shares with readings of other seeds, and might not: factor → level, such as a checkpoint's name. Seeds of
    one level are not independent of each other (`dtclaims.harness.judge.factors`)."""
    absent: tuple[Unavailable, ...] = ()
    """What its jobs take and has to be got before they can be done; only where nothing but a plan is asked for."""


@dataclass(frozen=True)
class Provenance:
    """Where a result's numbers come from. Results are judged together only if theirs agree.

    A result holds it as `provenance`: `{"shared": …, "of": …}`.
    """

    shared: Mapping[str, Any]
    """Has to agree between all results: versions, device, precision."""
    of: Mapping[str, Mapping[str, Any]]
    """Part → of what (a task, a backbone) → content: has to agree where two results rest on the same thing. Seeds that
    are spread over several of a kind rest on different things, so these have names of their own (`language@2`)."""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Provenance":
        """From plain data."""
        return cls(content["shared"], content["of"])

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {"shared": dict(self.shared), "of": {part: dict(found) for part, found in self.of.items()}}


# --- how runs are shown -----------------------------------------------------------------------------------------------


class Ran(Protocol):
    """A run of evidence."""

    @property
    def spec(self) -> Mapping[str, Any]:
        """What it is and how it was made, as plain data."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Where its numbers come from, `device` among it."""


@dataclass(frozen=True)
class Curve:
    """A number per epoch of a run."""

    label: str
    """In words, with its unit."""
    share: bool = False
    """Whether it ends at 0 and 1."""
    level: str | None = None
    """The diagnostic that it is compared with unless another is named."""
    computed: tuple[str, Callable[[Stored], Sequence[float]]] | None = None
    """From which logged curve and how, where runs do not log it."""


@dataclass(frozen=True)
class RunViews:
    """How the figures and tables of write-ups show a lab's runs. Fields are those of `Ran.spec`, parts by dots."""

    curves: Mapping[str, Curve] = field(default_factory=dict)
    levels: Mapping[str, str] = field(default_factory=dict)
    """Diagnostics that a curve can be compared with, in words."""
    subject: str = "task"
    """The field that is named where something is said of it, even if it is the same in all."""
    fields: tuple[str, ...] = ()
    """Those that a name begins with; the others follow by name."""
    orders: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Field → its values in their order, where that is not their own."""
    word: Callable[[str, Mapping[str, Any]], str] | None = None
    """A field of a specification in words, nothing where it says nothing; None: its name and its value."""
    titled: Mapping[str, str] = field(default_factory=dict)
    """Fields that a title names where all runs share them, with what stands before the value."""
    updates: str | None = None
    """The field that holds the updates in an epoch."""
    drawn: Callable[[Ran], Mapping[str, str]] | None = None
    """What a seed may start from besides its own draws, such as a numbered checkpoint: field of the run's identity,
    parts by dots, → which one. Seeds of one variant may differ in it, and n counts those; None: nothing of the kind."""
    unit: str = "start"
    """What `drawn` tells apart, in words."""
    unpaired: Callable[[Sequence[Mapping[str, Any]]], str] | None = None
    """What is to be said where runs of one seed share less than their seed; nothing where they share all."""
    columns: tuple[str, ...] = ()
    """What is said of runs that cost alike."""
    kind: Callable[[Ran], tuple[str | int, ...]] | None = None
    """Which of them a run is, one value per column; None: they are told apart by the kind of their jobs.

    It raises UsageError for a run that the lab does not know."""


# --- what the paper shows ---------------------------------------------------------------------------------------------


class NotShown(Exception):
    """The paper does not show what a need asks for; `str()` is the reason, as a reader is told it.

    An answer rather than an error: it is no `DtclaimsError`, and whoever asks has to take it.
    """


class PublishedValues(Protocol):
    """The paper's own numbers as values of needs, so that a claim's own function can be run on them."""

    seeds: tuple[int, ...]
    """The paper's own, that of its main text first."""

    def value(self, need: Need, task: str | None, seed: int) -> Any:
        """What the quantity would have read of the paper's run, under `published`.

        A mapping raises `NotShown` too, where a part of it is read that the paper does not show.

        Raises:
            NotShown: the paper does not show it.
        """

    def note(self, need: Need, task: str | None, seed: int) -> str:
        """What a reader is to be told of that value, as of one that stands in for another; empty if nothing.

        Raises:
            NotShown: the paper does not show it.
        """


# --- a lab ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Option:
    """A choice of the user's: one word with one meaning in every command and in pytest (`--NAME`, `claims_NAME`)."""

    name: str
    """With underscores."""
    help: str
    """What may be given, and what is meant where nothing is."""


@dataclass(frozen=True)
class Argument:
    """One argument of a command, as argparse takes it."""

    flags: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, *flags: str, **settings: Any) -> "Argument":
        """Written like a call of `add_argument`."""
        return cls(flags, settings)


@dataclass(frozen=True)
class Command:
    """One command of `dtclaims`."""

    words: tuple[str, ...]
    help: str
    run: Callable[[argparse.Namespace], int | None]
    """Its exit code, None for 0. Beside its arguments it finds `phase`, which begins a line of progress."""
    arguments: tuple[Argument, ...] = ()
    options: tuple[str, ...] = ()
    """Options of the harness that it takes as well, by name: they mean the same everywhere. It finds them read."""


@dataclass(frozen=True)
class Wish:
    """What the user asks of a session, as far as the lab has a say in it."""

    scale: str | None
    """None leaves it to the lab."""
    tasks: tuple[str, ...]
    """Of the claims."""
    gpu: bool
    """Whether claims that need a GPU are asked for (`-m gpu`)."""
    options: Mapping[str, str]
    """The lab's own, those that were given."""
    recorded: Sequence[Mapping[str, Any]] = ()
    """Identities of results that there are; they say what data and weights are meant that are not at hand."""
    works: bool = False
    """Whether jobs will be done here: what was asked for by name has to be here then."""
    planned: bool = False
    """Whether nothing but a plan is asked for: what is not at hand yet may be planned with (`Reading.absent`)."""
    only_recorded: bool = False
    """Whether nothing is to be looked for beside them: a file of evidence is judged anywhere."""


@dataclass(frozen=True)
class Preparation:
    """Something that several jobs share. It is made in the background, beside jobs that do not wait for it."""

    name: str
    """As a line of progress says it: `collecting hopper data`."""
    jobs: tuple[Job, ...]
    """Those that wait for it."""
    make: Callable[[Progress], None]
    """Called in a thread; what its progress function raises stops it, and it leaves nothing half-written."""


class Session(Protocol):
    """A lab with one user's choices made."""

    @property
    def scale(self) -> Scale:
        """The scale of everything in it."""

    @property
    def reason(self) -> str:
        """Why that one."""

    @property
    def notes(self) -> Sequence[str]:
        """What is to be said of the choices that it made for the user while it resolved."""

    @property
    def label(self) -> str:
        """What verdicts are evidence of: the scale's words, made true of the data and weights that are used."""

    def check(self, need: Need, scale: Scale) -> None:
        """Refuse a need that could be resolved under no circumstances.

        Raises:
            UsageError: a quantity that the lab does not have, a word that no condition of it has, or a value that the
                word cannot take.
        """

    def resolve(self, need: Need, at: Circumstances, *, device: str, precision: str) -> Reading | Unavailable:
        """The jobs that a need means, and how its value is read from them.

        Raises:
            DataError: the data asked for break their format.
            BackboneError: the weights asked for are not there.
        """

    def inputs_at_hand(self) -> tuple[Sequence[Mapping[str, Any]], bool]:
        """Identities of the data and weights of this installation, and whether all that jobs may need are here."""

    def preparations(self, jobs: Sequence[Job]) -> Sequence[Preparation]:
        """What has to be made here before some of these jobs can start, and is shared by them."""


class Lab(Protocol):
    """One paper's laboratory. Importing it is cheap; what is heavy is imported when a job is done."""

    name: str
    tasks: tuple[str, ...]
    """What claims are tested on, each alone; none if there is nothing to choose."""
    switches: Mapping[str, Switch]
    scales: Mapping[str, Scale]
    """The first is the default."""
    quantities: Mapping[str, Quantity]
    options: tuple[Option, ...]
    diagnostics: tuple[str, ...]
    """Curves whose last value helps to explain a verdict."""
    shown: tuple[str, ...]
    """Parts of `Job.what` that tell runs apart for a reader."""
    words: Mapping[str, Any]
    """What a report calls things, as plain data: `scales`, `run`, `values` (`dtclaims.harness.judge.words.Words`)."""
    views: RunViews
    """How write-ups show its runs."""
    published: PublishedValues | None
    """The paper's own values; None where the lab has none."""

    def session(self, wish: Wish) -> Session:
        """The lab with a user's choices made.

        Raises:
            UsageError: a choice that cannot be used.
        """

    def perform(self, job: Job, bench: Workbench) -> Any:
        """Do a job: the content of result.json if it keeps files, else its value, as plain data.

        Raises:
            DtclaimsError: it cannot be done; the message is what the user reads.
        """

    def derive(self, reading: Reading, results: Sequence[Stored]) -> Any:
        """A quantity that is read from results without a job of its own. Needs nothing heavy."""

    def meaning(self, identity: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a stored result is of, whatever code and versions made it, of identities that older versions wrote too.

        Raises:
            StoreError: a result that this lab cannot have made.
        """

    def figures(self, view: "PlanView", protocols: Sequence[Setting], alpha: float) -> tuple[Any, Any]:
        """The paper's figures and its tables, ours beside its own values; two empty mappings where there are none."""

    def regime(self, view: "PlanView", protocols: Sequence[Setting]) -> Sequence[Any]:
        """How the runs of a plan trained, beside the paper's, as plain data: `dtclaims.harness.judge.regime.RegimeRow`.
        None where there is nothing to say."""

    def commands(self) -> Sequence[Command]:
        """Its own commands."""


class WarmsUp(Protocol):
    """A lab whose workers can do something useful while what jobs wait for is made."""

    def warm(self) -> None:
        """Import what jobs need, in a worker, before there is one."""


class PerformsTogether(Protocol):
    """A lab that can do several jobs of one `Job.together` at once. One that cannot is given them one by one."""

    def perform_together(
        self, jobs: Sequence[Job], benches: Sequence[Workbench], ended: Callable[[int, Any], None]
    ) -> None:
        """Do jobs together.

        Args:
            jobs: of one `together`.
            benches: of each.
            ended: called with a job's number as soon as it is over, and with what `Lab.perform` would return, or with
                the exception that ended it alone; the others go on. What is raised instead is everybody's.
        """


class Repeats(Protocol):
    """A lab with options that decide what a run is: of others, stored runs are compared with those of no options."""

    def options_of(self, identity: Mapping[str, Any]) -> Mapping[str, str]:
        """The lab's own options under which a stored run is one that claims need.

        Args:
            identity: of a run.
        """


class Rehearses(Protocol):
    """A session that can shorten its jobs, so that preflight tries each kind in minutes. Jobs of others are tried as
    they are."""

    def rehearsal(self, job: Job, needs: tuple[Job, ...]) -> Job:
        """A job that does all that this one does, on the same data, weights and device, in a few steps.

        The result of one that keeps files may say, as `rehearsal`, what the job itself will take, in bytes: `gpu`, of a
        GPU's memory, its companions' part included; `kept`, in the store; `at_work`, there too until it is whole.

        Args:
            job: of a plan.
            needs: rehearsals of what it reads.
        """


class ChecksResults(Protocol):
    """A lab that knows what a result of a job that keeps files has to hold; of others any plain data will do."""

    def fault(self, identity: Mapping[str, Any], result: Mapping[str, Any]) -> str | None:
        """What is wrong with a result, by what its identity says that it is of; None if nothing is.

        Args:
            identity: of the result, of older versions too.
            result: plain data that `Lab.perform` returned, or that a file says it did.
        """


class PlanView(Protocol):
    """What a lab sees of a plan when it draws."""

    def readings(self) -> Sequence[tuple[Reading, tuple[str, ...]]]:
        """Every reading of the plan, with the keys of the jobs that it is read from."""

    def jobs(self) -> Sequence[tuple[Job, str]]:
        """Every job that keeps files, with its key."""

    def stored(self, key: str) -> Stored | None:
        """The result of a job that keeps files."""

    def value(self, key: str) -> Any | None:
        """The value of a job that makes one."""
