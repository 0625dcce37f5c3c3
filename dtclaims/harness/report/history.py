"""An append-only history: one JSON line per verdict and commit, which a dashboard reads.

Beside it, in `reports/`, lies the page of each report that was added, so that no number is without its report.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from filelock import FileLock

from dtclaims.errors import ReportError
from dtclaims.files import parse_json, plain_text
from dtclaims.harness import schema
from dtclaims.harness.described import Must
from dtclaims.harness.judge.document import Created, Document
from dtclaims.harness.judge.entries import Base, Count, Entry, Key, Level, Name, Part, TrendShown
from dtclaims.harness.judge.words import Status
from dtclaims.harness.records import REQUIRED, Record
from dtclaims.harness.report import decided, html, view
from dtclaims.harness.report.document import at, replace_all, validate

SCHEMAS = (1, 2)
"""Versions of a line that can be read; the last is written."""

PAGES = "reports"
"""The folder of pages, beside the history."""

Link = Annotated[str, Must(pattern=rf"^($|https?://\S+$|{PAGES}/[A-Za-z0-9._-]+\.html$)")]
"""Where a report can be read: a page beside the history or an address; empty where it was not kept."""


class Track(NamedTuple):
    """What is followed over time."""

    id: str
    protocol: str
    scale: str
    setting: str
    """What is measured under other options of the lab is not the same."""


@dataclass(frozen=True, kw_only=True)
class Line(Record):
    """One verdict at one commit."""

    schema: Literal[1, 2] = field(default=2, metadata=REQUIRED)
    commit: Annotated[str, Must(pattern=r"^\S+$")]
    created: Created
    """How old the results are: a file of evidence has its own date, whenever it is judged."""
    paper: Name
    id: Name
    section: str
    headline: bool
    protocol: Base
    scale: Name
    verdict: Status
    provisional: bool
    n: Count
    mean: float | None
    low: float | None
    high: float | None
    unit: str
    claimed: str
    dtclaims: str
    title: str = ""
    quote: str = ""
    """The claim's sentence."""
    seeds: tuple[int, ...] = ()
    """Judged."""
    of: str = ""
    """Which component or part the effect is of; empty where it is the claim's own."""
    why: str = ""
    """What decided it."""
    level: Level | None = None
    """Of the interval, on each side."""
    trend: TrendShown | None = None
    """What was declared of the effect; null where there is none, and in lines of schema 1."""
    setting: str = ""
    """The lab's own options that were given, as in `simulator gym-v2`."""
    rank: Count = 0
    """Of the scale among the lab's, from the smallest."""
    label: str = ""
    """What verdicts there are evidence of."""
    report: Link = ""
    anchor: str = ""
    """Of this verdict on its report's page."""

    @property
    def track(self) -> Track:
        """What the line is a point of."""
        return Track(self.id, self.protocol, self.scale, self.setting)

    @property
    def key(self) -> tuple[str, Track]:
        """What identifies a line: the commit, and what it judged."""
        return self.commit, self.track

    @property
    def world(self) -> str:
        """Scale and setting: verdicts of two worlds are never put side by side."""
        return f"{self.scale}, {self.setting}" if self.setting else self.scale

    @property
    def parts(self) -> tuple[Part, ...]:
        """A history does not say what a claim is made of."""
        return ()


def lines_of(document: Document, commit: str, report: str = "") -> list[Line]:
    """The lines that a report adds to a history.

    Args:
        document: a report.
        commit: what was judged.
        report: where it can be read.

    Raises:
        ReportError: not a valid report, a commit that is empty or holds white space, or an address that is none.
    """
    provenance = validate(document).provenance
    entries = {entry.key: entry for entry in document.claims}
    ranks = list(document.words.scales)
    anchors = view.anchors(view.groups(document.claims, document.words.scales)) if report else {}
    setting = ", ".join(f"{name.replace('_', ' ')} {given}" for name, given in provenance.options.items())
    found = [
        Line(
            commit=commit,
            created=provenance.dated,
            paper=document.paper.title,
            id=entry.id,
            section=entry.section,
            headline=entry.headline,
            protocol=entry.protocol,
            scale=entry.scale,
            verdict=entry.verdict,
            provisional=entry.provisional,
            n=entry.n,
            claimed=entry.trend.text,
            dtclaims=provenance.dtclaims,
            title=entry.title or "",
            quote=entry.quote,
            why=decided.decided(entry, entries).line,
            setting=setting,
            rank=ranks.index(entry.scale) if entry.scale in ranks else 0,
            label=provenance.label,
            report=report,
            anchor=anchors.get(entry.key, ""),
            **_measured(entry, entries),
        )
        for entry in document.claims
    ]
    return [Line.from_json(line.to_json(), "history") for line in found]


def _measured(entry: Entry, entries: Mapping[Key, Entry]) -> dict[str, Any]:
    """The number that a verdict came from; of several that decided together there is none."""
    found = decided.shown(entry, entries)
    if found is None:
        return {"mean": None, "low": None, "high": None, "unit": entry.effect.unit, "seeds": _seeds(entry)}
    return {
        "mean": found.effect.mean,
        "low": found.effect.low,
        "high": found.effect.high,
        "unit": found.effect.unit,
        "seeds": tuple(found.effect.per_seed) or _seeds(entry),
        "of": found.name,
        "level": None if found.statistics is None else found.statistics.level,
        "trend": found.trend,
    }


def _seeds(entry: Entry) -> tuple[int, ...]:
    effects = [entry.effect, *(component.effect for component in entry.components.values())]
    return tuple(sorted({seed for effect in effects for seed in effect.per_seed}))


def read(path: Path) -> list[Line]:
    """All lines of a history, in its order.

    Raises:
        ReportError: no such file, or a line (named by its number) that is not JSON, not a verdict, of another schema,
            or a second verdict on the same claim at the same commit.
    """
    try:
        text = plain_text(path)
    except (OSError, ValueError) as error:
        raise ReportError(f"cannot read the history {path}", given=error) from None
    found: list[Line] = []
    seen: dict[tuple[str, Track], int] = {}
    for number, one in enumerate(text.split("\n"), 1):
        if not one and number > text.count("\n"):
            break
        line = _line(one, f"{path}, line {number}")
        first = seen.setdefault(line.key, number)
        if first != number:
            raise ReportError(
                f"{path}, line {number} is a second verdict on one claim at one commit",
                given=_told(line),
                expected=f"one line per claim, protocol, scale and commit; the first is line {first}",
            )
        found.append(line)
    if text and not text.endswith("\n"):
        raise ReportError(
            f"{path}, line {len(found)} has no end",
            expected="every line to end with a newline",
            remedy="It was cut off while it was written; remove it.",
        )
    return found


def merge(histories: Iterable[Sequence[Line]]) -> list[Line]:
    """The lines of several histories by time; of one claim at one commit, the first.

    Raises:
        ReportError: histories of different papers, or with different verdicts on one claim at one commit.
    """
    found: dict[tuple[str, Track], Line] = {}
    for line in (line for history in histories for line in history):
        known = found.setdefault(line.key, line)
        if known.verdict != line.verdict:
            raise ReportError(
                "one claim has two verdicts at one commit",
                given=f"{_told(line)}: {known.verdict} and {line.verdict}",
                remedy="Give runs of one commit on different machines a --commit of their own.",
            )
    papers = {line.paper for line in found.values()}
    if len(papers) > 1:
        raise ReportError("the histories are of different papers", given="; ".join(sorted(papers)))
    return sorted(found.values(), key=lambda line: line.created)


def add(document: Document, path: Path, commit: str, link: str = "") -> int:
    """Append a report's verdicts to a history, which is made if there is none, and keep its page beside it.

    What the history holds is read first and never changed. A commit added before, with the same verdicts, adds nothing.

    Args:
        document: the report.
        path: of the history.
        commit: what was judged.
        link: where the report can be read; no page is kept then.

    Returns:
        The number of lines added.

    Raises:
        ReportError: as `lines_of` and `read`, another paper's history, another verdict on a claim at the same commit,
            or a file that cannot be written.
    """
    page = "" if link else html.render(document)
    new = lines_of(document, commit, link or f"{PAGES}/{_name(commit, document, page)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Two jobs may end at the same time.
        with FileLock(path.with_name(f".{path.name}.lock")):
            old = read(path) if path.exists() else []
            merge([old, new])
            known = {line.key for line in old}
            fresh = [line for line in new if line.key not in known]
            if fresh:
                before = path.read_text(encoding="utf-8") if old else ""
                added = "".join(f"{json.dumps(line.to_json(), ensure_ascii=False)}\n" for line in fresh)
                texts = {path: before + added}
                if page:
                    kept = path.parent / fresh[0].report
                    kept.parent.mkdir(exist_ok=True)
                    texts[kept] = page
                replace_all(texts)
    except OSError as error:
        raise ReportError("cannot write the history", given=f"{error.strerror}: {error.filename}") from None
    return len(fresh)


def _name(commit: str, document: Document, page: str) -> str:
    """A page's: of commit and scale for people, and of its text, so that no page is ever written over another."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", f"{commit[:12]}-{document.provenance.scale}").strip("-")
    return f"{words}-{hashlib.sha256(page.encode()).hexdigest()[:12]}.html"


def _line(text: str, place: str) -> Line:
    try:
        content = parse_json(text)
    except ValueError as error:
        raise ReportError(f"{place} is broken: no JSON", given=str(error), remedy="Remove or mend that line.") from None
    if not isinstance(content, dict):
        raise ReportError(f"{place} is broken: no verdict", given=schema.shown(content))
    if "schema" in content and (content["schema"] not in SCHEMAS or isinstance(content["schema"], bool)):
        raise ReportError(
            f"{place}: schema is a version this dtclaims does not know",
            given=schema.shown(content["schema"]),
            expected=" or ".join(map(str, SCHEMAS)),
            remedy="Read the history with the dtclaims that wrote it.",
        )
    try:
        return Line.from_json(content)
    except ReportError as error:
        raise at(place, error) from None


def _told(line: Line) -> str:
    return " ".join((line.commit, line.id, line.protocol, line.world))
