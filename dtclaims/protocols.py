"""The two protocols and the audited switches between them (the audit's table, DEV-nn).

`published` is what the reference code really does; `corrected` removes the confounds. A switch is
one audited difference. Switches of training decide which runs a claim needs, switches of
measurement how those runs are read: two protocols that agree on the former share their runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from dtclaims.errors import UsageError

ProtocolName = Literal["published", "corrected"]


@dataclass(frozen=True)
class Switch:
    """One audited difference between what was published and a valid comparison."""

    name: str
    published: str
    corrected: str
    deviations: tuple[str, ...]
    stage: Literal["training", "measurement"]
    meaning: str


SWITCHES: dict[str, Switch] = {
    switch.name: switch
    for switch in (
        Switch(
            "head",
            "tied",
            "untied",
            ("DEV-11",),
            "training",
            "the action head shares the action embedding's weight and starts saturated, or has a weight of its own",
        ),
        Switch(
            "random_arch",
            "reference",
            "matched",
            ("DEV-04",),
            "training",
            "the random arm has one head and ReLU, or exactly the language backbone's configuration",
        ),
        Switch(
            "adam_eps",
            "by_arm",
            "equal",
            ("DEV-03",),
            "training",
            "Adam's epsilon is 1e-6 for pre-trained and 1e-8 for random arms, or 1e-8 for all",
        ),
        Switch(
            "cka_axis",
            "unit",
            "token",
            ("DEV-01",),
            "measurement",
            "CKA of one hidden unit over the token positions, or of the full width at one token, "
            "rescaled so that two independent random networks are 0",
        ),
        Switch(
            "att_dist",
            "fused",
            "causal",
            ("DEV-08",),
            "measurement",
            "distance under a softmax over all keys with heads fused, on K=1 runs, "
            "or per head, causal, relative to the start, on K=20 runs",
        ),
        Switch(
            "cos_tensors",
            "all",
            "relative",
            ("DEV-19",),
            "measurement",
            "L2 distance summed over all tensors, or relative to the initial norm",
        ),
        Switch(
            "selection",
            "best",
            "last_quarter",
            ("DEV-10",),
            "measurement",
            "score of the best epoch, chosen on that same number, or the mean of the last quarter of epochs",
        ),
        Switch(
            "score_refs",
            "dataset_means",
            "d4rl",
            ("DEV-29",),
            "measurement",
            "scores relative to mean dataset returns, or to D4RL's constants",
        ),
    )
}


@dataclass(frozen=True)
class Protocol:
    """A named setting of every switch."""

    name: str
    switches: Mapping[str, str] = field(hash=False)

    def __getitem__(self, switch: str) -> str:
        return self.switches[switch]


PROTOCOLS: dict[str, Protocol] = {
    name: Protocol(name, MappingProxyType({switch.name: getattr(switch, name) for switch in SWITCHES.values()}))
    for name in ("published", "corrected")
}


def get_protocols(choice: str) -> list[Protocol]:
    """The protocols meant by `published`, `corrected` or `both`.

    Raises:
        UsageError: any other word.
    """
    if choice == "both":
        return list(PROTOCOLS.values())
    if choice not in PROTOCOLS:
        raise UsageError("unknown protocol", given=repr(choice), expected="published, corrected or both")
    return [PROTOCOLS[choice]]
