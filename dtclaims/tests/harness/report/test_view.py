"""Behaviour of `dtclaims.harness.report.view`: what stands where in every rendering."""

from dtclaims.harness.judge.document import Document
from dtclaims.harness.judge.entries import Entry
from dtclaims.harness.report import view
from dtclaims.tests.support.report_example import CHECK, claim, document, effect

SCALES = ("mini", "small", "paper")


def report(*claims: dict[str, object]) -> Document:
    """A report of some claims."""
    return document(claims=list(claims))


def groups(*claims: dict[str, object]) -> list[view.Group[Entry]]:
    """Their groups."""
    return view.groups(report(*claims).claims, SCALES)


def judged(id_: str, protocol: str, verdict: str, **fields: object) -> dict[str, object]:
    """A judged claim."""
    return claim(id_, protocol, verdict=verdict, n=5, effect=effect(1, 0, 2, [1] * 5, "", ""), **fields)


def test_headlines_come_first_and_sections_in_order_of_appearance() -> None:
    """Headline claims form the first group, the rest follow by section as the report lists them."""
    found = groups(claim("b", section="5.2"), claim("a", section="4"), claim("c", headline=True))
    assert [(group.name, [card.id for card in group.cards]) for group in found] == [
        ("Headline claims", ["c"]),
        ("Section 5.2", ["b"]),
        ("Section 4", ["a"]),
    ]


def test_one_card_per_claim_with_panels_in_column_order() -> None:
    """Entries of one id meet in one card, small scales first and published before corrected."""
    entries = [claim("a", "corrected", scale="small"), claim("b"), claim("a", "corrected"), claim("a")]
    (group,) = groups(*entries)
    assert [card.id for card in group.cards] == ["a", "b"]
    assert [panel.column for panel in group.cards[0].panels] == [
        ("mini", "published"),
        ("mini", "corrected"),
        ("small", "corrected"),
    ]
    assert group.cards[0].at(("small", "published")) is None
    assert view.columns(report(*entries).claims, SCALES) == [
        ("mini", "published"),
        ("mini", "corrected"),
        ("small", "corrected"),
    ]


def test_protocols_differ_only_where_both_decided_at_one_scale() -> None:
    """A claim not run, or judged at another scale, contradicts nothing."""

    def differs(*entries: dict[str, object]) -> bool:
        ((card,),) = [group.cards for group in groups(*entries)]
        return card.differs

    assert differs(judged("a", "published", "reproduced"), judged("a", "corrected", "inconclusive"))
    assert not differs(judged("a", "published", "reproduced"), judged("a", "corrected", "reproduced"))
    assert not differs(judged("a", "published", "reproduced"), claim("a", "corrected"))
    assert not differs(judged("a", "published", "reproduced"), judged("a", "published", "refuted", scale="small"))


def test_marks_of_a_group_are_those_of_its_cards() -> None:
    """A heading is shown exactly when one of its cards is."""
    found = groups(judged("a", "published", "reproduced"), judged("b", "published", "refuted"))
    assert found[0].marks == {"has-reproduced", "has-refuted"}
    assert found[0].cards[1].marks == {"has-refuted"}


def test_anchors_are_unique_and_keep_ordinary_ids() -> None:
    """Ids that differ only in signs get different anchors; no card can take the anchor of a panel."""
    ids = ["S5.1-cka-low", "a b", "a|b", "<>", "..", "a--published-mini", "a"]
    cards = [card for group in groups(*(claim(id_) for id_ in ids)) for card in group.cards]
    anchors = [card.anchor for card in cards] + [panel.anchor for card in cards for panel in card.panels]
    assert len(set(anchors)) == 2 * len(ids)
    assert anchors[0] == "claim-S5.1-cka-low"


def test_counts_add_up_to_the_entries_of_a_column() -> None:
    """Every entry is counted once, in its own column, and absent verdicts are zero."""
    example = document()
    assert view.counts(example.claims, ("mini", "corrected")) == {
        "reproduced": 0,
        "refuted": 1,
        "inconclusive": 0,
        "not_evaluable": 0,
        "not_run": 1,
        "error": 1,
    }
    total = sum(sum(view.counts(example.claims, column).values()) for column in view.columns(example.claims, SCALES))
    assert total == len(example.claims)


def test_holm_counts_only_those_that_were_asked() -> None:
    """Claims outside the headline family say nothing about Holm."""
    column = ("mini", "published")
    both = {"headline": True, "verdict": "reproduced"}
    entries = [claim("a", holm=True, **both), claim("b", holm=False, **both)]
    found = view.holm(report(*entries, judged("c", "published", "refuted")).claims, column, 0.05)
    assert found is not None
    assert found.told == "after Holm over the 2 headlines judged here, 1 of 2 reproduced stand"
    assert view.holm(report(judged("c", "published", "refuted", holm=None)).claims, column, 0.05) is None


def test_holm_is_told_twice_with_the_seeds_that_it_takes() -> None:
    """Fifty headlines of which one is not run: a family of 49 needs ten seeds to stand without assumptions."""
    some = {"headline": True, "verdict": "reproduced", "holm": True}
    entries = [claim(f"c{index}", holm_free=index < 3, **some) for index in range(49)]
    document_ = report(*entries, claim("not run", headline=True))
    found = view.matrix(document_)
    column = ("mini", "published")
    stands = found.holm[column]
    assert stands is not None
    assert stands.told == (
        "after Holm over the 49 headlines judged here, 49 of 49 reproduced stand if seeds are normal, "
        "3 without assumptions (n ≥ 10 could)"
    )
    assert found.needed[column] == 10


def test_sizes_and_checks_are_counted() -> None:
    """Each size that was found, in the order of their words, and of each check how many passed; nothing of other
    columns."""
    sized = [{"said": said, "reason": "r"} for said in ("larger", "smaller", "larger")]
    passed = {**CHECK, "verdict": "reproduced"}
    entries = [judged(f"c{index}", "published", "reproduced", size=size) for index, size in enumerate(sized)]
    entries += [
        judged("d", "published", "refuted", checks=[passed]),
        claim("e", verdict="not_evaluable", checks=[CHECK]),
    ]
    found = report(*entries).claims
    assert view.tallies(found, ("mini", "published")) == [
        "size: 1 smaller, 2 larger",
        "checks passed: random-fails 1 of 2",
    ]
    assert view.checks(found, ("mini", "published")) == [("random-fails", 1, 2)]
    assert view.tallies(found, ("mini", "corrected")) == []
    assert view.sizes(found, ("mini", "corrected")) == ""


def test_headlines_made_of_other_claims_come_before_their_parts() -> None:
    """Where a report has composites, they are the headlines; other headline claims stay with their section."""
    parts = [{"id": "part", "verdict": "reproduced"}]
    claims = [
        claim("part", headline=True),
        claim("sum", headline=True, parts=parts, section="list"),
        claim("d", parts=parts),
    ]
    found = groups(*claims)
    assert [(group.name, [card.id for card in group.cards]) for group in found] == [
        ("Headline claims", ["sum"]),
        ("Section 5.1", ["part", "d"]),
    ]
    assert "headline" in found[1].cards[0].marks
