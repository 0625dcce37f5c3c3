"""Editions of the rule: from effects and predicates to verdicts, as it was when a verdict was first told.

A file of evidence names the edition that it was judged under, and is judged under that for ever. So an edition is
never edited. A new one is made by copying what changes:

1. The functions of the old edition stay where they are, under their names, and with them all that they call:
   `judge_components`, `judge`, `decide_mean`, `decide_set`, the bounds of `intervals`, `Predicate`, `holm`,
   `judge_composite` and `stand_together` are edition 1.
2. What the new rule does otherwise is written beside them under a name of its own, calling the old functions where it
   agrees with them.
3. The new edition gets a row in `EDITIONS` and becomes `TODAY`.

`dtclaims/tests/harness/evidence/test_frozen.py` holds edition 1 to every verdict of the published evidence, with its
effect, interval and p to the last digit: an edit that moves one of them is an edit of the old rule.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.components import CombinedVerdict, judge_components
from dtclaims.harness.stats.composites import Composite, Headline, Said, judge_composite, stand_together
from dtclaims.harness.stats.predicates import Predicate


class JudgesComponents(Protocol):
    """Judges a claim by its own effects."""

    def __call__(
        self,
        effects: Mapping[str, Mapping[int, float]],
        predicates: Mapping[str, Predicate] | Predicate,
        *,
        any_of: Iterable[frozenset[str]] = (),
        alpha: float = 0.05,
        looks: int = 1,
    ) -> CombinedVerdict:
        """As `judge_components`."""


class JudgesComposites(Protocol):
    """Judges a claim by its parts."""

    def __call__(
        self, parts: Mapping[str, Said], *, own: Said | None = None, left_out: Sequence[str] = ()
    ) -> Composite:
        """As `judge_composite`."""


@dataclass(frozen=True)
class Edition:
    """One version of the rule, whole."""

    version: str
    predicate: Callable[[Mapping[str, object]], Predicate]
    """Reads a predicate that was written as plain data."""
    components: JudgesComponents
    composite: JudgesComposites
    headlines: Callable[[Iterable[Headline], float], dict[tuple[str, str, str], bool]]
    """Which reproduced headline claims stand when all of them share alpha."""


EDITIONS: Mapping[str, Edition] = {
    edition.version: edition
    for edition in (Edition("1", Predicate.from_json, judge_components, judge_composite, stand_together),)
}

TODAY = EDITIONS["1"]
"""What claims are judged by from now on."""


def get_edition(version: str) -> Edition:
    """The rule of a version.

    Raises:
        StatisticsError: none that this dtclaims knows.
    """
    if version not in EDITIONS:
        raise StatisticsError(
            "verdicts under a rule that this dtclaims does not know",
            given=repr(version),
            expected=f"one of {', '.join(EDITIONS)}",
            remedy="They were made by a newer dtclaims: update this one.",
        )
    return EDITIONS[version]
