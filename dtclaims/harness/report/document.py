"""A report at the edge: JSON checked when read and when written, so that no renderer meets a surprise."""

import contextlib
import json
import os
import re
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dtclaims.errors import ReportError
from dtclaims.files import parse_json, plain_text
from dtclaims.harness import schema
from dtclaims.harness.described import schema_of
from dtclaims.harness.judge.document import Document
from dtclaims.harness.judge.entries import Component, Entry, Key
from dtclaims.harness.judge.exhibits import check_figures
from dtclaims.harness.judge.words import UNDECIDED

SCHEMA = 2
"""The version that is written. 1 had `predicate` in the place of `trend` and is read too."""


def parse(content: object) -> Document:
    """A report of JSON types as a document, once it is known to be one that every renderer can show.

    Raises:
        ReportError: not a report, another schema version, a field that is missing, unknown or of another type, NaN or
            infinity anywhere, two entries of one (id, protocol, scale), an interval whose ends are swapped, an
            effect on a claim that was not run, a scale that the report's own words do not know, or a figure's series
            with lists of different lengths.
    """
    if not isinstance(content, dict) or "schema" not in content or "claims" not in content:
        raise ReportError(
            "this is not a dtclaims report",
            given=schema.shown(content),
            expected="an object with `schema`, `paper`, `provenance` and `claims`",
        )
    if content["schema"] == 1 and not isinstance(content["schema"], bool):
        content = _from_first(content)
    if content["schema"] != SCHEMA or isinstance(content["schema"], bool):
        raise ReportError(
            "schema is a version this dtclaims does not know",
            given=schema.shown(content["schema"]),
            expected=f"1 or {SCHEMA}",
            remedy="Make the report again with this dtclaims, or read it with the one that wrote it.",
        )
    document = Document.from_json(content)
    _check_claims(document)
    check_figures(document.figures)
    return document


def _from_first(content: dict[str, Any]) -> dict[str, Any]:
    """A report of schema 1 in the form of schema 2. What it does not say stays unsaid; what is not as it should be is
    left for the checks."""

    def with_trend(one: object) -> object:
        if not isinstance(one, dict) or "trend" in one or not isinstance(one.get("predicate"), dict):
            return one
        predicate = dict(one["predicate"])
        bound = {"bound": predicate.pop("threshold")} if "threshold" in predicate else {}
        turned = {"direction": -1} if predicate.get("kind") == "below" else {}
        changed = {name: value for name, value in one.items() if name != "predicate"}
        changed["trend"] = {**predicate, **bound, **turned}
        if isinstance(one.get("components"), dict):
            changed["components"] = {name: with_trend(part) for name, part in one["components"].items()}
        return changed

    claims = content["claims"]
    return {**content, "schema": SCHEMA, "claims": [*map(with_trend, claims)] if isinstance(claims, list) else claims}


def validate(document: Document) -> Document:
    """The document itself, once it is known that what is written of it can be read and shown.

    Raises:
        ReportError: as `parse`.
    """
    if not isinstance(document, Document):
        raise ReportError(
            "this is not a dtclaims report", given=schema.shown(document), expected="a document, as `parse` makes it"
        )
    global _sound
    # Each renderer asks, and documents do not change.
    if _sound() is not document:
        parse(document.to_json())
        _sound = weakref.ref(document)
    return document


_sound: Callable[[], Document | None] = lambda: None  # noqa: E731
"""The document that was looked at last, while it is there."""


def dump(document: Document) -> str:
    """The document as the text of report.json.

    Raises:
        ReportError: as `parse`.
    """
    return json.dumps(validate(document).to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write(document: Document, path: Path) -> Path:
    """Write a report, replacing an older one only when the new one is complete.

    Raises:
        ReportError: as `parse`, or a folder that cannot be written to.
    """
    replace_all({path: dump(document)})
    return path


def read(path: Path) -> Document:
    """Read a report that `write` made; `read(write(d, path)) == d`.

    Raises:
        ReportError: no such file, damaged JSON, JSON that is not a report, or as `parse`.
    """
    content = read_json(path)
    try:
        return parse(content)
    except ReportError as error:
        raise at(path, error) from None


def schema_text() -> str:
    """The JSON Schema of report.json, as `schema.json` publishes it."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "dtclaims report"}
    text = json.dumps({**head, **schema_of(Document, described=True)}, indent=2, ensure_ascii=False)
    # Lists of words on one line each: half as long, and read more easily.
    return re.sub(r"\[\n\s+([^][{}]*?)\n\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ReportError: no such file, or not JSON.
    """
    try:
        return parse_json(plain_text(path))
    except OSError as error:
        raise ReportError(f"cannot read the report {path}", given=error.strerror) from None
    except ValueError as error:
        raise ReportError(
            f"{path} is damaged: no JSON",
            given=str(error),
            remedy="Make the report again; `dtclaims judge` needs no new training where the runs are stored.",
        ) from None


def at(place: object, error: ReportError) -> ReportError:
    """The same error, with the file (and line) it was found in."""
    return ReportError(f"{place}: {error.problem}", given=error.given, expected=error.expected, remedy=error.remedy)


def check_folder(folder: Path) -> None:
    """Find out before the work, not after, that a report cannot be written; the disk is left as it was.

    Raises:
        ReportError: something else is in the folder's place, or it may not be made or written to.
    """
    absent = [one for one in (folder, *folder.parents) if not one.exists()]
    trial = folder / f".dtclaims.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial.write_bytes(b"")
        trial.unlink()
    except OSError as error:
        raise ReportError(
            "the report cannot be written",
            given=f"{folder}: {error.strerror}",
            expected="a folder that can be made and written to",
            remedy="Name another with --report; nothing was done yet.",
        ) from None
    finally:
        for one in absent:
            with contextlib.suppress(OSError):
                one.rmdir()


def replace_all(texts: Mapping[Path, str]) -> None:
    """Write several files so that each is always the old one or the whole new one.

    Every text is first written beside its target, and no target is replaced before all of them are complete.

    Raises:
        ReportError: a folder or file that cannot be written.
    """
    staged: dict[Path, Path] = {}
    try:
        for path, text in texts.items():
            staged[path] = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            with staged[path].open("w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        for path, ready in staged.items():
            os.replace(ready, path)
    except OSError as error:
        raise ReportError(
            "cannot write the report",
            # Of a full disk the system names no file.
            given=f"{error.strerror}: {error.filename or path.parent}",
            expected="a folder that exists and can be written to, with room",
        ) from None
    finally:
        for ready in staged.values():
            ready.unlink(missing_ok=True)


def _check_claims(document: Document) -> None:
    seen: dict[Key, int] = {}
    for index, entry in enumerate(document.claims):
        path = f"claims[{index}]"
        first = seen.setdefault(entry.key, index)
        if first != index:
            raise ReportError(
                f"{path} is a second verdict on the same claim",
                given=schema.shown(entry.key),
                expected=f"one entry per (id, protocol, scale); the first is claims[{first}]",
            )
        _check_effect(entry, path, composite=bool(entry.parts))
        for name, component in entry.components.items():
            _check_effect(component, f"{path}.components.{name}")
    scales = {"provenance.scale": document.provenance.scale}
    scales |= {f"claims[{index}].scale": entry.scale for index, entry in enumerate(document.claims)}
    known = document.words.scales
    for path, scale in scales.items():
        if known and scale not in known:
            raise ReportError(f"{path} is unknown", given=schema.shown(scale), expected=f"one of {', '.join(known)}")


def _check_effect(part: Entry | Component, path: str, *, composite: bool = False) -> None:
    effect = part.effect
    # A composite may have an effect of its own while one of its parts was not run.
    if part.verdict in UNDECIDED and not composite:
        for name in ("mean", "low", "high"):
            if getattr(effect, name) is not None:
                raise ReportError(
                    f"{path}.effect.{name} has a value though the verdict is {part.verdict}",
                    given=getattr(effect, name),
                )
        if effect.per_seed:
            raise ReportError(f"{path}.effect.per_seed has values though the verdict is {part.verdict}")
    if (effect.low is None) != (effect.high is None):
        raise ReportError(f"{path}.effect has half an interval", expected="low and high, or null for both")
    if effect.low is not None and effect.high is not None and effect.low > effect.high:
        raise ReportError(f"{path}.effect.low is above high", given=f"{effect.low} and {effect.high}")
