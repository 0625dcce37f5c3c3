"""The versions that are admitted are those that are tested: one source of bounds, one page of results."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from dtclaims.places import ROOT
from dtclaims.tests.support import compat

PYTHONS = SpecifierSet(compat.project()["requires-python"])


def page() -> dict[str, dict[str, str]]:
    """The lines of the page's table, by row and column."""
    text = compat.PAGE.read_text(encoding="utf-8")
    lines = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in text.splitlines()]
    start = next(i for i, line in enumerate(lines) if line[0] == "row")
    table = [line for line in lines[start + 2 :] if line[0][:1] == "`"]
    return {line[0].strip("`"): dict(zip(lines[start], line, strict=True)) for line in table}


def put(monkeypatch: pytest.MonkeyPatch, **changed: Any) -> None:
    """Another pyproject.toml, with a small table `project`."""
    table = {"name": "mine", "dependencies": ["numpy>=2.0,<3"], "optional-dependencies": {}}
    monkeypatch.setattr(compat, "project", lambda: table | changed)


def test_the_oldest_row_holds_every_dependency() -> None:
    """The constraints name each package of the base and of every extra but the tools', at its lower bound, once."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: asked for name, asked in table["optional-dependencies"].items() if name != "dev"}
    asked = {one for all_of in (table["dependencies"], *extras.values()) for one in all_of}
    bounds = {re.match(r"([\w-]+)(?:>=|==)([\d.]+)", one) for one in asked if not one.startswith("dtclaims[")}
    assert None not in bounds
    held = compat.constraints(compat.ROWS["oldest"])
    assert sorted(held) == sorted(f"{one[1]}=={one[2]}" for one in bounds if one)


def test_what_runs_is_bounded_on_both_sides() -> None:
    """Each dependency has a newest version that is admitted too; so has Python."""
    for one in compat.requirements().values():
        assert {each.operator for each in one.specifier} in ({">=", "<"}, {"=="}), one
    assert {each.operator for each in PYTHONS} == {">=", "<"}


def test_rows_span_what_is_admitted() -> None:
    """The oldest and the newest Python, and versions within the bounds."""
    assert compat.ROWS["oldest"].python in PYTHONS
    assert "3.10" not in PYTHONS
    major, _, minor = compat.ROWS["newest"].python.partition(".")
    assert compat.ROWS["newest"].python in PYTHONS
    assert f"{major}.{int(minor) + 1}" not in PYTHONS
    asked = compat.requirements()
    for row in compat.ROWS.values():
        for line in compat.constraints(row):
            name, _, version = line.partition("==")
            assert version in asked[name].specifier


def test_the_newest_row_holds_nothing() -> None:
    """Its constraints are empty: the resolver takes the newest that pyproject.toml admits."""
    assert compat.constraints(compat.ROWS["newest"]) == []


def test_a_row_holds_what_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version of its own where it gives one, else the lower bound; another package's name is an error."""
    put(monkeypatch, dependencies=["numpy>=2.0,<3", "Pillow>=10,<14", "torch>=2.6,<3"])
    row = compat.Row("3.11", {"pillow": None, "torch": "2.9"}, "")
    assert compat.constraints(row) == ["pillow==10", "torch==2.9"]
    with pytest.raises(ValueError, match=r"does not ask for.*scipy"):
        compat.constraints(compat.Row("3.11", {"scipy": None}, ""))


def test_bounds_that_say_nothing_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lower bound, two of them, or two requirements that differ: no version would be the oldest."""
    for text, count in (("numpy<3", 0), ("numpy>=2,>=2.1", 2)):
        with pytest.raises(ValueError, match=f"{count} lower bounds"):
            compat.lowest(Requirement(text))
    put(monkeypatch, **{"optional-dependencies": {"a": ["mine[b]", "numpy>=2.1,<3"], "dev": ["numpy"]}})
    with pytest.raises(ValueError, match=r"numpy is asked for as numpy<3,>=2\.0 and as numpy<3,>=2\.1"):
        compat.requirements()
    assert list(compat.requirements([])) == ["numpy"]


def test_the_page_has_the_rows() -> None:
    """compat.md says what every row is and has a line for it, in their order, and none with a failure."""
    found = page()
    listed = re.findall(
        r"^- `([\w.-]+)`: (.*); Python ([\d.]+)\.$", compat.PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert listed == [(name, row.why, row.python) for name, row in compat.ROWS.items()]
    assert list(found) == list(compat.ROWS)
    for name, line in found.items():
        assert not re.search("failed|error", line["result"]), name


def test_the_page_is_of_the_bounds_that_are() -> None:
    """What was run lies within today's bounds, and its held packages are today's: a bound that moves asks for a run."""
    asked = compat.requirements()
    for name, line in page().items():
        row = compat.ROWS[name]
        if line["result"] == "not run yet":
            # Its versions are in the row of all lower bounds.
            assert name not in ("oldest", "newest")
            continue
        assert line["Python"].startswith(f"{row.python}."), name
        for package in compat.SHOWN:
            assert asked[package].specifier.contains(line[package].partition("+")[0]), f"{name}: {package}"
        for held in compat.constraints(row):
            package, _, version = held.partition("==")
            if package in compat.SHOWN:
                assert line[package] in SpecifierSet(f"=={version}.*"), f"{name}: {package}"


JUNIT = """<testsuites><testsuite tests="9" failures="{failures}" errors="0" skipped="2"/></testsuites>"""


@pytest.mark.parametrize(("failures", "said"), [(0, "7 passed, 2 skipped"), (1, "6 passed, 1 failed, 2 skipped")])
def test_a_result_is_counted_from_pytests_record(tmp_path: Path, failures: int, said: str) -> None:
    """Passed are those that neither failed, broke nor were skipped; what did not happen is not named."""
    (tmp_path / "junit.xml").write_text(JUNIT.format(failures=failures))
    assert compat.result(tmp_path / "junit.xml") == said


def test_a_rows_line_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session puts its own line in place of the row's last; all else on the page stays."""
    copied = tmp_path / "compat.md"
    copied.write_text("before\n| `torch` | |\n| `torch-old` | 3 |\nafter\n")
    monkeypatch.setattr(compat, "PAGE", copied)
    versions = json.dumps({"python": "3.11.7"} | dict.fromkeys(compat.SHOWN, "1.0"))
    shown = " | ".join(["3.11.7", *["1.0"] * len(compat.SHOWN)])
    for tests, said in (
        ((), "the fast tier"),
        (compat.LIBRARIES, "`libraries`"),
        (("dtclaims/tests/lab/models",), "`lab/models`"),
    ):
        compat.record("torch", versions, tests, "3 passed", "2026-11-27")
        new = f"| `torch` | {shown} | {said} | 3 passed | 2026-11-27 |"
        assert copied.read_text() == f"before\n{new}\n| `torch-old` | 3 |\nafter\n"


def test_the_tests_that_lean_on_libraries_are_there() -> None:
    """What `-- libraries` runs are files and folders of tests."""
    assert [place for place in compat.LIBRARIES if not (ROOT / place).exists()] == []
