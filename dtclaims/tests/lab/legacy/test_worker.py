"""What passes between a legacy worker and us: numbers and words, and nothing that would be run."""

import ast
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest

from dtclaims.lab.legacy import worker
from dtclaims.lab.legacy.slots import LegacyProcess
from dtclaims.lab.legacy.worker import answer, decode, encode


def test_messages_come_back_as_they_were() -> None:
    """Words, numbers of any size, and arrays of doubles to the bit, NaN and signed zero too; tuples as lists."""
    odd = np.array([[0.1, -0.0], [np.nan, np.inf]])
    first, seeds, array, empty = decode(encode(("ask", [0, 2**70], odd, np.zeros((0, 3)))))
    assert (first, seeds) == ("ask", [0, 2**70])
    assert array.tobytes() == odd.tobytes()
    assert array.shape == (2, 2)
    assert empty.shape == (0, 3)
    array[:] = 0


def test_objects_do_not_pass() -> None:
    """What is no number cannot be sent."""
    for thing in (object(), print, np.array(["text"]), np.array([print])):
        with pytest.raises((TypeError, ValueError)):
            encode(("ask", thing))


def test_only_what_it_knows_is_done() -> None:
    """Nobody calls another method of what is kept, nor a function."""
    kept = {1: worker}
    for request in (("ask", 1, "serve", []), ("ask", 1, "__init__", []), ("make", 2, "os.system", ["true"])):
        with pytest.raises((ValueError, KeyError)):
            answer(kept, *request)
    assert kept == {1: worker}


def test_it_stands_alone() -> None:
    """The worker imports the standard library and numpy; what it takes of the environment it imports when it is used,
    without dtclaims: there is none."""
    tree = ast.parse(Path(worker.__file__).read_text(encoding="utf-8"))

    def imported(nodes: Collection[ast.AST]) -> set[str]:
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)

    assert imported(tree.body) == {"numpy"}
    assert imported(list(ast.walk(tree))) == {"numpy", "gym", "mujoco_py", "d4rl"}


def test_a_worker_sees_nothing_of_its_users_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PYTHONPATH and the working folder hold other versions of packages: they are not taken."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "numpy.py").write_text("raise SystemExit('another numpy')")
    place = tmp_path / "bin"
    place.mkdir()
    (place / "python").symlink_to(sys.executable)
    command = LegacyProcess._command(_of(tmp_path), 0, 0)[:-3]
    assert command[0] == str(place / "python")
    done = subprocess.run(
        [sys.executable, *command[1:], "-c", "import sys; print(sys.flags.ignore_environment, sys.path[0])"],
        text=True,
        capture_output=True,
        check=True,
    )
    assert done.stdout.startswith("1 ")
    assert str(tmp_path) not in done.stdout


def _of(folder: Path) -> LegacyProcess:
    process = LegacyProcess.__new__(LegacyProcess)
    process._folder = folder
    return process
