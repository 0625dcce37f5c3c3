"""Our own tests are strict: a warning is an error. Sessions with claims are their users', whose plugins may warn."""

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings

from dtclaims.errors import DtclaimsError
from dtclaims.lab.legacy import environment

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
    needing = [item for item in items if item.get_closest_marker("legacy")]
    if needing and (reason := _no_legacy()):
        for item in needing:
            item.add_marker(pytest.mark.skip(reason=reason))


def _no_legacy() -> str | None:
    """Why the tests of the paper's own stack cannot run here."""
    try:
        environment.ready()
    except DtclaimsError as error:
        return str(error)
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Where a GPU is in sight, `auto` means it. A test that is not of GPUs sees none, nor does what it starts."""
    hidden = {} if item.get_closest_marker("gpu") else {"CUDA_VISIBLE_DEVICES": ""}
    with mock.patch.dict(os.environ, hidden):
        return (yield)
