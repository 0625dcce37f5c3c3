"""A file of evidence, read, checked and written; `dtclaims.harness.evidence.form` says what is in it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dtclaims.addresses import key_of
from dtclaims.errors import ReportError, StoreError, UsageError
from dtclaims.files import replacing
from dtclaims.harness import schema
from dtclaims.harness.evidence.form import KIND, LARGEST, LISTS, SCHEMA, VERSION
from dtclaims.harness.store.store import StoredRun


@dataclass(frozen=True)
class EvidenceRun:
    """A run's results, and everything that its key is the hash of."""

    key: str
    identity: Mapping[str, Any]
    result: Mapping[str, Any]
    """As in the store: curves, diagnostics, seconds, resumed, provenance."""

    @property
    def spec(self) -> Mapping[str, Any]:
        """The specification as plain data; `RunSpec`'s fields by name."""
        found: Mapping[str, Any] = self.identity["spec"]
        return found

    @property
    def curves(self) -> Mapping[str, list[float]]:
        """Name → a value per epoch."""
        found: Mapping[str, list[float]] = self.result["curves"]
        return found

    @property
    def diagnostics(self) -> Mapping[str, float]:
        """Name → value."""
        found: Mapping[str, float] = self.result["diagnostics"]
        return found

    @property
    def seconds(self) -> float:
        """What it took to train."""
        return float(self.result["seconds"])

    def stored(self) -> StoredRun:
        """The run as a store has it, without checkpoints."""
        return StoredRun(Path(self.key), self.identity, self.result, {})

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Data, backbones, versions, name of the device, precision."""
        found: Mapping[str, Any] = self.result["provenance"]
        return found


@dataclass(frozen=True)
class EvidenceMeasurement:
    """A measurement's value, and everything that its key is the hash of."""

    key: str
    identity: Mapping[str, Any]
    value: Any


@dataclass(frozen=True)
class Evidence:
    """A file of evidence, checked. It serves a judge as a store does, and remembers nothing."""

    root: Path
    """The file."""
    made: Mapping[str, Any]
    study: Mapping[str, Any]
    runs: tuple[EvidenceRun, ...]
    measurements: tuple[EvidenceMeasurement, ...]
    earlier: Mapping[tuple[str, ...], list[dict[str, str]]]
    """Cell → looks before this one."""

    called = "the evidence file: the claim's needs changed since it was made, or they were not exported"

    @cached_property
    def _by_key(self) -> dict[str, StoredRun]:
        return {run.key: run.stored() for run in self.runs}

    @cached_property
    def _values(self) -> dict[str, Any]:
        return {one.key: one.value for one in self.measurements}

    def find(self, key: str) -> StoredRun | None:
        """The run with this key, without checkpoints; None if it is not in the file."""
        return self._by_key.get(key)

    def run_keys(self) -> list[str]:
        """Keys of all runs."""
        return sorted(self._by_key)

    def find_measurement(self, identity: Mapping[str, Any]) -> Any | None:
        """The value of a measurement, None if it is not in the file."""
        return self._values.get(key_of(identity))

    def looks(self, cell: tuple[str, ...]) -> list[dict[str, str]]:
        """Looks at a cell before the file was made."""
        return self.earlier.get(cell, [])

    def add_look(self, cell: tuple[str, ...], look: Mapping[str, str]) -> None:
        """Nothing: a file adds no data, so looking at it again costs nothing."""


def read_evidence(path: Path) -> Evidence:
    """Read and check a file of evidence. Imports no torch, needs neither data nor backbones.

    Raises:
        UsageError: no such file.
        StoreError: damaged, of another kind or version, a field that is missing, unknown or of another
            type, or a key that is not the hash of its identity.
    """
    return check_evidence(_load(path), path)


def check_evidence(content: object, path: Path) -> Evidence:
    """What is or would be the content of a file, checked.

    Raises:
        StoreError: as `read_evidence`.
    """
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise StoreError(f"{path} is no evidence", expected=f"a file that `dtclaims evidence` wrote, kind {KIND}")
    if content.get("schema") != VERSION or isinstance(content["schema"], bool):
        raise StoreError(
            f"{path} is of a version that this dtclaims does not know",
            given=schema.shown(content.get("schema")),
            expected=VERSION,
            remedy="Read it with the dtclaims that wrote it, or a newer one.",
        )
    try:
        schema.check_json(content, "")
        schema.check(content, SCHEMA, SCHEMA, "")
        runs = tuple(_run(content, one, f"runs[{i}]") for i, one in enumerate(content["runs"]))
        measurements = tuple(
            _measurement(content, one, f"measurements[{i}]") for i, one in enumerate(content["measurements"])
        )
    except ReportError as error:
        raise StoreError(
            f"{path}: {error.problem}", given=error.given, expected=error.expected, remedy=RESTORE
        ) from None
    looks = {tuple(one["cell"]): one["looks"] for one in content["looks"]}
    return Evidence(path, content["made"], content["study"], runs, measurements, looks)


RESTORE = "Restore it (`git checkout`), or make it again with `dtclaims evidence`."


def _load(path: Path) -> object:
    try:
        if path.stat().st_size > LARGEST:
            raise StoreError(f"{path} is too large for evidence", expected=f"at most {LARGEST} bytes")
        content: object = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except OSError as error:
        raise UsageError(f"cannot read {path}", given=error.strerror) from None
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is damaged: no JSON", given=error, remedy=RESTORE) from None
    return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _run(content: Mapping[str, Any], line: Mapping[str, Any], path: str) -> EvidenceRun:
    inputs = _at(content, "inputs", line["inputs"], path)
    identity = {**content["identity"], "spec": line["spec"], **inputs}
    result = {name: line[name] for name in ("curves", "diagnostics", "seconds", "resumed")}
    result["provenance"] = _at(content, "provenances", line["provenance"], path)
    return EvidenceRun(_checked(line["key"], identity, path), identity, result)


def _measurement(content: Mapping[str, Any], line: Mapping[str, Any], path: str) -> EvidenceMeasurement:
    given, name = line["identity"], line["identity"]["measurement"]
    if name not in content["code"]:
        raise ReportError(f"{path} has a measurement whose code is not recorded", given=schema.shown(name))
    # What an experiment depends on has another name in its identity than the code of a measurement.
    part = "depends" if "protocol" in given else "code"
    identity = {**given, part: content["code"][name]}
    return EvidenceMeasurement(_checked(line["key"], identity, path), identity, line["value"])


def _at(content: Mapping[str, Any], name: str, place: int, path: str) -> Any:
    if place >= len(content[name]):
        raise ReportError(f"{path} refers to {name}[{place}], which is not there", given=len(content[name]))
    return content[name][place]


def _checked(key: str, identity: Mapping[str, Any], path: str) -> str:
    if key_of(identity) != key:
        raise ReportError(f"{path} does not hold what its key says", given=key, expected=key_of(identity))
    return key


def write_evidence(content: Mapping[str, Any], path: Path) -> int:
    """Write a file of evidence whole or not at all, once it is known to be one that can be read; how many bytes.

    Raises:
        StoreError: not of the form above, or the file cannot be written.
    """
    check_evidence(content, path)
    parts = [f"{json.dumps(name)}: {_part(value, by_line=name in LISTS)}" for name, value in content.items()]
    with replacing(path) as partial:
        partial.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8", newline="\n")
    return path.stat().st_size


def _part(value: Any, *, by_line: bool) -> str:
    if not by_line or not value:
        return _compact(value)
    return "[\n" + ",\n".join(map(_compact, value)) + "\n]"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
