"""Our own tests are strict: a warning is an error. Sessions with claims are their users', whose plugins may warn."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

STRICT = pytest.mark.filterwarnings(
    "error",
    # v4 is meant: v5 changes Walker2d's friction and the healthy reward.
    "ignore:.*is out of date. You should consider upgrading:DeprecationWarning",
)

# Deadlines are off everywhere: the first call of a compiled or GPU kernel takes seconds.
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", deadline=None)
settings.register_profile("gpu", deadline=None, max_examples=20)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            # First, so that a test's own filters come after it and count.
            item.add_marker(STRICT, append=False)
