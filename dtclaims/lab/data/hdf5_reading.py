"""HDF5 files of anybody's, read within bounds.

What a file says of itself is not believed: how large its arrays are is asked before one is allocated, and nothing is
followed out of it. Members are found link by link, because HDF5 opens whatever file a link names as soon as it is asked
whether the member is there, and a pipe in its place is waited for.
"""

import contextlib
import errno
import math
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from dtclaims.errors import DataError

UNREADABLE = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError)
"""What h5py raises on a file that is cut short or altered, depending on where."""

MOST_NUMBERS = 2**28
"""Numbers that are read of one set: eight times D4RL's largest. Ours."""
MOST_MEMBERS = 200_000
"""Members of one group: a hundred times the episodes of D4RL's sets. Ours."""
SHOWN = 20
"""Names of members that a message shows."""


def check_plain(path: Path) -> None:
    """Make sure that a path means a plain file: opening a pipe would wait, and a device can be read for ever.

    Raises:
        DataError: it means something else, or may not be looked at.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    if not stat.S_ISREG(mode):
        kind = next(
            (word for test, word in KINDS if test(mode)),
            "something else",
        )
        raise DataError(f"{path} is no plain file", given=kind, expected="a file of trajectories")


KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """A file to read; what h5py raises of it meanwhile becomes a typed error.

    Raises:
        DataError: no plain file, no HDF5, cut short, altered, locked by who writes it, or not permitted.
    """
    check_plain(path)
    try:
        # File systems without locks are read all the same; a lock that somebody has counts.
        with h5py.File(path, "r", locking="best-effort") as file:
            yield file
    except UNREADABLE as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: BaseException) -> DataError:
    """The error for an HDF5 file that h5py gives up on, named for what it is where that is known."""
    said = str(error)
    if isinstance(error, BlockingIOError) or "unable to lock file" in said:
        return DataError(
            f"{path} is locked",
            given="another process has it open for writing",
            remedy="Wait until it is written, or end that process. HDF5_USE_FILE_LOCKING=FALSE passes the lock over, "
            "which is safe only where nobody writes.",
        )
    if "already open for" in said and "write" in said:
        return DataError(
            f"{path} was not closed by what wrote it",
            given="a mark in it that it is being written",
            remedy="If nothing writes it any more, `h5clear -s` on a copy takes the mark off.",
        )
    if isinstance(error, PermissionError) or getattr(error, "errno", None) == errno.EACCES:
        return DataError(f"{path} may not be read", given=error, remedy="Ask its owner for permission (chmod g+r).")
    if isinstance(error, MemoryError):
        return DataError(f"{path} does not fit into memory", expected="a set that does")
    return DataError(f"cannot read {path} as HDF5", given=error, remedy="Is the download complete?")


def member(group: h5py.Group, name: str) -> Any | None:
    """The group or data set of a name, found in the file itself; None if there is none.

    Args:
        group: to look in.
        name: of a member, or of one in its groups: `infos/qpos`.

    Raises:
        DataError: a link leads somewhere else.
    """
    found: Any = group
    for part in name.split("/"):
        if not isinstance(found, h5py.Group):
            return None
        links, own = found.id.links, part.encode()
        if not links.exists(own):
            return None
        if links.get_info(own).type != h5py.h5l.TYPE_HARD:
            raise DataError(
                f"{part} of {found.file.filename} is a link to somewhere else",
                expected="what is read to be in the file itself",
                remedy="`h5repack` or `h5copy -f ext,soft` of HDF5's tools write a file that holds everything.",
            )
        found = found[part]
    return found


def names(group: h5py.Group) -> list[str]:
    """Names of a group's members.

    Raises:
        DataError: too many.
    """
    if len(group) > MOST_MEMBERS:
        raise DataError(
            f"{group.file.filename} has too many members in one group",
            given=len(group),
            expected=f"at most {MOST_MEMBERS}",
        )
    return list(group)


def some_names(group: h5py.Group) -> list[str]:
    """The first few of them, for a message."""
    return sorted(name for name, _ in zip(group, range(SHOWN), strict=False))


class Room:
    """How many numbers may still be read of a set.

    Args:
        most: in all.
    """

    def __init__(self, most: int = MOST_NUMBERS) -> None:
        self._most = most
        self._left = most

    def take(self, numbers: int, what: str) -> None:
        """Use some of it up, before they are allocated.

        Raises:
            DataError: there are not so many left.
        """
        self._left -= numbers
        if self._left < 0:
            raise DataError(
                f"{what} is too large",
                given=f"{self._most - self._left:,} numbers in all",
                expected=f"at most {self._most:,}",
                remedy="Is it a set of trajectories of one task? A file can declare any size.",
            )


def array(found: h5py.Dataset, what: str, room: Room) -> npt.NDArray[Any]:
    """A data set's numbers.

    Args:
        found: the data set.
        what: it is, for messages.
        room: what it may take up.

    Raises:
        DataError: it is kept in other files, in a form that this installation cannot unpack, is too large, or holds
            other things than numbers.
    """
    made = found.id.get_create_plist()
    # Asked first: to tell the size of a virtual one, HDF5 opens what it is made of.
    if made.get_layout() == h5py.h5d.VIRTUAL or made.get_external_count():
        raise DataError(
            f"{what} is kept in other files",
            given="a virtual data set" if made.get_layout() == h5py.h5d.VIRTUAL else "external storage",
            expected="numbers in the file itself",
            remedy="`h5repack` of HDF5's tools writes a file that holds everything.",
        )
    if found.dtype.kind not in "fiub" or found.shape is None:
        raise DataError(f"{what} is not an array of numbers", given=f"{found.dtype} {found.shape}")
    # A chunk is unpacked whole, however little of it is asked for.
    room.take(max(math.prod(found.shape), math.prod(found.chunks or ())), what)
    for number in range(made.get_nfilters()):
        code, _, _, name = made.get_filter(number)
        if not h5py.h5z.filter_avail(code):
            raise DataError(
                f"{what} is packed by a filter that is not installed here",
                given=f"filter {code} ({name.decode(errors='replace') or 'without a name'})",
                remedy="`pip install hdf5plugin` and set HDF5_PLUGIN_PATH to its hdf5plugin.PLUGIN_PATH, or where the "
                "filter is installed repack the file: `h5repack -f GZIP=4 IN OUT`.",
            )
    return np.asarray(found)
