"""Text out of documentation formats (dtclaims/lab/pretrain/extract.py)."""

import gzip
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.errors import DataError
from dtclaims.lab.pretrain.extract import is_prose, markup_blocks, plain_blocks, read_blocks


def test_prose_is_told_from_menus_and_code() -> None:
    """Sentences are prose; a menu, a short line, a signature and a row of numbers are not."""
    assert is_prose("The cat sat on the mat, and nobody minded.")
    assert not is_prose("Home Next Previous Index Modules Search Page Contents")
    assert not is_prose("Read this.")
    assert not is_prose("x = f(a[0], b[1]) + g(c[2], d[3]) ; y = {1: 2, 3: 4} ?")
    assert not is_prose("1 2 3 4 5 6 7 8 9. 10 11 12")


def test_plain_text_is_cut_at_blank_lines() -> None:
    """Lines of a paragraph are joined, blank lines (also of spaces) separate."""
    assert plain_blocks("one\n two\n\n  \nthree\n") == ["one two", "three"]


def test_markup_keeps_sentences_and_drops_what_is_no_text() -> None:
    """Inline tags do not split a sentence; scripts, code, menus and tables vanish; entities are resolved."""
    page = (
        "<head><title>T</title></head><nav>menu</nav><h1>Cats &amp; dogs<a>¶</a></h1>"
        "<p>A <b>big</b>\n cat.</p><pre>code <b>x</b></pre><script>if (a<b) {}</script><table><td>1</td></table><p>End"
    )
    assert markup_blocks(page) == ["Cats & dogs", "A big cat.", "End"]


def test_unclosed_skipped_elements_do_not_swallow_the_rest() -> None:
    """Leaving a menu also leaves the table that was never closed in it."""
    assert markup_blocks("<nav><table>menu</nav><p>Text.</p></table>") == ["Text."]


@given(st.text(), st.lists(st.sampled_from(["<p>", "</p>", "<pre>", "</pre>", "<b>", "</nav>", "&amp;", "<!--"])))
def test_any_markup_is_read(text: str, tags: list[str]) -> None:
    """No text with any tags in any order is refused, and blocks hold no white space but single spaces."""
    for block in markup_blocks(text.join(tags)):
        assert block == " ".join(block.split())
        assert block


def test_gzip_is_unpacked_and_the_inner_suffix_counts(tmp_path: Path) -> None:
    """`page.html.gz` is markup, `words.dict.dz` plain text."""
    page, words = tmp_path / "page.html.gz", tmp_path / "words.dict.dz"
    page.write_bytes(gzip.compress(b"<p>one</p><p>two</p>"))
    words.write_bytes(gzip.compress(b"<p>one</p>\n\ntwo"))
    assert read_blocks(page) == [["one", "two"]]
    assert read_blocks(words) == [["<p>one</p>", "two"]]


def test_sword_modules_are_read_by_their_index(tmp_path: Path) -> None:
    """Each entry of the index is one document; bytes between the streams are not read."""
    streams = [zlib.compress(b"<verse>In the</verse> beginning"), zlib.compress(b"<div/>And <w>God</w> said")]
    (tmp_path / "ot.bzz").write_bytes(streams[0] + b"junk" + streams[1])
    second = len(streams[0]) + 4
    index = struct.pack("<III", 0, len(streams[0]), 0) + struct.pack("<III", second, len(streams[1]), 0)
    (tmp_path / "ot.bzs").write_bytes(index)
    assert read_blocks(tmp_path / "ot.bzz") == [["In the beginning"], ["And God said"]]


def test_r_character_vectors_are_joined_to_texts(tmp_path: Path) -> None:
    """A vector of lines becomes one text: empty strings are its blank lines, NA (length -1) is no text."""

    def string(text: bytes | None) -> bytes:
        return b"\x00\x04\x00\x09" + struct.pack(">i", -1 if text is None else len(text)) + (text or b"")

    lines = [b"It is a truth", b"universally acknowledged", b"", b"that", None]
    record = b"X\n\x00\x00\x00\x02" + b"\x00\x00\x00\x10\x00\x00\x00\x05" + b"".join(map(string, lines))
    packed = struct.pack(">I", len(record)) + zlib.compress(record)
    (tmp_path / "Rdata.rdb").write_bytes(packed + packed)
    assert read_blocks(tmp_path / "Rdata.rdb") == [["It is a truth universally acknowledged", "that"]] * 2


@pytest.mark.parametrize("name", ["a.gz", "a.dz", "a.rdb", "a.bzz", "a.txt"])
def test_damaged_and_missing_files_are_typed_errors(tmp_path: Path, name: str) -> None:
    """A file that is not what its suffix says, or is not there, is a DataError that names it."""
    if name != "a.txt":
        (tmp_path / name).write_bytes(b"not packed")
    with pytest.raises(DataError, match=name):
        read_blocks(tmp_path / name)
