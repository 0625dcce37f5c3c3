"""Behaviour of `dtclaims.harness.judge.words`: every verdict has its words, and a lab's words are only text."""

from typing import get_args

from dtclaims.harness.judge.words import STATUSES, VERDICTS, Words, option, word
from dtclaims.harness.report.badge import COLOURS
from dtclaims.harness.report.over_time import MARKS
from dtclaims.harness.stats import Outcome


def test_every_verdict_has_words_a_colour_and_a_mark() -> None:
    """The outcomes of the statistics, that nothing was run or could be asked; letters and symbols tell them apart."""
    assert set(STATUSES) == {*get_args(Outcome), "not_run", "not_evaluable"}
    assert set(COLOURS) == set(MARKS) == set(STATUSES)
    assert len({said.letter for said in VERDICTS.values()}) == len({said.symbol for said in VERDICTS.values()}) == 6
    assert (word("not_run"), option("not_run")) == ("not run", "not-run")


def test_a_condition_is_written_in_the_labs_words() -> None:
    """Text speaks for itself, a number is named; what has no value is left out; a pattern reaches no attribute."""
    condition = {"method": "lasso", "size": 3, "task": None, "arm": ""}
    assert Words().condition(condition) == ["lasso", "size=3"]
    assert Words(values={"size": "n = {}", "method": "{0.__class__}"}).condition(condition) == [
        "{0.__class__}",
        "n = 3",
    ]
