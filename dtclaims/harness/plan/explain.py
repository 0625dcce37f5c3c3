"""Why a job's result is, or is not, found in the store."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from dtclaims.addresses import differences, key_of
from dtclaims.errors import StoreError, UsageError
from dtclaims.harness.lab import Lab
from dtclaims.harness.plan.plan import Plan, PlannedJob
from dtclaims.harness.store.store import Store, StoredRun

SHOWN = 60
"""Characters of a value."""
NAMED = 6
"""Names in one note."""


def explain(plan: Plan, store: Store, wanted: str) -> list[str]:
    """Lines that say whether a planned run is a hit and, if not, in what it differs from the nearest stored run.

    Parts of its code are named by what they are: `code.function update`.

    Args:
        plan: what the claims need now.
        store: where runs are looked up.
        wanted: a key or its first digits (planned or stored), or a run's name as `--plan` prints it.

    Raises:
        UsageError: no such run, or several.
        StoreError: the run is stored but damaged.
    """
    run = _planned(plan, store, wanted)
    lines = [f"{run.key}  {run.job.name}"]
    if store.find(run.key) is not None:
        return [*lines, "hit: the store has it, nothing that it depends on has changed"]
    rivals = []
    for key in store.run_keys():
        stored = store.find(key)
        if stored is not None and stored.identity.get("what") == run.identity["what"]:
            rivals.append((differences(run.identity, stored.identity), key))
    if not rivals:
        same = ", ".join(f"{name} {value}" for name, value in run.job.what.items())
        return [*lines, f"miss: the store has no run of {same}"]
    changed, key = min(rivals, key=lambda rival: (len(rival[0]), rival[1]))
    lines.append(f"miss: the nearest stored run is {key}; it differs in")
    lines += [f"  {name}: stored {_short(theirs)}, now {_short(ours)}" for name, ours, theirs in changed]
    return lines


def made_otherwise(plan: Plan, store: Store, lab: Lab) -> list[str]:
    """A line on missing runs of which the store has a result that other code or versions made; none if it has none.

    Whoever brings a store from another machine finds nothing of it in a plan, and should learn why.
    """
    # A session that made some since it was planned still calls them missing.
    keys = store.run_keys()
    there = {*keys}
    missing = {key_of(lab.meaning(one.identity)): one.identity for one in plan.missing() if one.key not in there}
    found: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
    for key in keys if missing else ():
        # What is damaged, or of another lab, is nothing that could be used.
        with suppress(StoreError):
            if (stored := store.find(key)) and (meant := key_of(lab.meaning(stored.identity))) in missing:
                found[meant] = (missing[meant], stored.identity)
    if not found:
        return []
    return [
        f"stored, but made otherwise: {len(found)} of {len(missing)} missing runs, {apart(found.values())}; "
        "`dtclaims evidence OUT.json` with the same options judges what is stored as it was made"
    ]


def apart(pairs: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> str:
    """In what pairs of identities differ, as the end of a sentence."""
    names = sorted({name for one, other in pairs for name, _, _ in differences(one, other)})
    if not names:
        return "of other things"
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"which differ in {', '.join(names[:NAMED])}{more}"


def _planned(plan: Plan, store: Store, wanted: str) -> PlannedJob:
    """The planned run that `wanted` means; a stored key means the run that would take its place now, of several the
    nearest: what a run is says nothing of its head."""
    runs = plan.runs.values()
    found = [run for run in runs if run.key.startswith(wanted) or run.job.name == wanted]
    if not found:
        for key in store.run_keys():
            stored = store.find(key) if key.startswith(wanted) else None
            if stored is not None:
                found += _nearest([run for run in runs if run.identity["what"] == stored.identity.get("what")], stored)
    if len({run.key for run in found}) == 1:
        return found[0]
    listed = ", ".join(f"{run.key} ({run.job.name})" for run in found[:6])
    raise UsageError(
        f"{'several runs match' if found else 'no run matches'} {wanted!r}",
        given=listed or None,
        expected="a key, its first digits, or a run's name",
        remedy="`dtclaims plan` lists them; give the same --scale, --protocol and --seeds.",
    )


def _nearest(runs: Sequence[PlannedJob], stored: StoredRun) -> list[PlannedJob]:
    far = {run.key: len(differences(run.identity, stored.identity)) for run in runs}
    return [run for run in runs if far[run.key] == min(far.values())]


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
