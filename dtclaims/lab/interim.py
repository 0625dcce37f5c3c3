"""The lab as far as settings, options and commands need it, until the door is implemented."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

from dtclaims.harness.lab import Command, Quantity, Switch, Wish
from dtclaims.lab.design import scales, switches
from dtclaims.lab.design.options import OPTIONS
from dtclaims.lab.design.tasks import TASKS


@dataclass(frozen=True)
class InterimScale(scales.Scale):
    """A scale of this paper that is one of the door's too."""

    seeds: int = 5
    tasks: tuple[str, ...] | None = None
    per_gpu: int = 4


def _scale(one: scales.Scale) -> InterimScale:
    own = {field.name: getattr(one, field.name) for field in fields(one)}
    if one.name == "mini":
        return InterimScale(**own, seeds=3, tasks=("hopper",), per_gpu=16)
    return InterimScale(**own)


SCALES = {name: _scale(one) for name, one in scales.SCALES.items()}


@dataclass(frozen=True)
class InterimSession:
    """The lab with a user's choices made."""

    scale: Any
    reason: str
    sources: Any

    @property
    def label(self) -> str:
        """What verdicts are evidence of."""
        return str(self.scale.label)


class InterimLab:
    """This paper's lab."""

    name = "takagi-2022"
    tasks = tuple(TASKS)
    switches: Mapping[str, Switch] = MappingProxyType(
        {
            one.name: Switch(one.name, one.published, one.corrected, one.deviations, one.stage, one.meaning)
            for one in switches.SWITCHES.values()
        }
    )
    scales: Mapping[str, Any] = SCALES
    quantities: Mapping[str, Quantity] = MappingProxyType({})
    options = OPTIONS
    diagnostics: tuple[str, ...] = ()

    def session(self, wish: Wish) -> InterimSession:
        """The lab with a user's choices made."""
        from dtclaims.lab.inputs import Sources, auto_scale, check_source

        data = wish.options.get("data")
        check_source(data)
        models = {kind: name for kind in ("language", "image") if (name := wish.options.get(f"{kind}_model"))}
        sources = Sources(data, models)
        if wish.scale is not None:
            return InterimSession(SCALES[wish.scale], "as asked", sources)
        name, reason = auto_scale(wish.gpu, list(wish.tasks), sources)
        return InterimSession(SCALES[name], reason, sources)

    def perform(self, *_: Any) -> Any:
        """Not here yet."""
        raise NotImplementedError

    derive = meaning = figures = perform

    def commands(self) -> Sequence[Command]:
        """Its own commands."""
        from dtclaims.lab.commands import COMMANDS

        return COMMANDS


LAB = InterimLab()
