"""The timeline of a session: what is looked at meanwhile, and what people are shown of it."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import StoreError
from dtclaims.harness.engine import timeline
from dtclaims.harness.engine.timeline import Timeline, minutes, read, told
from dtclaims.harness.engine.usage import core_seconds, of_gpus
from dtclaims.harness.store.lines import TIMELINES, line_of

SMI = """#!/bin/sh
echo "$@" >> {log}
echo "50, 300.5"
echo "70, 400.5"
"""


def line(at: float, what: str, **of: Any) -> dict[str, Any]:
    return {"at": at, "what": what, **of}


LINES = [
    line(0.0, "begin", device="cuda", workers=2, jobs=4),
    line(13.2, "prepared", name="collecting hopper data", problem=None),
    line(15.0, "start", names=["a", "b"]),
    line(30.0, "machine", cores=8.0, gpus=[[50, 300.0], [70, 400.0]]),
    line(50.0, "machine", cores=10.0, gpus=[[100, 500.0], [100, 600.0]]),
    line(75.0, "end", name="a", kind="run", status="made"),
    line(75.0, "headline", cell=["one", "published", "small"]),
    line(90.0, "start", names=["c", "d"]),
    line(90.0, "end", name="b", kind="run", status="apart"),
    line(95.0, "headline", cell=["two", "published", "small"]),
    line(96.0, "headline", cell=["three", "published", "small"]),
    line(120.0, "end", name="c", kind="measurement", status="made"),
    line(121.0, "end", name="d", kind="run", status="failed"),
    line(150.0, "over", how="stopped"),
]


def test_minutes() -> None:
    """What was made in each, how many jobs were at it on average, and how busy cores and GPUs were."""
    assert [list(row.values()) for row in minutes(LINES)] == [
        # Two jobs for 45 of 60 seconds.
        ["1", "0", "0", "0", "1.5", "9.0", "80 %", "450"],
        # One for 15 seconds, one for 30, two for the other 30.
        ["2", "1", "0", "1", "1.8", "", "", ""],
        # One for one of the 30 seconds that there were.
        ["3", "0", "1", "1", "0.0", "", "", ""],
    ]
    assert minutes([]) == []


def test_what_is_told() -> None:
    """Data, the first headline cell and the last, failures, and the end; not every job."""
    assert list(told(LINES)) == [
        "0:00  jobs: 4 on cuda, 2 at once",
        "0:13  collecting hopper data: done",
        "1:15  all is there that one published small rests on",
        "1:36  all is there that three published small rests on",
        "2:01  d failed",
        "2:30  stopped",
    ]


def test_the_machine_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GPUs by the driver's own tool, those of the session; cores by what its processes took."""
    tool, log = tmp_path / "bin" / "nvidia-smi", tmp_path / "log"
    tool.parent.mkdir()
    tool.write_text(SMI.format(log=log))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tool.parent), prepend=os.pathsep)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    monkeypatch.setattr("dtclaims.device.cuda_devices", lambda: 2)
    monkeypatch.setattr(timeline, "EVERY", 0.2)
    with Timeline(tmp_path / "logs", "cuda") as one:
        one.tell("begin", device="cuda", workers=1, jobs=0)
        (path,) = (tmp_path / "logs").glob(TIMELINES)
        # Busy until it was seen: how soon a look comes depends on what else the machine has to do.
        until = time.monotonic() + 30.0
        while time.monotonic() < until and not any(one.get("cores") for one in read(path)):
            pass
    looks = [one for one in read(path) if one["what"] == "machine"]
    assert looks
    assert all(one["gpus"] == [[50, 300.5], [70, 400.5]] for one in looks)
    assert max(one["cores"] for one in looks) > 0
    assert "-i 4,7 --query-gpu=utilization.gpu,power.draw" in log.read_text()


def test_a_session_that_fails_says_so(tmp_path: Path) -> None:
    """With what was raised."""
    with pytest.raises(StoreError), Timeline(tmp_path, "cpu"):
        raise StoreError("the disk is full")
    (path,) = tmp_path.glob(TIMELINES)
    assert [one["how"] for one in read(path)] == ["StoreError: the disk is full."]


def test_a_log_that_cannot_be_written_is_not_kept(tmp_path: Path) -> None:
    """The session goes on."""
    (tmp_path / "logs").write_text("a file")
    with Timeline(tmp_path / "logs", "cpu") as one:
        one.tell("begin")
    assert (tmp_path / "logs").read_text() == "a file"


def test_a_timeline_that_was_cut_off_is_read(tmp_path: Path) -> None:
    """But for the line at which it was; what is none is an error with its path."""
    path = tmp_path / "timeline.jsonl"
    path.write_text(line_of(LINES[0]) + line_of(LINES[1])[:10])
    assert read(path) == LINES[:1]
    path.write_text("nothing of the kind\n")
    with pytest.raises(StoreError, match=r"not a timeline: got .*timeline\.jsonl"):
        read(path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_cores_of_processes_below_count() -> None:
    """Of those that run, and of those that have ended and were waited for."""
    busy = "import time; until = time.process_time() + 0.3\nwhile time.process_time() < until: pass"
    before = core_seconds()
    subprocess.run([sys.executable, "-c", busy], check=True)
    # The system counts in hundredths.
    assert core_seconds() - before >= 0.28


def test_without_the_drivers_tool_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor of no GPU."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert of_gpus(["0"], "power.draw") == []
    assert of_gpus([], "power.draw") == []
