"""Several sessions on one store, as a batch system starts them (docs/clusters.md)."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dtclaims.places import ROOT

LAB = '''
"""A lab whose number takes a while, and says who made it."""
import os
import time
from pathlib import Path

from dtclaims import FunctionLab

LAB = FunctionLab("tiny")


@LAB.quantity
def reading(seed: int, side: str) -> float:
    """A number that depends on the seed only; it is not made before the test lets it."""
    folder = Path(os.environ["MADE"])
    (folder / f"begun-{os.environ['NUMBER']}").touch()
    while not (folder / "go").exists():
        time.sleep(0.02)
    time.sleep(0.1)
    with (folder / "made").open("a") as file:
        file.write(f"{seed}{side}\\n")
    return (40.0 if side == "a" else 10.0) + seed
'''


PATIENCE = 300.0
"""Seconds; a machine under load takes half a minute to start a session."""


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    """The tiny paper with a slow lab: twelve jobs, of which none ends before the file `go` is there."""
    folder = tmp_path / "paper"
    shutil.copytree(ROOT / "dtclaims/tests/support/tiny_paper", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tiny_lab.py").write_text(LAB)
    return folder


def session(paper: Path, number: int, *more: str) -> "subprocess.Popen[str]":
    where = paper.parent
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": str(ROOT), "MADE": str(where), "NUMBER": str(number)}
    environment |= {"DTCLAIMS_HOME": str(where / "home")}
    words = [
        sys.executable,
        "-m",
        "pytest",
        str(paper),
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "dtclaims.harness.plugin",
    ]
    words += ["--claim", "TINY-1", "--seeds", "6", "--workers", "1"]
    words += ["--store", str(where / "store"), "--report", str(where / f"report-{number}"), *more]
    return subprocess.Popen(
        words, cwd=where, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_sessions_share_the_work_and_one_that_was_stopped_goes_on(paper: Path) -> None:
    """Three at once, one of them ended by SIGTERM and started again: each job is made once, each report is the same.

    However slow the machine: the signal comes when all three are at work, and nothing is made before.
    """
    where = paper.parent
    first = [session(paper, number) for number in range(3)]
    until = time.monotonic() + PATIENCE
    while len(list(where.glob("begun-*"))) < 3 and time.monotonic() < until:
        time.sleep(0.05)
    first[0].send_signal(signal.SIGTERM)
    said = first[0].communicate(timeout=PATIENCE)[0]
    assert "the same command goes on" in said, said
    again = session(paper, 0)
    (where / "go").touch()
    for one in (*first[1:], again):
        output = one.communicate(timeout=PATIENCE)[0]
        assert one.returncode == 0, output
    # The one that was under way when its session was stopped was not finished.
    assert sorted((where / "made").read_text().split()) == sorted(f"{seed}{side}" for seed in range(6) for side in "ab")
    reports = [json.loads((where / f"report-{number}" / "report.json").read_text()) for number in range(3)]
    assert {entry["verdict"] for report in reports for entry in report["claims"] if entry["id"] == "TINY-1"} == {
        "reproduced"
    }


def test_a_session_that_is_out_of_time_judges_what_there_is(paper: Path) -> None:
    """What is under way at the limit is stopped; the claim is *not run*, and the same command goes on."""
    where = paper.parent
    one = session(paper, 0, "--time-limit", "0.1")
    said = one.communicate(timeout=PATIENCE)[0]
    assert one.returncode == 0, said
    assert "the same command goes on" in said
    entries = json.loads((where / "report-0" / "report.json").read_text())["claims"]
    assert {entry["verdict"] for entry in entries} == {"not_run"}
    (where / "go").touch()
    again = session(paper, 1)
    said = again.communicate(timeout=PATIENCE)[0]
    assert again.returncode == 0, said
    entries = json.loads((where / "report-1" / "report.json").read_text())["claims"]
    assert {entry["verdict"] for entry in entries} == {"reproduced"}
