"""The command line as argparse takes it, made from a table of commands."""

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from dtclaims import __version__
from dtclaims.harness.declare.registry import DEFAULT_FOLDER
from dtclaims.harness.lab import Argument, Command, Option
from dtclaims.harness.options import KNOWN, did_you_mean, flag, help_of

GROUPS = {
    "data": "policies and trajectories",
    "history": "verdicts over commits",
    "legacy": "the paper's own stack",
    "pretrain": "backbones of our own",
    "store": "look after the store of results",
}
"""What the help says of commands that share their first word."""


def option(one: Option | str, **settings: Any) -> Argument:
    """The argument of an option, one of the harness's by its name."""
    found = KNOWN[one] if isinstance(one, str) else one
    metavar = found.name.upper()
    return Argument((flag(found),), {"default": None, "metavar": metavar, "help": help_of(found), **settings})


FOLDER = Argument.of(
    "--claims",
    type=Path,
    default=DEFAULT_FOLDER,
    metavar="DIR",
    help=f"folder of claim files (default: {DEFAULT_FOLDER.name})",
)


def ending(*known: str) -> Callable[[str], Path]:
    """The type of a file's argument: its name ends as what will be written into it.

    Args:
        known: endings, the usual one first.
    """

    def path(text: str) -> Path:
        if not text.endswith(known):
            raise argparse.ArgumentTypeError(f"{text!r} does not end in {' or '.join(known)}")
        return Path(text)

    return path


class Parser(argparse.ArgumentParser):
    """argparse's, whose errors are one line, and ask what was meant."""

    def __init__(self, **settings: Any) -> None:
        # Without abbreviations: `--claim` would be taken for `--claims` where a command has only that.
        super().__init__(allow_abbrev=False, **settings)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end with exit code 2."""
        found = re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)
        meant = did_you_mean([found[1]], re.findall(r"[\w.-]+", found[2])) if found else ""
        self.exit(2, f"{self.prog}: {message}. {meant or f'`{self.prog} --help` says what there is.'}\n")


class _Several(argparse.Action):
    """Values of an option that takes several, and may be given several times: argparse's own would keep the last."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        """Add to what was given before; the default is no part of it."""
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, list(values) if before is self.default else [*before, *values])


def joined(arguments: Sequence[str], commands: Sequence[Command]) -> list[str]:
    """The arguments with a command of two words as one, where the first alone is a command with arguments too."""
    first = tuple(arguments[:2])
    known = {command.words for command in commands}
    return [" ".join(first), *arguments[2:]] if first in known and first[:1] in known else list(arguments)


def parser_of(commands: Sequence[Command]) -> argparse.ArgumentParser:
    """The parser of a table of commands; what it parses has passed through `joined`, and has the command as `command`.

    A group's name alone has `group`, the parser whose help lists its commands.
    """
    parser = Parser(prog="dtclaims", description="Does this paper's claim still hold?")
    parser.add_argument("--version", action="version", version=f"dtclaims {__version__}")
    top = parser.add_subparsers(required=True, metavar="COMMAND")
    single = {command.words[0] for command in commands if len(command.words) == 1}
    groups: dict[str, Any] = {}
    for command in commands:
        first, *rest = command.words
        if not rest or first in single:
            _add(top, " ".join(command.words), command)
            continue
        if first not in groups:
            text = GROUPS.get(first, f"commands about {first}")
            group = top.add_parser(first, help=text, description=text)
            group.set_defaults(group=group)
            groups[first] = group.add_subparsers(metavar="COMMAND")
        _add(groups[first], " ".join(rest), command)
    return parser


def _add(of: Any, name: str, command: Command) -> None:
    # argparse expands % in a help, but not in a description.
    text = command.help.replace("%", "%%")
    parser: argparse.ArgumentParser = of.add_parser(name, help=text, description=command.help)
    parser.set_defaults(command=command)
    for one in (*command.arguments, *map(option, command.options)):
        settings = dict(one.settings)
        if settings.get("nargs") == "+" and one.flags[0].startswith("-"):
            settings["action"] = _Several
        parser.add_argument(*one.flags, **settings)
