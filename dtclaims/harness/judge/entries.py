"""What a report says of one claim under one protocol at one scale, as frozen data (report.json, schema 1)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Protocol

from dtclaims.harness.described import Must
from dtclaims.harness.judge.words import PROTOCOLS, UNDECIDED, Status
from dtclaims.harness.records import ABSENT, OTHERS, WRITTEN, Record, written
from dtclaims.harness.stats import Predicate, Verdict

Name = Annotated[str, Must(pattern=r"\S")]
Share = Annotated[float, Must(minimum=0, maximum=1)]
Count = Annotated[int, Must(minimum=0)]
Level = Annotated[float, Must(exclusiveMinimum=0, exclusiveMaximum=0.5)]
Base = Annotated[str, Must(enum=tuple(PROTOCOLS))]
"""A protocol's name: one of the two ends, where a report shows it."""

Key = tuple[str, str, str]
"""(id, protocol, scale)."""

Free = Mapping[str, object]
"""Plain data of any shape."""


class Estimate(Protocol):
    """A mean with its interval."""

    @property
    def mean(self) -> float | None:
        """None where nothing was measured."""

    @property
    def low(self) -> float | None:
        """None where there is no interval."""

    @property
    def high(self) -> float | None:
        """None where there is no interval."""


@dataclass(frozen=True)
class PredicateShown(Record):
    """What was declared."""

    kind: str
    threshold: float | None
    """The limit (above, below), the margin around `null` (equivalent) or the share of seeds (holds_in); null where
    parts are judged instead."""
    null: float | None = field(default=None, kw_only=True, metadata=WRITTEN)
    text: str

    @classmethod
    def of(cls, predicate: Predicate) -> "PredicateShown":
        """A predicate of the statistics."""
        return cls(predicate.kind, predicate.value, str(predicate), null=predicate.null)


@dataclass(frozen=True)
class Effect(Record):
    """One number per seed, their mean and its interval (alpha on each side)."""

    mean: float | None
    low: float | None
    high: float | None
    per_seed: Mapping[int, float]
    unit: str
    name: str

    @classmethod
    def none(cls, unit: str, name: str) -> "Effect":
        """What is declared of an effect before anything is measured."""
        return cls(None, None, None, {}, unit, name)


@dataclass(frozen=True)
class Statistics(Record):
    """What must stand beside a verdict. A field is null where the quantity has no value."""

    sd: Annotated[float, Must(minimum=0)] | None
    agree: Count | None
    p_value: Share | None
    fresh_seed_bound: Share | None
    superiority: Share | None
    effect_size: float | None
    seeds_needed: Count | None
    alpha: Level
    looks: Annotated[int, Must(minimum=1)]

    @classmethod
    def of(cls, verdict: Verdict) -> "Statistics":
        """The numbers of a verdict."""
        return cls(
            sd=verdict.sd,
            agree=verdict.agree,
            p_value=verdict.p_value,
            fresh_seed_bound=verdict.fresh_seed_bound,
            superiority=verdict.superiority,
            effect_size=verdict.effect_size,
            seeds_needed=verdict.seeds_needed,
            alpha=verdict.alpha,
            looks=verdict.looks,
        )

    @property
    def level(self) -> float:
        """The error probability of this look, on each side."""
        return self.alpha / self.looks


@dataclass(frozen=True)
class Component(Record):
    """One of several things that a claim says, judged alone."""

    verdict: Status
    effect: Effect
    predicate: PredicateShown
    statistics: Statistics | None


@dataclass(frozen=True)
class PaperValue(Record):
    """What the paper reports."""

    text: str
    numbers: tuple[float, ...] = field(default=(), kw_only=True, metadata=WRITTEN)
    """The paper's effect, to mark in the plot. As many as there are components: one each, in their order."""


@dataclass(frozen=True)
class RunUsed(Record):
    """A run that a verdict rests on."""

    key: Name
    condition: Mapping[str, str | int | None] = field(metadata=OTHERS)
    """What tells it from other runs beside the seed, in the lab's words."""
    seed: int
    cached: bool
    """Whether it was in the store before this session."""
    seconds: Annotated[float, Must(minimum=0, maximum=1e10)] | None


@dataclass(frozen=True)
class Part(Record):
    """A claim that a composite is made of, and its verdict under the composite's protocol and scale."""

    id: Name
    verdict: Status


@dataclass(frozen=True)
class Variant(Record):
    """The claim with one switch set as the other protocol sets it."""

    effect: float | None
    low: float | None
    high: float | None
    verdict: Status

    @property
    def mean(self) -> float | None:
        """The effect, as an `Estimate`."""
        return self.effect


@dataclass(frozen=True)
class Attribution(Record):
    """Which switches the verdict hangs on."""

    variants: Mapping[str, Variant]
    """By switch, from this entry's protocol."""
    smallest: tuple[str, ...] | None
    """The smallest set that flips the verdict; empty if no tried set does, null if not asked."""


def _was_judged(entry: "Entry") -> bool:
    return entry.statistics is not None or bool(entry.parts)


@dataclass(frozen=True, kw_only=True)
class Entry(Record):
    """One verdict: a claim under one protocol at one scale, and all that a reader needs to doubt it."""

    id: Name
    section: str
    headline: bool
    title: str | None = None
    quote: str
    scope: str
    protocol: Base
    scale: Name
    verdict: Status
    reason: str
    provisional: bool
    n: Count
    effect: Effect
    statistics: Statistics | None
    components: Mapping[str, Component]
    predicate: PredicateShown
    paper_value: PaperValue
    deviations: tuple[str, ...]
    switches: Free
    measured: str
    runs: tuple[RunUsed, ...]
    remedy: str | None
    provenance: Free
    diagnostics: Mapping[str, float | None] | None = field(default=None, metadata=ABSENT)
    """What explains a failure, such as the share of updates that were clipped."""
    parts: tuple[Part, ...] = ()
    """Of a composite."""
    p_value: Share | None = field(default=None, metadata=written(_was_judged))
    """One-sided p of the claim: of several components, the largest. What Holm's rule reads."""
    attribution: Attribution | None = field(default=None, metadata=ABSENT)
    holm: bool | None = None
    """Whether the verdict stands after Holm over the headline claims; absent or null where that was not asked."""

    @property
    def key(self) -> Key:
        """What identifies an entry in a report."""
        return self.id, self.protocol, self.scale

    @property
    def decided(self) -> bool:
        """Whether something was judged, whatever came of it."""
        return self.verdict not in UNDECIDED
