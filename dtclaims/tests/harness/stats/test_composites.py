"""Edition 1: claims made of claims, and which headlines stand together."""

from hypothesis import given
from hypothesis import strategies as st

from dtclaims.harness.stats.composites import Headline, Said, Told, judge_composite, stand_together

OUTCOMES: tuple[Told, ...] = ("error", "refuted", "not_run", "inconclusive", "reproduced")
said = st.builds(
    Said,
    st.sampled_from(OUTCOMES),
    st.sampled_from(["", "a reason"]),
    st.booleans(),
    st.integers(0, 9),
    st.none() | st.floats(0, 1),
)
parts = st.dictionaries(st.sampled_from("abcd"), said, min_size=1)


@given(parts)
def test_the_worst_part_decides(parts: dict[str, Said]) -> None:
    """Error before refuted before not run before inconclusive; reproduced only if all are; named by who decides."""
    found = judge_composite(parts)
    outcomes = {part.outcome for part in parts.values()}
    assert found.outcome == next(outcome for outcome in OUTCOMES if outcome in outcomes)
    assert (found.outcome == "reproduced") == (outcomes == {"reproduced"})
    assert set(found.decided_by) == {name for name, part in parts.items() if part.outcome == found.outcome}


@given(parts)
def test_the_largest_p_counts(parts: dict[str, Said]) -> None:
    """All parts have to hold, so the claim's p is the largest; without one of them there is none."""
    values = [part.p_value for part in parts.values()]
    found = judge_composite(parts).p_value
    assert found == (None if None in values else max(p for p in values if p is not None))


@given(parts, said)
def test_an_own_effect_is_one_more_part(parts: dict[str, Said], own: Said) -> None:
    """Its verdict counts as a part's does, and its reason is told."""
    found = judge_composite(parts, own=own)
    assert found.outcome == judge_composite({"its own effect": own, **parts}).outcome
    assert (f"own effect: {own.reason}" in found.reason) == bool(own.reason)


def test_the_fewest_seeds_of_what_was_judged_count() -> None:
    """Parts that were not run have no seeds to count; with nothing judged there are none."""
    lost = Said("not_run")
    assert judge_composite({"a": Said("reproduced", n=5), "b": Said("inconclusive", n=3), "c": lost}).n == 3
    assert judge_composite({"c": lost}).n == 0


def test_parts_that_cannot_be_tested_are_named() -> None:
    """They have no say."""
    found = judge_composite({"a": Said("reproduced", n=5)}, left_out=["b", "c"])
    assert found.outcome == "reproduced"
    assert found.reason == "every part is reproduced; left out, as this protocol cannot test it: b, c"


def test_headlines_stand_together_by_column() -> None:
    """Holm's walk over the judged headline claims of one protocol at one scale; what was not run is not asked."""
    one, other = ("published", "mini"), ("corrected", "mini")
    headlines = [
        Headline("a", one, "reproduced", 0.03),
        Headline("b", one, "inconclusive", 0.4),
        Headline("c", one, "not_run", None),
        Headline("a", other, "reproduced", 0.03),
    ]
    assert stand_together(headlines, 0.05) == {("a", *one): False, ("a", *other): True}
