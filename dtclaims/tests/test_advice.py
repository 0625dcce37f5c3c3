"""Every command that a message names is taken by its program as it is printed."""

import ast
import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from dtclaims.harness.commands.table import commands_of
from dtclaims.harness.declare.registry import DEFAULT_FOLDER, load_lab
from dtclaims.places import ROOT
from dtclaims.tests.support.command_line import parse

MODULES = sorted(path for path in (ROOT / "dtclaims").rglob("*.py") if "tests" not in path.relative_to(ROOT).parts)
COMMAND = re.compile(r"`((?:dtclaims|pytest) [^`]+)`|(?:^\s*|: |\$ )((?:dtclaims|pytest(?= claims| -)) [a-z-][^`]*)")
"""Between backticks, or to the end of a text, as the whole of it or after a colon."""

VALUES = {"task": "hopper", "task.name": "hopper", "source": "language", "scale": "small", "kind": "text"}
VALUES |= {"level": "medium", "on.type": "cpu", "simulator": "gym-v2", "out.name": "out"}
"""What stands in a command that is put together from parts, where a number will not do."""

STATED = ("help", "expected", "Choice", "Option", "Command")
"""Arguments, and what takes them, that say what a thing is and do not advise: a command's name is enough there."""


def texts(module: Path) -> Iterator[tuple[str, bool]]:
    """The texts of a module that are no docstrings, and whether each may name a command without all that it needs."""
    waiting: list[tuple[ast.AST, bool]] = [(ast.parse(module.read_text(encoding="utf-8")), False)]
    while waiting:
        node, stated = waiting.pop()
        match node:
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.Constant(value=str(text)):
                yield text, stated
            case ast.JoinedStr(values=parts):
                yield "".join(map(_shown, parts)), stated
                continue
            case ast.keyword(arg=str(name)) | ast.Call(func=ast.Name(id=name)):
                stated = name in STATED
        waiting += [(child, stated) for child in ast.iter_child_nodes(node)]


def _shown(part: ast.expr) -> str:
    if isinstance(part, ast.FormattedValue):
        return VALUES.get(ast.unparse(part.value), "1")
    assert isinstance(part, ast.Constant)
    return str(part.value)


NAMED = {
    (line.strip().rstrip(".,"), stated): module.relative_to(ROOT).as_posix()
    for module in MODULES
    for text, stated in texts(module)
    for found in COMMAND.findall(text)
    for line in "".join(found).split("&&")
}


def test_there_are_commands_in_messages() -> None:
    """They are found between backticks, behind a colon and as a whole text, in plain texts and such with values."""
    lines = {line for line, _ in NAMED}
    assert {"dtclaims pretrain corpus --out corpus", "dtclaims data train-policy hopper", "pytest claims"} <= lines


@pytest.mark.parametrize(("line", "stated"), NAMED)
def test_a_command_in_a_message_is_taken_as_it_is_printed(
    line: str, stated: bool, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What advises a command names all that it needs; where a thing is only said to be of a command, the command is
    there."""
    monkeypatch.chdir(ROOT)
    program, *words = shlex.split(line, comments=True)
    if program == "pytest":
        known, unknown = pytestconfig._parser.parse_known_and_unknown_args(words)
        assert (unknown, [name for name in known.file_or_dir if not Path(name).exists()]) == ([], [])
        return
    said, code = io.StringIO(), None
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            parse([*words, "--help"] if stated else words, commands_of(load_lab(DEFAULT_FOLDER)))
    except SystemExit as end:
        code = end.code
    assert not code, f"{NAMED[line, stated]}: {said.getvalue()}"
