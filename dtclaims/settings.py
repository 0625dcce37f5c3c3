"""The choices a user makes for one session, checked once and shared by pytest and the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dtclaims.errors import UsageError
from dtclaims.fixtures import home
from dtclaims.protocols import Protocol, get_protocols
from dtclaims.runs.device import resolve_device
from dtclaims.runs.inputs import auto_scale, check_source
from dtclaims.runs.scales import SCALES, Scale, get_scale

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
    data: str | None = None
    """Where the data are; None leaves it to the scale."""

    def header(self) -> str:
        """One line with the effective settings."""
        protocols = " and ".join(protocol.name for protocol in self.protocols)
        seeds = ",".join(map(str, self.seeds))
        data = f"data {self.data}, " if self.data else ""
        return (
            f"dtclaims: scale {self.scale.name} ({self.scale_reason}), {protocols}, seeds {seeds}, {data}"
            f"device {self.device}, alpha {self.alpha}, store {self.store}, report {self.report}"
        )


def make_settings(
    choices: Mapping[str, str | None], *, gpu_selected: bool = False, tasks: Sequence[str] = ()
) -> Settings:
    """Check a user's choices; absent ones get their default.

    Args:
        choices: `scale`, `protocol`, `seeds`, `data`, `device`, `store`, `report`, `fail_on`, as typed.
        gpu_selected: whether claims that need a GPU were asked for (`-m gpu`).
        tasks: of the claims; decides whether `auto` can mean the paper's scale.

    Raises:
        UsageError: a choice that cannot be used.
    """
    data = choices.get("data") or None
    check_source(data)
    wanted = choices.get("scale") or "auto"
    if wanted == "auto":
        name, reason = auto_scale(gpu_selected, list(tasks), data)
    else:
        name, reason = wanted, "as asked"
    scale = get_scale(name)
    default_seeds = MINI_SEEDS if scale is SCALES["mini"] else DEFAULT_SEEDS
    return Settings(
        scale=scale,
        scale_reason=reason,
        protocols=tuple(get_protocols(choices.get("protocol") or "both")),
        seeds=parse_seeds(choices.get("seeds") or str(default_seeds)),
        device=resolve_device(choices.get("device") or "auto"),
        store=Path(choices.get("store") or home() / "store").expanduser(),
        report=Path(choices.get("report") or "claims-report").expanduser(),
        fail_on=parse_fail_on(choices.get("fail_on") or DEFAULT_FAIL_ON),
        data=data,
    )


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
