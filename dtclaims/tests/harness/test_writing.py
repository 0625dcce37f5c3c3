"""What a write says that fails: every kind of refusal at every kind of file, one message each, and nothing lost."""

import errno
import json
import os
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import DtclaimsError, NotPermitted, ReportError
from dtclaims.files import FORBIDDEN, FULL, is_full, write_json
from dtclaims.harness.commands.main import main
from dtclaims.harness.report.document import replace_all
from dtclaims.harness.store.archive import export_store
from dtclaims.harness.store.lines import append_line, read_lines
from dtclaims.harness.store.store import Store
from dtclaims.harness.store.upkeep import damaged
from dtclaims.places import ROOT

TINY = ROOT / "dtclaims" / "tests" / "support" / "tiny_paper"
REFUSALS = ("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EIO")
FULL_DISK = {"ENOSPC", "EDQUOT"}
PLUGINS = ("-p", "no:cacheprovider", "-p", "dtclaims.harness.plugin")


def refusing(code: int, part: str) -> None:
    """From now on this process may not write what has a word in its path."""

    def guard(name: str, path_of: Callable[..., Any]) -> None:
        plain = getattr(os, name)

        def guarded(*given: Any, **named: Any) -> Any:
            path = str(path_of(*given))
            if part in path:
                raise OSError(code, os.strerror(code), path)
            return plain(*given, **named)

        setattr(os, name, guarded)

    guard("fsync", lambda handle: os.readlink(f"/proc/self/fd/{handle}"))
    guard("replace", lambda source, target: target)
    guard("write", lambda handle, content: os.readlink(f"/proc/self/fd/{handle}"))


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    shutil.copytree(TINY, tmp_path / "p", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def judged(folder: Path, fault: tuple[int, str] | None = None) -> tuple[int, str]:
    """Exit code and words of a session of the tiny paper, in a process of its own."""
    words = [str(folder / "p"), "--store", str(folder / "s"), "--report", str(folder / "r"), "--seeds", "5"]
    log = folder / "log"
    child = os.fork()
    if child == 0:
        code = 70
        try:
            handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            # Those of the pytest that runs this test are not the child's.
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
            os.chdir(folder)
            if fault is not None:
                refusing(*fault)
            code = int(pytest.main([*words, "--executor", "inline", "-q", *PLUGINS]))
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), log.read_text()


def verdicts(folder: Path) -> list[str]:
    return [one["verdict"] for one in json.loads((folder / "r" / "report.json").read_text())["claims"]]


@pytest.mark.parametrize("refusal", ["EDQUOT", "EROFS", "EIO"])
@pytest.mark.parametrize(
    "part", ["/measurements/", "/looks/", "report.json", "timings.jsonl", "timeline-", "store.json"]
)
def test_a_refusal_is_said_and_costs_nothing_else(paper: Path, refusal: str, part: str) -> None:
    """Over quota, read-only, a broken disk; while results, looks, the report, times, the log and
    the store's mark are written. No traceback, no half-written file; a full disk ends the session at once; logs are
    done without; verdicts that are known are printed. The session after it says what it would have said."""
    code, said = judged(paper, (getattr(errno, refusal), part))
    words = os.strerror(getattr(errno, refusal))
    short = said[-2000:]
    assert "Traceback" not in said, short
    assert "INTERNALERROR" not in said, short
    left = [*(paper / "s").rglob(".*.partial"), *(paper / "r").glob(".*")]
    assert left == [], short
    if part.startswith("tim"):
        assert code == 1, short
        assert words not in said, short
        assert verdicts(paper) == SAID
    else:
        assert words in said or (part == "/looks/" and "this look was not recorded" in said), short
        assert code in (1, 4), short
    if part == "report.json":
        assert code == 4, short
        assert "REPRODUCED" in said, short
        assert "REFUTED" in said, short
    if part == "/measurements/" and refusal in FULL_DISK:
        assert said.count("the disk is full, so the session ends here: got the quota in ") == 1, short
    if (paper / "s" / "dtclaims-store.json").exists():
        assert damaged(Store(paper / "s")) == []
    code, said = judged(paper)
    assert code == 1, said[-2000:]
    assert verdicts(paper) == SAID


SAID = ["reproduced", "reproduced", "refuted", "refuted"]
"""What a session says that nothing disturbs."""


@pytest.mark.parametrize("refusal", REFUSALS)
def test_each_way_of_writing_names_its_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: str) -> None:
    """Files of the store, reports, evidence and archives: a typed error with the system's words, the old file as it
    was, and nothing beside it."""
    code = getattr(errno, refusal)
    store = Store(tmp_path / "s")
    old, report, evidence = tmp_path / "old.json", tmp_path / "report.json", tmp_path / "evidence.json"
    for path in (old, report):
        path.write_text("{}")

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code), "x")

    monkeypatch.setattr("os.fsync", refuse)
    monkeypatch.setattr(tarfile.TarFile, "addfile", refuse)
    ways: dict[str, Callable[[], Any]] = {
        "old.json": lambda: write_json(old, {"a": 1}),
        "report.json": lambda: replace_all({report: "{}\n"}),
        "all.tar": lambda: export_store(store, tmp_path / "all.tar", runs=[], checkpoints=False),
    }
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.*")}
    for name, way in ways.items():
        with pytest.raises(DtclaimsError) as found:
            way()
        assert os.strerror(code) in str(found.value)
        assert isinstance(found.value, NotPermitted) == (code in FORBIDDEN and name != "report.json")
        assert isinstance(found.value, ReportError) == (name == "report.json")
        assert is_full(found.value) == (refusal in FULL_DISK)
    frozen = str(ROOT / "claims" / "evidence" / "k1-random-init.json")
    assert main(["evidence", str(evidence), "--upgrade", frozen]) == 2
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.*")} == before


def test_a_library_s_words_for_a_full_disk_are_known() -> None:
    """Safetensors and torch raise errors of their own kinds, which quote the system."""
    for code in FULL:
        said = RuntimeError(f'Error while serializing: IoError(Os {{ code: {code}, message: "{os.strerror(code)}" }})')
        outer = ValueError("it could not be saved")
        outer.__cause__ = said
        assert is_full(outer)
    assert not is_full(RuntimeError(os.strerror(errno.EIO)))


def test_half_a_line_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log on a disk that fills up has whole lines only, and goes on where there is room again."""
    path = tmp_path / "timings.jsonl"
    append_line(path, {"a": 1})
    plain = os.write
    monkeypatch.setattr("os.write", lambda handle, content: plain(handle, content[: len(content) // 2]))
    append_line(path, {"a": 2})
    monkeypatch.undo()
    append_line(path, {"a": 3})
    assert list(read_lines(path)) == [{"a": 1}, {"a": 3}]
    os.mkfifo(tmp_path / "pipe")
    append_line(tmp_path / "pipe", {"a": 1})
