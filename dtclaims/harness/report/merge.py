"""Several reports as one: the same claims at several scales, in one matrix."""

from collections.abc import Sequence
from typing import Any

from dtclaims.errors import ReportError
from dtclaims.harness.report.document import Document, validate
from dtclaims.harness.report.wording import PROTOCOLS, SCALES


def merge(documents: Sequence[Document]) -> Document:
    """One report with the entries of all, in the order given.

    Figures and tables are those of the largest scale that has any. What the reports disagree on in their provenance
    is listed side by side, or left out where only one value makes sense.

    Raises:
        ReportError: no reports, invalid ones, reports of different papers or levels, or two verdicts on one claim
            under one protocol at one scale.
    """
    if not documents:
        raise ReportError("nothing to merge", expected="one report or more")
    for document in documents:
        validate(document)
    for name, values in (
        ("papers", [document["paper"]["title"] for document in documents]),
        ("levels", [document["provenance"]["alpha"] for document in documents]),
    ):
        if len(set(values)) > 1:
            raise ReportError(
                f"the reports are of different {name}", given=" and ".join(map(str, dict.fromkeys(values)))
            )
    order = list(SCALES)
    ranked = sorted(documents, key=lambda document: order.index(document["provenance"]["scale"]), reverse=True)
    merged = {
        **documents[0],
        "provenance": _provenance([document["provenance"] for document in documents], ranked[0]["provenance"]["scale"]),
        "claims": [entry for document in documents for entry in document["claims"]],
    }
    for name in ("figures", "tables"):
        found = next((document[name] for document in ranked if document.get(name)), None)
        if found is not None:
            merged[name] = found
    return validate(merged)


def _provenance(parts: Sequence[dict[str, Any]], scale: str) -> dict[str, Any]:
    def side_by_side(name: str) -> str:
        return "; ".join(dict.fromkeys(str(part[name]) for part in parts))

    def common(name: str) -> Any:
        return parts[0][name] if all(part[name] == parts[0][name] for part in parts) else None

    versions = parts[0]["versions"].items()
    merged: dict[str, Any] = {
        "dtclaims": side_by_side("dtclaims"),
        "created": max(part["created"] for part in parts),
        "command": side_by_side("command"),
        "seeds": sorted({seed for part in parts for seed in part["seeds"]}),
        "scale": scale,
        "scale_reason": common("scale_reason"),
        "protocols": [name for name in PROTOCOLS if any(name in part["protocols"] for part in parts)],
        "device": side_by_side("device"),
        "alpha": parts[0]["alpha"],
        "store": common("store"),
        "versions": {name: value for name, value in versions if all(p["versions"].get(name) == value for p in parts)},
        "label": side_by_side("label"),
    }
    for name in ("commit", "code"):
        if all(name in part and part[name] == parts[0].get(name) for part in parts):
            merged[name] = parts[0][name]
    return merged
