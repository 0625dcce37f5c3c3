"""Behaviour of `dtclaims.harness.judge.looks`: what a look costs, and what is said of it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dtclaims.harness.judge.entries import Entry, Statistics
from dtclaims.harness.judge.looks import CHOSEN
from dtclaims.harness.stats.trends import Trend, level_below
from dtclaims.harness.study import Study, cells_of
from dtclaims.tests.support.examples import fill_store
from dtclaims.tests.support.studies import CLAIMS, RETURNS, settings_of, study

NAME = "SAMPLE-fails"


def judged(tmp_path: Path, seeds: str, trend: Trend | None = None, **choices: str) -> Entry:
    """The entry of one claim on some seeds of one store, declared with a trend of today."""
    made = study(tmp_path, [NAME], seeds=seeds, protocol="published", **choices)
    fill_store(made.plan, made.store, RETURNS)
    claim = CLAIMS[NAME]
    assert claim.form is not None
    if trend is not None:
        claim = replace(claim, form=replace(claim.form, trends=dict.fromkeys(claim.form.trends, trend)))
    one = Study(cells_of([claim], made.settings), made.settings)
    return one.judge(one.cells[0])


def numbers(entry: Entry) -> Statistics:
    """The entry's statistics, which it has."""
    assert entry.statistics is not None
    return entry.statistics


@pytest.mark.parametrize("other", ["3,4,5,6,7", "2,3,4", "4,9,11"])
def test_any_overlapping_look_of_other_seeds_is_paid_for(tmp_path: Path, other: str) -> None:
    """Sets that grow, shrink or slide: each look shares seeds with the one before, so it is the second at them."""
    assert numbers(judged(tmp_path, "5")).looks == 1
    assert numbers(judged(tmp_path, other)).looks == 2
    assert numbers(judged(tmp_path, other)).looks == 2


def test_a_look_at_other_seeds_altogether_is_free(tmp_path: Path) -> None:
    """Two sets that share nothing are two experiments."""
    judged(tmp_path, "5")
    assert numbers(judged(tmp_path, "5,6,7,8,9")).looks == 1


def test_a_look_that_can_give_no_verdict_is_free(tmp_path: Path) -> None:
    """Fewer than three seeds: nothing is remembered and nothing is paid, before and after."""
    judged(tmp_path, "2")
    looks = tmp_path / "store" / "looks"
    assert not list(looks.iterdir())
    before = judged(tmp_path, "5")
    judged(tmp_path, "1,")
    assert numbers(before).looks == 1
    assert judged(tmp_path, "5").verdict == before.verdict
    assert numbers(judged(tmp_path, "5")).looks == 1


def test_small_looks_that_older_versions_kept_are_free(tmp_path: Path) -> None:
    """A file that remembers a look at one seed, as they did, changes nothing."""
    judged(tmp_path, "5")
    (path,) = (tmp_path / "store" / "looks").iterdir()
    content = json.loads(path.read_text())
    seeds = content["looks"][0]["seeds"]
    path.write_text(json.dumps({"cell": content["cell"], "looks": [{"0": seeds["0"]}, seeds]}))
    assert numbers(judged(tmp_path, "5")).looks == 1


def test_a_later_subset_changes_nothing_for_the_whole(tmp_path: Path) -> None:
    """The best five of eight: they are charged and say that they were chosen; the eight stay as they were."""
    whole = judged(tmp_path, "8")
    subset = judged(tmp_path, "1,3,4,5,7")
    assert numbers(subset).looks == 2
    assert subset.warnings == (CHOSEN,)
    assert (numbers(whole).looks, whole.warnings) == (1, ())
    again = judged(tmp_path, "8")
    assert (numbers(again).looks, again.warnings, again.verdict) == (1, (), whole.verdict)


def test_seeds_chosen_from_two_looks_are_chosen(tmp_path: Path) -> None:
    """Some of one look and some of another: all of them had been seen; together they are no choice."""
    judged(tmp_path, "0,1,2")
    judged(tmp_path, "3,4,5")
    assert judged(tmp_path, "0,1,4,5").warnings == (CHOSEN,)
    assert judged(tmp_path, "6").warnings == ()


def test_a_trend_that_changed_after_a_look_is_flagged(tmp_path: Path) -> None:
    """Declared otherwise when it was looked at: the warning names the day and both; better reasons are no change."""
    first, moved = (level_below(bound, why="A score below that is a failure.") for bound in (10.0, 20.0))
    assert judged(tmp_path, "5", first).warnings == ()
    assert judged(tmp_path, "5", replace(first, why="In other words.")).warnings == ()
    (path,) = (tmp_path / "store" / "looks").iterdir()
    date = json.loads(path.read_text())["looks"][0]["date"]
    said = f"declared otherwise at the look of {date[:10]}: < 10, now < 20"
    assert judged(tmp_path, "5", moved).warnings == (said,)
    assert judged(tmp_path, "8", moved).warnings == (said,)
    assert judged(tmp_path, "5", first).warnings == ()


def test_declared_looks_spend_their_shares(tmp_path: Path) -> None:
    """5, then 8: .035 and .015 of .05; the level stands with the verdict, and none does where nothing was declared."""
    assert numbers(judged(tmp_path, "5")).spent is None
    assert numbers(judged(tmp_path / "b", "5", looks="5,8")).spent == pytest.approx(0.035)
    assert numbers(judged(tmp_path / "b", "8", looks="5,8")).spent == pytest.approx(0.015)
    assert numbers(judged(tmp_path / "b", "8", looks="5,8")).level == pytest.approx(0.015)
    # The last look alone, without the first, has all of alpha.
    assert numbers(judged(tmp_path / "c", "8", looks="5,8")).spent == pytest.approx(0.05)


def test_a_damaged_look_is_its_claims_error(tmp_path: Path) -> None:
    """Nothing is judged as if it had never been looked at: the verdict is *error*, and names the file."""
    judged(tmp_path, "5")
    (path,) = (tmp_path / "store" / "looks").iterdir()
    path.write_text(path.read_text().replace('"date"', '"day"'))
    entry = judged(tmp_path, "8")
    assert entry.verdict == "error"
    assert path.name in entry.reason


def test_the_header_names_the_declared_looks() -> None:
    """Effective settings are shown, this one too."""
    assert "looks at 5 and 8" in settings_of({"looks": "5,8"}).header()
