"""Which of a store's results a study rests on, whatever code and versions made them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dtclaims.addresses import differences, key_of
from dtclaims.device import device_class
from dtclaims.harness.lab import Lab, Wish
from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.settings import Settings
from dtclaims.harness.store.recorded import Recorded
from dtclaims.harness.store.store import Store, StoredRun, read_measurement
from dtclaims.harness.study import Study

Identity = Mapping[str, Any]

MADE_WITH = ("schema", "versions", "code", "resolved")
"""Parts of an identity that say what made a result."""


@dataclass(frozen=True)
class Gathered:
    """A study planned with the results that a store has, and what is to be said of the choice."""

    study: Study
    notes: list[str]


def gather(cells: Sequence[Cell], settings: Settings) -> Gathered:
    """Find in a store what a study rests on, made by the present code or, if there is more of it, by another.

    All runs are of one version of code, libraries and data, all values of one quantity of one version of its code: the
    one that has most of what is needed, the present one where two have as much. Data and weights are those of today
    or, where they are not at hand, those that most runs had.

    Raises:
        StoreError: the store is not ours, or something in it is damaged.
    """
    store, notes, lab = Store(settings.store), list[str](), settings.lab
    stored = [run.identity for key in store.run_keys() if (run := store.find(key)) is not None and _fits(run, settings)]
    wish = Wish(settings.scale.name, settings.tasks, False, settings.options, recorded=stored)
    session = lab.session(wish)
    given = replace(settings, session=session)
    present = Study(cells, given)
    runs = _choose([run.identity for run in present.plan.runs.values()], stored, "runs", lab, notes)
    planned = Study(cells, given, recorded=Recorded(lab, runs))
    wanted: dict[str, list[Identity]] = {}
    for one in planned.plan.values.values():
        wanted.setdefault(_quantity(one.identity), []).append(one.identity)
    measured = [one for one in _measured(store) if "what" in one]
    chosen = [
        identity
        for name, needed in wanted.items()
        for identity in _choose(needed, [i for i in measured if _quantity(i) == name], f"values of {name}", lab, notes)
    ]
    study = Study(cells, given, recorded=Recorded(lab, [*runs, *chosen]))
    return Gathered(study, [*getattr(session, "notes", []), *notes])


def _quantity(identity: Identity) -> str:
    return str(identity["what"].get("quantity", identity["kind"]))


def _fits(run: StoredRun, settings: Settings) -> bool:
    """Whether it is of the study's scale, device and precision, and of a form that a run of today could have."""
    what = run.identity.get("what")
    return what is not None and (what.get("scale"), run.identity["device"], run.identity["precision"]) == (
        settings.scale.name,
        device_class(settings.device),
        settings.precision,
    )


def _measured(store: Store) -> Iterable[Identity]:
    for path in sorted((store.root / "measurements").glob("[!.]*.json")):
        identity: Identity = read_measurement(path)["identity"]
        yield identity


def _choose(
    needed: Sequence[Identity], stored: Sequence[Identity], what: str, lab: Lab, notes: list[str]
) -> list[Identity]:
    """Of the stored results that are of something needed, those of the version that has most of it.

    A version is what differs from the present one in code, tables and libraries: results of several versions are
    never taken together.
    """
    present = {key_of(lab.meaning(identity)): identity for identity in needed}
    versions: dict[str, dict[str, Identity]] = {}
    for identity in stored:
        if (of := key_of(lab.meaning(identity))) in present:
            versions.setdefault(_version(identity, present[of]), {})[of] = identity
    if not versions:
        return []
    here = _version({}, {})
    taken, *left_out = sorted(versions, key=lambda version: (-len(versions[version]), version != here, version))
    if taken != here:
        notes.append(f"{len(versions[taken])} of {len(present)} {what}, {_apart(versions[taken], present)}")
    notes += [
        f"left out: {len(versions[one])} {what} of another version, {_apart(versions[one], versions[taken])}"
        for one in left_out
    ]
    return list(versions[taken].values())


def _version(identity: Identity, present: Identity) -> str:
    """In what a result differs from the present version, with the values that it has."""
    parts = [{name: one.get(name) for name in MADE_WITH} for one in (identity, present)]
    data = [one.get("how", {}).get("data") for one in (identity, present)]
    return key_of({"changed": [[name, was] for name, was, _ in differences(*parts)], "data": data[0] != data[1]})


def _apart(some: Mapping[str, Identity], others: Mapping[str, Identity]) -> str:
    """In what results differ from others of the same things."""
    names: dict[str, None] = {}
    for of in some.keys() & others.keys():
        names |= dict.fromkeys(name for name, _, _ in differences(others[of], some[of]))
    if not names:
        return "of other things"
    listed = sorted(names)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return f"which differ in {', '.join(listed[:SHOWN])}{more}"


SHOWN = 6
"""Names in one note."""
