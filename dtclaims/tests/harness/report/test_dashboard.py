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
from dtclaims.harness.report import dashboard, history, over_time, parse
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


def words(text: str) -> str:
    """The visible text of a page, white space as one space."""
    return re.sub(r"\s+", " ", Page(text).text)


def test_the_commit_that_changed_a_verdict_is_named() -> None:
    """Each change tells its commit, date, claim and both verdicts, newest first, and links where it can."""
    text = dashboard.render(STORY, "https://example.org/repo/")
    news = re.search('<ol class="news">.*?</ol>', text, re.DOTALL)
    assert news is not None
    assert re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", news[0])).strip() == (
        "2026-11-04 , 004commit , mini : 1 verdict changed. a (published): reproduced → refuted "
        "2026-11-02 , 002commit , mini : 1 verdict changed. a (published): not run → reproduced"
    )
    assert 'href="https://example.org/repo/commit/004commit"' in text
    assert "javascript" not in dashboard.render(STORY, "javascript:alert(1)")


def measured(*means: float, **fields: Any) -> list[history.Line]:
    """One claim's lines: an effect per commit, a day apart; the interval reaches one to either side."""
    found = []
    for day, mean in enumerate(means, 1):
        (line,) = lines(
            "inconclusive", effect=report_example.effect(mean, mean - 1, mean + 1, [mean] * 5, "steps", "e")
        )
        found.append(replace(line, commit=f"{day:03d}commit", created=f"2026-11-{day:02d}T12:00:00Z", **fields))
    return found


def test_a_drawing_shows_each_effect_with_its_interval() -> None:
    """A larger effect stands higher, an interval spans its ends, and the name gives numbers and dates."""
    story = measured(3.0, 5.0, 1.0)
    svg = ElementTree.fromstring(over_time.chart(story, [line.commit for line in story]))
    (bars,) = (path.get("d", "") for path in svg.iter("path") if path.get("class") == "when inconclusive")
    ends = [(float(low), float(high)) for low, high in re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", bars)]
    middles = [float(y) for y in re.findall(r"M[\d.]+ ([\d.]+)m-3", bars)]
    assert middles[1] < middles[0] < middles[2]
    assert all(low > middle > high for (low, high), middle in zip(ends, middles, strict=True))
    assert svg[0].text == (
        "inconclusive 3 times; now inconclusive. "
        "Effect: 2026-11-01 3.0 [2.0, 4.0]; 2026-11-02 5.0 [4.0, 6.0]; 2026-11-03 1.0 [0.0, 2.0]"
    )
    assert [text.text for text in svg.iter("text")][-1] == "2026-11-01"


def test_effects_of_another_measure_are_not_drawn_on_its_axis() -> None:
    """What a verdict came from may change: earlier effects of something else are left out, and counted in words."""
    story = [*measured(3.0, 5.0, of="arm b"), *[replace(one, commit="003commit") for one in measured(900.0)]]
    assert [line.mean for line in over_time.alike(story)] == [900.0]
    assert "2 earlier effects of another measure not drawn" in words(dashboard.render(story))


def test_a_drawing_has_a_mark_for_each_commit_that_judged() -> None:
    """Reproduced is above refuted, a commit without a verdict leaves a gap, and the title says it in words."""
    other = lines("reproduced", "reproduced", "reproduced", "reproduced", "inconclusive", id_="b")
    commits = [line.commit for line in other]
    svg = ElementTree.fromstring(over_time.chart(STORY, commits))
    paths = {str(path.get("class")).removeprefix("mark "): path.get("d", "") for path in svg.iter("path")}
    assert {verdict: path.count("M") for verdict, path in paths.items()} == {
        "not_run": 1,
        "reproduced": 2,
        "refuted": 1,
    }
    height = {verdict: float(re.match(r"M\S+ 0m\S+ ([\d.]+)", path)[1]) for verdict, path in paths.items()}  # type: ignore[index]
    assert height["reproduced"] < height["not_run"] < height["refuted"]
    assert svg[0].text == "reproduced 2 times, refuted 1 time, not run 1 time; now refuted"


def test_the_verdict_that_holds_now_and_since_when() -> None:
    """A cell shows the latest verdict, the claim's sentence, its seeds, and the commit that brought the verdict."""
    story = measured(3.0, 5.0, quote="Steps are saved.", why="includes the bound")
    assert dashboard.since([*story, *STORY[:3]]).verdict == "reproduced"
    assert dashboard.since(STORY[:3]).commit == "002commit"
    text = words(dashboard.render(story))
    assert "“Steps are saved.”" in text
    assert "inconclusive includes the bound (steps); claimed: " in text
    assert "seeds 0–4; inconclusive since 001commit, 2026-11-01; latest 002commit, 2026-11-02" in text
    assert "2 entries 2026-11-02 002commit inconclusive 5.0 [4.0, 6.0] steps, seeds 0–4 2026-11-01 001commit" in text


def test_scales_and_settings_stand_apart_with_what_they_are_evidence_of() -> None:
    """Each has its own table, tally and label; a change between them is none; small scales come first."""
    small = [replace(line, scale="small", rank=1, label="small: at reduced size") for line in STORY[:1]]
    mini = [replace(line, label="mini: not a verdict on the paper") for line in STORY[1:2]]
    other = [replace(line, setting="simulator old", commit="c3") for line in lines("refuted", protocol="corrected")]
    text = dashboard.render([*small, *mini, *other])
    assert re.findall("<h3>(.*)</h3>", text) == ["mini", "mini, simulator old", "small"]
    assert words(text).index("mini: not a verdict on the paper") < words(text).index("small: at reduced size")
    assert "No verdict has changed." in words(text)
    assert re.findall("(Published|Corrected) protocol", words(text)) == ["Published", "Corrected", "Published"]


def test_a_claim_never_judged_in_a_column_says_so() -> None:
    """Columns are told apart, and an empty cell is not left to be guessed."""
    both = [*STORY, *lines("refuted", id_="b", protocol="corrected")]
    assert words(dashboard.render(both)).count("never judged") == 2


def test_changed_claims_can_be_filtered() -> None:
    """Rows of a claim whose verdict changed are marked, others are not."""
    page = Page(dashboard.render([*STORY, *lines("reproduced", "reproduced", id_="b")]))
    marked = {
        row["data-claim"]: "changed" in str(row["class"]).split() for row in page.all("tr") if "data-claim" in row
    }
    assert marked == {"1-claim-a": True, "1-claim-b": False}


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
    """Marks and lists do not grow without end, and the list says so."""
    verdicts = ["reproduced"] * (over_time.LONGEST + 20)
    many = [replace(line, commit=f"c{index}") for index, line in enumerate(lines("reproduced") * len(verdicts))]
    svg = over_time.chart(many, [line.commit for line in many])
    assert svg.count("M") == over_time.LONGEST
    text = dashboard.render(many)
    assert f"{len(many)} entries, the newest {dashboard.LISTED}" in words(text)
    assert text.count('<ol class="history">') == 1
    assert len(re.findall("<li>2026", text)) == dashboard.LISTED


def test_the_site_is_a_page_the_changes_and_badges(tmp_path: Path) -> None:
    """The folder holds the page, the newest changes, and badges of what holds now; no temporary file stays."""
    page = dashboard.write(STORY, tmp_path / "new" / "site")
    assert page.name == "index.html"
    names = ["a.json", "badge.json", "badges", "changes.md", "index.html"]
    assert sorted(path.name for path in page.parent.rglob("*")) == names
    assert json.loads((page.parent / "badges" / "a.json").read_text())["message"] == "published refuted"
    assert "- `a` (published): reproduced → **refuted**" in (page.parent / "changes.md").read_text(encoding="utf-8")
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="cannot make the folder of the dashboard"):
        dashboard.write(STORY, tmp_path / "file")


def test_every_entry_links_to_its_report(tmp_path: Path) -> None:
    """The page kept beside the history is copied and linked, at the verdict; one that is gone is no dead link."""
    old = tmp_path / "old" / "history.jsonl"
    content = report_example.content()
    history.add(parse(content), old, "aaa")
    content["provenance"]["created"] = "2026-11-24T00:00:00Z"
    history.add(parse(content), old, "bbb")
    found = history.read(old)
    gone, kept = found[0].report, found[-1].report
    (old.parent / gone).unlink()
    page = dashboard.write(found, tmp_path / "site", beside=[old.parent])
    assert [path.name for path in (page.parent / "reports").iterdir()] == [Path(kept).name]
    links = {str(tag["href"]) for tag in Page(page.read_text(encoding="utf-8")).all("a")}
    assert {kept, f"{kept}#{found[-1].anchor}"} <= links
    assert not any(link.startswith(gone) for link in links)
    assert f'id="{found[-1].anchor}"' in (page.parent / kept).read_text(encoding="utf-8")
    assert "not kept" in words(page.read_text(encoding="utf-8"))


def test_the_summary_of_a_job_says_what_the_newest_commit_changed() -> None:
    """Per scale: how many verdicts, of which commit and date, and each change; hostile text marks nothing up."""
    told = dashboard.changes_page(STORY)
    assert "1 verdict at `004commit`, 2026-11-04; 1 verdict changed." in told
    assert "not run" not in told
    spoilt = dashboard.changes_page([replace(line, id=f"`{HOSTILE}`", label=HOSTILE) for line in STORY])
    assert "<script" not in re.sub("`[^`]*`", "", spoilt)
    assert "hold no verdicts" in dashboard.changes_page([])


def test_an_empty_history_is_a_page() -> None:
    """Without verdicts the page says so."""
    assert "The histories hold no verdicts." in Page(dashboard.render([])).text
