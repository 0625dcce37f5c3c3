"""The dashboard over five entries as people meet it: pictures, contrast, names, keyboard, phone, no scripts, links."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from dtclaims.harness.report import dashboard, history, parse
from dtclaims.tests.support import report_example, screens, seen

pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra `test`)")
pytestmark = pytest.mark.skipif(screens.chromium() is None, reason="no browser: no Chromium is on the PATH")

ENTRIES = (
    ("mini", {}, "reproduced", 0.05),
    ("small", {}, "reproduced", 0.09),
    ("mini", {}, "refuted", -0.04),
    ("mini", {"simulator": "gym-v2"}, "refuted", -0.02),
    ("mini", {}, "reproduced", 0.03),
)
"""Scale, options, and what becomes of one claim."""


@pytest.fixture(scope="module")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of five entries at two scales and in two settings, each with its report."""
    folder = tmp_path_factory.mktemp("dashboard")
    for day, (scale, options, verdict, mean) in enumerate(ENTRIES, 1):
        content = report_example.content()
        content["provenance"] |= {"created": f"2026-11-{day:02d}T12:00:00Z", "scale": scale, "options": options}
        content["provenance"]["label"] = f"{scale}: not a verdict on the paper"
        content["claims"] = [one | {"scale": scale} for one in content["claims"]]
        changed = report_example.effect(mean, mean - 0.02, mean + 0.02, [mean] * 3, "", "mean CKA")
        lies = "above" if mean > 0 else "below"
        reason = f"the 90% interval [{mean - 0.02:.3g}, {mean + 0.02:.3g}] lies {lies} 0"
        content["claims"][3] |= {"verdict": verdict, "effect": changed, "reason": reason}
        history.add(parse(content), folder / "history.jsonl", f"{day:040x}")
    lines = history.read(folder / "history.jsonl")
    return dashboard.write(lines, folder / "site", repository="https://example.org/repo", beside=[folder])


def test_pictures_are_kept(page_path: Path) -> None:
    """The page and a claim over time, at both widths and in both schemes."""
    drawn = "[id='1-claim-S5.1-cka-random-higher-gpt2'] + tr"
    taken = screens.shoot([screens.Shot("dashboard", str(page_path)), screens.Shot("over-time", str(page_path), drawn)])
    assert len(taken) >= 2 * len(screens.WIDTHS) * len(screens.SCHEMES)
    assert all(path.stat().st_size > 5_000 for path in taken)


def test_nothing_is_too_faint_nameless_or_out_of_order(page: Any) -> None:
    """Texts have at least WCAG AA's contrast, all that a screen reader reaches has a name, headings skip no level."""
    page.locator("details").evaluate_all("nodes => nodes.forEach(node => node.open = true)")
    texts, faint = seen.too_faint(page)
    assert texts > 300
    assert faint == []
    reached, without = seen.nameless(page)
    assert reached > 100
    assert without == []
    levels = seen.headings(page)
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_it_fits_a_phone_with_all_entries_open(page: Any) -> None:
    """Nothing is scrolled sideways but the table of entries, which a keyboard can scroll."""
    page.locator("details").evaluate_all("nodes => nodes.forEach(node => node.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator(".scroll").get_attribute("tabindex") == "0"
    assert page.evaluate("Math.min(...[...document.querySelectorAll('.time')].map(n => n.clientWidth))") > 250


def test_a_keyboard_opens_the_entries_of_a_claim(page: Any) -> None:
    """Enter on the number of entries shows dates, commits, effects, seeds and links."""
    summary = page.locator("#world-1 details summary").nth(3)
    summary.focus()
    page.keyboard.press("Enter")
    assert summary.locator("xpath=..").get_attribute("open") is not None
    shown = summary.locator("xpath=../ol").inner_text()
    assert "2026-11-05" in shown
    assert "seeds 0–2" in shown


def test_each_scale_and_setting_says_what_it_is(page: Any) -> None:
    """Three tables, each under its own label; the change of the claim is told within one of them only."""
    assert page.locator("#verdicts h3").all_inner_texts() == ["mini", "mini, simulator gym-v2", "small"]
    assert page.locator("#verdicts .label").all_inner_texts()[0] == "mini: not a verdict on the paper"
    assert page.locator(".news > li").count() == 2


def test_a_link_leads_to_the_verdict_in_the_report_of_its_entry(page: Any) -> None:
    """From a file, without a server: the report of that commit, at that claim."""
    page.get_by_role("link", name="report of 2026-11-05, 0000000000: S5.1-cka-random-higher-gpt2").first.click()
    page.wait_for_load_state()
    assert page.url.startswith("file://")
    assert page.evaluate("document.querySelector(':target').textContent.includes('reproduced')")


def test_without_scripts_entries_open_and_changes_can_be_filtered(browser: Any, page_path: Path) -> None:
    """Everything is readable, and what needs no script works."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_path.as_uri())
    rows = page.locator("tr[data-claim]")
    whole = sum(row.is_visible() for row in rows.all())
    assert whole == 7 * 3
    page.locator("label[for=show-changed]").click()
    assert 0 < sum(row.is_visible() for row in rows.all()) < whole
    entries = page.locator("#world-1 tr[data-claim]:visible details").first
    entries.locator("summary").click()
    assert entries.locator("ol").is_visible()
    context.close()
