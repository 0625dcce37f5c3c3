"""A whole report as frozen data: whose verdicts, made by what, and which stand together (report.json, schema 2)."""

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import dtclaims
from dtclaims.errors import UsageError
from dtclaims.harness import times
from dtclaims.harness.described import Must
from dtclaims.harness.judge.entries import Base, Count, Entry, Level, Name
from dtclaims.harness.judge.exhibits import Figure, Id, Table
from dtclaims.harness.judge.pages import Kind, Page
from dtclaims.harness.judge.regime import RegimeRow
from dtclaims.harness.judge.words import Words
from dtclaims.harness.printable import unicode
from dtclaims.harness.records import ABSENT, REQUIRED, WRITTEN, Record
from dtclaims.harness.stats.composites import Headline
from dtclaims.harness.stats.editions import TODAY, Edition
from dtclaims.places import home

Created = Annotated[str, Must(pattern=times.PATTERN)]
"""ISO 8601, UTC."""


@dataclass(frozen=True)
class Paper(Record):
    """The paper that the claims are about."""

    title: Name
    authors: str
    venue: str
    year: int | None
    url: str


@dataclass(frozen=True)
class Registration(Record):
    """The sealed declaration that results were made under (`dtclaims register`)."""

    digest: Name
    """SHA-256 of what was declared."""
    created: Created
    before_first_run: bool | None
    """Whether it was sealed before the first of these runs ended; null where that is not known."""
    matches: bool
    """Whether the claims that were judged are those that it declares."""
    differs: tuple[str, ...] = ()
    """Choices of the session (`seeds`) and ids of claims that were judged as declared otherwise."""


BEYOND = "runs with a switch at its other value were not registered, and no verdict rests on them"
"""What is said of `--attribute` and `--factor` under a registration."""


@dataclass(frozen=True)
class FromEvidence(Record):
    """The file of evidence that a report was judged from: results are as old as it is, whenever they are judged."""

    name: Name
    date: Created
    """When it was made."""
    commit: str | None
    """That it was made at; null where the file does not say."""


@dataclass(frozen=True)
class Family(Record):
    """What the claims of a report are some of, or all."""

    claims: Count
    """Declared beside each other."""
    headlines: Count
    """Of them, those that feed a headline of the paper."""


@dataclass(frozen=True, kw_only=True)
class ReportProvenance(Record):
    """What made the report."""

    dtclaims: str
    created: Created
    """When the verdicts were made: ISO 8601, UTC."""
    command: str
    seeds: tuple[int, ...]
    scale: Name
    scale_reason: str | None
    protocols: tuple[Base, ...]
    device: str
    alpha: Level
    store: str | None
    versions: Mapping[str, str]
    commit: str | None = None
    """Of the claims."""
    options: Mapping[str, str] = field(default_factory=dict)
    """The lab's own options that were given, folders by their names: what is measured under others is not the same."""
    evidence: FromEvidence | None = None
    """null where a store was judged."""
    code: Mapping[str, str] | None = field(default=None, metadata=ABSENT)
    """Digests of the modules that the runs and measurements depend on."""
    rules: tuple[str, ...] = ()
    """Editions of the rule that its verdicts were made by."""
    registration: Registration | None = None
    """null where none was named."""
    tasks: tuple[str, ...] = ()
    """That claims could be judged on; empty where the lab has none, or in reports from before it was said."""
    family: Family | None = None
    """null in reports from before it was said."""
    label: Name
    """What these verdicts are and are not, in one line that every rendering repeats."""

    @property
    def dated(self) -> str:
        """How old its results are: the evidence's date, else when they were judged."""
        return self.created if self.evidence is None else self.evidence.date


@dataclass(frozen=True, kw_only=True)
class Document(Record):
    """One judged set of claims. Written by `dtclaims`, read by its renderers and by anything that speaks JSON."""

    schema: Literal[2] = field(default=2, metadata=REQUIRED)
    """The version of this layout."""
    paper: Paper
    provenance: ReportProvenance
    claims: tuple[Entry, ...]
    """One entry per (id, protocol, scale), in the order to show."""
    figures: Mapping[Id, Figure] = field(default_factory=dict, metadata=WRITTEN)
    """The paper's figures redrawn: by id, in the order to show."""
    tables: Mapping[Id, Table] = field(default_factory=dict, metadata=WRITTEN)
    """The paper's tables remade: by id, in the order to show."""
    words: Words = field(default_factory=Words)
    """What the lab calls things."""
    regime: tuple[RegimeRow, ...] = ()
    """How the runs trained, beside the paper's."""
    pages: Mapping[Kind, Page] = field(default_factory=dict)
    """What explains the items of the audit, and the paper's words."""


def made_now(
    *,
    seeds: Sequence[int],
    scale: str,
    scale_reason: str | None,
    protocols: Sequence[str],
    device: str,
    alpha: float,
    store: Path,
    versions: Mapping[str, str],
    label: str,
    tasks: Sequence[str] = (),
    family: Family | None = None,
    rules: Sequence[str] = (),
    registration: Registration | None = None,
    commit: str | None = None,
    options: Mapping[str, str] | None = None,
) -> ReportProvenance:
    """The provenance of a report that this process makes.

    Args:
        seeds: judged.
        scale: of the session.
        scale_reason: why that one.
        protocols: names of those asked for.
        device: where jobs are done.
        alpha: of every verdict, on each side.
        store: where results are.
        versions: of the packages that results depend on.
        label: what the verdicts are evidence of.
        tasks: of the session.
        family: what its claims are some of.
        rules: editions of the rule that made the verdicts.
        registration: that the results were made under, if one was named.
        commit: of the claims, where they are under git.
        options: the lab's own that were given, as typed.
    """
    return ReportProvenance(
        dtclaims=dtclaims.__version__,
        created=times.now(),
        command=unicode(" ".join(sys.argv[:1] and [_program(), *sys.argv[1:]])),
        seeds=tuple(seeds),
        scale=scale,
        scale_reason=scale_reason,
        protocols=tuple(protocols),
        device=device,
        alpha=alpha,
        store=unicode(_home_relative(store)),
        versions={**versions, "python": platform.python_version()},
        label=label,
        tasks=tuple(tasks),
        family=family,
        rules=tuple(rules),
        registration=registration,
        commit=commit,
        # Where a folder lay says nothing elsewhere, and may name its user.
        options={name: unicode(Path(given).name) for name, given in (options or {}).items()},
    )


def with_holm(entries: Sequence[Entry], alpha: float, rule: Edition = TODAY) -> tuple[Entry, ...]:
    """The entries, the reproduced headline ones marked by whether they stand together, by t and without assumptions."""
    headlines = [
        Headline(
            one.id,
            (one.protocol, one.scale),
            one.verdict,
            one.p_value,
            None if one.tests is None else one.tests.p_t,
            None if one.tests is None else one.tests.p_free,
        )
        for one in entries
        if one.headline
    ]
    stands = rule.headlines(headlines, alpha)
    return tuple(
        replace(one, holm=stands[one.key].stands_t, holm_free=stands[one.key].stands_free) if one.key in stands else one
        for one in entries
    )


def _program() -> str:
    name = Path(sys.argv[0]).name
    return "pytest" if name in ("pytest", "__main__.py", "py.test") else name


def _home_relative(store: Path) -> str:
    """The store's place without the user's name: reports are shared."""
    try:
        return f"DTCLAIMS_HOME/{store.resolve().relative_to(home().resolve())}"
    except (ValueError, UsageError):
        # Elsewhere, or of a user without a home.
        return store.name
