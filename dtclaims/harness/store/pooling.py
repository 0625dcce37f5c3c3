"""Which results may be judged together: those of different versions are never pooled."""

from collections.abc import Mapping, Sequence
from typing import Any

from dtclaims.addresses import differences
from dtclaims.errors import PoolingError
from dtclaims.harness.lab import Provenance


def pool(provenances: Sequence[Provenance]) -> dict[str, Any]:
    """The provenance that several results share.

    What is `shared` has to agree between all that state it; what is `of` something where two rest on the same thing.

    Args:
        provenances: of each result; at least one.

    Raises:
        PoolingError: versions, device, data or weights differ; the message names both values of each.
    """
    shared: dict[str, Any] = {}
    of: dict[str, dict[str, Any]] = {}
    for provenance in provenances:
        if provenance.shared:
            known = _with_versions(shared or provenance.shared, provenance.shared)
            _check(known, _with_versions(provenance.shared, known))
            shared = known
        for part, found in provenance.of.items():
            known = of.setdefault(part, {})
            for name, content in found.items():
                _check({part: {name: known.setdefault(name, content)}}, {part: {name: content}})
    return {**shared, **of}


def _with_versions(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """One with the versions that only the other states: results state those of what they depend on."""
    return {**one, "versions": {**other.get("versions", {}), **one["versions"]}} if "versions" in one else dict(one)


def _check(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    if found := differences(ours, theirs):
        raise PoolingError(
            "the runs differ in provenance and cannot be pooled",
            given="; ".join(f"{name} is {one} and {other}" for name, one, other in found),
            remedy="Judge them apart: give each its own store with --store, or train again what is out of date.",
        )
