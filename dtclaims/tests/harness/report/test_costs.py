"""Costs: what is grouped, summed and refused."""

import json
from pathlib import Path

import pytest

from dtclaims.errors import ReportError
from dtclaims.harness.report.costs import network, read_sessions, run_table, session_table
from dtclaims.tests.support.evidence_example import run


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_runs_are_grouped_by_what_they_cost() -> None:
    """Scale, K, network, device and updates make a row; its median and sum are of the recorded seconds."""
    runs = [run(seed=seed, seconds=seconds) for seed, seconds in enumerate((10.0, 20.0, 60.0))]
    runs += [run("language_pretrained", seconds=100.0), run("mlp", seconds=30.0), run("image_native", seconds=300.0)]
    runs += [run(context=20, seconds=3600.0), run(epochs=2, seconds=12.0)]
    assert rows(run_table(runs)) == [
        ["mini", "3", "MLP", "cpu", "12", "1", "30 s", "30 s"],
        ["mini", "3", "image stack", "cpu", "12", "1", "5 min 00 s", "5 min 00 s"],
        ["mini", "3", "stack of 12 blocks", "cpu", "6", "1", "12 s", "12 s"],
        ["mini", "3", "stack of 12 blocks", "cpu", "12", "4", "40 s", "3 min 10 s"],
        ["mini", "20", "stack of 12 blocks", "cpu", "12", "1", "1 h 00 min", "1 h 00 min"],
        ["all", "", "", "", "", "8", "", "1 h 08 min"],
    ]


def test_networks_of_a_kind() -> None:
    """Every random and every language arm is one stack; the image arms and the MLP are others."""
    kinds = {arm: network(arm) for arm in ("random_init", "block_3_language", "synthetic_iid")}
    assert set(kinds.values()) == {"stack of 12 blocks"}
    assert [network(arm) for arm in ("random_matched_image", "image_pretrained")] == ["image stack"] * 2


def test_sessions_in_gpu_minutes() -> None:
    """Wall seconds times GPUs, per run and in all; a session without runs has no cost per run."""
    sessions = [
        {"command": "pytest a | tee log", "seconds": 600, "gpus": 2, "runs": 10},
        {"command": "warm-up", "seconds": 90, "gpus": 1, "runs": 0},
    ]
    assert session_table(sessions).splitlines()[2:] == [
        "| `pytest a \\| tee log` | 2 | 10 min 00 s | 10 | 20.0 | 2.00 |",
        "| `warm-up` | 1 | 1 min 30 s | 0 | 1.5 | – |",
        "| 2 sessions | | | 10 | 21.5 | 2.15 |",
    ]


GOOD = {"command": "x", "seconds": 1.5, "gpus": 1, "runs": 1}


def test_sessions_are_read(tmp_path: Path) -> None:
    """As they were written."""
    path = tmp_path / "sessions.json"
    path.write_text(json.dumps([GOOD]))
    assert read_sessions(path) == [GOOD]


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
