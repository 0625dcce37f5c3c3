"""The report as people meet it: pictures at every width in every scheme, contrast, names, and where links land."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from dtclaims.harness.report import Difference, Since, render
from dtclaims.lab.figures import paper_values
from dtclaims.tests.support import report_example, screens, seen

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra `test`)")
pytestmark = pytest.mark.skipif(screens.chromium() is None, reason="no browser: no Chromium is on the PATH")

PAGES = {
    "audit": {"items": {"dev-01": {"name": "DEV-01", "text": ["The head is `tied`.", "Set `head`."]}}},
    "glossary": {
        "items": {
            name.lower(): {"name": name, "text": [f"What {name.lower()} means."]}
            for name in ("Headline", "Holm", "Provisional", "Scale", "Seed", "Size", "Provenance")
        }
    },
}
SINCE = Since(
    "expected.json", (Difference("ABS-no-context", "published", "mini", "inconclusive", "refuted", ("other seeds",)),)
)

LANDED = """() => {
    const target = document.querySelector(":target"), bar = document.querySelector("nav").getBoundingClientRect();
    const name = target.querySelector("h4, h5") || target;
    const { top, bottom } = name.getBoundingClientRect();
    return { text: name.textContent, below: top >= bar.bottom - 1, above: bottom <= innerHeight };
}"""
"""What a link led to: its name, and whether that is in view below the bar that stays at the top."""


@pytest.fixture(scope="module")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with the paper's figures, recorded verdicts and the pages that explain its words."""
    folder = tmp_path_factory.mktemp("seen")
    figures, tables = paper_values.complete({"own": report_example.figure()}, {})
    document = report_example.document(figures=figures, tables=tables, pages=PAGES, regime=report_example.REGIME)
    return render(document, folder, ["html"], since=SINCE)["html"]


def test_pictures_are_kept(page_path: Path) -> None:
    """Page, matrix, card and figures, at both widths, in both schemes, in each browser; light and dark differ."""
    card = "[id='claim-S5.1-cka-random-higher-gpt2']"
    shots = [
        screens.Shot("report", str(page_path)),
        screens.Shot("matrix", str(page_path), "#verdicts"),
        screens.Shot("card", str(page_path), card),
        screens.Shot("figures", str(page_path), "#figures"),
    ]
    taken = screens.shoot(shots)
    whole = 1 if screens.firefox() else 0
    assert len(taken) == (len(shots) + whole) * len(screens.WIDTHS) * len(screens.SCHEMES)
    for path in taken:
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert path.stat().st_size > 5_000
    light, dark = (path.read_bytes() for path in taken if path.name.startswith("card-phone"))
    assert light != dark


def test_an_element_that_is_not_there_is_named(page_path: Path, tmp_path: Path) -> None:
    """A selector that finds nothing is an error, not a picture of something else."""
    with pytest.raises(RuntimeError, match="missing: no element '#nowhere'"):
        screens.shoot([screens.Shot("missing", str(page_path), "#nowhere")], tmp_path, widths=["phone"])


def test_every_text_has_contrast(page: Any) -> None:
    """Each visible text has the contrast that WCAG AA asks for, with what is behind it on the screen."""
    page.evaluate("for (const node of document.querySelectorAll('details')) node.open = true")
    texts, faint = seen.too_faint(page)
    assert texts > 300
    assert faint == []


def test_faint_text_is_found(page: Any) -> None:
    """What the contrast test looks for is there to be found: grey on grey, in HTML and in a drawing."""
    page.evaluate("""() => {
        const text = document.querySelector("h1");
        text.style = "color: #777; background: #888";
        document.querySelector("svg text").style = "fill: rgb(128 128 128 / 10%)";
    }""")
    assert {line.partition(".")[0] for line in seen.too_faint(page)[1]} == {"h1", "text"}


def test_everything_that_can_be_reached_has_a_name(page: Any) -> None:
    """Links, filters, drawings and folds are told apart by ear; headings leave no level out."""
    reached, without = seen.nameless(page)
    assert reached > 50
    assert without == []
    levels = seen.headings(page)
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_what_has_no_name_is_found(page: Any) -> None:
    """A link without text is noticed."""
    page.evaluate("document.querySelector('.label').innerHTML = '<a href=\"#x\"></a>'")
    assert len(seen.nameless(page)[1]) == 1


def test_links_land_with_the_claims_name_in_view(page: Any) -> None:
    """Every verdict, claim, audit item and word of the report: below the bar, on a phone too."""
    links = page.locator(".matrix a, .chips a, a.term, #since a").evaluate_all(
        "nodes => [...new Set(nodes.map(node => node.getAttribute('href')))]"
    )
    assert {"#claim-ABS-no-context--published-mini", "#audit-dev-01", "#words-holm"} <= set(links)
    for link in links:
        page.evaluate("link => { location.hash = ''; scrollTo(0, 0); location.hash = link; }", link)
        page.wait_for_function("link => location.hash === link && document.querySelector(':target')", arg=link)
        landed = page.evaluate(LANDED)
        assert landed["below"], (link, landed)
        assert landed["above"], (link, landed)
        if link.startswith("#claim-") and "--" in link:
            id_, _, place = link.removeprefix("#claim-").partition("--")
            assert landed["text"].startswith(id_)
            assert landed["text"].lower().split(" · ")[1].startswith(place.partition("-")[0])


def test_a_phone_scrolls_one_way_only(page: Any) -> None:
    """Nothing is wider than the screen, whatever its width."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_marks_can_be_seen_on_a_phone(page: Any) -> None:
    """Each mark of a figure's points is at least 2.5 pixels across, ours filled, the paper's in its own grey."""
    page.evaluate("for (const node of document.querySelectorAll('details')) node.open = true")
    sizes = page.locator("svg.fig .specks[d]:not([d=''])").evaluate_all(
        "nodes => nodes.map(node => parseFloat(getComputedStyle(node).strokeWidth) * node.getScreenCTM().a)"
    )
    assert min(sizes) >= 2.5
    colours = page.evaluate("""() => ["ours", "theirs"].map((name) => getComputedStyle(
        document.querySelector(`svg.fig .${name}`)).getPropertyValue("--k"))""")
    assert len(set(colours)) == 2
