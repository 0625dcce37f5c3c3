"""Our own tests are strict: a warning is an error. Sessions with claims are their users', whose plugins may warn."""

from pathlib import Path

import pytest

STRICT = pytest.mark.filterwarnings(
    "error",
    # v4 is meant: v5 changes Walker2d's friction and the healthy reward.
    "ignore:.*is out of date. You should consider upgrading:DeprecationWarning",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            # First, so that a test's own filters come after it and count.
            item.add_marker(STRICT, append=False)
