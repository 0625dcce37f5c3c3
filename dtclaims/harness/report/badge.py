"""Badges: JSON that shields.io's endpoint badge reads, one for the whole paper and one per claim."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from dtclaims.harness.judge.words import Status, word
from dtclaims.harness.report import view

COLOURS: Mapping[Status, str] = {
    "reproduced": "0a4f8f",
    "refuted": "9c3600",
    "inconclusive": "8a6d00",
    "not_evaluable": "4f3d9c",
    "not_run": "6b7280",
    "error": "87185b",
}
"""The report's own, legible under white text."""

Badge = dict[str, str | int]
"""`schemaVersion`, `label`, `message` and `color` of https://shields.io/badges/endpoint-badge."""


def paper_badge(entries: Sequence[view.Judged], known: Iterable[str]) -> Badge:
    """How many claims hold under the last column of the matrix: the largest scale, `corrected` where it was judged.

    Args:
        entries: of a report or of a history.
        known: scales in their order (`Words.scales`).
    """
    columns = view.columns(entries, known)
    if not columns:
        return _badge("claims", "none", "not_run")
    scale, protocol = columns[-1]
    counts = view.counts(entries, columns[-1])
    told = [f"{n} {word(verdict)}" for verdict, n in counts.items() if n and verdict != "reproduced"]
    message = ", ".join([f"{counts['reproduced']} of {sum(counts.values())} reproduced", *told])
    bad: tuple[Status, ...] = ("error", "refuted")
    worst = next((verdict for verdict in bad if counts[verdict]), None)
    good: tuple[Status, ...] = ("reproduced", "inconclusive", "not_evaluable")
    best: Status = next((verdict for verdict in good if counts[verdict]), "not_run")
    return _badge(f"claims ({protocol}, {scale})", message, worst or best)


def claim_badge(entries: Sequence[view.Judged]) -> Badge:
    """The verdicts of one claim, in the order given: `published refuted · corrected reproduced`.

    Args:
        entries: all entries of one id; the last gives the colour.
    """
    several = len({entry.scale for entry in entries}) > 1
    parts = [" ".join([entry.protocol, *([entry.scale] if several else []), word(entry.verdict)]) for entry in entries]
    return _badge(entries[0].id, " · ".join(parts), entries[-1].verdict)


def files(entries: Sequence[view.Judged], known: Iterable[str]) -> dict[PurePosixPath, str]:
    """All badges as files: `badge.json` for the paper and `badges/CLAIM.json` for each claim; as `paper_badge`."""
    known = list(known)
    found = {PurePosixPath("badge.json"): _dump(paper_badge(entries, known))}
    for group in view.groups(entries, known):
        for card in group.cards:
            # The anchor is the id made safe for a file's name, and unique.
            name = card.anchor.removeprefix("claim-")
            found[PurePosixPath("badges") / f"{name}.json"] = _dump(claim_badge([p.entry for p in card.panels]))
    return found


def _badge(label: str, message: str, verdict: Status) -> Badge:
    return {"schemaVersion": 1, "label": label, "message": message, "color": COLOURS[verdict], "cacheSeconds": 3600}


def _dump(badge: Badge) -> str:
    return json.dumps(badge, indent=1, ensure_ascii=False) + "\n"
