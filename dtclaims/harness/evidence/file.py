"""A file of evidence, read, checked and written; `dtclaims.harness.evidence.form` says what is in it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtclaims.addresses import key_of
from dtclaims.errors import ReportError, StoreError, UsageError
from dtclaims.files import replacing
from dtclaims.harness import schema
from dtclaims.harness.evidence.form import KIND, LARGEST, LISTS, SCHEMAS
from dtclaims.harness.evidence.frozen import Frozen, frozen_of

if TYPE_CHECKING:
    from dtclaims.harness.store.store import StoredRun


INPUTS = ("data", "backbones")
"""Parts of a run's identity that many runs share."""


@dataclass(frozen=True)
class EvidenceRun:
    """A run's results, and everything that its key is the hash of."""

    key: str
    identity: Mapping[str, Any]
    result: Mapping[str, Any]
    """As in the store: curves, diagnostics, seconds, resumed, provenance."""

    @property
    def spec(self) -> Mapping[str, Any]:
        """What the run is and how it is made, as plain data: the lab's words, by name."""
        if "spec" in self.identity:
            found: Mapping[str, Any] = self.identity["spec"]
            return found
        how = {name: value for name, value in self.identity["how"].items() if name not in INPUTS}
        return {**self.identity["what"], **how}

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

    def stored(self) -> "StoredRun":
        """The run as a store has it, without checkpoints."""
        from dtclaims.harness.store.store import StoredRun

        return StoredRun(Path(self.key), self.identity, {**self.result, "provenance": self._provenance()}, {})

    def _provenance(self) -> Mapping[str, Any]:
        """In the form that runs store now; results of older versions had it flat."""
        given = self.result["provenance"]
        if "shared" in given:
            return {"shared": given["shared"], "of": given["of"]}
        weights: dict[str, dict[str, Any]] = {"backbones": {}, "sizes": {}}
        for source, one in given.get("backbones", {}).items():
            weights["sizes" if one.get("kind") == "sizes" else "backbones"][source] = one
        shared = {name: value for name, value in given.items() if name not in INPUTS}
        of = {"data": {self.spec["task"]: given["data"]} if "data" in given else {}, **weights}
        return {"shared": shared, "of": {part: found for part, found in of.items() if found}}

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Data, backbones, versions, name of the device, precision."""
        given: Mapping[str, Any] = self.result["provenance"]
        return {**given["shared"], **given["of"]} if "shared" in given else given

    def entry(self) -> dict[str, Any]:
        """What a report says of the run."""
        return {
            "key": self.key,
            "arm": self.spec.get("arm", ""),
            **{name: self.spec.get(name) for name in ("task", "context")},
            "seed": self.spec["seed"],
            "cached": True,
            "seconds": self.result["seconds"],
        }


@dataclass(frozen=True)
class EvidenceMeasurement:
    """A measurement's value, and everything that its key is the hash of."""

    key: str
    identity: Mapping[str, Any]
    value: Any


@dataclass(frozen=True)
class Made:
    """What made a file's results one file."""

    command: str
    dtclaims: str
    commit: str | None
    date: str


@dataclass(frozen=True)
class RecordedStudy:
    """The choices of the study."""

    scale: str
    protocols: tuple[str, ...]
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    claims: tuple[str, ...]
    """Ids."""
    folder: str
    """Of the claims, relative to the checkout. It is looked up only where they are asked for."""
    device: str
    precision: str
    data: str | None
    """Name of the data that were given, None for the scale's own."""
    backbones: Mapping[str, str]
    """Likewise, by source."""
    factors: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """A file of evidence, checked. It serves a judge as a store does, and remembers nothing."""

    root: Path
    """The file."""
    made: Made
    study: RecordedStudy
    runs: tuple[EvidenceRun, ...]
    measurements: tuple[EvidenceMeasurement, ...]
    earlier: Mapping[tuple[str, ...], list[dict[str, str]]]
    """Cell → looks before this one."""
    frozen: Frozen | None
    """What its verdicts follow from; None in a file that holds results only."""

    called = "the evidence file: the claim's needs changed since it was made, or they were not exported"

    @cached_property
    def _by_key(self) -> dict[str, EvidenceRun]:
        return {run.key: run for run in self.runs}

    @cached_property
    def _values(self) -> dict[str, Any]:
        return {one.key: one.value for one in self.measurements}

    def find(self, key: str) -> "StoredRun | None":
        """The run with this key, without checkpoints; None if it is not in the file."""
        run = self._by_key.get(key)
        return run.stored() if run is not None else None

    def find_run(self, key: str) -> EvidenceRun:
        """The run with this key, which is in the file."""
        return self._by_key[key]

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
            type, a key that is not the hash of its identity, or a cell that refers to what is not there.
    """
    return check_evidence(load(path), path)


def check_evidence(content: object, path: Path) -> Evidence:
    """What is or would be the content of a file, checked.

    Raises:
        StoreError: as `read_evidence`.
    """
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise StoreError(f"{path} is no evidence", expected=f"a file that `dtclaims evidence` wrote, kind {KIND}")
    version = content.get("schema")
    if type(version) is not int or version not in SCHEMAS:
        raise StoreError(
            f"{path} is of a version that this dtclaims does not know",
            given=schema.shown(version),
            expected=" or ".join(map(str, SCHEMAS)),
            remedy="Read it with the dtclaims that wrote it, or a newer one.",
        )
    try:
        schema.check_json(content, "")
        schema.check(content, SCHEMAS[version], SCHEMAS[version], "")
        runs = tuple(_run(content, one, f"runs[{i}]") for i, one in enumerate(content["runs"]))
        measurements = tuple(
            _measurement(content, one, f"measurements[{i}]") for i, one in enumerate(content["measurements"])
        )
        _check_once("runs", runs)
        _check_once("measurements", measurements)
        frozen = frozen_of(content, [run.key for run in runs]) if "frozen" in content else None
    except ReportError as error:
        raise StoreError(
            f"{path}: {error.problem}", given=error.given, expected=error.expected, remedy=RESTORE
        ) from None
    looks = {tuple(one["cell"]): one["looks"] for one in content["looks"]}
    return Evidence(path, Made(**content["made"]), _study(content["study"]), runs, measurements, looks, frozen)


def _check_once(part: str, lines: Sequence[EvidenceRun] | Sequence[EvidenceMeasurement]) -> None:
    seen: set[str] = set()
    for place, one in enumerate(lines):
        if one.key in seen:
            raise ReportError(f"{part}[{place}] is there a second time", given=one.key)
        seen.add(one.key)


def _study(given: Mapping[str, Any]) -> RecordedStudy:
    lists = {name: tuple(given[name]) for name in ("protocols", "tasks", "seeds", "claims", "factors")}
    plain = {name: given[name] for name in ("scale", "folder", "device", "precision")}
    return RecordedStudy(**plain, **lists, **given["sources"])


RESTORE = "Restore it (`git checkout`), or make it again with `dtclaims evidence`."


def load(path: Path) -> object:
    """What a file says, unchecked.

    Raises:
        UsageError: no such file.
        StoreError: no JSON, or far too large for evidence.
    """
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
    if ("spec" in line) == ("parts" in line):
        raise ReportError(f"{path} has a specification and parts, or neither", expected="one of spec and parts")
    if "parts" in line:
        parts = line["parts"]
        code = _at(content, "codes", parts["code"], path)
        identity = {**content["identity"], **parts, "how": {**parts["how"], **inputs}, "code": code}
    else:
        identity = {**content["identity"], "spec": line["spec"], **inputs}
    result = {name: line[name] for name in ("curves", "diagnostics", "seconds", "resumed")}
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
