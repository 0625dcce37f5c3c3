"""A file of evidence, read, checked and written; `dtclaims.harness.evidence.form` says what is in it."""

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from dtclaims.addresses import key_of
from dtclaims.errors import (
    Damaged,
    NotPermitted,
    NotThere,
    OtherVersion,
    ReportError,
    StatisticsError,
    StoreError,
    UsageError,
)
from dtclaims.files import checksum, parse_json, read_bytes, replacing
from dtclaims.harness import schema
from dtclaims.harness.evidence.contents import Evidence, EvidenceMeasurement, EvidenceRun, Made, RecordedStudy
from dtclaims.harness.evidence.form import DIGITS, KIND, LARGEST, LISTS, RESULTS_ONLY, SCHEMAS, VERSION
from dtclaims.harness.evidence.thaw import frozen_of
from dtclaims.harness.judge.document import Registration
from dtclaims.harness.stats.spending import check_looks
from dtclaims.harness.store.looks import Look


def read_evidence(path: Path) -> Evidence:
    """Read and check a file of evidence. Imports no torch, needs neither data nor backbones.

    Raises:
        UsageError: no such file.
        StoreError: damaged, of another kind or version, a field that is missing, unknown or of another
            type, a key that is not the hash of its identity, or a cell that refers to what is not there.
    """
    return check_evidence(load(path), path)


def check_evidence(content: object, path: Path) -> Evidence:
    """What is or would be the content of a file, checked.

    Raises:
        StoreError: as `read_evidence`.
    """
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise Damaged(f"{path} is no evidence", expected=f"a file that `dtclaims evidence` wrote, kind {KIND}")
    version = content.get("schema")
    if type(version) is not int or version not in SCHEMAS:
        raise OtherVersion(
            f"{path} is of a version that this dtclaims does not know",
            given=schema.shown(version),
            expected=" or ".join(map(str, SCHEMAS)),
            remedy="Read it with the dtclaims that wrote it, or a newer one.",
        )
    try:
        schema.check_json(content, "")
        schema.check(content, SCHEMAS[version], SCHEMAS[version], "")
        if version == VERSION:
            _check_digests(content)
        runs = tuple(_run(content, one, f"runs[{i}]") for i, one in enumerate(content["runs"]))
        measurements = tuple(
            _measurement(content, one, f"measurements[{i}]") for i, one in enumerate(content["measurements"])
        )
        study, made = _study(content["study"]), _made(content["made"])
        looks = {tuple(one["cell"]): _looks(one["looks"], f"looks[{i}]") for i, one in enumerate(content["looks"])}
        if version != RESULTS_ONLY:
            check_study(study, path)
        _check_once("runs", runs)
        _check_once("measurements", measurements)
        frozen = frozen_of(content, [run.key for run in runs]) if "frozen" in content else None
    except ReportError as error:
        raise Damaged(f"{path}: {error.problem}", given=error.given, expected=error.expected, remedy=RESTORE) from None
    return Evidence(path, made, study, runs, measurements, looks, frozen)


def digests_of(content: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """A checksum of each part of a file, or of each of its lines; no part is left out.

    Args:
        content: as it is read: JSON types.
    """
    return {
        name: [checksum(one)[:DIGITS] for one in value] if name in LISTS else checksum(value)[:DIGITS]
        for name, value in content.items()
        if name != "digests"
    }


def with_digests(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a file, with checksums of what it says now."""
    # As it is read: a number that is a key is text there.
    plain = json.loads(json.dumps(content, allow_nan=False))
    head = {name: content[name] for name in ("schema", "kind") if name in content}
    return {**head, "digests": digests_of(plain), **{name: one for name, one in content.items() if name != "digests"}}


def _check_digests(content: Mapping[str, Any]) -> None:
    """Refuse what somebody changed, a number of a result too.

    Raises:
        ReportError: a part or line that is not as it was written.
    """
    written, found = content["digests"], digests_of(content)
    for name in {**found, **written}:
        theirs, ours = written.get(name), found.get(name)
        if theirs == ours:
            continue
        where = name
        if isinstance(theirs, list) and isinstance(ours, list):
            places = zip_longest(theirs, ours)
            where = f"{name}[{next(place for place, (one, other) in enumerate(places) if one != other)}]"
        raise ReportError(f"{where} is not as it was written", given="another checksum")


MOST_SEEDS = 1000
"""Of a file; a plan has an entry for each."""


def check_study(study: RecordedStudy, path: Path) -> None:
    """Refuse a study that cannot be.

    Raises:
        StoreError: no protocols, seeds or claims, some of them or of the tasks twice, or too many seeds.
    """
    for name in ("protocols", "tasks", "seeds", "claims"):
        given = getattr(study, name)
        if (not given and name != "tasks") or len(set(given)) != len(given):
            raise StoreError(f"{path}: study.{name} is empty or names something twice", given=list(given))
    if len(study.seeds) > MOST_SEEDS:
        raise StoreError(f"{path}: too many seeds", given=len(study.seeds), expected=f"at most {MOST_SEEDS}")


def _check_once(part: str, lines: Sequence[EvidenceRun | EvidenceMeasurement]) -> None:
    seen: set[str] = set()
    for place, one in enumerate(lines):
        if one.key in seen:
            raise ReportError(f"{part}[{place}] is there a second time", given=one.key)
        seen.add(one.key)


def _study(given: Mapping[str, Any]) -> RecordedStudy:
    return RecordedStudy(
        scale=given["scale"],
        protocols=tuple(given["protocols"]),
        tasks=tuple(given["tasks"]),
        seeds=tuple(given["seeds"]),
        claims=tuple(given["claims"]),
        folder=given["folder"],
        device=given["device"],
        precision=given["precision"],
        data=given["sources"]["data"],
        backbones=given["sources"]["backbones"],
        factors=tuple(given["factors"]),
        looks=_declared_looks(given.get("looks")),
    )


def _made(given: Mapping[str, Any]) -> Made:
    named = given.get("registration")
    registration = None if named is None else Registration.from_json(named, "made.registration")
    return Made(**{**given, "registration": registration})


def _declared_looks(given: list[int] | None) -> tuple[int, ...] | None:
    try:
        return None if given is None else check_looks(tuple(given))
    except StatisticsError as error:
        raise ReportError("study.looks cannot be", given=error.given, expected=error.expected) from None


def _looks(given: Sequence[Any], where: str) -> list[Look]:
    try:
        return [Look.from_json(one) for one in given]
    except ValueError as error:
        raise ReportError(f"{where} is no look", given=error) from None


RESTORE = "Restore it (`git checkout`), or make it again with `dtclaims evidence OUT.json`."


def load(path: Path) -> object:
    """What a file says, unchecked.

    Raises:
        UsageError: no such file.
        NotPermitted: it may not be read.
        Damaged: no plain file, no JSON, or far too large for evidence.
    """
    try:
        if path.is_dir():
            raise UsageError(f"cannot read {path}", given="a folder")
        return parse_json(_unpacked(read_bytes(path, LARGEST, RESTORE), path))
    except NotThere as error:
        raise UsageError(f"cannot read {path}", given=error.given) from None
    except ValueError as error:
        raise Damaged(f"{path} is damaged: no JSON", given=error, remedy=RESTORE) from None


GZIP = b"\x1f\x8b"
"""What a packed file begins with, whatever it is called."""


def _unpacked(raw: bytes, path: Path) -> bytes:
    """The text of a file that is packed by gzip, no more of it than evidence may have; of another, the file's own."""
    if not raw.startswith(GZIP):
        return raw
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        text = unpacking.decompress(raw, LARGEST + 1)
    except zlib.error as error:
        raise Damaged(f"{path} is damaged", given=error, remedy=RESTORE) from None
    if len(text) > LARGEST:
        raise Damaged(f"{path} is too large", expected=f"at most {LARGEST} bytes, unpacked", remedy=RESTORE)
    if not unpacking.eof or unpacking.unused_data:
        raise Damaged(f"{path} is damaged: not the one packed text that was written", remedy=RESTORE)
    return text


def name_of(path: Path) -> str:
    """What a file of evidence is called without its ending: `small` of `small.json` and of `small.json.gz`."""
    return path.name.removesuffix(".gz").removesuffix(".json")


def files_in(folder: Path) -> list[Path]:
    """The files of evidence of a folder, packed or not, by name.

    Raises:
        NotPermitted: it may not be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.name.endswith((".json", ".json.gz")))
    except PermissionError as error:
        raise NotPermitted(f"the folder {folder} may not be read", given=error.strerror) from None


def files_of(paths: Iterable[Path]) -> list[Path]:
    """Files of evidence as they were named; a folder stands for those in it.

    Raises:
        UsageError: a folder without any.
        NotPermitted: a folder that may not be read, or not searched.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
        elif inside := files_in(path):
            if not os.access(path, os.X_OK):
                raise NotPermitted(f"what is in the folder {path} may not be read", given="no permission to search it")
            found += inside
        else:
            raise UsageError("no file of evidence in this folder", given=path, expected=".json or .json.gz files in it")
    return found


def _run(content: Mapping[str, Any], line: Mapping[str, Any], path: str) -> EvidenceRun:
    inputs = _at(content, "inputs", line["inputs"], path)
    if ("spec" in line) == ("parts" in line):
        raise ReportError(f"{path} has a specification and parts, or neither", expected="one of spec and parts")
    if "parts" in line:
        parts = line["parts"]
        code = _at(content, "codes", parts["code"], path)
        identity = {**content["identity"], **parts, "how": {**parts["how"], **inputs}, "code": code}
    else:
        identity = {**content["identity"], "spec": line["spec"], **inputs}
    result = {name: line[name] for name in ("curves", "diagnostics", "seconds", "resumed", "value") if name in line}
    result["provenance"] = _at(content, "provenances", line["provenance"], path)
    return EvidenceRun(_checked(line["key"], identity, path), identity, result)


def _measurement(content: Mapping[str, Any], line: Mapping[str, Any], path: str) -> EvidenceMeasurement:
    given = line["identity"]
    if "what" in given:
        identity = {**given, "code": _at(content, "codes", given["code"], path)}
        return EvidenceMeasurement(_checked(line["key"], identity, path), identity, line["value"])
    if not {"measurement", "runs", "parameters"} <= given.keys():
        raise ReportError(f"{path}.identity is of no known form", given=schema.shown(sorted(given)))
    name = given["measurement"]
    if name not in content["code"]:
        raise ReportError(f"{path} has a measurement whose code is not recorded", given=schema.shown(name))
    # What an experiment depends on has another name in its identity than the code of a measurement.
    part = "depends" if "protocol" in given else "code"
    identity = {**given, part: content["code"][name]}
    return EvidenceMeasurement(_checked(line["key"], identity, path), identity, line["value"])


def _at(content: Mapping[str, Any], name: str, place: int, path: str) -> Any:
    if place >= len(content.get(name, ())):
        raise ReportError(f"{path} refers to {name}[{place}], which is not there", given=len(content.get(name, ())))
    return content[name][place]


def _checked(key: str, identity: Mapping[str, Any], path: str) -> str:
    if key_of(identity) != key:
        raise ReportError(f"{path} does not hold what its key says", given=key, expected=key_of(identity))
    return key


def write_evidence(content: Mapping[str, Any], path: Path) -> int:
    """Write a file of evidence whole or not at all, once it is known to be one that can be read; how many bytes.

    One whose name ends in `.gz` is packed: the same bytes for the same content.

    Raises:
        StoreError: not of the form above, or the file cannot be written.
    """
    if content.get("schema") == VERSION:
        content = with_digests(content)
    check_evidence(content, path)
    text = text_of(content).encode()
    with replacing(path) as partial:
        partial.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
    return path.stat().st_size


def text_of(content: Mapping[str, Any]) -> str:
    """The content as the text of a file, a line per run, measurement or cell; unchecked."""
    parts = [f"{json.dumps(name)}: {_part(value, by_line=name in LISTS)}" for name, value in content.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _part(value: Any, *, by_line: bool) -> str:
    if not by_line or not value:
        return _compact(value)
    return "[\n" + ",\n".join(map(_compact, value)) + "\n]"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
