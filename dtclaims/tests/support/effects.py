"""Trying a claim's effect on made-up values."""

from collections.abc import Mapping
from typing import Any

from dtclaims.harness.declare.claim import Claim
from dtclaims.lab.design.switches import PROTOCOLS


def holding(claim: Claim, protocol: str, values: Mapping[str, Any]) -> set[str]:
    """The parts of a claim's effect that are as claimed for these values of its needs, under a protocol.

    Of a contrast: beyond its null, and not below the smallest effect of interest.
    """
    form = claim.under(PROTOCOLS[protocol])
    assert form is not None
    assert set(values) == set(form.needs), claim.id
    effects = form(**values)
    return {part for part, value in effects.items() if form.trends[part].holds_exactly(value)}
