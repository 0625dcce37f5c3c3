"""Small programs for the tests of addresses: files in a folder, and the code that an entry in them leads to."""

import textwrap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from dtclaims.closure import Sources, code_of

Files = Mapping[str, str]
"""Path → text."""


def parts_of(
    folder: Path,
    files: Files,
    entry: str = "main.py:job",
    *,
    chosen: Mapping[str, str | Sequence[str]] | None = None,
    rows: Collection[str] = (),
) -> dict[str, str]:
    """Write a program into a folder of its own; the parts of the code that an entry leads to."""
    place = folder / str(len(list(folder.iterdir())))
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    return code_of(f"{place / entry}", chosen=chosen or {}, rows=rows, sources=Sources()).to_json()
