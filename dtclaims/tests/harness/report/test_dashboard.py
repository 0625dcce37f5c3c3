"""Behaviour of `dtclaims.harness.report.dashboard`: a page that shows verdicts over time to every reader."""

import itertools
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from dtclaims.errors import ReportError
from dtclaims.harness.report import dashboard, history, parse
from dtclaims.tests.support import report_example
from dtclaims.tests.support.pages import Page
from dtclaims.tests.support.report_strategies import HOSTILE


def lines(*verdicts: str, id_: str = "a", protocol: str = "published", **fields: Any) -> list[history.Line]:
    """One claim's lines: a verdict per commit, a day apart."""
    content = report_example.content()
    found: list[history.Line] = []
    for day, verdict in enumerate(verdicts, 1):
        content["provenance"]["created"] = f"2026-11-{day:02d}T12:00:00Z"
        content["claims"] = [report_example.claim(id_, protocol, verdict=verdict, **fields)]
        found += history.lines_of(parse(content), f"{day:03d}commit")
    return found


STORY = lines("not_run", "reproduced", "reproduced", "refuted")


def test_the_commit_that_changed_a_verdict_is_named() -> None:
    """Each change tells its commit, date, claim and both verdicts, newest first, and links where it can."""
    text = dashboard.render(STORY, "https://example.org/repo/")
    rows = re.findall("<tr><td>(?:(?!</tr>).)*→(?:(?!</tr>).)*</tr>", text)
    assert [re.sub("<[^>]+>", " ", row).split() for row in rows] == [
        ["004commit", "2026-11-04", "a", "published", "mini", "reproduced", "→", "refuted"],
        ["002commit", "2026-11-02", "a", "published", "mini", "not", "run", "→", "reproduced"],
    ]
    assert 'href="https://example.org/repo/commit/004commit"' in text
    assert "javascript" not in dashboard.render(STORY, "javascript:alert(1)")


def test_a_sparkline_has_a_mark_for_each_commit_that_judged() -> None:
    """Reproduced is above refuted, a commit without a verdict leaves a gap, and the title says it in words."""
    other = lines("reproduced", "reproduced", "reproduced", "reproduced", "inconclusive", id_="b")
    commits = [line.commit for line in other]
    svg = ElementTree.fromstring(dashboard.spark(dashboard.Track(STORY), commits))
    paths = {path.get("class"): path.get("d", "") for path in svg.iter("path")}
    assert {verdict: path.count("M") for verdict, path in paths.items()} == {
        "not_run": 1,
        "reproduced": 2,
        "refuted": 1,
    }
    height = {verdict: float(re.match(r"M\S+ ([\d.]+)", path)[1]) for verdict, path in paths.items()}  # type: ignore[index]
    assert height["reproduced"] < height["not_run"] < height["refuted"]
    assert svg[0].text == "reproduced 2 times, refuted 1 times, not run 1 times; now refuted"
    assert svg.get("viewBox") == f"0 0 {5 * dashboard.STEP} {dashboard.TALL}"


def test_the_verdict_that_holds_now_and_since_when() -> None:
    """A cell shows the latest verdict, and the commit that brought it."""
    track = dashboard.Track(STORY[:3])
    assert track.latest.verdict == "reproduced"
    assert track.since.commit == "002commit"
    page = Page(dashboard.render(STORY[:3]))
    assert re.search(r"reproduced.*since 002commit, 2026-11-02", re.sub(r"\s+", " ", page.text))


def test_every_protocol_and_scale_has_its_column() -> None:
    """Columns are told apart, and a claim never judged in one says so."""
    both = [*STORY, *lines("refuted", id_="b", protocol="corrected", scale="small")]
    text = re.sub(r"\s+", " ", Page(dashboard.render(both)).text)
    assert "Published, mini" in text
    assert "Corrected, small" in text
    assert text.count("never judged") == 2


def test_the_page_is_safe_and_readable_by_all() -> None:
    """Hostile text stays text; nothing is loaded; headings descend; tables, headers and drawings have names."""
    spoilt = [replace(line, id=HOSTILE, section=HOSTILE, commit=HOSTILE.split()[0], paper=HOSTILE) for line in STORY]
    text = dashboard.render(spoilt, "https://example.org")
    page = Page(text)
    assert len(list(page.all("script"))) == 1
    assert not list(page.all("link", "img", "iframe"))
    assert "\x1b" not in text
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert len(list(page.all("table"))) == len(list(page.all("caption"))) == 2
    assert all("scope" in tag for tag in page.all("th"))
    for tag in re.findall("<svg.*?>(?:<title>[^<]+</title>)?", text):
        assert 'aria-hidden="true"' in tag or ('role="img"' in tag and "<title>" in tag)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {(tag["href"] or "")[1:] for tag in page.all("a") if (tag["href"] or "").startswith("#")} <= set(ids)


def test_a_long_history_shows_its_newest_commits() -> None:
    """Marks do not grow without end."""
    verdicts = ["reproduced"] * (dashboard.LONGEST + 20)
    many = [replace(line, commit=f"c{index}") for index, line in enumerate(lines("reproduced") * len(verdicts))]
    svg = dashboard.spark(dashboard.Track(many), [line.commit for line in many])
    assert svg.count("M") == dashboard.LONGEST


def test_the_site_is_a_page_and_badges(tmp_path: Path) -> None:
    """The folder holds the page, and badges of the verdicts that hold now; no temporary file stays."""
    page = dashboard.write(STORY, tmp_path / "new" / "site")
    assert page.name == "index.html"
    assert sorted(path.name for path in page.parent.rglob("*")) == ["a.json", "badge.json", "badges", "index.html"]
    assert json.loads((page.parent / "badges" / "a.json").read_text())["message"] == "published refuted"
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="cannot make the folder of the dashboard"):
        dashboard.write(STORY, tmp_path / "file")


def test_an_empty_history_is_a_page() -> None:
    """Without verdicts the page says so."""
    assert "The histories hold no verdicts." in Page(dashboard.render([])).text
