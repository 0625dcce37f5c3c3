"""What a session did when: a line of JSON for everything that began or ended, in the store's logs."""

import json
import time
from pathlib import Path
from typing import Any

from dtclaims.harness.times import now

PATTERN = "timeline-*.jsonl"


class Timeline:
    """Appends what happens to a file of its own; a log that cannot be written is not kept.

    Each line has `at`, the seconds since the session began, `what`, and what that is of:

        begin      device, workers, jobs
        prepared   name, problem
        start      names of the jobs of a group
        end        name, status

    Args:
        folder: where it goes.
    """

    def __init__(self, folder: Path) -> None:
        self._began = time.monotonic()
        self._path = folder / f"timeline-{now().replace(':', '').replace(' ', '_')}.jsonl"

    def tell(self, what: str, **of: Any) -> None:
        """Write a line."""
        line = json.dumps({"at": round(time.monotonic() - self._began, 2), "what": what, **of})
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError:
            return
