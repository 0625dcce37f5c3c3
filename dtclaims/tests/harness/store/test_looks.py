"""Behaviour of `dtclaims.harness.store.looks`: looks are checked like everything that is stored."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import StoreError
from dtclaims.harness.stats.trends import above
from dtclaims.harness.store.looks import Look, merged
from dtclaims.harness.store.store import Store
from dtclaims.harness.store.upkeep import damaged

CELL = ("X", "published", "mini")
FIRST = Look({"0": "a", "1": "b", "2": "c"}, "2026-11-27T10:00:00+00:00", {"effect": above(0.1)})
LATER = Look({"3": "d"}, "2026-11-28T10:00:00+00:00")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One with two looks at a cell."""
    store = Store(tmp_path / "store")
    store.add_look(CELL, FIRST)
    store.add_look(CELL, LATER)
    return store


def file_of(store: Store) -> Path:
    """Where they are."""
    (path,) = (store.root / "looks").iterdir()
    return path


def test_looks_come_back_as_they_were_kept(store: Store) -> None:
    """Seeds, day and trend of each look, the earliest first; a cell that was never looked at has none."""
    assert store.looks(CELL) == [FIRST, LATER]
    assert store.looks(("Y", "published", "mini")) == []


def test_no_look_is_lost_to_another_process_that_looks_meanwhile(store: Store) -> None:
    """Sessions on one store judge the same claim at other seeds at once, or import looks: each look stays, and is paid
    for."""

    def looking(number: int) -> None:
        for seed in range(10):
            Store(store.root).add_look(CELL, Look({str(100 * number + seed): "e"}))

    with ThreadPoolExecutor(4) as several:
        list(several.map(looking, range(1, 5)))
    assert len(store.looks(CELL)) == 2 + 4 * 10
    # The same seeds twice are one look.
    looking(1)
    assert len(store.looks(CELL)) == 2 + 4 * 10


def test_files_of_before_stay_readable(store: Store) -> None:
    """A look was a table of seeds; its day and its trend are not known, and the next look is added to it."""
    content = {"cell": list(CELL), "looks": [{"0": "a"}]}
    file_of(store).write_text(json.dumps(content))
    assert store.looks(CELL) == [Look({"0": "a"})]
    store.add_look(CELL, LATER)
    assert store.looks(CELL) == [Look({"0": "a"}), LATER]


def rewritten(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    """The file's text with its content changed."""

    def damage(text: str) -> str:
        content = json.loads(text)
        change(content)
        return json.dumps(content)

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: text.replace('"a"', '"z"'),
        lambda text: text.replace("0.1", "0.2"),
        rewritten(lambda one: one.pop("cell")),
        rewritten(lambda one: one.update(cell=["Y", "published", "mini"])),
        rewritten(lambda one: one.update(looks={})),
        rewritten(lambda one: one.pop("looks")),
        rewritten(lambda one: one.pop("sha256")),
        rewritten(lambda one: one["looks"].pop()),
        rewritten(lambda one: one["looks"][0].pop("date")),
        rewritten(lambda one: one["looks"][0].update(date="yesterday")),
        rewritten(lambda one: one["looks"][0].update(date="2026-11-27T10:00:00")),
        rewritten(lambda one: one["looks"][0].update(seeds={})),
        rewritten(lambda one: one["looks"][0].update(seeds={"0": 1})),
        rewritten(lambda one: one["looks"][0].update(seeds={"-1": "a"})),
        rewritten(lambda one: one["looks"][0].update(trends=[])),
        rewritten(lambda one: one["looks"][0]["trends"]["effect"].pop("null")),
        rewritten(lambda one: one["looks"][0]["trends"]["effect"].update(kind="hunch")),
        rewritten(lambda one: one["looks"].append("0")),
        rewritten(lambda one: (one.pop("sha256"), one.update(looks=[{"0": 1}]))),
    ],
)
def test_a_damaged_file_is_one_error_that_names_it(store: Store, damage: Callable[[str], str]) -> None:
    """Whatever is wrong with it: nothing is taken for a look that was not written, and `store verify` says so too."""
    path = file_of(store)
    assert damage(path.read_text()) != path.read_text()
    path.write_text(damage(path.read_text()))
    with pytest.raises(StoreError, match="damaged") as error:
        store.looks(CELL)
    assert str(path) in str(error.value)
    with pytest.raises(StoreError, match="damaged"):
        store.add_look(CELL, LATER)
    assert [(fault.path, fault.repair) for fault in damaged(store)] == [(path, "restore")]


def test_looks_of_two_stores_add_up_in_the_order_of_their_days() -> None:
    """What was seen elsewhere was seen; the same seeds count once, and those of unknown days come first."""
    old = Look({"9": "x"})
    assert merged([LATER], [FIRST, old, Look(LATER.seeds, "2026-11-29T00:00:00+00:00")]) == [old, FIRST, LATER]
