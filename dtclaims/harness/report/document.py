"""A report as plain JSON: checked when written and when read, so that no renderer meets a surprise."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from dtclaims.errors import ReportError
from dtclaims.harness.report import schema

SCHEMA = 1
"""The only version there is; a change that old readers would misread gets the next number."""

Document: TypeAlias = dict[str, Any]
"""A report of the shape in `schema.json`."""


def validate(document: object) -> Document:
    """The document itself, once it is known to be a report that every renderer can show.

    Raises:
        ReportError: not a report, another schema version, a field that is missing, unknown or of another type, NaN or
            infinity anywhere, two entries of one (id, protocol, scale), an interval whose ends are swapped, an
            effect on a claim that was not run, or a figure's series with lists of different lengths.
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
    for name, figure in document.get("figures", {}).items():
        for number, panel in enumerate(figure["panels"]):
            for index, series in enumerate(panel["series"]):
                _check_series(series, f"figures.{name}.panels[{number}].series[{index}]")
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
    document = read_json(path)
    try:
        return validate(document)
    except ReportError as error:
        raise at(path, error) from None


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        ReportError: no such file, or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except OSError as error:
        raise ReportError(f"cannot read the report {path}", given=error.strerror) from None
    except (ValueError, RecursionError) as error:
        raise ReportError(
            f"{path} is damaged: no JSON",
            given=str(error),
            remedy="Make the report again; `dtclaims judge` needs no new training where the runs are stored.",
        ) from None


def at(place: object, error: ReportError) -> ReportError:
    """The same error, with the file (and line) it was found in."""
    return ReportError(f"{place}: {error.problem}", given=error.given, expected=error.expected, remedy=error.remedy)


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
    # A composite may have an effect of its own while one of its parts was not run.
    if part["verdict"] in ("not_run", "error") and not part.get("parts"):
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


def _check_series(series: dict[str, Any], path: str) -> None:
    length = len(series["x"])
    for name in ("y", "low", "high", "whisker_low", "whisker_high"):
        if name in series and len(series[name]) != length:
            raise ReportError(f"{path}.{name} is not as long as x", given=len(series[name]), expected=length)
    for given, other in (("low", "high"), ("high", "low"), ("whisker_low", "whisker_high")):
        if given in series and other not in series:
            raise ReportError(f"{path} has {given} without {other}")
    if any(len(flier) != 2 for flier in series.get("fliers", ())):
        raise ReportError(f"{path}.fliers holds something else than pairs", expected="[x, y]")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
