"""Costs: what is grouped, summed and refused."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import ReportError
from dtclaims.harness.report.costs import Session, read_sessions, run_table, session_table


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


@dataclass(frozen=True)
class Run:
    """A run of some kind."""

    kind: str
    updates: int
    seconds: float


def test_runs_are_grouped_by_what_they_cost() -> None:
    """What is said of a kind makes a row, numbers in their order; its median and sum are of the recorded seconds."""
    runs = [Run("a", 12, 10.0), Run("a", 9, 7.0), Run("a", 12, 60.0), Run("a", 12, 20.0), Run("a", 1200, 3600.0)]
    table = run_table(runs, ("kind", "updates"), lambda run: (run.kind, run.updates))
    assert table.startswith("| kind | updates | runs | median time per run | sum |\n")
    assert rows(table) == [
        ["a", "9", "1", "7.0 s", "7.0 s"],
        ["a", "12", "3", "20 s", "1 min 30 s"],
        ["a", "1,200", "1", "1 h 00 min", "1 h 00 min"],
        ["all", "", "5", "", "1 h 01 min"],
    ]


def test_sessions_in_gpu_minutes() -> None:
    """Wall seconds times GPUs, per run and in all; a session without runs has no cost per run."""
    sessions = [
        Session("pytest a | tee log", 600, 2, 10),
        Session("warm-up", 90, 1, 0),
    ]
    assert session_table(sessions).splitlines()[2:] == [
        "| `pytest a \\| tee log` | 2 | 10 min 00 s | 10 | 20.0 | 2.00 |",
        "| `warm-up` | 1 | 1 min 30 s | 0 | 1.5 | – |",
        "| 2 sessions | | | 10 | 21.5 | 2.15 |",
    ]


GOOD: dict[str, Any] = {"command": "x", "seconds": 1.5, "gpus": 1, "runs": 1}


def test_sessions_are_read(tmp_path: Path) -> None:
    """As they were written."""
    path = tmp_path / "sessions.json"
    path.write_text(json.dumps([GOOD]))
    assert read_sessions(path) == [Session(**GOOD)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '[{"seconds": NaN}]',
        *(
            json.dumps([one])
            for one in ({**GOOD, "gpus": 0}, {**GOOD, "seconds": "1"}, {**GOOD, "more": 1}, {"runs": 1})
        ),
    ],
)
def test_other_sessions_are_refused(tmp_path: Path, text: str) -> None:
    """With the file's name, before anything is printed."""
    path = tmp_path / "sessions.json"
    path.write_text(text)
    with pytest.raises(ReportError, match=r"sessions\.json"):
        read_sessions(path)
    with pytest.raises(ReportError, match=r"nothing\.json"):
        read_sessions(tmp_path / "nothing.json")
