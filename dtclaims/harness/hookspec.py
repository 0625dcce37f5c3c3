"""Hooks by which other pytest plugins add to a session with claims.

    # my_plugin.py
    def pytest_claims_loggers():
        return {"mine": MyLogger}

`pytest -p my_plugin claims --logger mine` then tells it of every epoch.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest


@pytest.hookspec
def pytest_claims_engines() -> Mapping[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """Engines by the name that `--executor` takes.

    Each is called with the store's folder, the device and the number of jobs at once that was asked for (None if none
    was), and returns a `dtclaims.harness.engine.engine.Engine`. It has to lie at the top of its module.
    """


@pytest.hookspec
def pytest_claims_loggers() -> Mapping[str, Callable[..., Any]]:  # type: ignore[empty-body]
    """Loggers by the name that `--logger` takes, made for each job in its worker as ours are.

    Each has to lie at the top of its module.
    """


@pytest.hookspec
def pytest_claims_report_formats() -> Mapping[str, Callable[[dict[str, Any]], str]]:  # type: ignore[empty-body]
    """Formats by the ending of their file: each makes the text of `report.ENDING` from the report's document."""
