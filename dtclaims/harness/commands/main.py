"""The command line: `dtclaims --help` lists its commands, `table` holds them."""

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from dtclaims.device import resolve_device
from dtclaims.errors import DtclaimsError
from dtclaims.files import FULL
from dtclaims.harness.commands.parser import joined, option, parser_of
from dtclaims.harness.commands.table import commands_of
from dtclaims.harness.declare.registry import DEFAULT_FOLDER, load_lab
from dtclaims.harness.engine.progress import Display
from dtclaims.harness.lab import Command, Lab, Progress
from dtclaims.harness.options import LONG, did_you_mean, parse_folder, told, value_of
from dtclaims.harness.printable import printable

NAMES = (errno.ENAMETOOLONG, errno.ELOOP)
"""What the system says of a name that means nothing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 if it did what was asked; 2, with one message, if it could not; 1 if a job failed, two reports differ, or
        something stored or imported is damaged; 130 if it was interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        printable(stream)
    try:
        return _called(sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt:
        # While the paper's lab is imported, too.
        print("dtclaims: interrupted; what was finished is kept", file=sys.stderr)
        return 130


def _called(given: Sequence[str]) -> int:
    """Find the command and run it; its exit code."""
    lab, fault = _lab(given)
    commands = commands_of(lab)
    try:
        options, unknown = parser_of(commands).parse_known_args(joined(given, commands))
    except SystemExit as end:
        if end.code and fault:
            print(fault, file=sys.stderr)
        raise
    command: Command | None = getattr(options, "command", None)
    if unknown and fault:
        print(f"dtclaims: unrecognized: {' '.join(unknown)}.\n{fault}", file=sys.stderr)
        return 2
    if unknown:
        flags = (
            [name for one in (*command.arguments, *map(option, command.options)) for name in one.flags]
            if command
            else []
        )
        near = did_you_mean(unknown, flags)
        print(f"dtclaims: unrecognized: {' '.join(unknown)}. {near or '`--help` says what there is.'}", file=sys.stderr)
        return 2
    if command is None:
        options.group.print_help()
        return 0
    try:
        code = _run(command, options)
        if sys.stdout is not None:
            sys.stdout.flush()
        return code
    except DtclaimsError as error:
        print(f"dtclaims: {told(error)}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader of a pipe has seen enough.
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.filename is None and error.errno in FULL:
            print(
                f"dtclaims: the output cannot be written: {error.strerror}; what was finished is kept", file=sys.stderr
            )
            # What is left of it would fail again when Python ends.
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 2
        # Names that no file can have are refused by the first call that meets them, whichever that is.
        if error.errno not in NAMES:
            raise
        print(f"dtclaims: {str(error.filename)[:LONG]}: {error.strerror}", file=sys.stderr)
        return 2


def _run(command: Command, options: argparse.Namespace) -> int:
    """Run a command with what the door promises it: its options of the harness read, and lines of progress."""
    for name in command.options:
        given = value_of(name, vars(options))
        setattr(options, name, resolve_device(given) if name == "device" else given)
    for name, given in vars(options).items():
        setattr(options, name, [_found(one) for one in given] if isinstance(given, list) else _found(given))
    display = Display(sys.stdout)
    with ExitStack() as stack:
        shown: list[Display] = []

        def phase(text: str) -> Progress:
            if not shown:
                shown.append(stack.enter_context(display))
            return display.phase(text)

        options.phase = phase
        return command.run(options) or 0


def _found(given: Any) -> Any:
    """A file or folder, once it can have its name, and found where that begins with `~`: a shell leaves `--out=~/x`
    as it is, and so does a script."""
    return parse_folder(str(given)) if isinstance(given, Path) else given


def _lab(arguments: Sequence[str]) -> tuple[Lab | None, str]:
    """The lab whose options and commands there are: that of the claims which are spoken of; or why there are none."""
    folder = DEFAULT_FOLDER
    for word, following in zip(arguments, (*arguments[1:], ""), strict=True):
        if word == "--claims" and following:
            folder = Path(following)
        elif word.startswith("--claims="):
            folder = Path(word.partition("=")[2])
    try:
        return load_lab(_found(folder)), ""
    except (DtclaimsError, OSError) as error:
        # The commands that need a lab say what is wrong with it; the others can do without.
        return None, f"dtclaims: options and commands of the paper's own are not known here: {error}"


if __name__ == "__main__":
    sys.exit(main())
