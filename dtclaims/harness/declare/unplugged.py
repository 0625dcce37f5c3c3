"""What a claim is to a pytest that has not loaded the plugin: a test that fails, and says which line is missing.

pytest collects functions called `test_*`. A claim takes such a function's name; without this it would be passed over,
and a suite whose claims nobody judges would be green.
"""

import inspect
from typing import ClassVar, NoReturn

from dtclaims.errors import UsageError

LINE = 'pytest_plugins = ["dtclaims.harness.plugin"]'


def _function() -> None:
    """pytest unwraps what it collects down to a function, and this is one."""


class Unplugged:
    """Collected by pytest as a test that takes nothing; called, it fails."""

    __wrapped__ = staticmethod(_function)
    __signature__: ClassVar[inspect.Signature] = inspect.Signature()

    def __call__(self) -> NoReturn:
        """Fail.

        Raises:
            UsageError: which line is missing.
        """
        raise UsageError(
            f"pytest does not know what claim {getattr(self, 'id', '')} is: the plugin is not loaded",
            expected=f"`{LINE}` in the top-level conftest.py",
            remedy="Or for once: `pytest -p dtclaims.harness.plugin`.",
        )
