"""Files that sessions add lines to, each JSON with a checksum of its own: timings and timelines.

A line is appended whole, so several sessions may write to one file; a killed one may leave half a line at the end.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dtclaims.errors import Damaged
from dtclaims.files import checksum, parse_json, read_bytes

TIMELINES = "timeline-*.jsonl"
"""Of sessions, in the store's logs."""
MOST = 64 * 2**20
"""Bytes of such a file: a million lines."""
SUM = "sum"
"""The field that holds the first hex digits of a line's checksum."""
DIGITS = 12
DROP = "Delete it: nothing is judged by it."


def line_of(content: Mapping[str, Any]) -> str:
    """A line, with its end."""
    return json.dumps({**content, SUM: checksum(dict(content))[:DIGITS]}) + "\n"


def append_line(path: Path, content: Mapping[str, Any]) -> None:
    """Add a line to a file; one that cannot be written whole is not written, and nothing else is told of it.

    Such files are logs: nothing is judged by them, and a session goes on without.
    """
    line = line_of(content).encode()
    with contextlib.suppress(OSError):
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0), 0o666)
        try:
            before = os.fstat(handle).st_size
            if os.write(handle, line) < len(line):
                # What a full disk left of it. Another session may have added its own meanwhile, or not.
                os.ftruncate(handle, before)
        finally:
            os.close(handle)


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """What the lines say that are as they were written; the others are passed over.

    Raises:
        NotThere, NotPermitted, Damaged: see `dtclaims.files.read_bytes`.
    """
    return (content for _, content in _read(path) if content is not None)


def check_lines(path: Path) -> None:
    """Check every line but a last one without an end.

    Raises:
        NotThere, NotPermitted: see `dtclaims.files.read_bytes`.
        Damaged: a line is not as it was written.
    """
    for number, content in _read(path):
        if content is None:
            raise Damaged(f"{path} is damaged", given=f"line {number}", remedy=DROP)


def _read(path: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    *lines, rest = read_bytes(path, MOST, DROP).split(b"\n")
    # Half a line is the beginning of one: no byte of it is below a space.
    if rest and (not rest.startswith(b"{") or min(rest) < ord(" ")):
        lines.append(rest)
    for number, text in enumerate(lines, start=1):
        try:
            content = parse_json(text)
            sound = content.pop(SUM, None) == checksum(content)[:DIGITS]
        except (ValueError, AttributeError):
            sound = False
        yield number, content if sound else None
