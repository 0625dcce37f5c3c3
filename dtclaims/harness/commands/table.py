"""The commands of `dtclaims`: the harness's, and the lab's own."""

from collections.abc import Sequence

from dtclaims.harness.commands import curves, demo, report, store, study
from dtclaims.harness.lab import Command, Lab


def commands_of(lab: Lab | None) -> Sequence[Command]:
    """All commands, as the help lists them.

    Args:
        lab: of the claims that are spoken of; None where it cannot be used.
    """
    options = () if lab is None else lab.options
    own = () if lab is None else tuple(lab.commands())
    return (*demo.COMMANDS, *study.commands(options), *own, *report.COMMANDS, *curves.COMMANDS, *store.COMMANDS)
