"""Behaviour of `dtclaims.harness.judge.reachable`: what a claim's test can say at all."""

from dtclaims.harness.judge.reachable import SIZES, Reachable, reachable
from dtclaims.harness.settings import ALPHA
from dtclaims.tests.support.studies import CLAIMS, LAB


def walked(*ids: str) -> dict[tuple[str, str, int], Reachable]:
    """Some sample claims, by id, protocol and number of tasks."""
    found = reachable([CLAIMS[name] for name in ids], LAB, alpha=ALPHA)
    return {(one.claim, one.protocol, len(one.tasks)): one for one in found}


def test_each_protocol_and_set_of_tasks_has_a_line() -> None:
    """A claim on the first task is asked on it and on all; one that only the corrected protocol tests, under that."""
    assert list(walked("SAMPLE-fails")) == [
        ("SAMPLE-fails", "published", 1),
        ("SAMPLE-fails", "published", 3),
        ("SAMPLE-fails", "corrected", 1),
        ("SAMPLE-fails", "corrected", 3),
    ]
    assert {protocol for _, protocol, _ in walked("SAMPLE-corrected-only")} == {"corrected"}


def test_a_line_says_what_can_come_out_at_each_size() -> None:
    """At three seeds a verdict is provisional, at five it can be full; more seeds take nothing away."""
    one = walked("SAMPLE-fails")["SAMPLE-fails", "published", 1]
    assert [size.n for size in one.sizes] == list(SIZES) == [3, 5, 8]
    assert [(size.reproduced, size.refuted) for size in one.sizes[1:]] == [(True, True), (True, True)]
    assert one.sizes[0].reproduced_from == 5
    assert one.to_json()["sizes"] == [size.to_json() for size in one.sizes]


def test_a_composite_is_within_reach_where_its_parts_are() -> None:
    """It cannot be reproduced before the last of its parts can."""
    names = [name for name, claim in CLAIMS.items() if claim.parts and claim.form is None]
    assert names
    for name in names:
        parts = walked(*CLAIMS[name].parts)
        for (_, protocol, tasks), one in walked(name).items():
            found = [parts[part, protocol, tasks] for part in CLAIMS[name].parts if (part, protocol, tasks) in parts]
            assert one.sizes[1].reproduced == all(part.sizes[1].reproduced for part in found)
