"""What the verdicts of a file of evidence rest on, as declared and measured then: claims, effects, predicates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dtclaims.harness.judge.entries import Over, PaperReading, Reach
from dtclaims.harness.judge.regime import RegimeRow

Name = tuple[str, str]
"""Of a cell: claim id, protocol."""


@dataclass(frozen=True)
class FrozenClaim:
    """A claim as it was declared."""

    id: str
    section: str
    headline: bool
    quote: str
    scope: str
    tasks: tuple[str, ...]
    deviations: tuple[str, ...]
    parts: tuple[str, ...]
    protocols: tuple[str, ...]
    paper: str
    """The paper's value as a reader would quote it."""
    numbers: Sequence[float] | Mapping[str, Sequence[float]]
    """The paper's bare numbers; by task where the claim is tested on several."""


@dataclass(frozen=True)
class FrozenComponent:
    """One part of a claim on one task: what had to hold, and what was found."""

    name: str
    unit: str
    predicate: Mapping[str, Any]
    """A predicate or a trend; the rule that the file names knows what it means."""
    effects: Mapping[int, float]
    """By seed, with all digits; empty where nothing was judged."""
    paper: tuple[float, ...] = ()
    """The paper's values of the effect."""


@dataclass(frozen=True)
class FrozenCheck:
    """A manipulation check: what had to be true first, and what was found."""

    name: str
    effect: str
    unit: str
    predicate: Mapping[str, Any]
    effects: Mapping[str, Mapping[int, float]]
    """By component and seed."""


@dataclass(frozen=True)
class Failure:
    """Why a cell has no effects."""

    verdict: Literal["not_run", "error"]
    reason: str
    remedy: str | None


@dataclass(frozen=True)
class FrozenCell:
    """One claim under one protocol: everything that its verdict follows from."""

    claim: FrozenClaim
    protocol: str
    scope: str
    """The claim's, and where it was judged if that is less."""
    measured: str
    numbers: tuple[float, ...]
    """The paper's, one for each component or for the only one."""
    switches: Mapping[str, object]
    effect: str | None
    """What the number per seed is, in words; None for a claim made of its parts alone."""
    components: tuple[FrozenComponent, ...]
    any_of: tuple[frozenset[str], ...]
    looks: int
    """At this cell's data, that of the file included."""
    failure: Failure | None
    """Of its own effect, or of the whole cell."""
    runs: tuple[str, ...]
    """Keys of the runs that its own effect rests on."""
    diagnostics: Mapping[str, float | None] | None
    provenance: Mapping[str, Any]
    parts: tuple[str, ...]
    """Ids of the claims that must hold too, under the same protocol."""
    left_out: tuple[str, ...]
    """Those that the protocol cannot test."""
    factors: tuple[str, ...]
    """Switches whose part in the verdict was asked for: the cell is there with each of them at its other value."""
    tried: int
    """How many switches the largest set had that was tried."""
    deciding: frozenset[str] | None
    """Components that have a say; None: all."""
    level: float | None
    """What its look may spend of alpha, where looks were declared."""
    checks: tuple[FrozenCheck, ...]
    incomparable: str
    """Why the paper's values say nothing about the size of ours."""
    paper_data: tuple[PaperReading, ...]
    over: Over | None
    reachable: Reach | None
    warnings: tuple[str, ...]
    units: Mapping[int, str]
    """Seed → what it is an observation of, where several are of one (`dtclaims.harness.judge.factors`); else empty."""

    @property
    def name(self) -> Name:
        """Claim id, protocol."""
        return (self.claim.id, self.protocol)

    def flipped(self, switches: Sequence[str]) -> Name:
        """The name of the same cell with some switches at their other value."""
        return (self.claim.id, "+".join([self.protocol, *sorted(switches)]))


@dataclass(frozen=True)
class Declared:
    """When and by what a file's claims were recorded."""

    date: str
    dtclaims: str
    commit: str | None


@dataclass(frozen=True)
class Frozen:
    """The part of a file of evidence that its verdicts follow from."""

    rule: str
    """Version of the rule that they follow by (`dtclaims.harness.stats.editions`)."""
    alpha: float
    declared: Declared
    paper: Mapping[str, Any]
    """What a report says of the paper."""
    label: str
    """What the verdicts are evidence of."""
    scale: Mapping[str, Any]
    """The scale's table then, its budget included."""
    switches: tuple[Mapping[str, Any], ...]
    """The table of switches then."""
    cells: Mapping[Name, FrozenCell]
    figures: Mapping[str, Any]
    tables: Mapping[str, Any]
    regime: tuple[RegimeRow, ...]
    """How the runs trained; files from before it was recorded say nothing."""
    shown: tuple[str, ...]
    """What of a run's condition a report shows."""
    words: Mapping[str, Any]
    """What the lab called things then."""
