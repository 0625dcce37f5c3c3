"""Why a job's result is, or is not, found in the store."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from glob import escape
from typing import Any

from dtclaims.addresses import differences, key_of
from dtclaims.errors import StoreError, UsageError
from dtclaims.harness.lab import Lab
from dtclaims.harness.plan.plan import Plan, PlannedJob
from dtclaims.harness.store.store import Store, read_measurement

SHOWN = 60
"""Characters of a value."""
NAMED = 6
"""Names in one note."""


def explain(plan: Plan, store: Store, wanted: str) -> list[str]:
    """Lines that say whether a planned job is a hit and, if not, in what it differs from the nearest stored one.

    Parts of its code are named by what they are: `code.function update`.

    Args:
        plan: what the claims need now.
        store: where results are looked up.
        wanted: a key or its first digits (planned or stored), or a job's name as `--plan` prints it.

    Raises:
        UsageError: no such job, or several.
        StoreError: its result is stored but damaged.
    """
    one = _planned(plan, store, wanted)
    kept = one.job.keeps_files
    lines = [f"{one.key}  {one.job.name}"]
    if (store.find(one.key) if kept else store.find_measurement(one.identity)) is not None:
        return [*lines, "hit: the store has it, nothing that it depends on has changed"]
    rivals = [
        (differences(one.identity, identity), key)
        for key, identity in _stored(store, kept=kept)
        if identity.get("what") == one.identity["what"]
    ]
    called = "run" if kept else one.job.kind
    if not rivals:
        same = ", ".join(f"{name} {value}" for name, value in one.job.what.items())
        return [*lines, f"miss: the store has no {called} of {same}"]
    changed, key = min(rivals, key=lambda rival: (len(rival[0]), rival[1]))
    lines.append(f"miss: the nearest stored {called} is {key}; it differs in")
    lines += [f"  {name}: stored {_short(theirs)}, now {_short(ours)}" for name, ours, theirs in changed]
    return lines


def _stored(store: Store, *, kept: bool, beginning: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Key and identity of what is stored: of jobs that keep files, or of those that make one value."""
    if kept:
        for key in store.run_keys():
            if key.startswith(beginning) and (run := store.find(key)) is not None:
                yield key, run.identity
        return
    for path in sorted((store.root / "measurements").glob(f"{escape(beginning)}*.json")):
        # One that is damaged is not the one that is wanted, or is told of when it is read.
        with suppress(StoreError):
            yield path.stem, read_measurement(path)["identity"]


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
    """The planned job that `wanted` means, a run before a value; a stored key means the job that would take its place
    now, of several the nearest: what a run is says nothing of its head."""
    groups = (True, [*plan.runs.values()]), (False, [*plan.values.values()])
    found: list[PlannedJob] = []
    for _, jobs in groups:
        found = found or [one for one in jobs if one.key.startswith(wanted) or one.job.name == wanted]
    for kept, jobs in groups:
        if found:
            break
        for _, identity in _stored(store, kept=kept, beginning=wanted):
            found += _nearest([one for one in jobs if one.identity["what"] == identity.get("what")], identity)
    if len({one.key for one in found}) == 1:
        return found[0]
    listed = ", ".join(f"{one.key} ({one.job.name})" for one in found[:6])
    raise UsageError(
        f"{'several jobs match' if found else 'no job matches'} {wanted!r}",
        given=listed or None,
        expected="a key, its first digits, or a job's name",
        remedy="`dtclaims plan --all` lists them; give the same --scale, --protocol and --seeds.",
    )


def _nearest(jobs: Sequence[PlannedJob], identity: Mapping[str, Any]) -> list[PlannedJob]:
    far = {one.key: len(differences(one.identity, identity)) for one in jobs}
    return [one for one in jobs if far[one.key] == min(far.values())]


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
