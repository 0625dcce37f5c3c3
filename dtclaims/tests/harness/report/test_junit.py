"""Behaviour of `dtclaims.harness.report.junit`: a claim's properties in a CI system."""

from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

from hypothesis import given, settings

from dtclaims.harness.judge.entries import Entry
from dtclaims.harness.report.junit import NAMES, properties
from dtclaims.tests.support import report_example
from dtclaims.tests.support.report_strategies import claims


def test_every_claim_has_the_same_properties() -> None:
    """Verdict, effect, trend, the paper's value and the parts, each as text; without a value empty."""
    document = report_example.document()
    found = dict(properties(document.claims[0]))
    assert tuple(found) == NAMES
    assert found["verdict"] == "refuted"
    assert found["headline"] == "true"
    assert found["effect_mean"] == found["seeds_needed"] == ""
    assert found["parts"] == (
        "hopper: reproduced; walker2d: refuted; S5.5-k1-gpt2-eq-k20: reproduced; S5.5-elsewhere: refuted"
    )
    assert (found["turn"], found["decided_by"]) == ("reversed", "its own effect, S5.5-elsewhere")
    assert found["paper_data"] == "S5.5-elsewhere: seed 666 holds; seed 42 fails"
    assert dict(properties(document.claims[-1]))["checks"] == "random-fails: inconclusive"
    found = dict(properties(document.claims[3]))
    assert (found["size"], found["trend"], found["rule"]) == ("smaller", "> 0, of interest from 0.02", "2")
    assert found["effect_mean"] == "0.054"
    assert found["seeds_needed"] == "3"


@settings(max_examples=30)
@given(claims())
def test_properties_survive_xml(content: dict[str, object]) -> None:
    """Whatever an entry holds, its properties can be written as XML and read back."""
    for _, value in properties(Entry.from_json(content)):
        assert ElementTree.fromstring(f"<p v={quoteattr(value)}/>").get("v") == value
