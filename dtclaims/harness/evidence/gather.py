"""Which of a store's results a study rests on, whatever code and versions made them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dtclaims.addresses import key_of
from dtclaims.device import device_class
from dtclaims.errors import StoreError
from dtclaims.harness.evidence.contents import INPUTS
from dtclaims.harness.lab import Lab, Wish
from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.plan.explain import apart
from dtclaims.harness.settings import Settings
from dtclaims.harness.store.recorded import Recorded
from dtclaims.harness.store.store import Store, StoredRun, read_measurement
from dtclaims.harness.study import Study

Identity = Mapping[str, Any]


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

    What is damaged, or may not be read, is left out with a note.

    Raises:
        StoreError: the store is not ours.
    """
    store, notes, lab = Store(settings.store), list[str](), settings.lab
    recorded = [run.identity for run in _sound_runs(store, notes) if _fits(run, settings)]
    wish = Wish(settings.scale.name, settings.tasks, False, settings.options, recorded=recorded)
    session = lab.session(wish)
    # What a file recommends is for another machine: what this one has and is to spend says nothing there. A seal is
    # named all the same: runs that are made without it are not of the study.
    kept = {"looks", "registration", *settings.options}
    typed = {name: value for name, value in settings.given.items() if name in kept}
    given = replace(settings, session=session, given=typed)
    present = Study(cells, given)
    needed = dict(_meant((run.identity for run in present.plan.runs.values()), lab))
    stored = _meant(recorded, lab)
    notes += _on_others(needed, stored)
    runs = _choose(needed, stored, "runs", notes)
    planned = Study(cells, given, recorded=Recorded(lab, runs))
    wanted: dict[str, list[Identity]] = {}
    for one in planned.plan.values.values():
        wanted.setdefault(_quantity(one.identity), []).append(one.identity)
    measured = [one for one in _measured(store, notes) if "what" in one]
    chosen = [
        identity
        for name, values in wanted.items()
        for identity in _choose(
            dict(_meant(values, lab)),
            _meant((one for one in measured if _quantity(one) == name), lab),
            f"values of {name}",
            notes,
        )
    ]
    study = Study(cells, given, recorded=Recorded(lab, [*runs, *chosen]))
    return Gathered(study, [*session.notes, *notes])


def _sound_runs(store: Store, notes: list[str]) -> Iterator[StoredRun]:
    """All finished runs that can be used; of the others a note."""
    for key in store.run_keys():
        try:
            run = store.find(key)
        except StoreError as error:
            notes.append(f"left out: {error}")
            continue
        if run is not None:
            yield run


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


def _measured(store: Store, notes: list[str]) -> Iterator[Identity]:
    for path in sorted((store.root / "measurements").glob("[!.]*.json")):
        try:
            identity: Identity = read_measurement(path)["identity"]
        except StoreError as error:
            notes.append(f"left out: {error}")
            continue
        yield identity


def _meant(identities: Iterable[Identity], lab: Lab) -> list[tuple[str, Identity]]:
    """Results, each behind a key of what it is of, whatever made it."""
    return [(key_of(lab.meaning(identity)), identity) for identity in identities]


def _choose(
    present: Mapping[str, Identity], stored: Sequence[tuple[str, Identity]], what: str, notes: list[str]
) -> list[Identity]:
    """Of the stored results that are of something needed, those of the version that has most of it."""
    left = [_Made(of, one, present[of]) for of, one in stored if of in present]
    now: dict[str, object] = {}
    for of, identity in present.items():
        now |= _Made(of, identity, identity).facts
    taken: dict[str, Identity] | None = None
    while left:
        # The present version comes first: it is taken where no other has more.
        found = max((_together(facts, left) for facts in [now, *(one.facts for one in left)]), key=len)
        left = [one for one in left if one not in found]
        results = {one.of: one.identity for one in found}
        if taken is None:
            taken = results
            if not all(_agree(now, one.facts) for one in found):
                otherwise = f"{len(taken)} of {len(present)} {what}, {_apart(taken, present)}"
                notes.append(f"taken as they were made: {otherwise} from what would be made here and now")
        else:
            notes.append(f"left out: {len(results)} {what} of another version, {_apart(results, taken)}")
    return list((taken or {}).values())


def _on_others(needed: Mapping[str, Identity], stored: Sequence[tuple[str, Identity]]) -> list[str]:
    """A note on stored runs that would be of something needed, were they not on other data or weights: whoever has made
    a checkpoint again would else miss them without a word."""
    alike = {_on_any(one): one for one in needed.values()}
    others = [one for of, one in stored if of not in needed]
    pairs = [(_inputs(alike[known]), _inputs(one)) for one in others if (known := _on_any(one)) in alike]
    if not pairs:
        return []
    told = "stored runs on other data or weights than are at hand, or than most had"
    return [f"left out: {len(pairs)} {told}, {apart(pairs)}"]


def _inputs(identity: Identity) -> dict[str, Any]:
    return {name: identity.get("how", {}).get(name, {}) for name in INPUTS}


def _on_any(identity: Identity) -> str:
    """What a run is and how it was made, whatever it was made on."""
    how = {name: value for name, value in identity.get("how", {}).items() if name not in INPUTS}
    return key_of({"what": identity["what"], "how": how})


class _Made:
    """A stored result and what it was made with: facts that two results of one version cannot differ in.

    Results of one version may rest on different code, and on different rows of a table under one name. So a fact is
    what stands where the present version has this or that; where it has nothing, results that differ in more than
    their seed are not compared.
    """

    def __init__(self, of: str, identity: Identity, present: Identity) -> None:
        self.of, self.identity = of, identity
        own, now = _made_with(identity), _made_with(present)
        of_what = [{**identity["what"], "seed": None}, identity.get("needs")]
        self.facts = {f"{name}, now {now.get(name, of_what)}": value for name, value in own.items()}


def _made_with(identity: Identity) -> dict[str, object]:
    found: dict[str, object] = {"schema": identity.get("schema"), "data": identity.get("how", {}).get("data")}
    for part in ("code", "versions", "resolved"):
        found |= {f"{part}.{name}": value for name, value in identity.get(part, {}).items()}
    return found


def _together(facts: Mapping[str, object], results: Sequence[_Made]) -> list[_Made]:
    """Results that agree with some facts, and with each other; one of each thing."""
    known, found = dict(facts), dict[str, _Made]()
    for one in results:
        if one.of not in found and _agree(known, one.facts):
            known |= one.facts
            found[one.of] = one
    return list(found.values())


def _agree(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    return all(one[name] == other[name] for name in one.keys() & other.keys())


def _apart(some: Mapping[str, Identity], others: Mapping[str, Identity]) -> str:
    """In what results differ from others of the same things."""
    return apart((others[of], some[of]) for of in some.keys() & others.keys())
