"""Which runs may be judged together: results of different versions are never pooled."""

from collections.abc import Mapping, Sequence
from typing import Any

from dtclaims.addresses import differences
from dtclaims.errors import PoolingError

BY_TASK = ("data", "score_reference")
"""Parts of a provenance that differ between tasks by nature."""
BACKBONES = "backbones"
"""Differs between arms by nature; two backbones of one source have to agree. The rest has to agree everywhere."""


def pool(provenances: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """The provenance that several runs share, with its data and score reference by task.

    Args:
        provenances: (task, provenance) of each run; at least one.

    Raises:
        PoolingError: simulator or library versions, device, backbone, data or score reference differ;
            the message names both values of each.
    """
    shared = _without(provenances[0][1])
    by_task: dict[str, Mapping[str, Any]] = {}
    backbones: dict[str, Any] = {}
    for task, provenance in provenances:
        _check(shared, _without(provenance))
        found = by_task.setdefault(task, _of_task(provenance))
        _check(found, _of_task(provenance))
        for source, backbone in provenance.get(BACKBONES, {}).items():
            _check({source: backbones.setdefault(source, backbone)}, {source: backbone})
    return {
        **shared,
        BACKBONES: backbones,
        **{
            part: found
            for part in BY_TASK
            if (found := {task: one[part] for task, one in by_task.items() if part in one})
        },
    }


def _without(provenance: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in provenance.items() if name not in (*BY_TASK, BACKBONES)}


def _of_task(provenance: Mapping[str, Any]) -> dict[str, Any]:
    return {name: provenance[name] for name in BY_TASK if name in provenance}


def _check(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    found = differences(ours, theirs)
    if found:
        raise PoolingError(
            "the runs differ in provenance and cannot be pooled",
            given="; ".join(f"{name} is {one} and {other}" for name, one, other in found),
            remedy="Judge them apart: give each its own store with --store, or train again what is out of date.",
        )
