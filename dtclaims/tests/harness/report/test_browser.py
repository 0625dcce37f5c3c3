"""The report and the dashboard as a real browser shows them: headless Chromium, driven by Playwright.

The browser is the system's: `DTCLAIMS_BROWSER`, or chromium, chromium-browser or google-chrome on the PATH. Screenshots
are kept in build/screenshots/.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dtclaims.harness.report import dashboard, history, parse, render
from dtclaims.lab.figures import paper_values
from dtclaims.tests.support import report_example, screens

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra `test`)")

pytestmark = pytest.mark.skipif(
    screens.chromium() is None, reason=f"no browser: none of {', '.join(screens.CHROMIUM)} is on the PATH"
)

PAGES = ("report", "dashboard")

OUTLINE = """() => {
    const node = document.activeElement;
    return getComputedStyle(node.matches("fieldset input") ? node.nextElementSibling : node).outlineStyle;
}"""
"""Of what has the focus; of a filter, whose button is invisible, the label shows it."""

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with the paper's figures, and the dashboard of three commits."""
    path = tmp_path_factory.mktemp("pages")
    figures, tables = paper_values.complete({"own": report_example.figure()}, {})
    render(report_example.document(figures=figures, tables=tables), path, ["html"])
    lines = []
    content = report_example.content()
    for day, verdict in ((1, "reproduced"), (2, "inconclusive"), (3, "refuted")):
        content["provenance"]["created"] = f"2026-11-0{day}T12:00:00Z"
        content["claims"][3]["verdict"] = verdict
        lines += history.lines_of(parse(content), f"{day:040x}")
    dashboard.write(lines, path, repository="https://example.org/repo")
    (path / "index.html").rename(path / "dashboard.html")
    return path


@pytest.fixture
def open_page(browser: Any, folder: Path) -> Iterator[Open]:
    """Opens a page in a window of its own; fails if the browser complained about it."""
    complaints: list[str] = []
    contexts = []

    def opened(name: str, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": options.pop("width", 1280), "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.append(request.url))
        page.goto((folder / f"{name}.html").as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def shown(page: Any, selector: str = "tr[data-claim]") -> list[str]:
    """The ids that are visible: of rows, or of what else is selected."""
    found: list[str] = page.locator(selector).evaluate_all(
        "nodes => nodes.filter(node => node.offsetParent).map(node => node.dataset.claim || node.id)"
    )
    return found


@pytest.mark.parametrize(("width", "scheme"), [("desktop", "light"), ("phone", "dark")])
@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_their_screen_without_complaint(name: str, width: str, scheme: str, open_page: Open) -> None:
    """No console message, no sideways scrolling, at a desk in light, on a phone in the dark; screenshots are kept."""
    page = open_page(name, width=screens.WIDTHS[width], color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= screens.WIDTHS[width]
    ground, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (sum(_channels(ground)) < sum(_channels(ink))) == (scheme == "dark")
    screens.SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    target = screens.SCREENSHOTS / f"{name}-{width}-{scheme}.png"
    page.screenshot(path=target, full_page=True)
    assert target.stat().st_size > 10_000


def _channels(colour: str) -> list[int]:
    return [int(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]


@pytest.mark.parametrize("name", PAGES)
def test_a_keyboard_is_enough(name: str, open_page: Open) -> None:
    """Tab reaches the skip link first, then every kind of control in reading order, each with a visible outline."""
    page = open_page(name)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#verdicts"
    kinds = []
    for _ in range(12):
        page.keyboard.press("Tab")
        kinds.append(page.evaluate("document.activeElement.tagName + (document.activeElement.type || '')"))
        assert page.evaluate(OUTLINE) != "none"
    controls = ["INPUTradio", "SELECTselect-one", "INPUTsearch", "A"]
    # What folds comes before the table in a report, below it in a dashboard.
    expected = [*controls, "SUMMARY"] if name == "dashboard" else ["SUMMARY", *controls]
    assert list(dict.fromkeys(kinds)) == expected


def test_arrow_keys_choose_a_filter(open_page: Open) -> None:
    """The verdict filter is a radio group: arrows move and choose."""
    page = open_page("report")
    page.locator("#show-all").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "show-headline"
    assert shown(page) == ["claim-ABS-no-context"]


def test_matrix_filters_by_verdict_section_protocol_and_text(open_page: Open) -> None:
    """Each filter narrows rows and cards alike, they combine, and the number of claims shown is announced."""
    page = open_page("report")
    told = page.locator("output")
    assert told.inner_text() == "7 of 7 claims shown"
    page.locator("label[for=show-refuted]").click()
    assert shown(page) == ["claim-ABS-no-context", "claim-S5.1-cka-random-higher-gpt2"]
    assert shown(page, "article.card[id^=claim]") == shown(page)
    page.get_by_role("combobox", name="Protocol").select_option("published")
    assert shown(page) == ["claim-ABS-no-context"]
    assert shown(page, "section.panel") == ["claim-ABS-no-context--published-mini"]
    assert told.inner_text() == "1 of 7 claims shown"
    page.locator("label[for=show-all]").click()
    page.get_by_role("combobox", name="Section").select_option("5.5")
    assert shown(page) == ["claim-S5.5-k1-gpt2-eq-k20", "claim-S5.5-k1-random-fails-hopper"]
    assert page.locator("#verdicts .group th").evaluate_all(
        "nodes => nodes.filter(node => node.offsetParent).map(node => node.textContent)"
    ) == ["Section 5.5"]
    page.get_by_role("searchbox", name="Find").fill("FAILS hopper")
    assert shown(page) == ["claim-S5.5-k1-random-fails-hopper"]
    page.get_by_role("searchbox", name="Find").fill("nowhere to be found")
    assert shown(page) == []


def test_a_link_to_what_is_filtered_out_brings_it_back(open_page: Open) -> None:
    """Following a composite to its part clears the filters that hide the part."""
    page = open_page("report")
    page.locator("label[for=show-headline]").click()
    page.get_by_role("link", name="S5.5-k1-gpt2-eq-k20").locator("visible=true").click()
    assert page.locator("#show-all").is_checked()
    assert len(shown(page)) == 7
    assert page.evaluate("document.querySelector(':target').getBoundingClientRect().top") >= 0


def test_the_dashboard_filters_too(open_page: Open) -> None:
    """The same controls work on the dashboard's tables, and one shows what changed."""
    page = open_page("dashboard")
    page.get_by_role("searchbox", name="Find").fill("igpt")
    assert shown(page) == ["1-claim-S4-igpt-worse-than-random"]
    page.get_by_role("combobox", name="Protocol").select_option("corrected")
    assert shown(page) == []
    page.get_by_role("combobox", name="Protocol").select_option("")
    page.get_by_role("searchbox", name="Find").fill("")
    page.locator("label[for=show-changed]").click()
    assert shown(page) == ["1-claim-S5.1-cka-random-higher-gpt2"]


@pytest.mark.parametrize("name", PAGES)
def test_without_scripts_everything_is_there(name: str, open_page: Open) -> None:
    """All claims are readable, controls that need the script are not shown, and the verdict filter still works."""
    page = open_page(name, java_script_enabled=False)
    rows = page.locator("tr[data-claim]")
    assert [row.is_visible() for row in rows.all()] == [True] * 7
    assert not page.locator(".finder").is_visible()
    page.locator("label[for=show-headline]").click()
    assert sum(row.is_visible() for row in rows.all()) == 1


def test_the_printed_report_has_no_controls(open_page: Open) -> None:
    """On paper the navigation and the filters are gone and the ground is white."""
    page = open_page("report", color_scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert not page.locator("fieldset").is_visible()
    assert not page.locator(".finder").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_figures_are_drawn(open_page: Open) -> None:
    """Every facet of figures 1 to 10 has ink, what is folded too."""
    page = open_page("report")
    page.evaluate("for (const node of document.querySelectorAll('details')) node.open = true")
    widths = page.locator("svg.fig g[transform]").evaluate_all("nodes => nodes.map(node => node.getBBox().width)")
    assert len(widths) > 22 + 3
    assert min(widths) > 20
