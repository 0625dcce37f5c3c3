"""A report as plain JSON: checked when written and when read, so that no renderer meets a surprise."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from dtclaims.errors import ReportError
from dtclaims.report import schema

SCHEMA = 1
"""The only version there is; a change that old readers would misread gets the next number."""

Document: TypeAlias = dict[str, Any]
"""A report of the shape in `schema.json`."""


def validate(document: object) -> Document:
    """The document itself, once it is known to be a report that every renderer can show.

    Raises:
        ReportError: not a report, another schema version, a field that is missing, unknown or of another type, NaN or
            infinity anywhere, two entries of one (id, protocol, scale), an interval whose ends are swapped, or an
            effect on a claim that was not run.
    """
    if not isinstance(document, dict) or "schema" not in document or "claims" not in document:
        raise ReportError(
            "this is not a dtclaims report",
            given=schema.shown(document),
            expected="an object with `schema`, `paper`, `provenance` and `claims`",
        )
    if document["schema"] != SCHEMA or isinstance(document["schema"], bool):
        raise ReportError(
            "schema is a version this dtclaims does not know",
            given=schema.shown(document["schema"]),
            expected=SCHEMA,
            remedy="Make the report again with this dtclaims, or read it with the one that wrote it.",
        )
    schema.check_json(document, "")
    schema.check(document, schema.load(), schema.load(), "")
    seen: dict[tuple[str, str, str], int] = {}
    for index, claim in enumerate(document["claims"]):
        path = f"claims[{index}]"
        key = (claim["id"], claim["protocol"], claim["scale"])
        first = seen.setdefault(key, index)
        if first != index:
            raise ReportError(
                f"{path} is a second verdict on the same claim",
                given=schema.shown(key),
                expected=f"one entry per (id, protocol, scale); the first is claims[{first}]",
            )
        _check_effect(claim, path)
        for name, component in claim["components"].items():
            _check_effect(component, f"{path}.components.{name}")
    return document


def dump(document: Document) -> str:
    """The document as the text of report.json.

    Raises:
        ReportError: as `validate`.
    """
    return json.dumps(validate(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write(document: Document, path: Path) -> Path:
    """Write a report, replacing an older one only when the new one is complete.

    Raises:
        ReportError: as `validate`, or a folder that cannot be written to.
    """
    replace_all({path: dump(document)})
    return path


def read(path: Path) -> Document:
    """Read a report that `write` made; `read(write(d, path)) == d`.

    Raises:
        ReportError: no such file, damaged JSON, JSON that is not a report, or as `validate`.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text, parse_constant=_refuse_constant)
    except OSError as error:
        raise ReportError(f"cannot read the report {path}", given=error.strerror) from None
    except (ValueError, RecursionError) as error:
        raise ReportError(
            f"{path} is damaged: no JSON",
            given=str(error),
            remedy="Make the report again; `dtclaims judge` needs no new training where the runs are stored.",
        ) from None
    try:
        return validate(document)
    except ReportError as error:
        raise ReportError(
            f"{path}: {error.problem}", given=error.given, expected=error.expected, remedy=error.remedy
        ) from None


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
            given=f"{error.strerror}: {error.filename}",
            expected="a folder that exists and can be written to",
        ) from None
    finally:
        for ready in staged.values():
            ready.unlink(missing_ok=True)


def _check_effect(part: dict[str, Any], path: str) -> None:
    effect = part["effect"]
    if part["verdict"] in ("not_run", "error"):
        for name in ("mean", "low", "high"):
            if effect[name] is not None:
                raise ReportError(
                    f"{path}.effect.{name} has a value though the verdict is {part['verdict']}", given=effect[name]
                )
        if effect["per_seed"]:
            raise ReportError(f"{path}.effect.per_seed has values though the verdict is {part['verdict']}")
    if (effect["low"] is None) != (effect["high"] is None):
        raise ReportError(f"{path}.effect has half an interval", expected="low and high, or null for both")
    if effect["low"] is not None and effect["low"] > effect["high"]:
        raise ReportError(f"{path}.effect.low is above high", given=f"{effect['low']} and {effect['high']}")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
