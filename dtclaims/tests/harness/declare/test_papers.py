"""`paper.json`: which paper a folder of claims is about."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import UsageError
from dtclaims.harness.declare.papers import (
    Publication,
    changed_since_inventory,
    common_publication,
    pages_here,
    pages_of,
    read_publication,
)
from dtclaims.harness.declare.registry import DEFAULT_FOLDER

GOOD: dict[str, Any] = {
    "title": "A",
    "authors": "B",
    "venue": "C",
    "year": 2026,
    "url": "",
    "lab": "E:LAB",
    "label": "D",
}


def test_a_paper_is_read(tmp_path: Path) -> None:
    """All fields; label and figures stay out of what a report says of the paper."""
    (tmp_path / "paper.json").write_text(json.dumps(GOOD))
    found = read_publication(tmp_path)
    assert found == Publication("A", "B", "C", 2026, "", "E:LAB", "D", figures=False)
    assert found.to_json() == {name: GOOD[name] for name in ("title", "authors", "venue", "year", "url")}


def test_a_folder_without_one_is_told_what_to_write(tmp_path: Path) -> None:
    """One error names the file, and the text it shows is a file that is read."""
    with pytest.raises(UsageError, match=r"no paper\.json beside the claims") as caught:
        read_publication(tmp_path)
    assert str(tmp_path / "paper.json") in str(caught.value)
    shown = re.search(r"\{.*?\}", str(caught.value))
    assert shown is not None
    (tmp_path / "paper.json").write_text(shown[0])
    assert read_publication(tmp_path).lab == "my_lab:LAB"


def test_our_own_paper_has_figures() -> None:
    """The claims of this project are about Takagi (2022), whose figures and tables a report shows."""
    found = read_publication(DEFAULT_FOLDER)
    assert found.title.startswith("On the Effect of Pre-training for Transformer")
    assert (found.authors, found.year, found.figures) == ("Shiro Takagi", 2022, True)
    assert found.label is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "describes no paper: got list"),
        (json.dumps({"title": "A"}), "lacks authors, venue, year, url, lab"),
        (json.dumps({**GOOD, "autors": "B"}), "unknown fields: got autors"),
        (json.dumps({**GOOD, "year": "2026"}), "has a year that cannot be used: got '2026', expected a whole number"),
        (json.dumps({**GOOD, "year": True}), "has a year"),
        (json.dumps({**GOOD, "title": "  "}), "has a title that cannot be used"),
        (json.dumps({**GOOD, "label": None}), "has a label"),
        (json.dumps({**GOOD, "figures": "yes"}), "has a figures that cannot be used"),
    ],
)
def test_a_broken_one_is_named(tmp_path: Path, content: str, message: str) -> None:
    """Unreadable, incomplete, misspelt or of the wrong types: an error that names the file and the field."""
    (tmp_path / "paper.json").write_text(content)
    with pytest.raises(UsageError, match=message) as caught:
        read_publication(tmp_path)
    assert "paper.json" in str(caught.value)


def test_what_changed_since_the_first_wording_is_read_beside_the_claims(tmp_path: Path) -> None:
    """Of the inventory that `paper.json` names: claims with a change, by id; without one, nothing changed."""
    (tmp_path / "paper.json").write_text(json.dumps(GOOD))
    assert changed_since_inventory(tmp_path) == {}
    rows = {"X": {"changed": "Above 0 now."}, "Y": {"changed": None}, "Z": {"quote": "q"}}
    (tmp_path / "rows.json").write_text(json.dumps({"claims": rows}))
    (tmp_path / "paper.json").write_text(json.dumps({**GOOD, "inventory": "rows.json"}))
    assert changed_since_inventory(tmp_path) == {"X": "Above 0 now."}
    assert "inventory" not in read_publication(tmp_path).to_json()


@pytest.mark.parametrize(
    "content", [None, "{", "[]", '{"rows": {}}', '{"claims": [1]}', '{"claims": {"X": "changed"}}']
)
def test_an_inventory_that_cannot_be_read_is_named(tmp_path: Path, content: str | None) -> None:
    """Missing, broken or of another form: one error with the file, not a page without changes."""
    (tmp_path / "paper.json").write_text(json.dumps({**GOOD, "inventory": "rows.json"}))
    if content is not None:
        (tmp_path / "rows.json").write_text(content)
    with pytest.raises(UsageError, match="cannot be read") as caught:
        changed_since_inventory(tmp_path)
    assert "rows.json" in str(caught.value)


def test_a_report_is_about_one_paper(tmp_path: Path) -> None:
    """Claims of two papers are not judged in one session; two folders of one paper are."""
    for name, title in (("a", "A"), ("b", "A"), ("c", "C")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "paper.json").write_text(json.dumps({**GOOD, "title": title}))
    assert common_publication([tmp_path / "a", tmp_path / "b", tmp_path / "a"]).title == "A"
    with pytest.raises(UsageError, match="a report is about one paper: got A and C"):
        common_publication([tmp_path / "a", tmp_path / "c"])


def paper_with_pages(folder: Path, text: str = "## DEV-01\n\nA fault.\n") -> Path:
    folder.mkdir(parents=True)
    (folder / "audit.md").write_text(text)
    named = {"audit": "audit.md", "glossary": "https://example.org/words"}
    (folder / "paper.json").write_text(json.dumps({**GOOD, **named}))
    return folder


def test_pages_are_read_beside_the_claims(tmp_path: Path) -> None:
    """A path is read, an address is passed on; what is not named is not there, and none is part of the paper."""
    folder = paper_with_pages(tmp_path / "mine")
    pages = pages_of(folder)
    assert pages["audit"].items["dev-01"].text == ("A fault.",)
    assert (pages["glossary"].url, pages["glossary"].items) == ("https://example.org/words", {})
    assert read_publication(folder).to_json() == {
        name: GOOD[name] for name in ("title", "authors", "venue", "year", "url")
    }
    (folder / "paper.json").write_text(json.dumps(GOOD))
    assert pages_of(folder) == {}


@pytest.mark.parametrize(("text", "message"), [(None, "cannot be read"), ("# No items\n", "explains nothing")])
def test_a_page_that_says_nothing_is_an_error(tmp_path: Path, text: str | None, message: str) -> None:
    """Before any run: one error with the page's name, not a report with links that lead nowhere."""
    folder = paper_with_pages(tmp_path / "mine", text or "")
    if text is None:
        (folder / "audit.md").unlink()
    with pytest.raises(UsageError, match=message) as caught:
        pages_of(folder)
    assert "audit.md" in str(caught.value)


def test_pages_of_recorded_results_are_those_of_their_own_paper(tmp_path: Path) -> None:
    """Evidence finds its pages where its claims are here; not another paper's, a broken one's, or some outside."""
    folder = paper_with_pages(tmp_path / "mine")
    same = read_publication(folder).to_json()
    assert list(pages_here("mine", same, [tmp_path / "nowhere", tmp_path])) == ["audit", "glossary"]
    assert pages_here("mine", {**same, "title": "Another"}, [tmp_path]) == {}
    assert pages_here("theirs", same, [tmp_path]) == {}
    for outside in ("../mine", str(folder), ""):
        assert pages_here(outside, same, [tmp_path / "nowhere", folder]) == {}
    (folder / "audit.md").unlink()
    assert pages_here("mine", same, [tmp_path]) == {}
