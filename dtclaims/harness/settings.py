"""The choices a user makes for one session, checked once and shared by pytest and the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dtclaims.device import check_limits, device_class, resolve_device
from dtclaims.errors import UsageError
from dtclaims.harness.engine.loggers import check_loggers
from dtclaims.harness.extensions import NONE, Extensions
from dtclaims.harness.lab import Lab, Scale, Session, Setting, Wish, protocols_of
from dtclaims.harness.options import KNOWN, PRECISIONS, PROTOCOLS, no_such, parse_seeds, value_of, words
from dtclaims.places import home

ALPHA = 0.05
AUTO = "auto"


@dataclass(frozen=True)
class Settings:
    """What to judge, on what, and where things go."""

    lab: Lab
    session: Session
    """The lab with the user's choices made."""
    protocols: tuple[Setting, ...]
    seeds: tuple[int, ...]
    device: str
    store: Path
    report: Path
    fail_on: frozenset[str]
    tasks: tuple[str, ...] = ()
    """Claims are judged on those of them they speak of; none where the lab has none."""
    alpha: float = ALPHA
    precision: str = "float32"
    """Of the matrix products of the jobs."""
    executor: str = KNOWN["executor"].default
    """What carries the jobs out."""
    ray_address: str | None = None
    """Of a running Ray cluster; None starts one here."""
    workers: int | None = None
    """Jobs at once; None leaves it to the machine."""
    gpus: int | None = None
    """At most so many are used, or planned for; None leaves it to the machine."""
    cores: int | None = None
    """The same of cores."""
    time_limit: float | None = None
    """Seconds that the jobs of the session have; None for no limit."""
    loggers: tuple[str, ...] = ()
    """Names of the loggers that are told of every epoch."""
    looks: tuple[int, ...] | None = None
    """At which numbers of seeds the claims are declared to be judged; None if nothing is declared."""
    registration: Path | None = None
    """The sealed declaration that results are made under; None if none is named."""
    factors: tuple[str, ...] = ()
    """Switches whose part in a verdict is asked for (`--factor`)."""
    options: Mapping[str, str] = field(default_factory=dict)
    """The lab's own, those that were given."""
    given: Mapping[str, str] = field(default_factory=dict)
    """All that was typed, by the names of options: remedies repeat it. `-p` where pytest's command line loads the
    plugin."""
    extensions: Extensions = NONE
    """What other plugins provide."""

    @property
    def scale(self) -> Scale:
        """How large the jobs are."""
        return self.session.scale

    @property
    def scale_reason(self) -> str:
        """Why that large."""
        return self.session.reason

    def header(self) -> str:
        """One line with the effective settings."""
        given = [f"{name.replace('_', ' ')} {value}" for name, value in self.options.items()]
        parts = (
            f"scale {self.scale.name} ({self.scale_reason})",
            " and ".join(protocol.name for protocol in self.protocols),
            *((", ".join(self.tasks),) if self.tasks else ()),
            f"seeds {','.join(map(str, self.seeds))}",
            *((f"looks at {' and '.join(map(str, self.looks))}",) if self.looks else ()),
            *given,
            f"device {self.device}",
            self.precision,
            f"alpha {self.alpha}",
            f"store {self.store}",
            f"report {self.report}",
        )
        return f"dtclaims: {', '.join(parts)}"


def make_settings(
    choices: Mapping[str, str | None],
    lab: Lab,
    *,
    gpu_selected: bool = False,
    tasks: Sequence[str] = (),
    stored: bool = False,
    planned: bool = False,
    extensions: Extensions = NONE,
) -> Settings:
    """Check a user's choices; absent ones get their default.

    Args:
        choices: as typed, by the names of `OPTIONS` and of the lab's own.
        lab: the paper's.
        gpu_selected: whether claims that need a GPU were asked for (`-m gpu`).
        tasks: of the claims; may decide what the lab takes `auto` for.
        stored: nothing will be done: results may be of a device that is not here.
        planned: nothing will be done but to say what would be, on a machine that may be another.
        extensions: what other plugins provide.

    Raises:
        UsageError: a choice that cannot be used.
        MissingDependency: a logger whose package is not installed.
    """
    own = {option.name: given for option in lab.options if (given := choices.get(option.name))}
    scale = value_of("scale", choices)
    if scale != AUTO and scale not in lab.scales:
        raise no_such("unknown scale", scale, [AUTO, *lab.scales])
    works = not (stored or planned)
    name = None if scale == AUTO else scale
    session = lab.session(Wish(name, tuple(tasks), gpu_selected, own, works=works, planned=planned and not stored))
    device = _device(value_of("device", choices), session.scale, elsewhere=stored or planned)
    gpus, cores = value_of("gpus", choices), value_of("cores", choices)
    if gpus is not None and device_class(device) != "cuda":
        raise UsageError("--gpus is for a session on GPUs", given=f"--gpus {gpus} on {device}")
    if not (stored or planned):
        check_limits(device, gpus, cores)
    return Settings(
        lab=lab,
        session=session,
        protocols=parse_protocols(value_of("protocol", choices), lab),
        seeds=parse_seeds(choices.get("seeds") or str(session.scale.seeds)),
        device=device,
        store=value_of("store", choices) or home() / "store",
        report=value_of("report", choices),
        fail_on=value_of("fail_on", choices),
        tasks=parse_tasks(choices.get("task") or ",".join(session.scale.tasks or lab.tasks), lab),
        precision=parse_precision(value_of("precision", choices), device),
        executor=extensions.engine_called(value_of("executor", choices)),
        ray_address=value_of("ray_address", choices) or None,
        workers=value_of("workers", choices),
        gpus=gpus,
        cores=cores,
        time_limit=value_of("time_limit", choices),
        loggers=check_loggers(extensions.loggers_called(value_of("logger", choices))),
        looks=value_of("looks", choices),
        registration=value_of("registration", choices),
        factors=parse_factors(choices.get("factor") or "", lab),
        options=own,
        given={name: text for name in (*KNOWN, *(one.name for one in lab.options)) if (text := choices.get(name))},
        extensions=extensions,
    )


def _device(choice: str, scale: Scale, *, elsewhere: bool) -> str:
    """The device that results are of. Those of scales that need a GPU are made on one, here or elsewhere."""
    if elsewhere and choice == AUTO and scale.needs_gpu:
        return "cuda"
    return resolve_device(choice, elsewhere=elsewhere)


def parse_protocols(text: str, lab: Lab) -> tuple[Setting, ...]:
    """The protocols meant by `published`, `corrected` or `both`.

    Raises:
        UsageError: any other word.
    """
    known = protocols_of(lab.switches)
    if text == "both":
        return tuple(known.values())
    if text not in known:
        raise no_such("unknown protocol", text, PROTOCOLS)
    return (known[text],)


def parse_precision(text: str, device: str) -> str:
    """How matrix products are computed; `auto` is bfloat16 on a GPU and float32 elsewhere.

    Raises:
        UsageError: no such precision, or a reduced one without a GPU.
    """
    gpu = device_class(device) == "cuda"
    if text not in PRECISIONS:
        raise no_such("unknown precision", text, PRECISIONS)
    if text == AUTO:
        return "bfloat16" if gpu else "float32"
    if text != "float32" and not gpu:
        raise UsageError("reduced precision needs a GPU", given=f"{text} on {device}", expected="float32")
    return text


def parse_tasks(text: str, lab: Lab) -> tuple[str, ...]:
    """`all`, or some of the lab's tasks, in its order.

    Raises:
        UsageError: a word that is no task of the lab.
    """
    named = [word.lower() for word in words(text)]
    if named == ["all"] or (not named and not lab.tasks):
        return lab.tasks
    unknown = [word for word in named if word not in lab.tasks]
    if unknown or not named:
        raise no_such("--task cannot be read", unknown or [repr(text)], ["all", *lab.tasks])
    return tuple(task for task in lab.tasks if task in named)


def parse_factors(text: str, lab: Lab) -> tuple[str, ...]:
    """Some of the lab's switches, or `all`.

    Raises:
        UsageError: a word that is no switch.
    """
    named = words(text)
    if named == ("all",):
        return tuple(lab.switches)
    if unknown := [word for word in named if word not in lab.switches]:
        raise no_such("--factor names no switch", unknown, ["all", *lab.switches])
    return named
