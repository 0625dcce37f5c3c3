"""Where a report goes: into its folder, or, as the report of a part, beside the whole one that lies there.

A report says of each claim what became of it. One of fewer claims, protocols, tasks or seeds would replace answers by
silence, and one in which nothing was judged would replace them by *not run*. So both go into a folder of their own; the
whole report is made again from the store in seconds, since what was run for a part is stored too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dtclaims.errors import ReportError
from dtclaims.harness.judge.document import Document
from dtclaims.harness.report.document import read

FOLDER = "part"
"""Beside the whole report; the last part that was judged lies there."""


@dataclass(frozen=True)
class Place:
    """A folder, and what there is to say of it."""

    folder: Path
    told: str = ""
    """Why it is not the one that was asked for; empty where it is."""


def place(document: Document, folder: Path) -> Place:
    """Where a report is written so that no whole one is lost.

    Args:
        document: to be written.
        folder: that was asked for.
    """
    path = folder / "report.json"
    if not path.exists():
        return Place(folder)
    try:
        there = read(path)
    except ReportError:
        if not is_part(document):
            return Place(folder)
        why = ["the report.json that lies there cannot be read"]
    else:
        if is_part(there) or not any(entry.decided for entry in there.claims):
            return Place(folder)
        why = list(_less(document, there))
    if not why:
        return Place(folder)
    said = f"a part ({'; '.join(why)}): its report lies beside the whole one, which is as it was"
    return Place(folder / FOLDER, said)


def is_part(document: Document) -> bool:
    """Whether a report is known to leave out claims that are declared beside its own."""
    family = document.provenance.family
    return family is not None and len({entry.id for entry in document.claims}) < family.claims


def _less(new: Document, old: Document) -> Iterator[str]:
    """In what a report says less than another."""
    now, then = new.provenance, old.provenance
    ids, before = ({entry.id for entry in one.claims} for one in (new, old))
    scales, old_scales = ({entry.scale for entry in one.claims} for one in (new, old))
    if is_part(new) or (now.family is None and before - ids):
        yield f"{len(ids)} of {now.family.claims if now.family else len(before)} claims"
    elif not any(entry.decided for entry in new.claims):
        yield "nothing was judged in it"
    if len(set(now.protocols)) < len(set(then.protocols)):
        yield f"{' and '.join(now.protocols)} only"
    if len(scales) < len(old_scales):
        yield f"scale {' and '.join(sorted(scales))} only"
    if scales == old_scales:
        # Claims that one protocol has no word on, as where the session was ended by -x.
        lost = {one.key for one in old.claims if one.id in ids and one.protocol in now.protocols}
        lost -= {one.key for one in new.claims}
        if lost and ids >= before:
            yield f"without {len(lost)} of {len(old.claims)} verdicts"
        if now.tasks and set(now.tasks) < set(then.tasks):
            yield f"{' and '.join(now.tasks)} only"
        if len(now.seeds) < len(then.seeds):
            yield f"{len(now.seeds)} of {len(then.seeds)} seeds"
