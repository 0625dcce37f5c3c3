"""Results found by what they are results of, whatever code and versions made them.

A key hashes the code and the libraries too, so that nothing stale is taken for new. Evidence must outlive both: where
it is judged, a plan takes the identities that were recorded in place of those that a run of today would have.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from dtclaims.addresses import differences, key_of
from dtclaims.errors import StoreError
from dtclaims.lab.design.spec import Budget, RunSpec
from dtclaims.lab.inputs import SIZES, Unavailable

MADE_WITH = ("schema", "versions", "code", "depends")
"""Parts of an identity that say what made a result, not what it is a result of."""


class Recorded:
    """The identities of results that there are.

    Args:
        runs: identities of runs.
        measurements: identities of measurements and experiments.
        data: identity of the data by task, where neither runs nor measurements tell.
        backbones: identity of the backbone by source, where no run tells.

    Raises:
        StoreError: one thing twice, or two sets of data for a task, or two backbones for a source: which of them is
            meant cannot be told.
    """

    def __init__(
        self,
        runs: Iterable[Mapping[str, Any]],
        measurements: Iterable[Mapping[str, Any]],
        data: Mapping[str, Mapping[str, Any]] | None = None,
        backbones: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._found: dict[str, Mapping[str, Any]] = {}
        self._data: dict[str, Mapping[str, Any]] = {}
        self._backbones: dict[str, Mapping[str, Any]] = {}
        self._sizes: dict[str, Mapping[str, Any]] = {}
        for identity in runs:
            spec = spec_of(identity)
            self._add(identity, f"run {spec.name}")
            _same(self._data, spec.task, identity["data"], "sets of data")
            for source, backbone in identity["backbones"].items():
                sizes_only = backbone["kind"] == SIZES
                _same(self._sizes if sizes_only else self._backbones, source, backbone, "backbones")
        for identity in measurements:
            self._add(identity, f"measurement {identity['measurement']}")
            # What is measured of the data alone is the only thing that a claim may rest on.
            measured = identity["parameters"].get("data")
            if not identity["runs"] and isinstance(measured, Mapping) and "task" in measured:
                _same(self._data, measured["task"], measured, "sets of data")
        self._data = {**(data or {}), **self._data}
        self._backbones = {**(backbones or {}), **self._backbones}

    def _add(self, identity: Mapping[str, Any], name: str) -> None:
        rival = self._found.setdefault(meaning(identity), identity)
        if rival is not identity:
            changed = [where for where, _, _ in differences(rival, identity)]
            raise StoreError(
                f"two results for one {name}",
                given=f"they differ in {', '.join(changed)}" if changed else "one result twice",
                remedy="Make the evidence again: `dtclaims evidence` chooses one version and says which.",
            )

    def match(self, identity: Mapping[str, Any]) -> Mapping[str, Any]:
        """The recorded identity of the same thing; the given one if there is none."""
        return self._found.get(meaning(identity), identity)

    def data(self, task: str) -> dict[str, Any] | Unavailable:
        """Identity of a task's data."""
        found = self._data.get(task)
        return dict(found) if found is not None else _absent(f"runs on {task}")

    def backbone(self, source: str) -> dict[str, Any] | Unavailable:
        """Identity of a source's backbone."""
        found = self._backbones.get(source)
        return dict(found) if found is not None else _absent(f"runs with the {source} backbone")

    def sizes(self, source: str) -> dict[str, Any] | None:
        """Identity of a source that runs took their sizes from, if any did."""
        found = self._sizes.get(source)
        return dict(found) if found is not None else None


def spec_of(identity: Mapping[str, Any]) -> RunSpec:
    """The specification of a run; fields that it was recorded without have their default.

    Raises:
        StoreError: fields that a run of today does not have, or lacks one without a default.
    """
    try:
        return RunSpec(**{**identity["spec"], "budget": Budget(**identity["spec"]["budget"])})
    except TypeError as error:
        raise StoreError("a run that this dtclaims cannot have made", given=error) from None


def meaning(identity: Mapping[str, Any]) -> str:
    """A digest of what a result is of: without versions, code and tables, of specifications with all their fields."""
    kept = {name: value for name, value in identity.items() if name not in (*MADE_WITH, "resolved")}
    if "spec" in kept:
        kept["spec"] = asdict(spec_of(identity))
    return key_of(kept)


def _same(known: dict[str, Mapping[str, Any]], name: str, found: Mapping[str, Any], what: str) -> None:
    first = known.setdefault(name, found)
    if first != found:
        changed = ", ".join(f"{where} is {one} and {other}" for where, one, other in differences(first, found))
        raise StoreError(f"two {what} for {name}", given=changed, remedy="Judge them apart.")


def _absent(what: str) -> Unavailable:
    return Unavailable(f"the evidence holds no {what}", "Make them, and the evidence again.")
