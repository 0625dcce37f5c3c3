"""An append-only history: one JSON line per verdict and commit, which a dashboard reads."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from filelock import FileLock

from dtclaims.errors import ReportError
from dtclaims.files import parse_json, plain_text
from dtclaims.harness import schema
from dtclaims.harness.described import Must
from dtclaims.harness.judge.document import Created, Document
from dtclaims.harness.judge.entries import Base, Count, Effect, Key, Name, Part
from dtclaims.harness.judge.words import Status
from dtclaims.harness.records import REQUIRED, Record
from dtclaims.harness.report import beside
from dtclaims.harness.report.document import at, replace_all, validate

SCHEMA = 1
"""The version of a line."""

NOTHING = Effect.none("", "")


@dataclass(frozen=True, kw_only=True)
class Line(Record):
    """One verdict at one commit."""

    schema: Literal[1] = field(default=1, metadata=REQUIRED)
    commit: Annotated[str, Must(pattern=r"^\S+$")]
    created: Created
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

    @property
    def key(self) -> tuple[str, Key]:
        """What identifies a line: the commit, and the entry it judged."""
        return self.commit, (self.id, self.protocol, self.scale)

    @property
    def parts(self) -> tuple[Part, ...]:
        """A history does not say what a claim is made of."""
        return ()


def lines_of(document: Document, commit: str) -> list[Line]:
    """The lines that a report adds to a history.

    Raises:
        ReportError: not a valid report, or a commit that is empty or holds white space.
    """
    provenance = validate(document).provenance
    own = {entry.key: entry.effect if beside.decided_alone(entry) else NOTHING for entry in document.claims}
    found = [
        Line(
            commit=commit,
            created=provenance.created,
            paper=document.paper.title,
            id=entry.id,
            section=entry.section,
            headline=entry.headline,
            protocol=entry.protocol,
            scale=entry.scale,
            verdict=entry.verdict,
            provisional=entry.provisional,
            n=entry.n,
            # Of several components there is no one effect, and one that did not decide is not the verdict's.
            mean=own[entry.key].mean,
            low=own[entry.key].low,
            high=own[entry.key].high,
            unit=entry.effect.unit,
            claimed=entry.trend.text,
            dtclaims=provenance.dtclaims,
        )
        for entry in document.claims
    ]
    return [Line.from_json(line.to_json(), "history") for line in found]


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
    seen: dict[tuple[str, Key], int] = {}
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
    found: dict[tuple[str, Key], Line] = {}
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


def add(document: Document, path: Path, commit: str) -> int:
    """Append a report's verdicts to a history, which is made if there is none.

    What the history holds is read first and never changed. A commit added before, with the same verdicts, adds nothing.

    Returns:
        The number of lines added.

    Raises:
        ReportError: as `lines_of` and `read`, another paper's history, another verdict on a claim at the same commit,
            or a file that cannot be written.
    """
    new = lines_of(document, commit)
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
                replace_all(
                    {path: before + "".join(f"{json.dumps(line.to_json(), ensure_ascii=False)}\n" for line in fresh)}
                )
    except OSError as error:
        raise ReportError("cannot write the history", given=f"{error.strerror}: {error.filename}") from None
    return len(fresh)


def _line(text: str, place: str) -> Line:
    try:
        content = parse_json(text)
    except ValueError as error:
        raise ReportError(f"{place} is broken: no JSON", given=str(error), remedy="Remove or mend that line.") from None
    if not isinstance(content, dict):
        raise ReportError(f"{place} is broken: no verdict", given=schema.shown(content))
    if "schema" in content and (content["schema"] != SCHEMA or isinstance(content["schema"], bool)):
        raise ReportError(
            f"{place}: schema is a version this dtclaims does not know",
            given=schema.shown(content["schema"]),
            expected=SCHEMA,
            remedy="Read the history with the dtclaims that wrote it.",
        )
    try:
        return Line.from_json(content)
    except ReportError as error:
        raise at(place, error) from None


def _told(line: Line) -> str:
    return " ".join((line.commit, line.id, line.protocol, line.scale))
