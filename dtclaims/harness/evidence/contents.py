"""What a file of evidence holds, as a reader of it sees it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtclaims.addresses import key_of
from dtclaims.harness.evidence.frozen import Frozen
from dtclaims.harness.judge.document import Registration
from dtclaims.harness.judge.entries import RunUsed
from dtclaims.harness.store.looks import Look

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
    def beside_spec(self) -> Mapping[str, Any]:
        """What else the run's address is the hash of: data, weights, versions, code, device."""
        rest = {name: part for name, part in self.identity.items() if name not in ("spec", "what", "how")}
        how = self.identity.get("how", {})
        return rest | {name: how[name] for name in INPUTS if name in how}

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

    def used(self, shown: Sequence[str]) -> RunUsed:
        """What a report says of the run, with some words of its condition."""
        condition = {name: self.spec[name] for name in shown if name in self.spec}
        return RunUsed(self.key, condition, self.spec["seed"], True, self.result["seconds"])


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
    registration: Registration | None = None
    """The sealed declaration that its results were made under, if one was named."""


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
    looks: tuple[int, ...] | None = None
    """At which numbers of seeds its claims were declared to be judged, if that was declared."""


@dataclass(frozen=True)
class Evidence:
    """A file of evidence, checked. It serves a judge as a store does, and remembers nothing."""

    root: Path
    """The file."""
    made: Made
    study: RecordedStudy
    runs: tuple[EvidenceRun, ...]
    measurements: tuple[EvidenceMeasurement, ...]
    earlier: Mapping[tuple[str, ...], list[Look]]
    """Cell → looks before this one."""
    frozen: Frozen | None
    """What its verdicts follow from; None in a file that holds results only."""

    called = "the evidence file: they were not made, or not exported, or the claim's needs changed since"

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

    def looks(self, cell: tuple[str, ...]) -> list[Look]:
        """Looks at a cell before the file was made."""
        return self.earlier.get(cell, [])

    def add_look(self, cell: tuple[str, ...], look: Look) -> None:
        """Nothing: a file adds no data, so looking at it again costs nothing."""
