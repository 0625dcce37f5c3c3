"""Editions of the rule: from effects and statements to verdicts, as it was when a verdict was first told.

A file of evidence names the edition that it was judged under, and is judged under that for ever. So an edition is
never edited. A new one is made by copying what changes:

1. The functions of the old edition stay where they are, under their names, and with them all that they call:
   `judge_components`, `judge`, `decide_mean`, `decide_set`, the bounds of `intervals`, `Predicate`, `holm`,
   `judge_composite` and `stand_together` are edition 1; `judge_parts`, `judge_trend`, `Trend`, `judge_whole` and
   `stand_twice` are edition 2.
2. What the new rule does otherwise is written beside them under a name of its own, calling the old functions where it
   agrees with them.
3. The new edition gets a row in `EDITIONS` and becomes `TODAY`.

`dtclaims/tests/harness/evidence/test_frozen.py` holds edition 1 to every verdict of the published evidence, with its
effect, interval and p to the last digit: an edit that moves one of them is an edit of the old rule.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.components import CombinedVerdict, judge_components
from dtclaims.harness.stats.composites import Composite, Headline, Said, judge_composite, stand_together
from dtclaims.harness.stats.parts import judge_parts
from dtclaims.harness.stats.predicates import Predicate
from dtclaims.harness.stats.standing import Key, Standing, stand_twice
from dtclaims.harness.stats.trends import Trend
from dtclaims.harness.stats.whole import judge_whole


class JudgesComponents(Protocol):
    """Judges a claim by its own effects."""

    def __call__(
        self,
        effects: Mapping[str, Mapping[int, float]],
        statements: Mapping[str, Any],
        /,
        *,
        any_of: Iterable[frozenset[str]] = (),
        deciding: frozenset[str] | None = None,
        alpha: float = 0.05,
        looks: int = 1,
        level: float | None = None,
    ) -> CombinedVerdict:
        """As `judge_parts`; the statements are of the edition's own kind."""


class JudgesComposites(Protocol):
    """Judges a claim by its parts."""

    def __call__(
        self,
        parts: Mapping[str, Said],
        *,
        own: Said | None = None,
        left_out: Sequence[str] = (),
        alpha: float = 0.05,
    ) -> Composite:
        """As `judge_whole`."""


@dataclass(frozen=True)
class Edition:
    """One version of the rule, whole."""

    version: str
    statement: Callable[[Mapping[str, object]], Any]
    """Reads what is declared of an effect, written as plain data: a `Predicate` under edition 1, then a `Trend`."""
    components: JudgesComponents
    composite: JudgesComposites
    headlines: Callable[[Iterable[Headline], float], dict[Key, Standing]]
    """Which reproduced headline claims stand when all of them share alpha."""


def _components_1(
    effects: Mapping[str, Mapping[int, float]],
    statements: Mapping[str, Predicate],
    /,
    *,
    any_of: Iterable[frozenset[str]] = (),
    deciding: frozenset[str] | None = None,
    alpha: float = 0.05,
    looks: int = 1,
    level: float | None = None,
) -> CombinedVerdict:
    if deciding is not None or level is not None:
        raise StatisticsError(
            "edition 1 of the rule knows no primary parts and no declared looks",
            given=f"deciding={deciding}, level={level}",
            expected="None",
        )
    return judge_components(effects, statements, any_of=any_of, alpha=alpha, looks=looks)


def _composite_1(
    parts: Mapping[str, Said], *, own: Said | None = None, left_out: Sequence[str] = (), alpha: float = 0.05
) -> Composite:
    return judge_composite(parts, own=own, left_out=left_out)


def _headlines_1(headlines: Iterable[Headline], alpha: float) -> dict[Key, Standing]:
    judged = [one for one in headlines if one.outcome not in ("not_run", "error")]
    columns = [one.column for one in judged]
    return {
        key: Standing(stands, None, columns.count((key[1], key[2])), None)
        for key, stands in stand_together(judged, alpha).items()
    }


EDITION_1 = Edition("1", Predicate.from_json, _components_1, _composite_1, _headlines_1)
EDITION_2 = Edition("2", Trend.from_json, judge_parts, judge_whole, stand_twice)

EDITIONS: Mapping[str, Edition] = {edition.version: edition for edition in (EDITION_1, EDITION_2)}

TODAY = EDITIONS["2"]
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
