"""A standing attack on the store and its sessions: whatever happens to one, the next says what it would have said.

    python -m dtclaims.tests.support.attack [--trials N] [--first TRIAL] [--seed N] [--only TRIAL]

Each trial draws a subject (a session of the tiny paper, or a tiny run that trains) and what happens to it, from (seed,
trial); the session after it must end as if nothing had happened. Printed is a table of trials by kind: tried;
survived, as the next session says the same; lost, sound results that nobody touched and that are gone or changed
(must be 0); typed, sessions that ended with an error of ours or a verdict that names the file; tracebacks (must be 0).
Failing trials are printed with what repeats them, and the table so far after every 50 trials: a run that was cut off
goes on with `--first`. Exit code 1 if any failed.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dtclaims.harness.commands.main import main
from dtclaims.harness.store import locks
from dtclaims.harness.store.store import Store
from dtclaims.harness.store.upkeep import damaged
from dtclaims.lab.train import resume
from dtclaims.tests.support import killing
from dtclaims.tests.support.damaging import WAYS
from dtclaims.tests.support.users import GROUP, ROOT, SOMEBODY, owned

PAPER = Path(__file__).parent / "tiny_paper"
KINDS = (
    "killed session",
    "killed training",
    "damaged store",
    "damaged training",
    "permissions",
    "clocks",
    "several sessions",
    "full disk",
)
PLUGINS = ("-p", "no:cacheprovider", "-p", "dtclaims.harness.plugin")
COLUMNS = ("survived", "lost", "typed", "tracebacks")
TRACEBACK = re.compile(r"Traceback \(most recent call last\)|INTERNALERROR")
PATIENCE = 60.0
"""Seconds that a session may take before it counts as hanging."""
STALE = 0.3
"""In place of the three minutes for which an owner on another host is watched."""


@dataclass
class Trial:
    """What one trial did."""

    kind: str
    draw: random.Random
    folder: Path
    typed: int = 0
    tracebacks: int = 0
    lost: int = 0
    survived: bool = True
    before: dict[Path, str] = field(default_factory=dict)
    """Results that were there before it happened."""
    problems: list[str] = field(default_factory=list)

    def fail(self, text: str) -> None:
        self.survived = False
        self.problems.append(text)


@dataclass
class Session:
    """A session of the tiny paper in a child process."""

    child: int
    log: Path

    def wait(self, seconds: float = PATIENCE) -> int | None:
        """Its exit code, negative if a signal ended it; None if it is still there."""
        until = time.monotonic() + seconds
        while True:
            found, status = os.waitpid(self.child, os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > until:
                return None
            time.sleep(0.005)

    def kill(self) -> int | None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child, signal.SIGKILL)
        return self.wait()

    @property
    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


def session(folder: Path, *, user: int | None = None, limit: int | None = None, patched: bool = False) -> Session:
    """Judge the tiny paper in a store, in a process group of its own."""
    number = len(list(folder.glob("log-*")))
    log = folder / f"log-{number}"
    log.touch()
    log.chmod(0o666)
    child = os.fork()
    if child:
        return Session(child, log)
    code = 70
    try:
        os.setsid()
        handle = os.open(log, os.O_WRONLY)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        if user is not None:
            os.setgroups([GROUP])
            os.setresgid(GROUP, GROUP, GROUP)
            os.setresuid(user, user, user)
        if patched:
            locks.STALE = STALE
        os.chdir(folder)
        words = ["--store", str(folder / "store"), "--report", str(folder / "report"), "--seeds", "5"]
        code = int(pytest.main([str(folder / "paper"), *words, "--executor", "inline", "-q", *PLUGINS]))
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def verdicts(folder: Path) -> dict[str, str] | None:
    """What the report says; None if there is none."""
    path = folder / "report" / "report.json"
    if not path.is_file():
        return None
    claims = json.loads(path.read_text(encoding="utf-8"))["claims"]
    return {f"{one['id']} {one['protocol']}": one["verdict"] for one in claims}


def sound_results(folder: Path) -> dict[Path, str]:
    """Digest of every result in the store."""
    store = folder / "store"
    found = [*store.glob("measurements/[!.]*.json"), *store.glob("runs/*/result.json")]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in found if path.is_file()}


def note(trial: Trial, one: Session, code: int | None) -> None:
    """Count how a session ended that was attacked."""
    if code is None:
        trial.fail("it hangs")
        one.kill()
    text = one.text
    if TRACEBACK.search(text):
        trial.tracebacks += 1
        trial.fail("a traceback:\n" + text[-1500:])
    elif code is not None and code > 0 and ("ERROR" in text or "error" in text):
        trial.typed += 1


def ends_well(trial: Trial, expected: dict[str, str]) -> None:
    """Run the next session, with nothing in its way; it must say what an undisturbed one says."""
    shutil.rmtree(trial.folder / "report", ignore_errors=True)
    one = session(trial.folder, patched=True)
    code = one.wait()
    note(trial, one, code)
    if (found := verdicts(trial.folder)) != expected:
        trial.fail(f"the next session says {found}, exit code {code}:\n{one.text[-1500:]}")


def compare(trial: Trial, before: dict[Path, str], touched: set[Path]) -> None:
    """Count what was there and is gone, or says something else, though nobody touched it."""
    after = sound_results(trial.folder)
    gone = [path for path, told in before.items() if path not in touched and after.get(path) != told]
    trial.lost += len(gone)
    if gone:
        trial.fail(f"lost: {', '.join(map(str, gone))}")


# --- what happens -----------------------------------------------------------------------------------------------------


def begun(trial: Trial) -> None:
    """A store that is empty, partly filled, or full."""
    how = trial.draw.choice(["empty", "part", "full"])
    if how == "full":
        session(trial.folder).wait()
    elif how == "part":
        one = session(trial.folder)
        if one.wait(trial.draw.uniform(0.0, DURATION[0])) is None:
            one.kill()
    trial.before = sound_results(trial.folder)


DURATION = [1.0]
"""Seconds of an undisturbed session, measured first."""


def killed_session(trial: Trial) -> set[Path]:
    begun(trial)
    for _ in range(trial.draw.randint(1, 3)):
        one = session(trial.folder)
        code = one.wait(trial.draw.uniform(0.0, 1.1 * DURATION[0]))
        note(trial, one, one.kill() if code is None else code)
    return set()


def damaged_store(trial: Trial) -> set[Path]:
    session(trial.folder).wait()
    trial.before = sound_results(trial.folder)
    touched = damage(trial, trial.folder / "store")
    one = session(trial.folder, patched=True)
    note(trial, one, one.wait())
    mend(trial, trial.folder / "store")
    return touched


def damage(trial: Trial, store: Path) -> set[Path]:
    files = sorted(path for path in store.rglob("*") if path.is_file() and path.suffix != ".lock")
    touched = set()
    for path in trial.draw.sample(files, min(len(files), trial.draw.randint(1, 3))):
        WAYS[trial.draw.choice(sorted(WAYS))](path)
        touched |= {path, *(path.parent / name for name in ("result.json",))}
    return touched


def mend(trial: Trial, store: Path) -> None:
    """What the messages say: `store verify --repair`, and what is left is put right by hand."""
    marker = store / "dtclaims-store.json"
    try:
        sound = marker.is_file() and json.loads(marker.read_text()) == {"kind": "dtclaims-store", "schema": 1}
    except ValueError:
        sound = False
    if not sound:
        if os.path.lexists(marker):
            shutil.rmtree(marker) if marker.is_dir() and not marker.is_symlink() else marker.unlink()
        marker.write_text(json.dumps({"kind": "dtclaims-store", "schema": 1}))
        trial.typed += 1
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        main(["store", "verify", "--repair", "--store", str(store)])
    for fault in damaged(Store(store)):
        shutil.rmtree(fault.path) if fault.path.is_dir() and not fault.path.is_symlink() else fault.path.unlink()


def permissions(trial: Trial) -> set[Path]:
    begun(trial)
    for folder in ("store", "report"):
        (trial.folder / folder).mkdir(exist_ok=True)
    owned(trial.folder, SOMEBODY)
    for above in trial.folder.parents:
        if above != Path("/") and above.stat().st_uid == os.geteuid() and above != Path(tempfile.gettempdir()):
            above.chmod(0o755)
    store = trial.folder / "store"
    files = sorted(store.rglob("*"))
    changed = trial.draw.sample([store, trial.folder / "report", *files], min(len(files) + 2, trial.draw.randint(1, 4)))
    before = [(path, stat.S_IMODE(path.stat().st_mode)) for path in changed]
    for path in changed:
        path.chmod(trial.draw.choice([0o000, 0o400, 0o500, 0o555, 0o444]))
    one = session(trial.folder, user=SOMEBODY, patched=True)
    note(trial, one, one.wait())
    for path, mode in before:
        if path.exists():
            path.chmod(mode)
    return set()


def clocks(trial: Trial) -> set[Path]:
    begun(trial)
    store = trial.folder / "store"
    years = 365 * 24 * 3600.0
    for path in store.rglob("*") if store.is_dir() else ():
        if trial.draw.random() < 0.5:
            when = max(0.0, time.time() + trial.draw.uniform(-20, 20) * years)
            os.utime(path, (when, when), follow_symlinks=False)
    if (store / "locks").is_dir():
        for key in {path.stem for path in (store / "locks").glob("*.lock")}:
            if trial.draw.random() < 0.3:
                owner = store / "locks" / f"{key}.owner"
                owner.write_text(
                    json.dumps({"host": "h", "pid": 1, "kernel": "another", "token": "t", "since": "then"})
                )
                when = max(0.0, time.time() + trial.draw.uniform(-20, 20) * years)
                os.utime(owner, (when, when))
    one = session(trial.folder, patched=True)
    note(trial, one, one.wait())
    return set()


def several_sessions(trial: Trial) -> set[Path]:
    begun(trial)
    ones = [session(trial.folder) for _ in range(trial.draw.randint(2, 4))]
    if trial.draw.random() < 0.5:
        time.sleep(trial.draw.uniform(0.0, DURATION[0]))
        ones[0].kill()
        ones = ones[1:]
    for one in ones:
        note(trial, one, one.wait())
    return set()


def full_disk(trial: Trial) -> set[Path]:
    begun(trial)
    with small_disk(trial) as limit:
        one = session(trial.folder, limit=limit)
        note(trial, one, one.wait())
    return set()


@contextlib.contextmanager
def small_disk(trial: Trial) -> Iterator[int | None]:
    """A file system with little room, where one can be mounted; else a limit for the size of a file."""
    store, disk = trial.folder / "store", trial.folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if not (ROOT and shutil.which("mount")) or subprocess.run(mount, capture_output=True).returncode:
        yield trial.draw.choice([0, 10, 100, 500, 1000])
        return
    if store.exists():
        shutil.move(store, disk / "store")
    else:
        (disk / "store").mkdir()
    store.symlink_to(disk / "store")
    ballast, room = disk / "ballast", trial.draw.choice([0, 4, 8, 16, 32, 64]) * 1024
    with contextlib.suppress(OSError), ballast.open("wb") as file:
        while True:
            file.write(bytes(4096))
            file.flush()
    os.truncate(ballast, max(0, ballast.stat().st_size - room))
    try:
        yield None
    finally:
        ballast.unlink()
        store.unlink()
        shutil.copytree(disk / "store", store)
        subprocess.run(["umount", str(disk)], check=True)


def trained(trial: Trial, expected: tuple[object, ...]) -> None:
    """Finish the tiny run and compare it with one that was never disturbed."""
    store = Store(trial.folder / "store")
    while killing.finished(store) is None:
        killing.attempt(store, PATIENCE)
    run = killing.finished(store)
    assert run is not None
    if killing.numbers(run) != expected:
        trial.fail("the run ended otherwise")
    if faults := damaged(store):
        trial.fail(f"what is finished is damaged: {faults[0].problem}")


def interrupted(trial: Trial, *, harmed: bool) -> None:
    store = Store(trial.folder / "store")
    resume.PAUSE = trial.draw.choice([0.0, 20.0])
    for _ in range(trial.draw.randint(1, 4)):
        killing.attempt(store, trial.draw.uniform(0.0, DURATION[1]))
        work = store.root / "work"
        files = [path for path in work.rglob("*") if path.is_file()]
        if harmed and files and killing.finished(store) is None:
            path = trial.draw.choice(sorted(files))
            WAYS[trial.draw.choice([name for name in sorted(WAYS) if not name.startswith("a_")])](path)


HAPPENINGS: dict[str, Callable[[Trial], set[Path]]] = {
    "killed session": killed_session,
    "damaged store": damaged_store,
    "permissions": permissions,
    "clocks": clocks,
    "several sessions": several_sessions,
    "full disk": full_disk,
}


def attack(trial: Trial, said: dict[str, str], numbers: tuple[object, ...]) -> None:
    """Carry a trial out."""
    if trial.kind.endswith("training"):
        interrupted(trial, harmed=trial.kind.startswith("damaged"))
        trained(trial, numbers)
        return
    shutil.copytree(PAPER, trial.folder / "paper", ignore=shutil.ignore_patterns("__pycache__"))
    touched = HAPPENINGS[trial.kind](trial)
    before = {**sound_results(trial.folder), **trial.before}
    ends_well(trial, said)
    compare(trial, before, touched)


def table(counts: Counter[tuple[str, str]]) -> str:
    """What became of the trials so far, by kind."""
    lines = [f"{'':18}{'tried':>7}{'survived':>10}{'lost':>6}{'typed':>7}{'tracebacks':>12}"]
    for kind in (*KINDS, "all"):
        row = [
            sum(found for (of, name), found in counts.items() if name == column and kind in (of, "all"))
            for column in ("tried", *COLUMNS)
        ]
        lines.append(f"{kind:18}{row[0]:>7}{row[1]:>10}{row[2]:>6}{row[3]:>7}{row[4]:>12}")
    return "\n".join(lines)


def main_attack(arguments: list[str] | None = None) -> int:
    """Carry all trials out and print their table; 1 if one failed."""
    parser = argparse.ArgumentParser(prog="attack")
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="the trial to begin with")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, default=None, help="this trial alone, to see it again")
    options = parser.parse_args(arguments)
    killing.warm_up()
    counts: Counter[tuple[str, str]] = Counter()
    failing = 0
    with tempfile.TemporaryDirectory() as root:
        base = Path(root)
        whole = base / "whole"
        whole.mkdir()
        shutil.copytree(PAPER, whole / "paper", ignore=shutil.ignore_patterns("__pycache__"))
        began = time.monotonic()
        session(whole).wait()
        DURATION[0] = time.monotonic() - began
        said = verdicts(whole)
        assert said, (whole / "log-0").read_text()
        began = time.monotonic()
        store = Store(base / "run")
        killing.attempt(store, PATIENCE)
        DURATION.append(time.monotonic() - began)
        run = killing.finished(store)
        assert run is not None
        numbers = killing.numbers(run)
        first = options.first
        chosen = range(first, first + options.trials) if options.only is None else [options.only]
        for number in chosen:
            draw = random.Random(f"{options.seed}/{number}")
            folder = base / f"trial-{number}"
            folder.mkdir()
            trial = Trial(KINDS[number % len(KINDS)], draw, folder)
            try:
                attack(trial, said, numbers)
            except Exception as error:
                trial.fail(f"{type(error).__name__}: {error}")
            counts.update(
                {(trial.kind, name): int(getattr(trial, name)) for name in ("survived", "lost", "typed", "tracebacks")}
            )
            counts[trial.kind, "tried"] += 1
            if trial.problems:
                failing += 1
                again = f"--seed {options.seed} --only {number}"
                print(f"trial {number} ({trial.kind}; {again}): {trial.problems[0][:2500]}", flush=True)
            for path in (folder, *folder.rglob("*")):
                with contextlib.suppress(OSError):
                    if path.is_dir() and not path.is_symlink():
                        path.chmod(0o755)
            shutil.rmtree(folder, ignore_errors=True)
            if (number + 1) % 50 == 0:
                print(f"\ntrials {chosen[0]} to {number}\n{table(counts)}", flush=True)
    print(f"\n{table(counts)}")
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main_attack())
