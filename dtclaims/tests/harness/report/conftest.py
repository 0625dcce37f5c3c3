"""A browser, for the tests that look at pages as people do; they skip themselves where there is none."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dtclaims.tests.support import screens


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, once for all tests of a module."""
    with screens.driven() as instance:
        yield instance


@pytest.fixture(params=[("desktop", "light"), ("phone", "dark")], ids="-".join)
def page(request: pytest.FixtureRequest, browser: Any, page_path: Path) -> Iterator[Any]:
    """The module's `page_path` at a desk in light, and on a phone in the dark."""
    width, scheme = request.param
    context = browser.new_context(viewport={"width": screens.WIDTHS[width], "height": 900}, color_scheme=scheme)
    opened = context.new_page()
    opened.goto(page_path.as_uri())
    yield opened
    context.close()
