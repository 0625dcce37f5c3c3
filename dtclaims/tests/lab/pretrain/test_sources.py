"""Fetching the corpus from Debian packages (dtclaims/lab/pretrain/sources.py), with stand-ins for apt and dpkg."""

import hashlib
import json
from pathlib import Path

import pytest

from dtclaims.errors import DataError, MissingDependency, UsageError
from dtclaims.lab.pretrain.corpus import read_corpus
from dtclaims.lab.pretrain.sources import SOURCES, fetch_corpus, keep_new_prose
from dtclaims.tests.support.pretraining import put_tools

PERMISSIVE = ("public domain", "MIT", "BSD-3-Clause", "PostgreSQL License", "Python Software Foundation License")

SENTENCES = [f"This is sentence number {word} of the little book." for word in ("one", "two", "three")]

DPKG = """#!/bin/sh
if [ "$1" = -f ]; then echo "1.0-1"; exit; fi
name=${2%%_*}
mkdir -p "$3/usr/share/doc/$name" "$3/usr/share/dictd"
echo "terms of $name" > "$3/usr/share/doc/$name/copyright"
gzip -c < "$BOOK" > "$3/usr/share/dictd/${name#dict-}.dict.dz"
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for the two tools, first on the path; returns the text that every package holds."""
    put_tools(tmp_path, DPKG, monkeypatch)
    book = tmp_path / "book"
    book.write_text("\n\n".join(SENTENCES))
    monkeypatch.setenv("BOOK", str(book))
    return book


def test_fetched_text_and_its_manifest(tools: Path, tmp_path: Path) -> None:
    """The text file, and a manifest with version, licence, sha256 of the text and of the terms, and the command."""
    lines: list[str] = []
    entries = fetch_corpus(["dict-devil"], tmp_path / "corpus", progress=lines.append)
    content = (tmp_path / "corpus/dict-devil.txt").read_bytes()
    assert content.decode() == "\n".join(sentence + "\n" for sentence in SENTENCES)
    manifest = json.loads((tmp_path / "corpus/manifest.json").read_text())
    assert manifest["files"] == entries
    assert manifest["made_with"] == "dtclaims pretrain corpus --out corpus"
    (entry,) = entries
    assert entry["version"] == "1.0-1"
    assert entry["licence"] == "public domain"
    assert entry["sha256"] == hashlib.sha256(content).hexdigest()
    assert entry["copyright_sha256"] == hashlib.sha256(b"terms of dict-devil\n").hexdigest()
    assert (entry["documents"], entry["bytes"]) == (1, len(content))
    assert len(lines) == 1
    assert "dict-devil 1.0-1" in lines[0]


def test_manifest_travels_with_the_corpus(tools: Path, tmp_path: Path) -> None:
    """Reading the fetched folder gives the manifest's entries; a changed file is refused."""
    tools.write_text("\n\n".join(f"{sentence} {'word ' * 4000}" for sentence in SENTENCES))
    entries = fetch_corpus(["dict-devil"], tmp_path / "corpus")
    assert read_corpus([tmp_path / "corpus"]).files == tuple(entries)
    with (tmp_path / "corpus/dict-devil.txt").open("a") as file:
        file.write("more")
    with pytest.raises(DataError, match="changed after its manifest"):
        read_corpus([tmp_path / "corpus"])


def test_a_repeated_paragraph_is_kept_once_across_packages(tools: Path, tmp_path: Path) -> None:
    """The second package with the same text has nothing new, which is an error that names it."""
    with pytest.raises(DataError, match=r"dict-jargon 1\.0-1 holds no text"):
        fetch_corpus(["dict-devil", "dict-jargon"], tmp_path / "corpus")


def test_failing_download_is_a_typed_error(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """apt's own last line is passed on."""
    monkeypatch.setenv("APT_FAILS", "1")
    with pytest.raises(DataError, match="Unable to locate package dict-devil"):
        fetch_corpus(["dict-devil"], tmp_path / "corpus")


def test_absent_tools_and_unknown_names_are_typed_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off Debian the remedy is --corpus; an unknown package is told before anything is fetched."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependency, match=r"apt-get.*--corpus"):
        fetch_corpus(["dict-devil"], tmp_path / "corpus")
    with pytest.raises(UsageError, match="no-such-book"):
        fetch_corpus(["no-such-book"], tmp_path / "corpus")
    assert not (tmp_path / "corpus").exists()


def test_keep_new_prose_drops_repeats_and_what_is_no_prose() -> None:
    """A block is kept the first time only, and only if it is prose."""
    seen: set[bytes] = set()
    assert keep_new_prose([SENTENCES[0], "menu", SENTENCES[0], SENTENCES[1]], seen) == (
        f"{SENTENCES[0]}\n\n{SENTENCES[1]}\n"
    )
    assert keep_new_prose(SENTENCES, seen) == f"{SENTENCES[2]}\n"


def test_every_source_states_its_licence_and_files() -> None:
    """Keys are the packages' names, patterns stay inside the package, and the licence is one of the permissive ones."""
    for name, source in SOURCES.items():
        assert source.package == name
        assert source.patterns
        assert not any(pattern.startswith("/") or ".." in pattern for pattern in source.patterns)
        assert source.licence.startswith(PERMISSIVE)
