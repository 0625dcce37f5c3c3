"""Commands called as the command line calls them, but with their errors as they are raised."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from dtclaims.harness.commands.parser import joined, parser_of
from dtclaims.harness.commands.table import commands_of
from dtclaims.harness.lab import Command


def parse(arguments: Sequence[str], commands: Sequence[Command]) -> argparse.Namespace:
    return parser_of(commands).parse_args(joined(arguments, commands))


def run(*arguments: str | Path) -> int:
    """The exit code of one of the harness's own commands."""
    options = parse([str(argument) for argument in arguments], commands_of(None))
    return options.command.run(options) or 0
