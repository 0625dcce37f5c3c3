"""What a report says of one claim under one protocol at one scale, as frozen data (report.json, schema 2)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal, Protocol, get_args

from dtclaims.harness.described import Must
from dtclaims.harness.judge.words import PROTOCOLS, UNDECIDED, Status
from dtclaims.harness.records import ABSENT, OTHERS, WRITTEN, Record, written
from dtclaims.harness.stats import Predicate, Verdict, sizes
from dtclaims.harness.stats.trends import Trend, TrendKind

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

SizeWord = Literal[sizes.SizeWord, "not comparable", "not shown"]


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
class TrendShown(Record):
    """What was declared of the effect: the trend, or what an older rule called a predicate."""

    kind: str
    """Of a trend (`dtclaims.harness.stats.trends`); `above`, `below` or `holds_in` under rule 1; `parts` where parts
    are judged instead."""
    text: str
    null: float | None = field(default=None, kw_only=True, metadata=WRITTEN)
    """The effect that means "no difference"."""
    bound: float | None = field(default=None, kw_only=True, metadata=WRITTEN)
    """The margin, the limit or the share of seeds, as the kind has one."""
    direction: Literal[1, -1] = field(default=1, kw_only=True)
    """Side of the null or bound that is claimed, 1 above."""
    interest: float | None = field(default=None, kw_only=True)
    """The smallest effect of interest, counted from the null in the direction claimed."""
    why: str = field(default="", kw_only=True)
    """Why our number in it is what it is; empty where none is ours."""

    @classmethod
    def of(cls, declared: Trend | Predicate) -> "TrendShown":
        """What a rule judges."""
        if isinstance(declared, Predicate):
            direction: Literal[1, -1] = -1 if declared.kind == "below" else 1
            return cls(declared.kind, str(declared), null=declared.null, bound=declared.value, direction=direction)
        return cls(
            declared.kind,
            str(declared),
            null=declared.null,
            bound=declared.bound,
            direction=declared.direction,
            interest=declared.interest or None,
            why=declared.why,
        )

    @property
    def trend(self) -> Trend | None:
        """The trend again; None of an older rule's predicate, and where parts are judged instead."""
        if self.kind not in get_args(TrendKind):
            return None
        said = {name: getattr(self, name) for name in ("kind", "direction", "null", "bound", "why")}
        return Trend.from_json({**said, "interest": self.interest or 0.0})


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
    spent: Level | None = None
    """What this look could spend of alpha, where looks were declared; null where it is alpha / looks."""

    @classmethod
    def of(cls, verdict: Verdict, spent: float | None = None) -> "Statistics":
        """The numbers of a verdict, and what its look could spend where looks were declared."""
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
            spent=spent,
        )

    @property
    def level(self) -> float:
        """The error probability of this look, on each side."""
        return self.spent or self.alpha / self.looks


class Tested(Protocol):
    """What a rule says of a claim's error probabilities."""

    @property
    def p_t(self) -> float | None:
        """By t."""

    @property
    def p_free(self) -> float | None:
        """Assuming no distribution."""

    @property
    def p_against(self) -> float | None:
        """Of what would refute it."""

    @property
    def gate_against(self) -> bool:
        """Whether its seeds are a proven majority on that side."""


@dataclass(frozen=True)
class ErrorProbabilities(Record):
    """What composites and families of claims are judged from; paid for the claim's components and looks."""

    p_t: Share | None
    """p of the claim by t (exact, of counts): what stands "if seeds are normal"."""
    p_free: Share | None
    """p of the claim without any assumption on the distribution of seeds."""
    p_against: Share | None
    """p of what would refute it."""
    gate_against: bool
    """Whether the seeds are a proven majority on that side."""

    @classmethod
    def of(cls, tested: Tested) -> "ErrorProbabilities":
        """Of a verdict."""
        return cls(tested.p_t, tested.p_free, tested.p_against, tested.gate_against)


@dataclass(frozen=True)
class Size(Record):
    """How large the effect is beside the paper's own value of it. It changes no verdict."""

    said: SizeWord
    """`smaller` and `larger` in the direction claimed; `not shown`: the paper does not show the effect, or three seeds
    are not there to compare it with."""
    reason: str
    low: float | None = None
    """Ends of the interval that the paper's value was compared with."""
    high: float | None = None


@dataclass(frozen=True)
class Component(Record):
    """One of several things that a claim says, judged alone."""

    verdict: Status
    effect: Effect
    trend: TrendShown
    statistics: Statistics | None
    size: Size | None = None
    reported: bool = False
    """Whether it is only reported: another task decides."""


@dataclass(frozen=True)
class PaperReading(Record):
    """What a claim's own test says of the paper's own value, of one of its seeds (`dtclaims calibrate`)."""

    seed: int
    component: str
    """A part, a task or both; of a composite, the id of a claim that it is made of."""
    effect: float | None
    holds: bool | None
    """None where the paper does not show it."""
    note: str = ""
    """Why it is not shown, or what is to be said of a failure."""


@dataclass(frozen=True)
class CheckShown(Record):
    """A manipulation check: what must be true before the claim is evaluable."""

    name: Name
    verdict: Status
    """`reproduced` where it is shown; else the claim is not evaluable."""
    effect: Effect
    trend: TrendShown
    reason: str


@dataclass(frozen=True)
class Reach(Record):
    """Whether a claim's test can come to a verdict at all on as many seeds as were judged, whatever they say."""

    n: Count
    reproduced: bool
    refuted: bool
    reproduced_from: Count | None
    """The fewest seeds that some data could reproduce it with; null if none do."""
    refuted_from: Count | None


SEED = "seed"
"""What is counted as one where seeds share nothing that varies."""


@dataclass(frozen=True)
class Over(Record):
    """What the interval runs over, and what it says nothing about."""

    text: str
    unit: Name = SEED
    """What is counted as one."""
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of each factor that seeds may share, such as a pre-trained checkpoint, those that were judged."""


@dataclass(frozen=True)
class PaperValue(Record):
    """What the paper reports."""

    text: str
    numbers: tuple[float, ...] = field(default=(), kw_only=True, metadata=WRITTEN)
    """The paper's effect, to mark in the plot: of one component each of its seeds', else one each, in their order."""
    otherwise: str = field(default="", kw_only=True)
    """Why none of its numbers can stand on an axis of ours: it measured something else; empty where it did not."""


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
class Moved(Record):
    """By how much switches move an effect: the mean of what each seed moves, with its interval."""

    mean: float | None
    """None where another quantity is measured, or nothing: then there is no difference."""
    low: float | None
    high: float | None

    @property
    def shown(self) -> bool:
        """Whether the interval of the difference leaves 0 out. Without an interval nothing is shown."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True)
class Variant(Record):
    """The claim with one switch set as the other protocol sets it."""

    effect: float | None
    low: float | None
    high: float | None
    verdict: Status
    moved: Moved | None = None
    """From the entry's own effect, seed by seed; null in reports from before this was asked."""

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
    """The smallest set that flips the verdict; empty if no tried set does, null if not asked. Of several single ones
    the first whose difference is shown."""
    moved: Moved | None = None
    """By how much that set moves the effect. It is enough to change the verdict only where this is shown."""


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
    trend: TrendShown
    turn: Literal["reversed", "absent", ""] = ""
    """Of a refuted claim: beyond the null on the other side, or smaller than any effect of interest."""
    decided_by: tuple[str, ...] = ()
    """What the verdict came from: components, or ids of parts."""
    size: Size | None = None
    """Of the only component, or the first that decided."""
    paper_data: tuple[PaperReading, ...] = ()
    """What the same test says of the paper's own values; empty where the lab has none."""
    reachable: Reach | None = None
    checks: tuple[CheckShown, ...] = ()
    over: Over | None = None
    warnings: tuple[str, ...] = ()
    """What a reader must know before believing it: a trend that was changed after a look, seeds chosen among others."""
    rule: Name = "1"
    """The edition of the rule that judged it."""
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
    """One-sided p of the claim: of several components, the largest. None below five seeds."""
    tests: ErrorProbabilities | None = None
    attribution: Attribution | None = field(default=None, metadata=ABSENT)
    holm: bool | None = None
    """Whether the verdict stands after Holm over the headline claims, were the seeds normal; absent or null where that
    was not asked."""
    holm_free: bool | None = None
    """The same without any assumption on the seeds' distribution."""

    @property
    def key(self) -> Key:
        """What identifies an entry in a report."""
        return self.id, self.protocol, self.scale

    @property
    def unit(self) -> str:
        """What its `n` counts."""
        return SEED if self.over is None else self.over.unit

    @property
    def decided(self) -> bool:
        """Whether something was judged, whatever came of it."""
        return self.verdict not in UNDECIDED
