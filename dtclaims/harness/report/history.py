"""An append-only history: one JSON line per verdict and commit, which a dashboard reads."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from dtclaims.errors import ReportError
from dtclaims.harness.report import schema
from dtclaims.harness.report.document import SCHEMA, Document, at, replace_all, validate

Line = dict[str, Any]
"""One verdict at one commit, of the shape in `LINE`."""

LINE = {
    "type": "object",
    "required": [
        "schema", "commit", "created", "paper", "id", "section", "headline", "protocol", "scale", "verdict",
        "provisional", "n", "mean", "low", "high", "unit", "claimed", "dtclaims",
    ],
    "additionalProperties": False,
    "properties": {
        "schema": {"const": SCHEMA},
        "commit": {"type": "string", "pattern": r"^\S+$"},
        "created": {"$ref": "#/$defs/created"},
        "paper": {"type": "string", "pattern": r"\S"},
        "id": {"type": "string", "pattern": r"\S"},
        "section": {"type": "string"},
        "headline": {"type": "boolean"},
        "protocol": {"enum": ["published", "corrected"]},
        "scale": {"enum": ["mini", "small", "full", "paper"]},
        "verdict": {"$ref": "#/$defs/verdict"},
        "provisional": {"type": "boolean"},
        "n": {"type": "integer", "minimum": 0},
        "mean": {"$ref": "#/$defs/number_or_null"},
        "low": {"$ref": "#/$defs/number_or_null"},
        "high": {"$ref": "#/$defs/number_or_null"},
        "unit": {"type": "string"},
        "claimed": {"type": "string"},
        "dtclaims": {"type": "string"},
    },
}  # fmt: skip
"""A line, in the terms of `schema.json`."""


def lines_of(document: Document, commit: str) -> list[Line]:
    """The lines that a report adds to a history.

    Raises:
        ReportError: not a valid report, or a commit that is empty or holds white space.
    """
    provenance = validate(document)["provenance"]
    found = [
        {
            "schema": SCHEMA,
            "commit": commit,
            "created": provenance["created"],
            "paper": document["paper"]["title"],
            **{name: entry[name] for name in ("id", "section", "headline", "protocol", "scale", "verdict")},
            **{name: entry[name] for name in ("provisional", "n")},
            # Of several components there is no one effect.
            **{name: None if entry["components"] else entry["effect"][name] for name in ("mean", "low", "high")},
            "unit": entry["effect"]["unit"],
            "claimed": entry["predicate"]["text"],
            "dtclaims": provenance["dtclaims"],
        }
        for entry in document["claims"]
    ]
    for line in found:
        schema.check(line, LINE, schema.load(), "history")
    return found


def read(path: Path) -> list[Line]:
    """All lines of a history, in its order.

    Raises:
        ReportError: no such file, or a line (named by its number) that is not JSON, not a verdict, of another schema,
            or a second verdict on the same claim at the same commit.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ReportError(f"cannot read the history {path}", given=error) from None
    found: list[Line] = []
    seen: dict[tuple[str, ...], int] = {}
    for number, one in enumerate(text.split("\n"), 1):
        if not one and number > text.count("\n"):
            break
        line = _line(one, f"{path}, line {number}")
        first = seen.setdefault(_key(line), number)
        if first != number:
            raise ReportError(
                f"{path}, line {number} is a second verdict on one claim at one commit",
                given=" ".join(_key(line)),
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
    found: dict[tuple[str, ...], Line] = {}
    for line in (line for history in histories for line in history):
        known = found.setdefault(_key(line), line)
        if known["verdict"] != line["verdict"]:
            raise ReportError(
                "one claim has two verdicts at one commit",
                given=f"{' '.join(_key(line))}: {known['verdict']} and {line['verdict']}",
                remedy="Give runs of one commit on different machines a --commit of their own.",
            )
    papers = {line["paper"] for line in found.values()}
    if len(papers) > 1:
        raise ReportError("the histories are of different papers", given="; ".join(sorted(papers)))
    return sorted(found.values(), key=lambda line: str(line["created"]))


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
            known = {_key(line) for line in old}
            fresh = [line for line in new if _key(line) not in known]
            if fresh:
                before = path.read_text(encoding="utf-8") if old else ""
                replace_all({path: before + "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in fresh)})
    except OSError as error:
        raise ReportError("cannot write the history", given=f"{error.strerror}: {error.filename}") from None
    return len(fresh)


def _line(text: str, place: str) -> Line:
    try:
        line: Line = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{place} is broken: no JSON", given=str(error), remedy="Remove or mend that line.") from None
    if not isinstance(line, dict):
        raise ReportError(f"{place} is broken: no verdict", given=schema.shown(line))
    if "schema" in line and (line["schema"] != SCHEMA or isinstance(line["schema"], bool)):
        raise ReportError(
            f"{place}: schema is a version this dtclaims does not know",
            given=schema.shown(line["schema"]),
            expected=SCHEMA,
            remedy="Read the history with the dtclaims that wrote it.",
        )
    try:
        schema.check_json(line, "")
        schema.check(line, LINE, schema.load(), "")
    except ReportError as error:
        raise at(place, error) from None
    return line


def _key(line: Mapping[str, Any]) -> tuple[str, ...]:
    return line["commit"], line["id"], line["protocol"], line["scale"]


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
