"""Readable English out of the file formats that Debian's documentation packages use.

Every reader returns a list of blocks (paragraphs, whitespace collapsed to single spaces). `is_prose` decides which
of them are kept: menus, signatures, tables and program code are not the language a model should learn here.
"""

import gzip
import re
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path

from dtclaims.errors import DataError

SKIPPED_TAGS = frozenset({"script", "style", "head", "pre", "nav", "table", "note", "math", "svg"})
"""Elements whose content is dropped: code, menus, tables, footnotes."""

INLINE_TAGS = frozenset(
    {"a", "abbr", "acronym", "b", "cite", "code", "dfn", "em", "hi", "i", "kbd", "q", "reference", "samp", "small"}
    | {"span", "strong", "sub", "sup", "tt", "u", "var", "w", "transchange", "divinename", "verse", "seg"}
)
"""Elements inside a sentence; any other element begins a new block. The last six are OSIS (Bible texts)."""

MIN_WORDS = 5
MIN_LETTERS = 0.75

R_STRING = re.compile(rb"\x00[\x00-\xff][\x00-\xff]\x09(?=[\x00-\xff]{4})")


def is_prose(block: str) -> bool:
    """Whether a block reads like sentences: 5 words, 75 % letters or spaces, and a sentence's end in it."""
    if block.count(" ") < MIN_WORDS - 1 or not any(mark in block for mark in ".?!"):
        return False
    return sum(sign.isalpha() or sign == " " for sign in block) >= MIN_LETTERS * len(block)


def plain_blocks(text: str) -> list[str]:
    """Blocks of a plain text: what stands between blank lines."""
    return [block for part in re.split(r"\n\s*\n", text) if (block := " ".join(part.split()))]


def markup_blocks(text: str) -> list[str]:
    """Blocks of HTML or OSIS, tags stripped, entities resolved."""
    reader = BlockReader()
    reader.feed(text)
    reader.close()
    reader.end_block()
    return reader.blocks


class BlockReader(HTMLParser):
    """Collects the text between block-level tags."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[str] = []
        self.parts: list[str] = []
        self.skipping: list[str] = []

    def end_block(self) -> None:
        """Close the block under way."""
        # The pilcrow is Sphinx's link from a heading to itself.
        if block := " ".join("".join(self.parts).replace("¶", "").split()):
            self.blocks.append(block)
        self.parts.clear()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Enter a skipped element or begin a block."""
        if tag in SKIPPED_TAGS:
            self.skipping.append(tag)
        elif tag not in INLINE_TAGS and not self.skipping:
            self.end_block()

    def handle_endtag(self, tag: str) -> None:
        """Leave a skipped element or end a block."""
        if tag in self.skipping:
            # Documentation in the wild forgets end tags: leaving an element also leaves what it still holds open.
            while self.skipping.pop() != tag:
                pass
        elif tag not in INLINE_TAGS and not self.skipping:
            self.end_block()

    def handle_data(self, data: str) -> None:
        """Text, kept unless inside a skipped element."""
        if not self.skipping:
            self.parts.append(data)


def sword_texts(path: Path) -> list[str]:
    """The OSIS texts in a SWORD module's data file (`ot.bzz`, `nt.czz`, ...).

    The file is a row of zlib streams; its neighbour (`ot.bzs`) lists them as little-endian uint32 triples
    (offset, compressed size, size).
    """
    raw = path.read_bytes()
    index = path.with_suffix(path.suffix[:-1] + "s").read_bytes()
    entries = struct.iter_unpack("<III", index)
    return [zlib.decompress(raw[start : start + size]).decode(errors="replace") for start, size, _ in entries]


def r_texts(path: Path) -> list[str]:
    """The character vectors of an R lazy-load database (`*.rdb`), each joined with newlines.

    The file is a row of (big-endian uint32 length, zlib stream) records in R's XDR serialisation. There a string is
    its type word (low byte 9), its length (big-endian int32) and its bytes.
    """
    raw, texts, position = path.read_bytes(), [], 0
    while position < len(raw):
        stream = zlib.decompressobj()
        record = stream.decompress(raw[position + 4 :])
        position = len(raw) - len(stream.unused_data)
        lines, at = [], 0
        while (match := R_STRING.search(record, at)) is not None:
            (size,) = struct.unpack_from(">i", record, match.end())
            at = match.end() + 4 + max(size, 0)
            lines.append(record[match.end() + 4 : at].decode(errors="replace"))
        texts.append("\n".join(lines))
    return texts


def read_blocks(path: Path) -> list[list[str]]:
    """The documents in a file, each a list of blocks; the suffix tells the format.

    `.html` and `.htm` are markup, `.rdb` R data, `.bzz` and `.czz` SWORD modules; `.gz` and `.dz` are unpacked first;
    anything else is plain text.

    Raises:
        DataError: the file is not in the format its suffix names.
    """
    try:
        if path.suffix in (".bzz", ".czz"):
            return [markup_blocks(text) for text in sword_texts(path)]
        if path.suffix == ".rdb":
            return [plain_blocks(text) for text in r_texts(path)]
        packed = path.suffix in (".gz", ".dz")
        raw = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    except (OSError, zlib.error, struct.error, EOFError) as error:
        raise DataError("file cannot be unpacked", given=f"{path} ({error})") from error
    text = raw.decode(errors="replace")
    kind = Path(path.stem).suffix if packed else path.suffix
    return [markup_blocks(text) if kind in (".html", ".htm") else plain_blocks(text)]
