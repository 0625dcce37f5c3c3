"""JUnit properties of a claim's test: what a CI system shows beside its outcome."""

from dtclaims.harness.judge.entries import Entry
from dtclaims.harness.report import beside

NAMES = (
    "verdict",
    "reason",
    "section",
    "headline",
    "protocol",
    "scale",
    "provisional",
    "seeds",
    "effect_mean",
    "effect_low",
    "effect_high",
    "effect_unit",
    "trend",
    "paper_value",
    "seeds_needed",
    "parts",
    "turn",
    "decided_by",
    "size",
    "checks",
    "paper_data",
    "rule",
)
"""The properties of every claim's test, in this order. A claim without a value has the property with an empty value."""


def properties(entry: Entry) -> list[tuple[str, str]]:
    """An entry's properties, in the order of `NAMES`, for `item.user_properties`.

    `parts` lists a claim's components and the claims it is made of, as in `one: reproduced; other: refuted`.
    """
    effect = entry.effect
    parts = {name: component.verdict for name, component in entry.components.items()}
    parts |= {part.id: part.verdict for part in entry.parts}
    values = (
        entry.verdict,
        entry.reason,
        entry.section,
        entry.headline,
        entry.protocol,
        entry.scale,
        entry.provisional,
        entry.n,
        effect.mean,
        effect.low,
        effect.high,
        effect.unit,
        entry.trend.text,
        entry.paper_value.text,
        None if entry.statistics is None else entry.statistics.seeds_needed,
        "; ".join(f"{name}: {verdict}" for name, verdict in parts.items()),
        entry.turn,
        ", ".join(entry.decided_by),
        None if entry.size is None else entry.size.said,
        "; ".join(f"{check.name}: {check.verdict}" for check in entry.checks),
        "; ".join(beside.paper_data(entry.paper_data)),
        entry.rule,
    )
    return [(name, _text(value)) for name, value in zip(NAMES, values, strict=True)]


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    # Control characters are no XML, and pytest escapes them in ways of its own.
    return "".join(char for char in str(value) if char.isprintable() or char == " ")
