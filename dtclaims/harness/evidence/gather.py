"""Which of a store's results a study rests on, whatever code and versions made them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dtclaims.addresses import differences, key_of
from dtclaims.errors import StoreError
from dtclaims.harness.engine.device import device_class
from dtclaims.harness.plan.planner import Cell
from dtclaims.harness.settings import Settings
from dtclaims.harness.store.recorded import MADE_WITH, Recorded, meaning, spec_of
from dtclaims.harness.store.store import Store, StoredRun, read_measurement
from dtclaims.harness.study import Study
from dtclaims.lab.inputs import SIZES, Unavailable, find_backbone, find_data, portable
from dtclaims.lab.measurements import MEASUREMENTS

COLLECTED_WITH = ("code", "resolved", "simulator")
"""Parts of the identity of collected data that say what collected them."""

Identity = Mapping[str, Any]


@dataclass(frozen=True)
class Gathered:
    """A study planned with the results that a store has, and what is to be said of the choice."""

    study: Study
    notes: list[str]


def gather(cells: Sequence[Cell], settings: Settings) -> Gathered:
    """Find in a store what a study rests on, made by the present code or, if there is more of it, by another.

    All runs are of one version of code, libraries and data, all values of one measurement of one version of its code:
    the one that has most of what is needed, the present one where two have as much. Data and backbones are those of
    today or, where they are not at hand, those that most runs had.

    Raises:
        StoreError: the store is not ours, or something in it is damaged.
    """
    store, notes = Store(settings.store), list[str]()
    stored = [run.identity for key in store.run_keys() if (run := store.find(key)) is not None and _fits(run, settings)]
    given = _data(settings, stored, notes), _backbones(settings, stored, notes)
    present = Study(cells, settings, recorded=Recorded([], [], *given))
    runs = _choose([run.identity for run in present.plan.runs.values()], stored, "runs", notes)
    planned = Study(cells, settings, recorded=Recorded(runs, [], *given))
    wanted: dict[str, list[Identity]] = {}
    for one in planned.plan.measurements.values():
        if MEASUREMENTS[one.name].from_curves is None:
            wanted.setdefault(one.name, []).append(one.identity)
    measured = list(_measured(store))
    chosen = [
        identity
        for name, needed in wanted.items()
        for identity in _choose(needed, [i for i in measured if i["measurement"] == name], f"values of {name}", notes)
    ]
    return Gathered(Study(cells, settings, recorded=Recorded(runs, chosen, *given)), notes)


def _fits(run: StoredRun, settings: Settings) -> bool:
    """Whether it is of the study's scale, device and precision, and of a form that a run of today could have."""
    try:
        scale = spec_of(run.identity).scale
    except StoreError:
        return False
    like = (scale, run.identity["device"], run.identity["precision"])
    return "backbones" in run.identity and like == (
        settings.scale.name,
        device_class(settings.device),
        settings.precision,
    )


def _data(settings: Settings, stored: Sequence[Identity], notes: list[str]) -> dict[str, Identity]:
    """Identity of the data by task: what is here, else what most stored runs had."""
    found = {}
    for task in settings.tasks:
        here = find_data(task, settings.scale, settings.sources.data)
        theirs = [run["data"] for run in stored if run["spec"]["task"] == task]
        found[task] = _here_or_theirs(here, theirs, f"the data of {task}", notes)
    return {task: one for task, one in found.items() if one is not None}


def _backbones(settings: Settings, stored: Sequence[Identity], notes: list[str]) -> dict[str, Identity]:
    """Identity of the backbones by source, likewise."""
    found = {}
    weights = [(source, one) for run in stored for source, one in run["backbones"].items() if one["kind"] != SIZES]
    for source in dict.fromkeys(source for source, _ in weights):
        here = find_backbone(source, settings.scale, settings.sources.backbones.get(source))
        theirs = [one for name, one in weights if name == source]
        found[source] = _here_or_theirs(here, theirs, f"the {source} backbone", notes)
    return {source: one for source, one in found.items() if one is not None}


def _here_or_theirs(
    here: Identity | Unavailable, theirs: Sequence[Identity], what: str, notes: list[str]
) -> Identity | None:
    if not isinstance(here, Unavailable):
        return portable(here)
    by_key = {key_of(one): one for one in theirs}
    if not by_key:
        return None
    (key, runs), *_ = Counter(map(key_of, theirs)).most_common()
    taken = by_key[key]
    name = taken.get("name") or taken.get("kind")
    notes.append(f"{what}, not at hand here, is taken to be {name}, of {runs} of {len(theirs)} stored runs")
    return taken


def _measured(store: Store) -> Iterable[Identity]:
    for path in sorted((store.root / "measurements").glob("[!.]*.json")):
        identity: Identity = read_measurement(path)["identity"]
        yield identity


def _choose(needed: Sequence[Identity], stored: Sequence[Identity], what: str, notes: list[str]) -> list[Identity]:
    """Of the stored results that are of something needed, those of the version that has most of it."""
    present = {_of(identity): identity for identity in needed}
    versions: dict[str, dict[str, Identity]] = {}
    for identity in stored:
        if (of := _of(identity)) in present:
            versions.setdefault(_version(identity), {})[of] = identity
    if not versions:
        return []
    here = set(map(_version, needed))
    order = sorted(versions, key=lambda version: (-len(versions[version]), version not in here, version))
    taken, *left_out = (versions[version] for version in order)
    if order[0] not in here:
        notes.append(f"{len(taken)} of {len(present)} {what}, {_apart(taken, present)}")
    notes += [f"left out: {len(others)} {what} of another version, {_apart(others, taken)}" for others in left_out]
    return list(taken.values())


def _of(identity: Identity) -> str:
    """What a result is of, whatever collected its data."""
    kept = dict(identity)
    if "data" in kept:
        kept["data"] = _without(kept["data"])
    elif "data" in kept["parameters"]:
        kept["parameters"] = {**kept["parameters"], "data": _without(kept["parameters"]["data"])}
    return meaning(kept)


def _without(data: Identity) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in COLLECTED_WITH}


def _version(identity: Identity) -> str:
    """What a result was made with, its data included."""
    data = identity.get("data") or identity.get("parameters", {}).get("data") or {}
    made = {name: identity[name] for name in MADE_WITH if name in identity}
    return key_of({**made, "data": {name: data[name] for name in COLLECTED_WITH if name in data}})


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
