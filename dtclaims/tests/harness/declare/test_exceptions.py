"""Behaviour of `dtclaims.harness.declare.exceptions`."""

import json
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import UsageError
from dtclaims.harness.declare.exceptions import Exempt, exceptions_beside, known_only

GOOD = {"claim": "X", "seed": 666, "reason": "contradicted by Fig. 8"}


def write(folder: Path, content: Any) -> Path:
    """A folder with a file of exceptions."""
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "exceptions.json").write_text(text, encoding="utf-8")
    return folder


def test_exceptions_are_read_with_their_reasons(tmp_path: Path) -> None:
    """Each names a claim, a seed of the paper's, perhaps a component, and why; a changed file is read again."""
    assert exceptions_beside(tmp_path) == ()
    write(tmp_path, [GOOD, {**GOOD, "component": "hopper"}])
    assert exceptions_beside(tmp_path) == (
        Exempt("X", 666, "contradicted by Fig. 8"),
        Exempt("X", 666, "contradicted by Fig. 8", "hopper"),
    )


def test_an_exception_covers_its_component_or_all(tmp_path: Path) -> None:
    """One without a component means all that fails of the claim on that seed, and of no other seed."""
    assert Exempt("X", 666, "r").covers(666, "walker2d")
    assert Exempt("X", 666, "r", "hopper").covers(666, "hopper")
    assert not Exempt("X", 666, "r", "hopper").covers(666, "walker2d")
    assert not Exempt("X", 666, "r").covers(42, "hopper")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[{", "cannot be read"),
        ({"X": 666}, "lists no exceptions"),
        (["X"], "entry 0 is no exception"),
        ([GOOD, {**GOOD, "why": "r"}], "entry 1 has unknown fields: got why"),
        ([{"claim": "X", "seed": 666}], "lacks reason"),
        ([{**GOOD, "seed": True}], "has a seed that cannot be used"),
        ([{**GOOD, "seed": "666"}], "has a seed that cannot be used"),
        ([{**GOOD, "reason": " "}], "has a reason that cannot be used"),
        ([GOOD, GOOD], "has an exception twice: got X 666"),
    ],
)
def test_a_file_of_another_form_is_one_error(tmp_path: Path, content: Any, message: str) -> None:
    """An exception is never guessed: what is wrong with the file is said, with the file's name."""
    with pytest.raises(UsageError, match=message) as error:
        exceptions_beside(write(tmp_path, content))
    assert "exceptions.json" in str(error.value)


def test_exceptions_of_no_claim_are_named(tmp_path: Path) -> None:
    """A claim that was renamed leaves its exception behind: it is an error, not silence."""
    known_only([Exempt("X", 666, "r")], ["X", "Y"], tmp_path)
    with pytest.raises(UsageError, match="not declared: got Z"):
        known_only([Exempt("Z", 666, "r")], ["X", "Y"], tmp_path)
