"""Badges: JSON that shields.io's endpoint badge reads, one for the whole paper and one per claim."""

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from dtclaims.harness.report import view
from dtclaims.harness.report.document import Document
from dtclaims.harness.report.wording import word

COLOURS = {
    "reproduced": "0a4f8f",
    "refuted": "9c3600",
    "inconclusive": "8a6d00",
    "not_run": "6b7280",
    "error": "87185b",
}
"""The report's own, legible under white text."""

Badge = dict[str, Any]
"""`schemaVersion`, `label`, `message` and `color` of https://shields.io/badges/endpoint-badge."""


def paper_badge(document: Document) -> Badge:
    """How many claims hold under the last column of the matrix: the largest scale, `corrected` where it was judged."""
    columns = view.columns(document)
    if not columns:
        return _badge("claims", "none", "not_run")
    scale, protocol = columns[-1]
    counts = view.counts(document, columns[-1])
    told = [f"{n} {word(verdict)}" for verdict, n in counts.items() if n and verdict != "reproduced"]
    message = ", ".join([f"{counts['reproduced']} of {sum(counts.values())} reproduced", *told])
    worst = next((verdict for verdict in ("error", "refuted") if counts[verdict]), None)
    best = "reproduced" if counts["reproduced"] else "inconclusive" if counts["inconclusive"] else "not_run"
    return _badge(f"claims ({protocol}, {scale})", message, worst or best)


def claim_badge(entries: Sequence[Mapping[str, Any]]) -> Badge:
    """The verdicts of one claim, in the order given: `published refuted · corrected reproduced`.

    Args:
        entries: all entries of one id; the last gives the colour.
    """
    named = ("protocol", "scale") if len({entry["scale"] for entry in entries}) > 1 else ("protocol",)
    parts = [" ".join([*(entry[name] for name in named), word(entry["verdict"])]) for entry in entries]
    return _badge(entries[0]["id"], " · ".join(parts), entries[-1]["verdict"])


def files(document: Document) -> dict[PurePosixPath, str]:
    """All badges as files: `badge.json` for the paper and `badges/CLAIM.json` for each claim.

    Args:
        document: a valid report, or anything whose `claims` have id, protocol, scale, section, headline and verdict.
    """
    found = {PurePosixPath("badge.json"): _dump(paper_badge(document))}
    for group in view.groups(document):
        for card in group.cards:
            # The anchor is the id made safe for a file's name, and unique.
            name = card.anchor.removeprefix("claim-")
            found[PurePosixPath("badges") / f"{name}.json"] = _dump(claim_badge([p.entry for p in card.panels]))
    return found


def _badge(label: str, message: str, verdict: str) -> Badge:
    return {"schemaVersion": 1, "label": label, "message": message, "color": COLOURS[verdict], "cacheSeconds": 3600}


def _dump(badge: Badge) -> str:
    return json.dumps(badge, indent=1, ensure_ascii=False) + "\n"
