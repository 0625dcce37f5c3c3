"""Whether the disk has room for what is to be made: how much that is, as far as can be told, and what there is."""

import errno
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean

from dtclaims.errors import StoreError
from dtclaims.files import bytes_in
from dtclaims.harness.plan.plan import Plan, PlannedJob
from dtclaims.harness.store.store import Store


def bytes_needed(plan: Plan, store: Store, jobs: Iterable[PlannedJob]) -> float:
    """Bytes that the results of some jobs will take: as many as stored ones that cost alike, else the lab's figure.

    Args:
        plan: of which results may be stored.
        store: where they are.
        jobs: that are still to be made.
    """
    missing = [one for one in jobs if one.job.keeps_files]
    likes = {(one.job.kind, one.job.cost.like) for one in missing}
    sizes: dict[object, list[int]] = defaultdict(list)
    for key, one in plan.runs.items():
        like = (one.job.kind, one.job.cost.like)
        if like in likes and (folder := store.root / "runs" / key).is_dir():
            sizes[like].append(bytes_in(folder))
    return sum(
        fmean(found) if (found := sizes.get((one.job.kind, one.job.cost.like))) else one.job.cost.nbytes
        for one in missing
    )


def full(plan: Plan, store: Store, jobs: Sequence[PlannedJob], text: str) -> StoreError:
    """The error that ends a session whose disk is full.

    Args:
        plan: what is carried out.
        store: where it goes.
        jobs: that are still to be made.
        text: what the job said that met it first.
    """
    needed = bytes_needed(plan, store, jobs)
    expected = f"about {size(needed)} for the {len(jobs)} jobs that are left" if needed else None
    # Of a quota the disk's free space says nothing.
    quota = os.strerror(errno.EDQUOT) in text
    there = f"the quota in {store.root} used up" if quota else f"{size(store.free())} free in {store.root}"
    return StoreError(
        "the disk is full, so the session ends here",
        given=f"{there} ({text.rstrip('.')})",
        expected=expected,
        remedy="What is finished is kept. Make room (`dtclaims store gc` says what is not needed) or name another "
        "folder with --store, and give the same command again.",
    )


def size(count: float) -> str:
    """Bytes as people read them."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
