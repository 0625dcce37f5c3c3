"""Hypothesis strategies for valid reports, hostile text and extreme numbers included."""

from typing import Any, get_args

from hypothesis import strategies as st

from dtclaims.harness.judge.entries import SizeWord
from dtclaims.harness.judge.words import PROTOCOLS, UNDECIDED, VERDICTS
from dtclaims.harness.stats.composites import OWN
from dtclaims.harness.stats.trends import TrendKind

SCALES = ("mini", "small", "full", "paper", "own <b>")

HOSTILE = (
    "<script>alert(1)</script>\"'&amp;|`[x](javascript:y)`|\n# h\n| a | b |\n\n"
    "- @me #1 :tada: $x$ ***b*** ~~s~~ ]]>\x1b[31m"
)
"""Everything that HTML, Markdown, GitHub or a terminal could take for more than text."""

texts = st.one_of(
    st.just(HOSTILE), st.just(""), st.text(st.characters(exclude_categories=["Cs"]), max_size=12), st.just("plain")
)
names = texts.map(lambda text: text if text.strip() else f"{text}x")
numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(-5, 5), st.floats(-100, 100), st.sampled_from([0, 1])
)
shares = st.one_of(st.none(), st.floats(0, 1))
counts = st.one_of(st.none(), st.integers(0, 20))
levels = st.sampled_from([0.05, 0.01, 0.1])

free: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)

trends = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([*get_args(TrendKind), "above", "below", "holds_in", "equivalent", "parts"]),
        "text": texts,
    },
    optional={
        "null": st.none() | numbers,
        "bound": st.none() | numbers,
        "direction": st.sampled_from([1, -1]),
        "interest": st.none() | numbers,
        "why": texts,
    },
)

statistics = st.none() | st.fixed_dictionaries(
    {
        "sd": st.none() | st.floats(0, 1e6),
        "agree": counts,
        "p_value": shares,
        "fresh_seed_bound": shares,
        "superiority": shares,
        "effect_size": st.none() | numbers,
        "seeds_needed": counts,
        "alpha": levels,
        "looks": st.integers(1, 3),
    }
)

runs = st.fixed_dictionaries(
    {"key": names, "seed": st.integers(0, 9), "cached": st.booleans(), "seconds": st.none() | st.floats(0, 1e10)},
    optional={"arm": texts, "task": st.none() | texts, "context": st.none() | st.integers(1, 20), "method": texts},
)


@st.composite
def effects(draw: st.DrawFn, verdict: str) -> dict[str, Any]:
    """An effect that fits a verdict: none where nothing was measured."""
    low = high = mean = None
    per_seed: dict[str, Any] = {}
    if verdict not in UNDECIDED:
        mean = draw(st.none() | numbers)
        if draw(st.booleans()):
            low, high = sorted([draw(numbers), draw(numbers)])
        per_seed = {str(seed): draw(numbers) for seed in range(draw(st.sampled_from([0, 1, 3, 5])))}
    return {"mean": mean, "low": low, "high": high, "per_seed": per_seed, "unit": draw(texts), "name": draw(texts)}


sizes = st.fixed_dictionaries(
    {"said": st.sampled_from(get_args(SizeWord)), "reason": texts},
    optional={"low": st.none() | numbers, "high": st.none() | numbers},
)

readings = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 999),
        "component": texts,
        "effect": st.none() | numbers,
        "holds": st.none() | st.booleans(),
    },
    optional={"note": texts},
)

reaches = st.fixed_dictionaries(
    {
        "n": st.integers(0, 9),
        "reproduced": st.booleans(),
        "refuted": st.booleans(),
        "reproduced_from": counts,
        "refuted_from": counts,
    }
)

overs = st.fixed_dictionaries({"text": texts}, optional={"levels": st.dictionaries(texts, st.lists(texts), max_size=2)})


@st.composite
def checks(draw: st.DrawFn) -> dict[str, Any]:
    """A manipulation check."""
    verdict = draw(st.sampled_from(list(VERDICTS)))
    found = {"name": draw(names), "verdict": verdict, "effect": draw(effects(verdict)), "trend": draw(trends)}
    return {**found, "reason": draw(texts)}


@st.composite
def components(draw: st.DrawFn) -> dict[str, Any]:
    """One part of a claim."""
    verdict = draw(st.sampled_from(list(VERDICTS)))
    return {
        "verdict": verdict,
        "effect": draw(effects(verdict)),
        "trend": draw(trends),
        "statistics": draw(statistics),
        "size": draw(st.none() | sizes),
        "reported": draw(st.booleans()),
    }


variants = st.fixed_dictionaries(
    {
        "effect": st.none() | numbers,
        "low": st.none() | numbers,
        "high": st.none() | numbers,
        "verdict": st.sampled_from(list(VERDICTS)),
    }
)

protocols = st.none() | st.sampled_from(list(PROTOCOLS))


@st.composite
def series(draw: st.DrawFn) -> dict[str, Any]:
    """What one arm shows in a panel."""
    x = draw(st.lists(numbers, max_size=4))
    values = st.lists(st.none() | numbers, min_size=len(x), max_size=len(x))
    found: dict[str, Any] = {
        "name": draw(texts),
        "arm": draw(texts),
        "protocol": draw(protocols),
        "seed": draw(st.none() | st.integers(0, 9)),
        "style": draw(st.sampled_from(["line", "box", "points"])),
        "x": x,
        "y": draw(values),
    }
    if draw(st.booleans()):
        found |= {"low": draw(values), "high": draw(values)}
    if draw(st.booleans()):
        found |= {"whisker_low": draw(values), "whisker_high": draw(values)}
        found["fliers"] = [[draw(numbers), draw(numbers)] for _ in range(draw(st.integers(0, 2)))]
    return found


panels = st.fixed_dictionaries(
    {"title": texts, "x_label": texts, "y_label": texts, "series": st.lists(series(), max_size=3)},
    optional={"x_names": st.lists(texts, max_size=3)},
)

figures = st.fixed_dictionaries({"title": texts, "panels": st.lists(panels, max_size=2)}, optional={"note": texts})

cells = st.fixed_dictionaries(
    {"row": texts, "column": texts, "protocol": protocols, "value": st.none() | numbers},
    optional={
        "low": st.none() | numbers,
        "high": st.none() | numbers,
        "plus_minus": st.none() | numbers,
        "n": counts,
    },
)

tables = st.fixed_dictionaries(
    {"title": texts, "unit": texts, "cells": st.lists(cells, max_size=3)}, optional={"note": texts}
)


@st.composite
def claims(draw: st.DrawFn) -> dict[str, Any]:
    """One entry."""
    verdict = draw(st.sampled_from(list(VERDICTS)))
    entry: dict[str, Any] = {
        "id": draw(names),
        "section": draw(texts),
        "headline": draw(st.booleans()),
        "quote": draw(texts),
        "scope": draw(texts),
        "protocol": draw(st.sampled_from(list(PROTOCOLS))),
        "scale": draw(st.sampled_from(SCALES)),
        "verdict": verdict,
        "reason": draw(texts),
        "provisional": draw(st.booleans()),
        "n": draw(st.integers(0, 8)),
        "effect": draw(effects(verdict)),
        "statistics": draw(statistics),
        "components": draw(st.dictionaries(texts, components(), max_size=2)),
        "trend": draw(trends),
        "paper_value": draw(
            st.fixed_dictionaries({"text": texts}, optional={"numbers": st.lists(numbers, max_size=2)})
        ),
        "deviations": draw(st.lists(texts, max_size=2)),
        "switches": draw(st.dictionaries(texts, free, max_size=2)),
        "measured": draw(texts),
        "runs": draw(st.lists(runs, max_size=2)),
        "remedy": draw(st.none() | texts),
        "provenance": draw(st.dictionaries(texts, free, max_size=2)),
    }
    if draw(st.booleans()):
        part = st.fixed_dictionaries({"id": names, "verdict": st.sampled_from(list(VERDICTS))})
        entry |= {
            "parts": draw(st.lists(part, max_size=2)),
            "attribution": {
                "variants": draw(st.dictionaries(texts, variants, max_size=2)),
                "smallest": draw(st.none() | st.lists(texts, max_size=2)),
            },
            "diagnostics": draw(st.dictionaries(texts, st.none() | numbers, max_size=2)),
        }
    if draw(st.booleans()):
        entry |= {
            "title": draw(st.none() | texts),
            "holm": draw(st.none() | st.booleans()),
            "holm_free": draw(st.none() | st.booleans()),
        }
    if draw(st.booleans()):
        known = [*entry["components"], *(part["id"] for part in entry.get("parts", ()))]
        entry |= {
            "turn": draw(st.sampled_from(["", "absent", "reversed"])),
            "decided_by": draw(st.lists(st.sampled_from([OWN, "elsewhere", *known]), max_size=2)),
            "size": draw(st.none() | sizes),
            "paper_data": draw(st.lists(readings, max_size=3)),
            "reachable": draw(st.none() | reaches),
            "checks": draw(st.lists(checks(), max_size=2)),
            "over": draw(st.none() | overs),
            "warnings": draw(st.lists(texts, max_size=2)),
            "rule": draw(st.sampled_from(["1", "2"])),
        }
    return entry


registrations = st.fixed_dictionaries(
    {
        "digest": names,
        "created": st.just("2026-11-22T18:30:00Z"),
        "before_first_run": st.none() | st.booleans(),
        "matches": st.booleans(),
    },
    optional={"differs": st.lists(texts, max_size=2)},
)

words = st.fixed_dictionaries(
    {},
    optional={
        # Those that are known are all that may occur.
        "scales": st.just({}) | texts.map(lambda text: dict.fromkeys(SCALES, text)),
        "run": texts,
        "values": st.dictionaries(st.sampled_from(["arm", "context", "method"]), texts, max_size=2),
    },
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A whole report, as JSON."""
    entries = draw(
        st.lists(claims(), max_size=3, unique_by=lambda entry: (entry["id"], entry["protocol"], entry["scale"]))
    )
    ids = st.sampled_from(["fig1", "table2", "A.b-c_9"])
    drawn = {"figures": draw(st.dictionaries(ids, figures, max_size=1)), "tables": draw(st.dictionaries(ids, tables))}
    return {
        **(drawn if draw(st.booleans()) else {}),
        "schema": 2,
        "paper": {
            "title": draw(names),
            "authors": draw(texts),
            "venue": draw(texts),
            "year": draw(st.none() | st.integers(1900, 2100)),
            "url": draw(texts | st.just("https://example.org/?a=1&b=2")),
        },
        "provenance": {
            "dtclaims": draw(texts),
            "created": "2026-11-22T18:30:00Z",
            "command": draw(texts),
            "seeds": draw(st.lists(st.integers(-3, 2**63), max_size=4)),
            "scale": draw(st.sampled_from(SCALES)),
            "scale_reason": draw(st.none() | texts),
            "protocols": draw(st.lists(st.sampled_from(list(PROTOCOLS)), max_size=2)),
            "device": draw(texts),
            "alpha": draw(levels),
            "store": draw(st.none() | texts),
            "versions": draw(st.dictionaries(texts, texts, max_size=2)),
            "rules": draw(st.lists(texts, max_size=2)),
            "registration": draw(st.none() | registrations),
            "label": draw(names),
        },
        "claims": entries,
        **({"words": draw(words)} if draw(st.booleans()) else {}),
    }
