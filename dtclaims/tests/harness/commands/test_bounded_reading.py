"""Every command that reads a file, given one that cannot be one: an answer at once."""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dtclaims.harness.commands.main import main
from dtclaims.places import ROOT

EVIDENCE = str(ROOT / "claims" / "evidence" / "k1-random-init.json")
PATIENCE = 60
"""Seconds that a command may take; an answer takes less than one, beside imports."""
MEMORY = 3 * 2**30
"""Bytes that reading may allocate."""

COMMANDS = [
    ("judge", "FILE"),
    ("judge", "--registration", "FILE", EVIDENCE),
    ("judge", "--data", "FILE"),
    ("judge", "--language-model", "FILE"),
    ("report", "FILE"),
    ("report", "diff", "FILE", "FILE"),
    ("report", "merge", "FILE", "--out", "OUT.json"),
    ("report", "expect", "FILE", "--out", "OUT.json"),
    ("history", "add", "FILE", "--to", "OUT.jsonl"),
    ("dashboard", "FILE", "--out", "OUT"),
    ("curves", "--curve", "return_mean", "FILE"),
    ("costs", "FILE"),
    ("costs", EVIDENCE, "--sessions", "FILE"),
    ("evidence", "OUT.json", "--upgrade", "FILE"),
    ("register", "--check", "FILE"),
    ("store", "import", "FILE"),
    ("store", "timeline", "FILE"),
    ("data", "info", "FILE"),
    ("data", "export", "FILE", "--to", "hdf5", "--out", "OUT.hdf5"),
    ("pretrain", "language", "--corpus", "FILE", "--out", "OUT"),
    ("pretrain", "image", "--corpus", "FILE", "--out", "OUT"),
]


def giant(path: Path) -> None:
    """A file that says it is large and takes no room."""
    path.touch()
    os.truncate(path, 2**40)


def deep(path: Path) -> None:
    path.write_bytes(b'{"a":' * 100_000)


def wide(path: Path) -> None:
    """One number of many digits, which Python would take minutes to read."""
    path.write_bytes(b'{"schema": ' + b"9" * 2_000_000 + b"}")


KINDS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "loop": lambda path: path.symlink_to(path),
    "folder": Path.mkdir,
    "giant": giant,
    "deep": deep,
    "wide": wide,
}


@pytest.fixture
def bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Waiting for ever and unbounded memory are errors that fail the test."""
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))

    def late(*_: object) -> None:
        raise AssertionError("it waits")

    before, soft = signal.signal(signal.SIGALRM, late), resource.getrlimit(resource.RLIMIT_DATA)
    signal.alarm(PATIENCE)
    used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY, soft[1]))
    yield
    resource.setrlimit(resource.RLIMIT_DATA, soft)
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_cannot_be_read_is_said_at_once(
    tmp_path: Path, command: tuple[str, ...], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Pipes, devices, loops, folders, giants, and JSON that is deep or one number: a message and an exit code, without
    waiting and without taking their size in memory."""
    path = tmp_path / "given.json"
    KINDS[kind](path)
    words = [str(path) if word == "FILE" else word.replace("OUT", str(tmp_path / "out")) for word in command]
    code = main(words)
    said = capsys.readouterr()
    assert "Traceback" not in said.err + said.out
    # A session in which a claim has no data says which, and judges what it can.
    assert code == 2 or ("--data" in command and code == 0), said.out + said.err
    assert len(said.err) < 3000


PLACES = [("judge", "--store", "FILE"), ("judge", "--claims", "FILE"), ("report", "--report", "FILE")]


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("name", ["x" * 300, "x/" * 3000, "~nobody-of-that-name/x"], ids=["long", "deep", "nobody"])
@pytest.mark.parametrize("command", [*COMMANDS, *PLACES], ids=" ".join)
def test_a_name_that_no_file_can_have_is_said_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Too long, or in the home of nobody: one line and exit code 2, whatever the file is for."""
    monkeypatch.chdir(tmp_path)
    words = [name if word == "FILE" else word.replace("OUT", str(tmp_path / "out")) for word in command]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("dtclaims: ")
    assert error.count("\n") == 1


WRITTEN = [
    ("report", "expect", "r.json", "--out", "FILE"),
    ("evidence", "FILE"),
    ("evidence", "e.json", "--upgrade", "FILE"),
]


@pytest.mark.parametrize("command", [*COMMANDS, *PLACES, *WRITTEN], ids=" ".join)
def test_a_link_that_leads_to_itself_is_said_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One line and exit code 2, whether it is to be read, written or looked into."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))
    (tmp_path / "loop.json").symlink_to("loop.json")
    assert main(["loop.json" if word == "FILE" else word.replace("OUT", "out") for word in command]) == 2
    error = capsys.readouterr().err
    assert error.startswith("dtclaims: ")
    assert error.count("\n") == 1
