"""`paper.json` names a paper's lab: what is found, and what is said where it cannot be."""

import json
from pathlib import Path

import pytest

from dtclaims.errors import UsageError
from dtclaims.harness.declare.labs import MEMBERS
from dtclaims.harness.declare.registry import DEFAULT_FOLDER, load_lab
from dtclaims.lab import LAB

PAPER = {"title": "A", "authors": "B", "venue": "C", "year": 2026, "url": ""}
WHOLE = """
class Lab:
    name = {name!r}
    tasks = ()
    switches, scales, quantities = {{}}, {{}}, {{}}
    options, diagnostics = (), ()
    def session(self, wish): ...
    perform = derive = meaning = figures = commands = shown = words = views = published = regime = session

LAB = Lab()
"""


def paper(folder: Path, lab: str | None = "a_lab:LAB", text: str | None = None) -> Path:
    """A folder with a `paper.json` and perhaps a lab beside it."""
    folder.mkdir(exist_ok=True)
    (folder / "paper.json").write_text(json.dumps(PAPER if lab is None else {**PAPER, "lab": lab}))
    if text is not None:
        (folder / "a_lab.py").write_text(text)
    return folder


def test_our_own_lab_is_found_and_found_again() -> None:
    """The one object, however often and from whichever folder of this project it is asked for."""
    assert load_lab(DEFAULT_FOLDER) is LAB
    assert load_lab(DEFAULT_FOLDER / "k1_head") is LAB
    assert {"name", "tasks", "session", "perform", "commands"} <= set(MEMBERS)


def test_a_lab_beside_its_claims(tmp_path: Path) -> None:
    """A module in the paper's folder counts before one that could be imported; a copy of the folder is no other lab."""
    first = load_lab(paper(tmp_path / "one", text=WHOLE.format(name="beside")))
    assert first.name == "beside"
    assert load_lab(tmp_path / "one") is first
    assert load_lab(paper(tmp_path / "copy", text=WHOLE.format(name="beside"))).name == "beside"


@pytest.mark.parametrize(
    ("lab", "text", "message"),
    [
        (None, None, "lacks lab"),
        ("a_lab", None, "has a lab that cannot be found: got 'a_lab'"),
        ("a_lab.py:LAB x", None, "has a lab that cannot be found"),
        ("no_such_module:LAB", None, "cannot be imported: got No module named 'no_such_module'"),
        ("a_lab:LAB", "import no_such_package", "cannot be imported: got No module named 'no_such_package'"),
        ("a_lab:LAB", "def", "cannot be imported"),
        ("a_lab:LAB", "\nundefined", "cannot be imported: got NameError: name 'undefined' is not defined ("),
        ("a_lab:LAB", "import sys; sys.exit(4)", "cannot be imported: got SystemExit: 4 ("),
        ("a_lab:MINE", WHOLE.format(name="x"), "names a lab that its module does not have: got a_lab:MINE"),
        ("a_lab:LAB", "class LAB: name = 'x'", "is no lab: got type without tasks, switches"),
        ("a_lab:LAB", WHOLE.format(name=" "), "a lab without a name"),
    ],
)
def test_what_is_no_lab_is_one_error(tmp_path: Path, lab: str | None, text: str | None, message: str) -> None:
    """No lab named, no such module or attribute, an object that lacks members, no name: each says what was given."""
    with pytest.raises(UsageError) as caught:
        load_lab(paper(tmp_path, lab, text))
    assert message in str(caught.value)


def test_a_folder_without_paper_has_no_lab(tmp_path: Path) -> None:
    """Claims need a `paper.json`, and the error says what it holds."""
    with pytest.raises(UsageError, match=r'no paper.json beside the claims.*"module:ATTRIBUTE"'):
        load_lab(tmp_path)


def test_two_labs_of_one_name_are_refused(tmp_path: Path) -> None:
    """Results, settings and reports go by a lab's name."""
    load_lab(paper(tmp_path / "one", text=WHOLE.format(name="twice")))
    with pytest.raises(UsageError, match="two labs are called twice"):
        load_lab(paper(tmp_path / "two", text=WHOLE.format(name="twice") + "\nOTHER = 1\n"))


def test_a_labs_option_has_a_name_of_its_own(tmp_path: Path) -> None:
    """`--seeds` means one thing in every command, whatever the lab."""
    text = "from dtclaims.harness.lab import Option\n" + WHOLE.format(name="options")
    text = text.replace("options, diagnostics = (), ()", "options, diagnostics = (Option('seeds', ''),), ()")
    with pytest.raises(UsageError, match="has options that every lab has: got seeds"):
        load_lab(paper(tmp_path, text=text))
