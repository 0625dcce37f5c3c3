"""What a session did when, in the store's logs: a line of JSON for everything that began or ended, and a look at the
machine now and then; and the same minute by minute, as people read it."""

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from types import TracebackType
from typing import Any

from dtclaims.device import gpus_for
from dtclaims.errors import StoreError
from dtclaims.harness.engine.progress import clock
from dtclaims.harness.engine.usage import Looking, core_seconds, of_gpus
from dtclaims.harness.store.lines import append_line, read_lines
from dtclaims.harness.times import now

EVERY = 10.0
"""Seconds between two looks at the machine."""
RUN, MEASUREMENT = "run", "measurement"

Line = Mapping[str, Any]


class Timeline(Looking):
    """Appends what happens to a file of its own, from entering it as a context on; a log that cannot be written is not
    kept.

    Each line has `at`, the seconds since the session began, `what`, and what that is of:

        begin      device, workers, jobs
        machine    cores: how many were busy since the last such line with this session's processes on this machine;
                   gpus: of each, per cent of the time in which it was busy, and watts
        prepared   name, problem
        start      names of the jobs of a group
        end        name, kind (`run` or `measurement`), status
        spent      name of the first job of a group, how many jobs it has, and seconds since the last such line by what
                   they were spent on
        headline   cell: all that it rests on is there
        over       how: `done`, `stopped`, or what was raised

    Args:
        folder: where it goes.
        device: of the session.
    """

    def __init__(self, folder: Path, device: str) -> None:
        super().__init__()
        self._began = time.monotonic()
        self._path = folder / f"timeline-{now().replace(':', '').replace(' ', '_')}-{os.getpid()}.jsonl"
        self._gpus = gpus_for(device)

    def tell(self, what: str, **of: Any) -> None:
        """Write a line."""
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        append_line(self._path, {"at": round(time.monotonic() - self._began, 2), "what": what, **of})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        stopped = kind is not None and issubclass(kind, KeyboardInterrupt)
        self.tell("over", how="done" if kind is None else "stopped" if stopped else f"{kind.__name__}: {error}")

    def _look(self) -> None:
        taken, at = core_seconds(), time.monotonic()
        while not self._over.wait(EVERY):
            before, since = taken, at
            taken, at = core_seconds(), time.monotonic()
            gpus = of_gpus(self._gpus, "utilization.gpu", "power.draw")
            # Of processes that were killed nobody knows what they took.
            self.tell("machine", cores=round(max(0.0, taken - before) / (at - since), 1), gpus=gpus)


def read(path: Path) -> list[Line]:
    """The lines of a timeline that are as they were written: the last may have been cut off with its session.

    Raises:
        StoreError: it cannot be read, or is none.
    """
    lines: list[Line] = list(read_lines(path))
    if not lines or not all(isinstance(one.get("at"), int | float) and "what" in one for one in lines):
        raise StoreError("not a timeline", given=path, expected="a file of a store's logs")
    return lines


def minutes(lines: Sequence[Line]) -> list[dict[str, str]]:
    """What was done in each minute: columns and what stands in them, empty where nothing was looked at.

    Args:
        lines: of one session.
    """
    rows = []
    for minute in range(int(lines[-1]["at"] // 60) + 1 if lines else 0):
        begin, end = 60 * minute, 60 * (minute + 1)
        here = [one for one in lines if begin <= one["at"] < end]
        ends = Counter((one["kind"], one["status"]) for one in here if one["what"] == "end")
        looks = [one for one in here if one["what"] == "machine"]
        gpus = [gpu for one in looks for gpu in one["gpus"]]
        rows.append(
            {
                "minute": str(minute + 1),
                "runs": str(ends[RUN, "made"]),
                "measurements": str(ends[MEASUREMENT, "made"]),
                "otherwise": str(sum(n for (_, status), n in ends.items() if status != "made")),
                "jobs at once": f"{_at_once(lines, begin, end):.1f}",
                "cores busy": f"{fmean(one['cores'] for one in looks):.1f}" if looks else "",
                "GPUs busy": f"{fmean(one[0] for one in gpus):.0f} %" if gpus else "",
                "watts each": f"{fmean(one[1] for one in gpus):.0f}" if gpus else "",
            }
        )
    return rows


def _at_once(lines: Sequence[Line], begin: float, end: float) -> float:
    """Jobs that were being done between two moments, on average; past the last line it is that until there."""
    end = min(end, lines[-1]["at"])
    changes = [
        (one["at"], len(one["names"]) if one["what"] == "start" else -1)
        for one in lines
        if one["what"] in ("start", "end") and one["at"] < end
    ]
    # Each start and end counts for what is left of the minute.
    return sum(change * (end - max(begin, at)) for at, change in changes) / (end - begin) if end > begin else 0.0


def told(lines: Sequence[Line]) -> Iterator[str]:
    """What happened at which moment, if it is worth a line: data that were made, the first headline claim, failures."""
    headlines = [one for one in lines if one["what"] == "headline"]
    for one in lines:
        at = clock(one["at"])
        if one["what"] == "begin":
            yield f"{at}  jobs: {one['jobs']} on {one['device']}, {one['workers']} at once"
        elif one["what"] == "prepared":
            yield f"{at}  {one['name']}: {one['problem'] or 'done'}"
        elif one["what"] == "headline" and one in (headlines[0], headlines[-1]):
            yield f"{at}  all is there that {' '.join(one['cell'])} rests on"
        elif one["what"] == "end" and one["status"] in ("failed", "full", "died"):
            yield f"{at}  {one['name']} {one['status']}"
        elif one["what"] == "over":
            yield f"{at}  {one['how']}"
