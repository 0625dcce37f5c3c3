"""Nothing damaged is believed, nothing sound is lost, one bad thing stops one thing."""

import json
import os
import shutil
import stat
from pathlib import Path

import pytest
import torch

from dtclaims.errors import Damaged, NotPermitted, NotThere, OtherVersion, StoreError
from dtclaims.files import describe_file, is_there, read_json, replacing, write_json
from dtclaims.harness.commands.main import main
from dtclaims.harness.lab import STATE
from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.store.lines import line_of
from dtclaims.harness.store.store import NAME, Store
from dtclaims.harness.store.timings import NAME as TIMINGS
from dtclaims.harness.store.upkeep import damaged, entries, repair
from dtclaims.lab.train.resume import load_state, save_checkpoint, save_state
from dtclaims.tests.support import studies
from dtclaims.tests.support.damaging import WAYS, flipped
from dtclaims.tests.support.users import SOMEBODY, SOMEBODY_ELSE, as_user, needs_root, owned

WORK = "0" * 20


# A file that is gone is like one that was never made, where nothing else speaks of it.
MAY_GO = {"measurements", "looks", "logs", "."}
MAY_BE_GONE = {STATE, NAME}


def full_store(tmp_path: Path) -> Store:
    """One of everything: finished runs, measurements, looks, an unfinished run, timings and a timeline."""
    study = studies.filled(tmp_path)
    studies.entries(study)
    store = study.store
    folder = store.workspace(WORK)
    write_json(folder / NAME, {"name": "unfinished"})
    kept = {"epoch_001.safetensors": save_checkpoint(folder / "epoch_001.safetensors", {"w": torch.ones(5)})}
    save_state(folder, {"epoch": 1, "model": {"w": torch.arange(6.0)}}, {"seconds": 1.0, "resumed": []}, kept)
    (store.root / TIMINGS).write_text(
        line_of({"kind": "run", "seconds": 1.0}) + line_of({"kind": "run", "seconds": 2.0})
    )
    (store.root / "logs").mkdir(exist_ok=True)
    (store.root / "logs" / "timeline-1.jsonl").write_text(line_of({"at": 0.0, "what": "begin"}) * 2)
    assert damaged(store) == []
    return store


def files_of(store: Store) -> list[Path]:
    """One file of each kind."""
    kinds: dict[tuple[str, str], Path] = {}
    for path in sorted(store.root.rglob("*")):
        if path.is_file() and path.relative_to(store.root).parts[0] != "locks":
            parts = path.relative_to(store.root).parts
            kinds.setdefault((parts[0], parts[-1] if len(parts) == 3 else ""), path)
    return list(kinds.values())


@pytest.mark.parametrize("way", list(WAYS))
def test_whatever_is_damaged_is_named(tmp_path: Path, way: str) -> None:
    """Every kind of file in a store, damaged in every way: `store verify` names it and nothing else, without waiting
    for a pipe or following a link for ever."""
    store = full_store(tmp_path)
    for path in files_of(store):
        kind = path.relative_to(store.root).parts[0] if path.parent != store.root else "."
        if kind == "work" and path.name == NAME and way.startswith(("flipped", "short", "length")):
            # What people call an unfinished run is written again when it is finished; nothing rests on it.
            continue
        if kind in ("logs", ".") and path.name != "dtclaims-store.json" and way in ("shortened", "halved"):
            # Half a line at the end is what a killed session leaves.
            continue
        before = path.read_bytes()
        WAYS[way](path)
        found = damaged(store)
        if way == "deleted" and (kind in MAY_GO or (kind == "work" and path.name in MAY_BE_GONE)):
            assert all(fault.path == store.root / "dtclaims-store.json" for fault in found)
        else:
            assert [fault.path for fault in found] in ([path], [path.parent]), f"{way}: {path}"
            assert str(path.name) in found[0].problem or str(path.parent) in found[0].problem
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        path.unlink(missing_ok=True)
        path.write_bytes(before)
    assert damaged(store) == []


def test_what_can_be_made_again_is_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`store verify --repair` drops damaged results, so that the next session makes them again, and leaves what only a
    copy brings back; what is sound stays."""
    store = full_store(tmp_path)
    before = {path for path in store.root.rglob("*") if path.is_file()}
    looks = next((store.root / "looks").iterdir())
    run, value = store.root / "runs" / store.run_keys()[0], next((store.root / "measurements").iterdir())
    for path in (run / "result.json", value, store.root / "work" / WORK / STATE, looks):
        flipped(0.5)(path)
    # What is advised is for this store, wherever that lies.
    for fault in damaged(store):
        if fault.path in (run, value):
            assert f"`dtclaims store verify --repair --store {store.root}` drops it" in fault.problem
    assert main(["store", "verify", "--store", str(store.root), "--repair"]) == 1
    out = capsys.readouterr().out
    assert "4 damaged" in out
    assert out.count("dropped: ") == 3
    assert f"left: {looks}" in out
    gone = before - {path for path in store.root.rglob("*") if path.is_file()}
    assert {path.relative_to(store.root).parts[1] for path in gone} == {run.name, value.name, WORK}
    assert [fault.path for fault in damaged(store)] == [looks]


@pytest.mark.parametrize("what", ["result.json", "measurement", "looks"])
def test_one_damaged_file_is_one_claims_trouble(tmp_path: Path, what: str) -> None:
    """The claims that rest on it are errors that name the file; all others are judged as if nothing had happened."""
    sound = studies.entries(studies.filled(tmp_path))
    store = Store(tmp_path / "store")
    study = studies.study(tmp_path)
    cells = {cell.name: cell for cell in study.cells}
    if what == "looks":
        path = sorted((store.root / "looks").iterdir())[0]
        touched = {tuple(read_json(path)["cell"])}
    else:
        keys = (
            store.run_keys() if what == "result.json" else [one.stem for one in (store.root / "measurements").iterdir()]
        )
        resting = {key: {name for name, cell in cells.items() if key in study.plan.job_keys(cell)} for key in keys}
        # One that some claims need and others do not.
        key = min((one for one in keys if resting[one]), key=lambda one: (len(resting[one]), one))
        touched = resting[key]
        path = (
            store.root / "runs" / key / what if what == "result.json" else store.root / "measurements" / f"{key}.json"
        )
    flipped(0.5)(path)
    found = studies.entries(studies.study(tmp_path))
    hit = {(claim, protocol) for claim, protocol, _ in touched}
    assert hit
    assert hit < set(found)
    composed = {(one.claim.id, one.protocol.name) for one in cells.values() if _rests_on(one, hit)}
    for name, entry in found.items():
        if name in hit:
            assert entry.verdict == "error"
            assert str(path) in entry.reason
        elif name not in composed:
            assert (entry.verdict, entry.reason) == (sound[name].verdict, sound[name].reason), name


def test_a_result_that_is_not_of_its_run_is_no_evidence(tmp_path: Path) -> None:
    """A curve cut to its first epoch, with every checksum as it should be: the claim is an error that says so."""
    study = studies.filled(tmp_path)
    cell = next(one for one in study.cells if studies.entries(study)[one.claim.id, one.protocol.name].decided)
    key = study.plan.run_keys(cell)[0]
    run = study.store.find(key)
    assert run is not None
    curves = {name: values[:1] for name, values in run.result["curves"].items()}
    write_json(run.folder / "result.json", {**run.result, "curves": curves})
    manifest = read_json(run.folder / "manifest.json")
    write_json(run.folder / "manifest.json", {**manifest, "result.json": describe_file(run.folder / "result.json")})
    assert damaged(study.store) == []
    entry = studies.entries(studies.study(tmp_path))[cell.claim.id, cell.protocol.name]
    assert entry.verdict == "error"
    assert f"run {key}" in entry.reason
    assert "has 1 values" in entry.reason


def _rests_on(cell: Cell, hit: set[tuple[str, str]]) -> bool:
    return any((part.claim.id, part.protocol.name) in hit or _rests_on(part, hit) for part in cell.parts)


def test_damage_since_the_last_look_is_not_believed_on_resuming(tmp_path: Path) -> None:
    """A kept checkpoint or a number in the saved state that has changed: both are named; nothing is taken up."""
    for name in ("epoch_001.safetensors", STATE):
        for place in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
            store = Store(tmp_path / f"{name}-{place}")
            folder = store.workspace(WORK)
            kept = {"epoch_001.safetensors": save_checkpoint(folder / "epoch_001.safetensors", {"w": torch.ones(50)})}
            save_state(folder, {"epoch": 1, "curves": {"x": [1.5, 2.5]}, "w": torch.ones(3)}, {"resumed": []}, kept)
            assert load_state(folder) is not None
            flipped(place)(folder / name)
            with pytest.raises((Damaged, OtherVersion), match=name):
                load_state(folder)


def test_a_header_is_bounded_before_it_is_read(tmp_path: Path) -> None:
    """One that says it is longer than the file is refused at once."""
    (tmp_path / STATE).write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with pytest.raises(Damaged, match="longer than the file"):
        load_state(tmp_path)


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_files_have_the_permissions_of_the_users_choice(tmp_path: Path, umask: int) -> None:
    """Whatever library writes them: the umask decides who may read them."""
    before = os.umask(umask)
    try:
        save_checkpoint(tmp_path / "epoch_001.safetensors", {"w": torch.ones(5)})
        write_json(tmp_path / "x.json", {})
    finally:
        os.umask(before)
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask, path


@needs_root
def test_four_things_are_four_errors(tmp_path: Path) -> None:
    """What may not be read, is not there, is damaged, and is of another version are told apart."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "secret.json").write_text("{}")
    (folder / "bad.json").write_text("{")
    (folder / "closed").mkdir(mode=0o700)
    owned(folder, SOMEBODY)
    (folder / "secret.json").chmod(0o600)
    cases = {"secret.json": NotPermitted, "closed/x.json": NotPermitted, "none.json": NotThere, "bad.json": Damaged}
    for name, kind in cases.items():
        with pytest.raises(kind) as found:
            as_user(SOMEBODY_ELSE, lambda name=name: read_json(folder / name))
        assert type(found.value) is kind
    with pytest.raises(NotPermitted):
        as_user(SOMEBODY_ELSE, lambda: is_there(folder / "closed" / "x.json"))
    write_json(tmp_path / "dtclaims-store.json", {"kind": "dtclaims-store", "schema": 99})
    with pytest.raises(OtherVersion):
        Store(tmp_path)


@needs_root
def test_a_store_that_may_only_be_read_is_judged(tmp_path: Path) -> None:
    """By a reader without permission to write: verdicts are the same, and each says that the look was not recorded."""
    sound = studies.entries(studies.filled(tmp_path))
    shutil.rmtree(tmp_path / "store" / "looks")
    owned(tmp_path, SOMEBODY, 0o644)
    found = as_user(SOMEBODY_ELSE, lambda: studies.entries(studies.study(tmp_path)))
    assert {name: one.verdict for name, one in found.items()} == {name: one.verdict for name, one in sound.items()}
    unrecorded = [one for one in found.values() if any("not recorded" in text for text in one.warnings)]
    assert unrecorded
    assert not (tmp_path / "store" / "looks").exists()


@needs_root
def test_another_users_unfinished_run_is_left_alone(tmp_path: Path) -> None:
    """One that may not be read is not damaged: it is named, and nothing of it is deleted."""
    store = full_store(tmp_path)
    folder = store.root / "work" / WORK
    owned(tmp_path, SOMEBODY, 0o644)
    for path in (store.root, *store.root.iterdir()):
        if path.is_dir():
            path.chmod(0o777)
    (folder / STATE).chmod(0o600)
    with pytest.raises(NotPermitted, match="may not be read"):
        as_user(SOMEBODY_ELSE, lambda: load_state(folder))
    faults = as_user(SOMEBODY_ELSE, lambda: damaged(store))
    assert [(fault.path, fault.repair) for fault in faults] == [(folder, "ask")]
    assert as_user(SOMEBODY_ELSE, lambda: repair(store, faults)) == ([], faults)
    names = {one.key: one.note for one in as_user(SOMEBODY_ELSE, lambda: entries(store))}
    assert WORK in names
    assert load_state(folder) is not None


@needs_root
def test_two_users_of_one_group_share_a_store(tmp_path: Path) -> None:
    """With the folder's group set and umask 002 each goes on with what the other made."""
    root = tmp_path / "store"
    root.mkdir()
    owned(tmp_path, SOMEBODY)
    root.chmod(0o2775)

    def begins() -> None:
        store = Store(root)
        with store.lock(WORK):
            folder = store.workspace(WORK)
            kept = {"epoch_001.safetensors": save_checkpoint(folder / "epoch_001.safetensors", {"w": torch.ones(5)})}
            save_state(folder, {"epoch": 1}, {}, kept)

    def goes_on() -> str:
        store = Store(root)
        with store.lock(WORK):
            folder = store.workspace(WORK)
            assert load_state(folder) is not None
            save_state(folder, {"epoch": 2}, {})
            write_json(folder / "result.json", {})
            store.complete(folder, {"kind": "run"})
            store.publish(folder)
        store.put_measurement({"kind": "value"}, 1.0)
        return "done"

    as_user(SOMEBODY, begins, umask=0o002)
    assert as_user(SOMEBODY_ELSE, goes_on, umask=0o002) == "done"
    assert as_user(SOMEBODY, lambda: Store(root).find_measurement({"kind": "value"}), umask=0o002) == 1.0


def test_json_is_bounded(tmp_path: Path) -> None:
    """Too large, nested too deeply, a number that is none, a pipe: an error each, and nobody waits."""
    path = tmp_path / "x.json"
    for text in ("[" * 200_000 + "]" * 200_000, '{"x": NaN}', '{"x": ' + "9" * 5000 + "}", "[]", "\ufeff{}", "{}{}"):
        path.write_text(text)
        with pytest.raises(Damaged):
            read_json(path)
    path.write_text(json.dumps({"x": "y" * 100}))
    with pytest.raises(Damaged, match="at most 50"):
        read_json(path, most=50)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(Damaged, match="no plain file"):
        read_json(path)


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """An error in the middle of writing leaves the old file, and no other."""
    path = tmp_path / "x.json"
    write_json(path, {"x": 1})

    def half() -> None:
        with replacing(path) as partial:
            partial.write_text("half")
            raise OSError(28, os.strerror(28))

    with pytest.raises(StoreError, match="cannot write"):
        half()
    assert read_json(path) == {"x": 1}
    assert list(tmp_path.iterdir()) == [path]
