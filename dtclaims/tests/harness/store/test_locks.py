"""Locks: one maker at a time, dead ones replaced, slow ones told."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dtclaims.errors import StoreError, StoreLocked
from dtclaims.harness.store import locks
from dtclaims.harness.store.locks import STALE, Lock, hold, kernel

KEY = "0" * 20


AHEAD = 10 * 365 * 24 * 3600.0
"""Seconds by which somebody's clock is wrong."""


def sign(folder: Path, *, of: str, age: float = 0.0) -> Path:
    """An owner's file as another process left it, touched so long ago by the clock of its host."""
    path = folder / f"{KEY}.owner"
    path.write_text(
        json.dumps({"host": "elsewhere", "pid": 12, "kernel": of, "token": "theirs", "since": "2026-01-01 00:00:00"})
    )
    now = path.stat().st_mtime
    os.utime(path, (now - age, now - age))
    return path


def watch(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the owner's file, and let it be long ago by this kernel's own clock."""
    began = time.monotonic()
    with pytest.raises(StoreLocked):
        Lock(folder, KEY).acquire()
    monkeypatch.setattr(time, "monotonic", lambda: began + STALE + 60)


def test_one_at_a_time(tmp_path: Path) -> None:
    """A second taker is told who has it; after the release it gets it, and nothing but the lock file is left."""
    with hold(tmp_path, KEY):
        with pytest.raises(StoreLocked, match=f"process {os.getpid()} on .* is making it"), hold(tmp_path, KEY):
            pass
        with hold(tmp_path, "1" * 20):
            pass
    with hold(tmp_path, KEY):
        pass
    assert not list(tmp_path.glob("*.owner"))
    assert not list(tmp_path.glob(".*"))


def test_a_process_that_dies_leaves_nothing_locked(tmp_path: Path) -> None:
    """On one host the system takes the lock back at once, however fresh the owner's file is."""
    code = (
        "import os, sys, pathlib; from dtclaims.harness.store.locks import Lock\n"
        "lock = Lock(pathlib.Path(sys.argv[1]), sys.argv[2]); lock.acquire(); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path), KEY]).returncode == -9
    assert (tmp_path / f"{KEY}.owner").exists()
    with hold(tmp_path, KEY) as lock:
        lock.check()


@pytest.mark.parametrize("age", [0, STALE + 60, AHEAD, -AHEAD])
def test_an_owner_on_another_host_is_respected_while_it_lives(
    tmp_path: Path, age: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the folder does not carry the system's lock, an owner's file of another kernel is enough, whatever time it
    shows: each touch begins the watch anew, also one that goes back in time."""
    path = sign(tmp_path, of="another kernel", age=age)
    for touch in range(3):
        watch(tmp_path, monkeypatch)
        os.utime(path, (1e9 - touch, 1e9 - touch))
        with pytest.raises(StoreLocked, match=r"process 12 on elsewhere, since 2026-01-01 00:00:00, is making it"):
            Lock(tmp_path, KEY).acquire()
    assert json.loads(path.read_text())["token"] == "theirs"


@pytest.mark.parametrize("age", [0, STALE + 60, AHEAD, -AHEAD])
def test_an_owner_on_another_host_that_fell_silent_is_replaced(
    tmp_path: Path, age: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Untouched while it was watched for long enough, its file is put away, even if its host's clock ran ahead."""
    sign(tmp_path, of="another kernel", age=age)
    watch(tmp_path, monkeypatch)
    with hold(tmp_path, KEY) as lock:
        lock.check()
    assert sorted(path.name for path in tmp_path.iterdir()) in ([], [f"{KEY}.lock"])


def test_a_watch_is_shared_by_processes_and_not_by_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one process has begun to watch another goes on with; after a new start of the machine its clock is
    another, and so is the watch."""
    sign(tmp_path, of="another kernel")
    code = (
        "import sys, pathlib; from dtclaims.errors import StoreLocked; from dtclaims.harness.store.locks import Lock\n"
        "try: Lock(pathlib.Path(sys.argv[1]), sys.argv[2]).acquire()\nexcept StoreLocked: print('busy')"
    )
    found = subprocess.run([sys.executable, "-c", code, str(tmp_path), KEY], capture_output=True, text=True)
    assert found.stdout == "busy\n"
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + STALE + 60)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(locks, "kernel", lambda: "a third kernel")
        with pytest.raises(StoreLocked):
            Lock(tmp_path, KEY).acquire()
    with hold(tmp_path, KEY) as lock:
        lock.check()


def test_a_folder_without_system_locks_relies_on_the_owners_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even on one host then; it is taken over when it falls silent."""
    monkeypatch.setattr(locks, "FileLock", Unlockable)
    with hold(tmp_path, KEY), pytest.raises(StoreLocked), hold(tmp_path, KEY):
        pass
    sign(tmp_path, of=kernel())
    watch(tmp_path, monkeypatch)
    with hold(tmp_path, KEY) as lock:
        lock.check()


class Unlockable:
    """A lock on a file system that has none."""

    is_locked = False

    def __init__(self, path: Path) -> None:
        pass

    def acquire(self, blocking: bool) -> None:
        raise OSError(locks.UNSUPPORTED[0], "no locks available")

    def release(self) -> None:
        pass


def test_who_slept_too_long_is_told(tmp_path: Path) -> None:
    """An owner that was replaced finds out before it publishes, and leaves the new owner's file alone."""
    lock = Lock(tmp_path, KEY)
    lock.acquire()
    path = sign(tmp_path, of="another kernel")
    with pytest.raises(StoreLocked, match="elsewhere"):
        lock.check()
    lock.release()
    assert json.loads(path.read_text())["token"] == "theirs"


def test_of_two_who_see_a_dead_owner_one_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slower one finds that it moved a living owner's file, puts it back and keeps out."""
    monkeypatch.setattr(locks, "FileLock", Unlockable)
    sign(tmp_path, of="another kernel")
    watch(tmp_path, monkeypatch)
    rename = os.rename

    def overtaken(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "rename", rename)
        sign(tmp_path, of="a third kernel").write_text(json.dumps({"token": "faster"}))
        rename(source, target)

    monkeypatch.setattr(os, "rename", overtaken)
    with pytest.raises(StoreLocked):
        Lock(tmp_path, KEY).acquire()
    assert json.loads((tmp_path / f"{KEY}.owner").read_text())["token"] == "faster"


def test_the_owner_shows_that_it_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file is touched while the lock is held."""
    monkeypatch.setattr(locks, "BEAT", 0.01)
    with hold(tmp_path, KEY) as lock:
        path = tmp_path / f"{KEY}.owner"
        os.utime(path, (0, 0))
        for _ in range(1000):
            if path.stat().st_mtime > 0:
                break
            lock._released.wait(0.01)
        assert path.stat().st_mtime > 0


def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Says so, instead of waiting for a lock that cannot come."""

    def refused(self: object, blocking: bool) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(locks.FileLock, "acquire", refused)
    with pytest.raises(StoreError, match=r"Permission denied.*make the folder writable"):
        Lock(tmp_path, KEY).acquire()
