"""A corpus as the trainer sees it: documents, their provenance, and a train / held-out split.

A file holds documents separated by form feeds (`sources.fetch_corpus` writes them so; a file without form feeds is
one text). Texts longer than `SECTION` characters are cut at blank lines, so that one long book still gives both
sides of the split something. A document's identity is the sha256 of its text: the split depends neither on file
names nor on their order, and a repeated document counts once.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from dtclaims.errors import DataError
from dtclaims.files import parse_json, plain_bytes, plain_text
from dtclaims.lab.pretrain.sources import DOCUMENT_BREAK

HELD_OUT = 0.02
"""Share of documents held out, in expectation."""

SECTION = 16_384
"""Characters after which a text is cut at the next blank line."""


class Identified(Protocol):
    """What the split needs to know of a document or photograph."""

    @property
    def identity(self) -> str:
        """A sha256 that tells it from all others."""


Item = TypeVar("Item", bound=Identified)


@dataclass(frozen=True)
class Document:
    """A text and its identity, the sha256 of its UTF-8 bytes."""

    identity: str
    text: str


@dataclass(frozen=True)
class Corpus(Generic[Item]):
    """Documents (or photographs) in reading order, split, with one provenance entry per file."""

    train: tuple[Item, ...]
    held_out: tuple[Item, ...]
    files: tuple[dict[str, object], ...]

    @property
    def fingerprint(self) -> str:
        """The sha256 of the documents' identities, in order."""
        return hashlib.sha256("".join(doc.identity for doc in (*self.train, *self.held_out)).encode()).hexdigest()


def read_corpus(paths: Sequence[Path | str]) -> Corpus[Document]:
    """Read `.txt` files and folders of them (a folder's `manifest.json` gives their licences).

    Raises:
        DataError: a path does not exist, a file is not UTF-8 or is not what its manifest records, or there are fewer
            than two documents (nothing could be held out).
    """
    documents: dict[str, Document] = {}
    files = []
    for path in corpus_files([Path(path) for path in paths], [".txt"]):
        raw = read_corpus_file(path)
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                "corpus file is not UTF-8", given=path, remedy="Convert it, for example with iconv."
            ) from error
        files.append(provenance(path, raw))
        for section in sections(text):
            identity = hashlib.sha256(section.encode()).hexdigest()
            documents.setdefault(identity, Document(identity, section))
    if len(documents) < 2:
        raise DataError(
            "corpus has too little text",
            given=f"{len(documents)} documents in {len(files)} .txt files",
            expected="at least 2 (one is held out)",
            remedy=f"Give more files, or separate documents by form feeds; texts are cut after {SECTION} characters.",
        )
    train, held_out = split(list(documents.values()))
    return Corpus(tuple(train), tuple(held_out), tuple(files))


def corpus_files(paths: Sequence[Path], suffixes: Sequence[str]) -> list[Path]:
    """The files behind `paths`: each file itself, each folder's files with one of `suffixes` in order of name.

    Raises:
        DataError: a path does not exist.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise DataError(
                "corpus path does not exist",
                given=path,
                remedy="Make one: `dtclaims pretrain corpus --out corpus`, of photographs with --kind image.",
            )
        if path.is_dir():
            found += sorted(file for file in path.rglob("*") if file.suffix.lower() in suffixes and file.is_file())
        else:
            found.append(path)
    return found


LARGEST_FILE = 2 * 2**30
"""Bytes of one file of a corpus."""


def read_corpus_file(path: Path) -> bytes:
    """The content of a plain file of a corpus.

    Raises:
        DataError: it cannot be read, is a pipe or a device, or is too large.
    """
    try:
        return plain_bytes(path, LARGEST_FILE)
    except (OSError, ValueError) as error:
        raise DataError("corpus file cannot be read", given=f"{path}: {error}", remedy="Leave it out.") from None


def provenance(path: Path, raw: bytes) -> dict[str, object]:
    """What is known of a corpus file: its manifest entry, or name, size and sha256 with the licence not recorded.

    Raises:
        DataError: the manifest beside the file cannot be read, or records other content.
    """
    digest = hashlib.sha256(raw).hexdigest()
    manifest = path.parent / "manifest.json"
    try:
        listed = parse_json(plain_text(manifest))["files"] if manifest.exists() else []
        entries = {entry["file"]: (entry["sha256"], dict(entry)) for entry in listed}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError("corpus manifest cannot be read", given=f"{manifest} ({error!r})") from error
    if path.name in entries:
        recorded, entry = entries[path.name]
        if recorded != digest:
            raise DataError(
                "corpus file was changed after its manifest was written",
                given=f"{path} with sha256 {digest}",
                expected=f"sha256 {recorded}",
                remedy="Fetch the corpus again, or move the file away from manifest.json.",
            )
        return entry
    return {"file": path.name, "licence": "not recorded", "bytes": len(raw), "sha256": digest}


def sections(text: str) -> Iterator[str]:
    """The documents of a file's text, long ones cut at blank lines; none is empty."""
    for document in text.split(DOCUMENT_BREAK):
        part: list[str] = []
        size = 0
        for block in document.split("\n\n"):
            part.append(block)
            size += len(block)
            if size >= SECTION:
                yield "\n\n".join(part)
                part, size = [], 0
        if (rest := "\n\n".join(part)).strip():
            yield rest


def split(items: Sequence[Item], share: float = HELD_OUT) -> tuple[list[Item], list[Item]]:
    """(train, held out), each in the given order.

    Held out are the items whose identity, read as a fraction of 2^256, is below `share`. Of two or more items the
    lowest identity is always held out and the highest never, so that no side is empty.
    """
    identities = [item.identity for item in items]
    limit = max(min(identities), f"{int(share * 2**52):013x}")
    highest = max(identities)

    def is_held_out(item: Item) -> bool:
        return item.identity <= limit and item.identity != highest

    return [item for item in items if not is_held_out(item)], [item for item in items if is_held_out(item)]
