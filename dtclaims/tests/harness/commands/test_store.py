"""`dtclaims store`: what it lists, finds damaged, deletes, packs and unpacks."""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import shutil
import tarfile
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dtclaims.addresses import key_of
from dtclaims.errors import DtclaimsError, NotPermitted, NotThere, StoreError, UsageError
from dtclaims.harness.commands.main import main
from dtclaims.harness.commands.store import duration
from dtclaims.harness.commands.table import commands_of
from dtclaims.harness.declare.registry import DEFAULT_FOLDER
from dtclaims.harness.engine.room import size
from dtclaims.harness.engine.timeline import Timeline
from dtclaims.harness.lab import STATE
from dtclaims.harness.plan.plan import Plan
from dtclaims.harness.store import archive as archiving
from dtclaims.harness.store import upkeep
from dtclaims.harness.store.archive import export_store, import_store
from dtclaims.harness.store.looks import read_looks
from dtclaims.harness.store.store import FOLDERS, MARKER, Store, write_json
from dtclaims.harness.store.upkeep import damaged, entries
from dtclaims.lab.design.scales import SCALES
from dtclaims.tests.support.command_line import parse
from dtclaims.tests.support.examples import SAMPLE_CLAIMS, fill_store, store_run
from dtclaims.tests.support.plans import IDS, plan_for

RETURNS = {"random_init": 1.0, "language_pretrained": 2.0}
MEASURED = "attention_gap"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Two runs of claims that exist, and what was measured on them."""
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))
    store = Store(tmp_path / "home" / "store")
    fill_store(the_plan(store), store, RETURNS, [1.0, 2.0])
    write_looks(store, [{"0": "a"}])
    return store


def the_plan(store: Store) -> Plan:
    return plan_for(store, *IDS, scale=SCALES["mini"])


def write_looks(store: Store, looks: list[dict[str, str]]) -> Path:
    cell = ["SAMPLE-fails", "published", "mini"]
    path = store.root / "looks" / f"{key_of({'cell': cell})}.json"
    write_json(path, {"cell": cell, "looks": looks})
    return path


def call(*arguments: str) -> int:
    options = parse(["store", *arguments], commands_of(None))
    code: int = options.command.run(options)
    return code


def files(store: Store) -> set[str]:
    return {str(path.relative_to(store.root)) for path in store.root.rglob("*") if path.is_file()} - locks(store)


def locks(store: Store) -> set[str]:
    return {f"locks/{path.name}" for path in (store.root / "locks").iterdir()}


def test_ls(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """One line per run with key, size, age and name, filtered by name or key; as JSON too."""
    assert call("ls") == 0
    text = capsys.readouterr().out
    assert "run: hopper/K1/random_init/reference-tied-eps1e-08" in text
    assert text.splitlines()[-1].startswith("2 entries, ")
    call("ls", "language")
    assert "1 entries" in capsys.readouterr().out
    key = store.run_keys()[0]
    call("ls", key[:8], "--measurements", "--json")
    found = json.loads(capsys.readouterr().out)
    assert [one["key"] for one in found] == [key]
    call("ls", "--measurements")
    assert "measurement: attention_gap of hopper/K1/language_pretrained/" in capsys.readouterr().out


def test_ls_counts_what_it_does_not_list(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """A store with measurements alone is not empty."""
    for run in (store.root / "runs").iterdir():
        shutil.rmtree(run)
    assert call("ls") == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("0 entries, ")
    assert "measurement" in last
    assert "(--measurements lists them)" in last


def test_a_sound_store_verifies(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0, nothing named."""
    assert call("verify") == 0
    assert capsys.readouterr().out.startswith("4 entries, 0 damaged: ")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("what", ["runs/*/epoch_*", "runs/*/result.json", "runs/*/manifest.json", "measurements/*"])
@pytest.mark.parametrize("how", [flip, Path.unlink])
def test_damage_is_named(
    store: Store, capsys: pytest.CaptureFixture[str], what: str, how: Callable[[Path], None]
) -> None:
    """Whatever is changed or missing in a run, and any changed measurement, gives exit code 1 and its path."""
    path = next(store.root.glob(what))
    how(path)
    if not path.exists() and what == "measurements/*":
        # One that is gone was never taken.
        assert call("verify") == 0
        return
    assert call("verify") == 1
    found = capsys.readouterr().out
    assert str(path.parent if what.startswith("runs") else path) in found
    assert "1 damaged" in found


def test_a_strange_file_in_a_run_is_named(store: Store) -> None:
    """Files that no manifest lists are not ours."""
    run = next((store.root / "runs").iterdir())
    (run / "notes.txt").write_text("mine")
    (fault,) = damaged(store)
    assert fault.path == run
    assert "notes.txt" in fault.problem


def gc(*options: str) -> int:
    return call("gc", "--claims", str(SAMPLE_CLAIMS), *options)


def test_gc_keeps_what_claims_need(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing goes while every run is one that the claims ask for on some seed."""
    assert gc("--results", "--yes") == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 entries gone, 0 B freed")
    assert len(store.run_keys()) == 2
    assert the_plan(store).missing() == []


def alter(store: Store, **changes: Any) -> str:
    """A run like the first, but for some fields of its identity; its key."""
    run = store.find(store.run_keys()[0])
    assert run is not None
    identity = {**run.identity, **changes}
    store_run(store, identity, dict(run.result))
    return key_of(identity)


def with_code(part: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda identity: {"code": {**identity["code"], part: "0" * 16}}


def with_how(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda identity: {"how": {**identity["how"], **changes}}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (with_code("function update"), "made otherwise than today: code.function update"),
        (with_code("function gone"), "made otherwise than today: code.function gone"),
        (
            lambda identity: {"versions": {**identity["versions"], "torch": "1.0"}},
            "made otherwise than today: versions.torch",
        ),
        (lambda _: {"schema": 0}, "made otherwise than today: schema"),
        (with_how(data={"kind": "collected", "steps": 7}), "made with another collected than"),
    ],
)
def test_gc_keeps_results_that_no_session_uses(
    store: Store, capsys: pytest.CaptureFixture[str], changes: Callable[[dict[str, Any]], dict[str, Any]], why: str
) -> None:
    """It says how many and why, and deletes them, and what was measured on them, with --results and --yes alone."""
    first = store.find(store.run_keys()[0])
    assert first is not None
    key = alter(store, **changes(dict(first.identity)))
    store.put_measurement({"what": {"quantity": "m"}, "needs": [key], "schema": 2, "code": {}}, 1.0)
    before = files(store)
    assert gc() == gc("--yes") == 0
    (line, _) = [line for line in capsys.readouterr().out.splitlines() if why in line]
    assert re.match(
        r"stay without --results, since evidence may still be made of them: 1 run, 1 measurement, .*B \(", line
    )
    assert gc("--results") == 0
    text = capsys.readouterr().out
    assert len([line for line in text.splitlines() if line.endswith(")") and why in line]) == 2
    assert "1 run, 1 measurement, " in text
    assert "2 entries would go" in text
    assert files(store) == before
    assert gc("--results", "--yes") == 0
    assert "2 entries gone" in capsys.readouterr().out
    assert key not in store.run_keys()
    assert len(entries(store)) == 4
    assert damaged(store) == []


def test_gc_keeps_what_was_measured_on_a_run_that_is_gone(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Once the run is made again, its measurements serve as before; --results deletes them."""
    store.put_measurement({"what": {"quantity": "m"}, "needs": ["0" * 20], "schema": 2, "code": {}}, 1.0)
    assert gc("--yes") == 0
    assert re.search(r"1 measurement, .* \(of a run that is gone\)", capsys.readouterr().out)
    assert len(entries(store)) == 5
    assert gc("--results", "--yes") == 0
    assert len(entries(store)) == 4


def unfinished(store: Store, identity: Mapping[str, Any]) -> Path:
    """What a killed worker leaves of a run."""
    folder = store.workspace(key_of(identity))
    write_json(folder / "identity.json", identity)
    write_json(folder / "name.json", {"name": "a run"})
    return folder


def test_gc_deletes_states_that_nothing_goes_on_from(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Of runs that are finished, or would be made otherwise today; a run that a session goes on with stays."""
    first, second = (run.identity for key in store.run_keys() if (run := store.find(key)) is not None)
    older = unfinished(store, {**first, "schema": 0})
    finished = unfinished(store, first)
    # That the state goes says nothing of what was measured on the run.
    store.put_measurement({"what": {"quantity": "m"}, "needs": [key_of(first)], "schema": 2, "code": {}}, 1.0)
    with store.lock(key_of(second)):
        store.drop_checkpoints(key_of(second))
    # Somebody measures its networks anew.
    again = unfinished(store, second)
    assert gc("--results", "--yes") == 0
    text = capsys.readouterr().out
    assert "(made otherwise than today: schema)" in text
    assert "(its run is finished)" in text
    assert not older.exists()
    assert not finished.exists()
    assert again.exists()
    assert len(store.run_keys()) == 2
    assert len([one for one in entries(store) if one.kind == "measurement"]) == 3


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (lambda one: {"versions": {**one["versions"], "torch": "1.0"}}, "made otherwise than today: versions.torch"),
        (with_code("function gone"), "made otherwise than today: code.function gone"),
        (lambda _: {"schema": 0}, "made otherwise than today: schema"),
        (with_how(data={"kind": "collected", "steps": 7}), "made with another collected than this installation's"),
        (lambda one: {"what": {**one["what"], "arm": "no_such_arm"}}, "needed by no claim"),
    ],
)
def test_gc_keeps_states_that_a_session_elsewhere_goes_on_with(
    store: Store, capsys: pytest.CaptureFixture[str], changes: Callable[[dict[str, Any]], dict[str, Any]], why: str
) -> None:
    """Hosts with other versions, code, weights or claims may share the store, and a paused run costs them hours: it is
    counted with the reason, and goes with --unfinished alone, whatever else is asked for."""
    first = store.find(store.run_keys()[0])
    assert first is not None
    paused = unfinished(store, {**first.identity, **changes(dict(first.identity))})
    (paused / STATE).write_bytes(b"what it goes on from")
    assert gc("--results", "--drop-checkpoints", "--yes") == 0
    assert re.search(
        rf"^stay without --unfinished, since a session elsewhere may go on with them: 1 unfinished run, .*B \({why}\)$",
        capsys.readouterr().out,
        re.MULTILINE,
    )
    assert (paused / STATE).exists()
    assert gc("--unfinished") == 0
    assert "1 entries would go" in capsys.readouterr().out
    assert paused.exists()
    assert gc("--unfinished", "--yes") == 0
    assert not paused.exists()
    assert len(store.run_keys()) == 2


def test_gc_deletes_the_state_of_a_run_that_is_finished(store: Store) -> None:
    """Nobody goes on with it, whatever their versions."""
    first = store.find(store.run_keys()[0])
    assert first is not None
    left = unfinished(store, first.identity)
    (left / STATE).write_bytes(b"of before")
    assert gc("--yes") == 0
    assert not left.exists()


def test_gc_counts_what_is_damaged_as_damaged(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It stays, for `store verify` to name, and is not among what sessions may use; no more is what is another user's,
    or of another version."""
    first, second = store.run_keys()
    (store.root / "runs" / first / "result.json").write_text("{}")
    measured = next((store.root / "measurements").iterdir())
    measured.write_text("[]")
    before = files(store)
    assert gc("--results", "--yes") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("stay, since sessions here may use them: 1 run, 1 measurement, ")
    assert re.fullmatch(r"stay, damaged: 1 run, 1 measurement, .*; `dtclaims store verify` names them", lines[1])
    assert files(store) == before
    (store.root / "runs" / second / "manifest.json").unlink()
    monkeypatch.setattr(upkeep, "read_measurement", refused)
    assert gc("--yes") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "stay, since sessions here may use them: nothing"
    assert [line.rpartition(", ")[0] for line in lines[1:3]] == [
        "stay, damaged: 2 runs",
        "stay, not to be read by this user: 2 measurements",
    ]


def refused(path: Path) -> None:
    raise NotPermitted(f"{path} may not be read")


def test_a_damaged_run_keeps_no_checkpoints_of_others(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """--drop-checkpoints leaves it, says so, and drops those of the sound ones."""
    first, second = store.run_keys()
    (store.root / "runs" / first / "manifest.json").write_text("{")
    assert gc("--drop-checkpoints", "--yes") == 0
    said = capsys.readouterr().out
    assert re.search("^stay, damaged: 1 run, .*; `dtclaims store verify` names them$", said, re.MULTILINE)
    assert "checkpoints of 1 runs that stay" in said
    assert not list((store.root / "runs" / second).glob("epoch_*"))
    assert list((store.root / "runs" / first).glob("epoch_*"))


def test_gc_deletes_what_a_killed_process_left_the_day_before(store: Store) -> None:
    """Half-written files, and folders put aside; of younger ones the process may be alive."""
    old, young = store.root / "measurements" / ".a.partial", store.root / "runs" / ".b.partial"
    aside = store.root / "work" / ".c.old"
    aside.mkdir()
    for path in (old, young, aside / "file"):
        path.write_text("half")
    for path in (old, aside):
        os.utime(path, (0, 0))
    before = files(store)
    assert gc("--yes") == 0
    assert files(store) == before - {"measurements/.a.partial", "work/.c.old/file"}


def test_gc_finds_runs_that_no_claim_names(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """Of another arm or context; another setting of switches is in use, because --factor may ask for it."""
    run = store.find(store.run_keys()[0])
    assert run is not None
    strange = alter(store, what={**run.identity["what"], "context": 7})
    switched = alter(store, what=run.identity["what"], how={**run.identity["how"], "adam_eps": 0.5})
    gc("--yes", "--results")
    assert "needed by no claim" in capsys.readouterr().out
    assert strange not in store.run_keys()
    assert switched in store.run_keys()


def test_gc_keeps_what_a_study_beside_needs(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """`claims` and `claims/k1_head` share a store: asked for the one, what only the other needs is no rubbish."""
    before = set(store.run_keys())
    for folder in (DEFAULT_FOLDER, DEFAULT_FOLDER / "k1_head"):
        assert call("gc", "--claims", str(folder), "--results", "--yes") == 0
        assert "needed by no claim" not in capsys.readouterr().out
        assert set(store.run_keys()) == before


def test_gc_keeps_runs_on_the_users_own_data(store: Store) -> None:
    """What the claims would need on data that are not named now cannot be known."""
    run = store.find(store.run_keys()[0])
    assert run is not None
    key = alter(store, how={**run.identity["how"], "data": {"kind": "file", "sha256": "0"}})
    gc("--results", "--yes")
    assert key in store.run_keys()


def test_gc_leaves_alone_what_is_being_made(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that another process holds the lock of stays."""
    key = alter(store, schema=0)
    with store.lock(key):
        gc("--results", "--yes")
    assert "0 entries gone, 0 B freed; left, because another process is at them: 1" in capsys.readouterr().out
    assert key in store.run_keys()


def test_dropped_checkpoints(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """--drop-checkpoints keeps curves and measurements of all runs that stay, and a plan still finds everything."""
    alter(store, schema=0)
    assert gc("--drop-checkpoints") == 0
    assert "checkpoints of 3 runs that stay: " in capsys.readouterr().out
    assert list(store.root.glob("runs/*/epoch_*"))
    assert gc("--drop-checkpoints", "--yes") == 0
    assert not list(store.root.glob("runs/*/epoch_*"))
    assert call("verify") == 0
    assert the_plan(store).missing() == []
    capsys.readouterr()
    call("ls")
    assert "(checkpoints dropped)" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["all.tar.xz", "all.tar.bz2", "all.zip"])
def test_a_name_that_promises_another_format_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An archive is plain or gzip, and its name says which."""
    with pytest.raises(SystemExit):
        main(["store", "export", name])
    assert f"'{name}' does not end in .tar or .tar.gz or .tgz" in capsys.readouterr().err
    assert not Path(name).exists()


@pytest.mark.parametrize("name", ["all.tar", "all.tar.gz"])
def test_a_store_travels(store: Store, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Export and import give the same files elsewhere; a second import finds all present; a second export refuses."""
    assert call("export", str(tmp_path / name)) == 0
    other = tmp_path / "other"
    assert call("import", str(tmp_path / name), "--store", str(other)) == 0
    assert "4 runs and measurements added" in capsys.readouterr().out
    assert files(Store(other)) == files(store)
    assert damaged(Store(other)) == []
    assert the_plan(Store(other)).missing() == []
    assert call("import", str(tmp_path / name), "--store", str(other)) == 0
    assert "0 runs and measurements added, 4 were there already" in capsys.readouterr().out
    assert list((other / "work").iterdir()) == []
    with pytest.raises(StoreError, match="the file exists"):
        call("export", str(tmp_path / name))


def test_results_travel_small(store: Store, tmp_path: Path) -> None:
    """Without checkpoints; what arrives serves curves and measurements."""
    call("export", str(tmp_path / "small.tar"), "--results-only", "--runs", "language")
    with tarfile.open(tmp_path / "small.tar") as tar:
        names = tar.getnames()
    assert not [name for name in names if "epoch" in name]
    assert len([name for name in names if name.endswith("result.json")]) == 1
    other = Store(tmp_path / "other")
    import_store(other, tmp_path / "small.tar")
    (key,) = other.run_keys()
    run = other.find(key)
    assert run is not None
    assert run.dropped == [name for name in run.manifest if name.startswith("epoch_")] != []
    assert run.result["curves"]


@pytest.mark.parametrize("pattern", [(), ("--runs", "language")])
def test_an_empty_store_exports_nothing(tmp_path: Path, pattern: tuple[str, ...]) -> None:
    """Without finished runs an export says so, whatever was asked for; no file is left."""
    Store(tmp_path / "empty")
    with pytest.raises(StoreError, match=r"the store holds no finished runs: got .*empty"):
        call("export", str(tmp_path / "all.tar"), *pattern, "--store", str(tmp_path / "empty"))
    assert not (tmp_path / "all.tar").exists()


def test_an_export_of_a_pattern_that_means_nothing_names_it(store: Store, tmp_path: Path) -> None:
    """The pattern is shown, with what one looks like; no file is left."""
    with pytest.raises(UsageError, match="no finished run matches: got 'nonsense', expected part of a name"):
        call("export", str(tmp_path / "some.tar"), "--runs", "nonsense")
    assert not (tmp_path / "some.tar").exists()


def test_the_same_results_make_the_same_file(store: Store, tmp_path: Path) -> None:
    """An export depends on nothing but its content."""
    for name in ("one.tar", "two.tar"):
        export_store(store, tmp_path / name, runs=store.run_keys(), checkpoints=True)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_a_device_is_no_archive(store: Store) -> None:
    """It is refused at once: reading one would never end."""
    with pytest.raises(StoreError, match="/dev/zero is no plain file"):
        import_store(store, Path("/dev/zero"))


def test_an_import_never_overwrites(store: Store, tmp_path: Path) -> None:
    """A run that is there stays as it is, and looks add up."""
    export_store(store, tmp_path / "all.tar", runs=store.run_keys(), checkpoints=True)
    key = store.run_keys()[0]
    with store.lock(key):
        store.drop_checkpoints(key)
    looks = write_looks(store, [{"0": "b"}])
    before = files(store)
    done = import_store(store, tmp_path / "all.tar")
    assert (done.added, done.present) == (0, 4)
    assert files(store) == before
    assert [one.seeds for one in read_looks(looks)[1]] == [{"0": "b"}, {"0": "a"}]


def archive(path: Path, members: dict[str, bytes], *, header: bool = True) -> Path:
    with tarfile.open(path, "w") as tar:
        if header:
            members = {"dtclaims-export.json": b'{"kind": "dtclaims-export", "schema": 1}', **members}
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


HOSTILE = [
    "../evil",
    "/tmp/evil",
    "runs/../../evil",
    "evil.py",
    f"runs/{'0' * 20}/evil.pkl",
    f"runs/{'0' * 20}/../evil.json",
    f"runs/{'g' * 20}/result.json",
    f"measurements/{'0' * 20}.json/../../evil",
    "dtclaims-store.json",
    f"work/{'0' * 20}/state.safetensors",
    f"locks/{'0' * 20}.owner",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused(store: Store, tmp_path: Path, name: str) -> None:
    """Nothing but the known files of a store is ever written; one strange name, and nothing is imported."""
    before = files(store)
    with pytest.raises(StoreError, match="what no export writes"):
        import_store(store, archive(tmp_path / "evil.tar", {name: b"{}"}))
    assert files(store) == before
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_hostile_members_are_refused(store: Store, tmp_path: Path, kind: bytes) -> None:
    """Links and devices under a good name are refused as well."""
    with tarfile.open(tmp_path / "evil.tar", "w") as tar:
        member = tarfile.TarInfo(f"runs/{'0' * 20}/result.json")
        member.type = kind
        member.linkname = "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(StoreError, match="what no export writes"):
        import_store(store, tmp_path / "evil.tar")


def test_a_manifest_that_leads_out_of_its_folder_is_refused(store: Store, tmp_path: Path) -> None:
    """Its names are names of files in the run, never paths."""
    good = tmp_path / "good.tar"
    export_store(store, good, runs=store.run_keys()[:1], checkpoints=True)
    with tarfile.open(good) as tar:
        members = {one.name: tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]
    name = next(name for name in members if name.endswith("manifest.json"))
    manifest = json.loads(members[name])
    manifest["epoch_/../../../../victim"] = {"bytes": 0, "sha256": "", "dropped": True}
    members[name] = json.dumps(manifest).encode()
    with pytest.raises(StoreError, match="an entry 'epoch_/"):
        import_store(Store(tmp_path / "other"), archive(tmp_path / "evil.tar", members, header=False))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"nonsense", "cannot read"), (b"", "cannot read"), (b"\x1f\x8b\x08\x00" + b"x" * 50, "cannot read")],
)
def test_a_file_that_is_no_archive(store: Store, tmp_path: Path, content: bytes, message: str) -> None:
    """One error, and the store as it was."""
    (tmp_path / "x.tar").write_bytes(content)
    before = files(store)
    with pytest.raises(StoreError, match=message):
        import_store(store, tmp_path / "x.tar")
    assert files(store) == before


def test_an_archive_that_is_not_there_leaves_no_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped name makes nothing."""
    where = tmp_path / "new"
    assert main(["store", "import", str(tmp_path / "nothing.tar"), "--store", str(where)]) == 2
    assert "nothing.tar is not there" in capsys.readouterr().err
    assert not where.exists()


@pytest.mark.parametrize("there", [False, True], ids=["new store", "store that is there"])
def test_an_archive_that_cannot_be_read_leaves_what_there_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], there: bool
) -> None:
    """No store where there was none; one that was there stays."""
    where = tmp_path / "new"
    if there:
        Store(where)
    (tmp_path / "cut.tar").write_bytes(b"no archive")
    assert main(["store", "import", str(tmp_path / "cut.tar"), "--store", str(where)]) == 2
    assert "cannot read" in capsys.readouterr().err
    assert where.exists() is there


def test_a_new_store_that_another_process_uses_is_not_taken_away(tmp_path: Path) -> None:
    """Only what is empty goes."""
    used, unused = Store(tmp_path / "used"), Store(tmp_path / "unused")
    (used.root / "work" / "state").touch()
    for one in (used, unused):
        one.forget()
    assert sorted(path.name for path in used.root.iterdir()) == sorted([MARKER, *FOLDERS])
    assert not unused.root.exists()


def test_an_import_into_a_store_that_may_not_be_written_is_one_error(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's refusal has a type, as everywhere."""
    call("export", str(tmp_path / "x.tar"))

    def refused(**_: Any) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(archiving.tempfile, "mkdtemp", refused)
    with pytest.raises(NotPermitted, match="work"):
        import_store(store, tmp_path / "x.tar")


def test_a_cut_or_altered_archive_is_refused_whole(store: Store, tmp_path: Path) -> None:
    """Truncated anywhere, or with another byte in a run, it adds nothing."""
    export_store(store, tmp_path / "all.tar", runs=store.run_keys(), checkpoints=True)
    content = (tmp_path / "all.tar").read_bytes()
    at = content.index(b'"return_mean"')
    altered = content[:at] + b'"return_mEan"' + content[at + 13 :]
    for number, bad in enumerate([content[: len(content) // 2], content[:700], altered]):
        (tmp_path / "bad.tar").write_bytes(bad)
        other = Store(tmp_path / f"other-{number}")
        with pytest.raises(StoreError) as error:
            import_store(other, tmp_path / "bad.tar")
        assert entries(other) == []
    # The last: nothing of it is in any store, where it could be repaired.
    assert re.match(
        r"runs/\w+ of the archive is damaged: got runs/\w+/\w+\.json is damaged: .*Nothing was imported",
        str(error.value),
    )


def test_an_archive_of_another_kind_is_refused(store: Store, tmp_path: Path) -> None:
    """Without our header it is somebody else's."""
    with pytest.raises(StoreError, match="another kind or version"):
        import_store(store, archive(tmp_path / "x.tar", {}, header=False))


def raw_member(name: str, size: int, kind: bytes = tarfile.REGTYPE, content: bytes = b"") -> bytes:
    """A header that states a size, and what there is."""
    one = tarfile.TarInfo(name)
    one.type = kind
    one.size = size
    return one.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % 512)


def sparse_giant() -> bytes:
    """A file of 2^40 zeros in two kilobytes, by the pax headers of GNU tar."""
    one = tarfile.TarInfo(f"runs/{'0' * 20}/epoch_000.safetensors")
    one.size = 512
    one.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": one.name,
        "GNU.sparse.realsize": str(2**40),
    }
    return one.tobuf(tarfile.PAX_FORMAT) + b"1\n0\n0\n".ljust(512, b"\0")


OURS = f"runs/{'0' * 20}/result.json"
CHECKPOINT = f"runs/{'0' * 20}/epoch_000.safetensors"
END = bytes(1024)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (raw_member(CHECKPOINT, 2**50), "too large: got .* of 1,125,899,906,842,624 bytes"),
        (raw_member(OURS, 2**33), "too large: got .* of 8,589,934,592 bytes"),
        (raw_member(CHECKPOINT, 2**33), "far more than it holds"),
        (raw_member(OURS, -512), "cannot read|too large"),
        (sparse_giant(), "holds what no export writes"),
        (raw_member("x", 2**40, tarfile.GNUTYPE_LONGNAME), "a header of 1,099,511,627,776 bytes"),
        (raw_member("x", 2**40, tarfile.XHDTYPE), "a header of 1,099,511,627,776 bytes"),
        (raw_member("x", 8, tarfile.XHDTYPE, b"8 size=x") * 2000, "cannot read"),
        (
            raw_member("x", 19, tarfile.XHDTYPE, b"19 size=" + b"9" * 10 + b"\n") + raw_member(OURS, 0),
            "too large|cannot",
        ),
        (raw_member("x", -1024, tarfile.XHDTYPE), "cannot read"),
        (raw_member("x", 0, tarfile.FIFOTYPE), "holds what no export writes"),
        (raw_member("x", 0, tarfile.CHRTYPE), "holds what no export writes"),
        (b"".join(raw_member(OURS, 0) for _ in range(11)), "too many files|File exists"),
    ],
)
def test_an_archive_that_claims_more_than_it_holds(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str, packed: bool
) -> None:
    """Sizes, headers and counts that no machine has room for: one error at once, and nothing is written."""
    monkeypatch.setattr(archiving, "MOST_MEMBERS", 10)
    path = tmp_path / ("x.tar.gz" if packed else "x.tar")
    path.write_bytes(gzip.compress(content + END) if packed else content + END)
    before = files(store)
    tracemalloc.start()
    try:
        with pytest.raises(StoreError, match=message):
            import_store(store, path)
        assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    finally:
        tracemalloc.stop()
    assert files(store) == before


def test_zeros_that_unpack_to_far_more_than_they_are(store: Store, tmp_path: Path) -> None:
    """A kilobyte that becomes a gigabyte is no archive of results, whatever fits on the disk."""
    path = tmp_path / "x.tar.gz"
    with gzip.open(path, "wb") as file:
        file.write(raw_member(CHECKPOINT, 2**30))
        for _ in range(2**4):
            file.write(bytes(2**20))
    with pytest.raises(StoreError, match="far more than it holds"):
        import_store(store, path)


@pytest.mark.parametrize("suffix", [".bz2", ".xz"])
def test_archives_that_no_export_writes_are_not_unpacked(store: Store, tmp_path: Path, suffix: str) -> None:
    """An export is plain, or packed by gzip."""
    path = archive(tmp_path / "x.tar", {})
    packed = {".bz2": bz2.compress, ".xz": lzma.compress}[suffix](path.read_bytes())
    (tmp_path / f"x.tar{suffix}").write_bytes(packed)
    with pytest.raises(StoreError, match="cannot read"):
        import_store(store, tmp_path / f"x.tar{suffix}")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_archive_is_taken_or_a_typed_error(
    store: Store, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Headers with any field altered, one after the other: nothing but ours ends up in the store, and no traceback."""
    content = bytearray(
        b"".join(
            raw_member(
                *data.draw(
                    st.sampled_from(
                        [
                            (OURS, 2),
                            (OURS, 512, tarfile.XHDTYPE),
                            ("x", 600, tarfile.GNUTYPE_LONGNAME),
                            (OURS, 1, tarfile.GNUTYPE_SPARSE),
                        ]
                    )
                ),
                content=b"{}",
            )
            for _ in range(data.draw(st.integers(1, 4)))
        )
    )
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.sampled_from([0, 0x80, 0xFF, 0x37, 0x20]))
    path = tmp_path_factory.mktemp("any") / "x.tar"
    path.write_bytes(bytes(content) + END)
    before = files(store)
    with pytest.raises(StoreError):
        import_store(store, path)
    assert files(store) == before


def test_no_store_no_guess(tmp_path: Path) -> None:
    """Commands that read never make a store."""
    for command in (("ls",), ("verify",), ("gc",), ("export", str(tmp_path / "x.tar"))):
        with pytest.raises(DtclaimsError, match="no store there"):
            call(*command, "--store", str(tmp_path / "absent"))
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2.5e9, "2.5 GB")])
def test_size(count: float, text: str) -> None:
    """Bytes as people read them."""
    assert size(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(5, "now"), (90, "2 min"), (7200, "2 h"), (200000, "2 d")])
def test_duration(seconds: float, text: str) -> None:
    """Ages as people read them."""
    assert duration(seconds) == text


def test_the_last_timeline_is_shown(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """By the minute, with the moments that matter; another one if it is named, and none if there is none."""
    assert call("timeline") == 0
    assert capsys.readouterr().out == "no session has left a timeline\n"
    with Timeline(store.root / "logs", "cpu") as one:
        one.tell("begin", device="cpu", workers=3, jobs=1)
        one.tell("start", names=["a"])
        one.tell("end", name="a", kind="run", status="made")
    assert call("timeline") == 0
    path, *said = capsys.readouterr().out.splitlines()
    assert said[:3] == ["0:00  jobs: 1 on cpu, 3 at once", "0:00  done", ""]
    assert said[3].split("  ")[:2] == ["minute", "runs"]
    assert said[4].split()[:4] == ["1", "1", "0", "0"]
    Path(path).rename(store.root / "other.jsonl")
    assert call("timeline", str(store.root / "other.jsonl")) == 0
    assert capsys.readouterr().out.splitlines()[1:] == said


def test_a_timeline_that_leads_nowhere_is_named(store: Store) -> None:
    """An error of ours: a link whose file is gone, or a file that goes while it is looked for."""
    logs = store.root / "logs"
    logs.mkdir(exist_ok=True)
    (logs / "timeline-x.jsonl").symlink_to("gone.jsonl")
    with pytest.raises(NotThere, match=r"timeline-x\.jsonl is not there"):
        call("timeline")
