"""Who makes what: one process at a time, on one host or on several that share the store's folder.

Two things are held together. A lock of the operating system (`KEY.lock`), which it takes back from a dead process at
once, but which some shared folders do not carry from host to host. And a file that names the owner (`KEY.owner`),
touched every few seconds: an owner on another host that has stopped touching it is dead. Whether it has is seen by
watching (`KEY.KERNEL.watch`, which all processes of one kernel share): the clocks of two hosts are never compared, as
either may be wrong by hours.
"""

import contextlib
import errno
import hashlib
import json
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dtclaims.errors import StoreLocked
from dtclaims.files import parse_json, plain_text, writing

BEAT = 15.0
"""Seconds between two touches of the owner's file."""
STALE = 180.0
"""Seconds of watching without a touch after which an owner on another host counts as dead; file systems over a network
show a touch up to a minute late."""
UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)


def kernel() -> str:
    """What tells the running kernel from all others: processes that see the same one share its locks."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()


@contextlib.contextmanager
def hold(folder: Path, key: str) -> "Iterator[Lock]":
    """Hold the lock of `key` while something is made.

    Raises:
        StoreLocked: another process holds it.
        StoreError: the folder may not be written.
    """
    lock = Lock(folder, key)
    lock.acquire()
    try:
        yield lock
    finally:
        lock.release()


@contextlib.contextmanager
def hold_next(folder: Path, key: str) -> "Iterator[Lock]":
    """Hold the lock of what takes a moment, after whoever holds it now.

    Raises:
        StoreLocked: nobody lets go of it, a dead owner included.
        StoreError: the folder may not be written.
    """
    until = time.monotonic() + STALE + BEAT
    with contextlib.ExitStack() as stack:
        while True:
            try:
                lock = stack.enter_context(hold(folder, key))
                break
            except StoreLocked:
                if time.monotonic() > until:
                    raise
            # Not all at once again.
            time.sleep(random.uniform(0.005, 0.02))
        yield lock


class Lock:
    """The lock of one key. Use `hold`.

    Args:
        folder: where locks lie.
        key: of what is made.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._token = secrets.token_hex(8)
        self._system = FileLock(folder / f"{key}.lock")
        self._owner = folder / f"{key}.owner"
        self._watch = folder / f"{key}.{hashlib.sha256(kernel().encode()).hexdigest()[:8]}.watch"
        self._released = threading.Event()
        self._beat = threading.Thread(target=self._touch, daemon=True)

    def acquire(self) -> None:
        """Take it, from a dead owner if need be.

        Raises:
            StoreLocked: another process holds it.
            StoreError: the folder may not be written.
        """
        with writing(self._owner):
            try:
                self._system.acquire(blocking=False)
            except Timeout:
                raise self._busy(_read(self._owner)) from None
            except OSError as error:
                # Then the owner's file alone must do.
                if error.errno not in UNSUPPORTED:
                    raise
            try:
                self._clear()
                self._sign()
            except BaseException:
                self._system.release()
                raise
        self._beat.start()

    def check(self) -> None:
        """Make sure that it is still ours: a process that slept too long may have lost it.

        Raises:
            StoreLocked: another process has taken it over.
        """
        found = _read(self._owner)
        if found.get("token") != self._token:
            raise self._busy(found)

    def release(self) -> None:
        """Give it back."""
        self._released.set()
        self._beat.join()
        with contextlib.suppress(OSError):
            if _read(self._owner).get("token") == self._token:
                self._owner.unlink()
        self._system.release()

    def _clear(self) -> None:
        """Put a dead owner's file away."""
        try:
            touched = self._owner.stat().st_mtime_ns
        except FileNotFoundError:
            self._watch.unlink(missing_ok=True)
            return
        found = _read(self._owner)
        here = found.get("kernel") == kernel() and self._system.is_locked
        if not here and self._watched(found, touched) < STALE:
            raise self._busy(found)
        # Of several who see the same dead owner, the one whose rename moves that owner's file goes on.
        aside = self._owner.with_name(f".{self._owner.name}.{self._token}")
        try:
            os.rename(self._owner, aside)
        except FileNotFoundError:
            return
        moved = _read(aside)
        if moved.get("token") != found.get("token"):
            os.replace(aside, self._owner)
            raise self._busy(moved)
        aside.unlink()
        self._watch.unlink(missing_ok=True)

    def _watched(self, owner: dict[str, Any], touched: int) -> float:
        """Seconds for which this kernel's processes have seen the owner's file as it is, by this kernel's own clock.

        The time of a touch is compared with other touches only, whatever it says.
        """
        seen, at = _read(self._watch), time.monotonic()
        same = seen.get("token") == owner.get("token") and seen.get("touched") == touched
        since = seen.get("since")
        if same and isinstance(since, int | float) and since <= at:
            return at - since
        partial = self._watch.with_name(f".{self._watch.name}.{self._token}")
        partial.write_text(json.dumps({"token": owner.get("token"), "touched": touched, "since": at}), encoding="utf-8")
        os.replace(partial, self._watch)
        return 0.0

    def _sign(self) -> None:
        who = {"host": socket.gethostname(), "pid": os.getpid(), "kernel": kernel(), "token": self._token}
        try:
            with self._owner.open("x", encoding="utf-8") as file:
                json.dump({**who, "since": time.strftime("%Y-%m-%d %H:%M:%S")}, file)
        except FileExistsError:
            raise self._busy(_read(self._owner)) from None

    def _touch(self) -> None:
        while not self._released.wait(BEAT):
            if _read(self._owner).get("token") != self._token:
                return
            with contextlib.suppress(OSError):
                os.utime(self._owner)

    def _busy(self, owner: dict[str, Any]) -> StoreLocked:
        who = "another process"
        if {"pid", "host", "since"} <= owner.keys():
            who = f"process {owner['pid']} on {owner['host']}, since {owner['since']},"
        return StoreLocked(f"{who} is making it")


def _read(path: Path) -> dict[str, Any]:
    """What an owner wrote; nothing if it is gone or not written yet."""
    try:
        content = parse_json(plain_text(path))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
