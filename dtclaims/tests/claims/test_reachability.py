"""Every shipped claim can be reproduced and refuted, or is on a list of those that take more seeds."""

import json
from pathlib import Path

from dtclaims.harness.declare.registry import load_claims
from dtclaims.harness.judge.reachable import SIZES, Reachable, reachable
from dtclaims.harness.settings import ALPHA
from dtclaims.lab import LAB

LISTED = Path(__file__).with_name("out_of_reach_at_five.json")
"""Claim → what five seeds cannot say of it under which protocol on how many tasks; `docs/claims_listed.md` shows it."""


def walked() -> list[Reachable]:
    """All claims, under each of their protocols, on one task and on all."""
    return list(reachable(load_claims().values(), LAB, alpha=ALPHA))


def test_what_five_seeds_cannot_say_is_listed() -> None:
    """A claim that could never be refuted is no test; one that is added without being reachable is seen here."""
    found: dict[str, list[str]] = {}
    for one in walked():
        five = one.sizes[SIZES.index(5)]
        for word, can in (("reproduced", five.reproduced), ("refuted", five.refuted)):
            if not can:
                found.setdefault(one.claim, []).append(f"{one.protocol}, {len(one.tasks)} tasks: {word}")
    expected = json.loads(LISTED.read_text(encoding="utf-8"))
    assert found == expected, f"if that is meant, write it into {LISTED.name}:\n{json.dumps(found, indent=1)}"


def test_all_is_within_reach_of_some_seeds() -> None:
    """No claim is safe from refutation, or beyond reproduction, whatever the number of seeds."""
    never = [
        (one.claim, one.protocol, len(one.tasks))
        for one in walked()
        if one.sizes[0].reproduced_from is None or one.sizes[0].refuted_from is None
    ]
    assert never == []


def test_the_walk_leaves_nothing_out() -> None:
    """Every claim that some protocol tests is there, on one task or on all of them."""
    testable = {(name, protocol) for name, claim in load_claims().items() for protocol in claim.protocols}
    assert {(one.claim, one.protocol) for one in walked()} == testable
    assert {len(one.tasks) for one in walked()} == {1, 3}
