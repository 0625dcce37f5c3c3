"""The choices a user makes for one session, checked once and shared by pytest and the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dtclaims.errors import UsageError
from dtclaims.harness.declare.claim import ALL_TASKS
from dtclaims.harness.engine.device import device_class, resolve_device
from dtclaims.harness.engine.engine import EXECUTORS
from dtclaims.harness.engine.loggers import check_loggers
from dtclaims.lab.design.scales import SCALES, Scale, get_scale
from dtclaims.lab.design.switches import SWITCHES, Protocol, get_protocols
from dtclaims.lab.inputs import Sources, auto_scale, check_source
from dtclaims.places import home

ALPHA = 0.05
MINI_SEEDS = 3
"""Enough for a provisional verdict within a coffee break."""
DEFAULT_SEEDS = 5
"""The fewest for a verdict that is not provisional (statistics C.3)."""
FAILABLE = ("error", "refuted", "inconclusive", "not-run")
DEFAULT_FAIL_ON = "error,refuted"


@dataclass(frozen=True)
class Settings:
    """What to judge, on what, and where things go."""

    scale: Scale
    scale_reason: str
    protocols: tuple[Protocol, ...]
    seeds: tuple[int, ...]
    device: str
    store: Path
    report: Path
    fail_on: frozenset[str]
    alpha: float = ALPHA
    tasks: tuple[str, ...] = ALL_TASKS
    """Claims are judged on those of them they speak of."""
    sources: Sources = field(default_factory=Sources)
    """Where data and backbones come from."""
    precision: str = "float32"
    """Of the matrix products of training and roll-outs."""
    executor: str = "processes"
    """What carries the runs out: `processes`, `inline` or `ray`."""
    ray_address: str | None = None
    """Of a running Ray cluster; None starts one here."""
    workers: int | None = None
    """Jobs at once; None leaves it to the machine."""
    loggers: tuple[str, ...] = ()
    """Names of the loggers that are told of every epoch."""
    factors: tuple[str, ...] = ()
    """Switches whose part in a verdict is asked for (`--factor`)."""

    def header(self) -> str:
        """One line with the effective settings."""
        protocols = " and ".join(protocol.name for protocol in self.protocols)
        seeds = ",".join(map(str, self.seeds))
        given = {"data": self.sources.data} | {f"{kind} model": name for kind, name in self.sources.backbones.items()}
        own = "".join(f"{what} {name}, " for what, name in given.items() if name)
        return (
            f"dtclaims: scale {self.scale.name} ({self.scale_reason}), {protocols}, {', '.join(self.tasks)}, "
            f"seeds {seeds}, {own}"
            f"device {self.device}, {self.precision}, alpha {self.alpha}, store {self.store}, report {self.report}"
        )


def make_settings(
    choices: Mapping[str, str | None],
    *,
    gpu_selected: bool = False,
    tasks: Sequence[str] = (),
    stored: bool = False,
) -> Settings:
    """Check a user's choices; absent ones get their default.

    Args:
        choices: `scale`, `protocol`, `task`, `seeds`, `data`, `language_model`, `image_model`, `device`, `precision`,
            `executor`, `ray_address`, `workers`, `logger`,
            `store`, `report`, `fail_on`, `factor`, as typed.
        gpu_selected: whether claims that need a GPU were asked for (`-m gpu`).
        tasks: of the claims; decides whether `auto` can mean the paper's scale.
        stored: nothing will be trained: results may be of a device that is not here.

    Raises:
        UsageError: a choice that cannot be used.
    """
    data = choices.get("data") or None
    check_source(data)
    models = {kind: name for kind in ("language", "image") if (name := choices.get(f"{kind}_model"))}
    sources = Sources(data, models)
    wanted = choices.get("scale") or "auto"
    if wanted == "auto":
        name, reason = auto_scale(gpu_selected, list(tasks), sources)
    else:
        name, reason = wanted, "as asked"
    scale = get_scale(name)
    device = _device(choices.get("device") or "auto", scale, stored=stored)
    default_seeds = MINI_SEEDS if scale is SCALES["mini"] else DEFAULT_SEEDS
    return Settings(
        scale=scale,
        scale_reason=reason,
        protocols=tuple(get_protocols(choices.get("protocol") or "both")),
        seeds=parse_seeds(choices.get("seeds") or str(default_seeds)),
        device=device,
        store=Path(choices.get("store") or home() / "store").expanduser(),
        report=Path(choices.get("report") or "claims-report").expanduser(),
        fail_on=parse_fail_on(choices.get("fail_on") or DEFAULT_FAIL_ON),
        tasks=parse_tasks(choices.get("task") or ("hopper" if scale is SCALES["mini"] else "all")),
        sources=sources,
        precision=parse_precision(choices.get("precision") or "auto", device),
        executor=parse_executor(choices.get("executor") or "processes"),
        ray_address=choices.get("ray_address") or None,
        workers=parse_workers(choices.get("workers") or ""),
        loggers=check_loggers([word.strip() for word in (choices.get("logger") or "").split(",") if word.strip()]),
        factors=parse_factors(choices.get("factor") or ""),
    )


def _device(choice: str, scale: Scale, *, stored: bool) -> str:
    """The device that results are of. Stored ones of scales that need a GPU were made on one."""
    if stored and (choice == "cuda" or (choice == "auto" and scale.needs_gpu)):
        return "cuda"
    return resolve_device(choice)


def parse_executor(text: str) -> str:
    """The name of an executor.

    Raises:
        UsageError: no such executor.
    """
    if text not in EXECUTORS:
        raise UsageError("unknown executor", given=repr(text), expected=f"one of {', '.join(EXECUTORS)}")
    return text


def parse_workers(text: str) -> int | None:
    """How many jobs at once; None if nothing was asked for.

    Raises:
        UsageError: not a whole number from 1 on.
    """
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise UsageError("--workers cannot be read", given=repr(text), expected="a whole number from 1 on")
    return int(text)


PRECISIONS = ("bfloat16", "tf32", "float32")


def parse_precision(text: str, device: str) -> str:
    """How matrix products are computed; `auto` is bfloat16 on a GPU and float32 elsewhere.

    Raises:
        UsageError: no such precision, or a reduced one without a GPU.
    """
    gpu = device_class(device) == "cuda"
    if text == "auto":
        return "bfloat16" if gpu else "float32"
    if text not in PRECISIONS:
        raise UsageError("unknown precision", given=repr(text), expected=f"auto or one of {', '.join(PRECISIONS)}")
    if text != "float32" and not gpu:
        raise UsageError("reduced precision needs a GPU", given=f"{text} on {device}", expected="float32")
    return text


def parse_tasks(text: str) -> tuple[str, ...]:
    """`all`, or some of the three tasks.

    Raises:
        UsageError: a word that is no task.
    """
    if text.strip() == "all":
        return ALL_TASKS
    named = [word.strip().lower() for word in text.split(",") if word.strip()]
    unknown = [word for word in named if word not in ALL_TASKS]
    if unknown or not named:
        raise UsageError("--task cannot be read", given=repr(text), expected=f"all, or some of {', '.join(ALL_TASKS)}")
    return tuple(task for task in ALL_TASKS if task in named)


def parse_factors(text: str) -> tuple[str, ...]:
    """Some switches, or `all`.

    Raises:
        UsageError: a word that is no switch.
    """
    if text.strip() == "all":
        return tuple(SWITCHES)
    named = [word.strip() for word in text.split(",") if word.strip()]
    unknown = [word for word in named if word not in SWITCHES]
    if unknown:
        raise UsageError("--factor names no switch", given=", ".join(unknown), expected=f"all, {', '.join(SWITCHES)}")
    return tuple(named)


def parse_seeds(text: str) -> tuple[int, ...]:
    """`5` means seeds 0 to 4; `3,7,11` (or `7,`) means just those.

    Raises:
        UsageError: no seeds, not whole numbers, negative or repeated ones.
    """
    parts = [part.strip() for part in text.split(",")]
    listed = len(parts) > 1
    if listed and parts[-1] == "":
        parts.pop()
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise UsageError(
            "--seeds cannot be read", given=repr(text), expected="a count such as 5, or a list such as 0,1,2"
        )
    numbers = tuple(int(part) for part in parts)
    if not listed:
        numbers = tuple(range(numbers[0]))
    if not numbers or len(set(numbers)) != len(numbers) or max(numbers) >= 2**31:
        raise UsageError(
            "--seeds names no usable seeds", given=repr(text), expected="one or more different seeds below 2^31"
        )
    return numbers


def parse_fail_on(text: str) -> frozenset[str]:
    """The verdicts that fail a test.

    Raises:
        UsageError: a word that is no verdict.
    """
    words = [word.strip().replace("_", "-") for word in text.split(",") if word.strip()]
    unknown = [word for word in words if word not in FAILABLE]
    if unknown:
        raise UsageError("--fail-on cannot be read", given=", ".join(unknown), expected=", ".join(FAILABLE))
    return frozenset(word.replace("-", "_") for word in words)
