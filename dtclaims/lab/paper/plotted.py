"""The numbers that the paper plots and prints, of both its seeds and all tasks: `fixtures/paper/readings.json`.

`fixtures/paper/README.md` says how they were recovered and how the file is laid out.
"""

import json
from functools import cache
from typing import Any

from dtclaims.errors import FixtureError
from dtclaims.harness.lab import NotShown
from dtclaims.places import fixture_dir


@cache
def all_plotted() -> dict[str, Any]:
    """The whole file.

    Raises:
        FixtureError: it is absent or damaged.
    """
    path = fixture_dir() / "paper" / "readings.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise TypeError("it holds no object")
    except (OSError, ValueError, TypeError) as error:
        raise FixtureError(
            f"{path} does not hold the paper's values", given=error, remedy=f"Restore it: `git checkout -- {path}`."
        ) from None
    return content


def plotted(kind: str, *path: object, absent: str) -> Any:
    """What stands at a place of the file.

    Args:
        kind: a key of its top level.
        path: the keys below it: seed, task and what the kind has besides.
        absent: the reason where the paper shows nothing there, as a reader is told it.

    Raises:
        NotShown: nothing stands there.
        FixtureError: the file is absent or damaged.
    """
    try:
        found = all_plotted()[kind]
    except KeyError:
        raise FixtureError("the paper's values are incomplete", given=f"no {kind}") from None
    for key in path:
        if str(key) not in found:
            raise NotShown(absent)
        found = found[str(key)]
    return found
