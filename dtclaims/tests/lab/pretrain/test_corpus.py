"""Documents, provenance and the train / held-out split (dtclaims/lab/pretrain/corpus.py)."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.errors import DataError
from dtclaims.lab.pretrain.corpus import HELD_OUT, SECTION, Document, read_corpus, sections, split
from dtclaims.lab.pretrain.sources import DOCUMENT_BREAK


def documents_of(texts: list[str]) -> list[Document]:
    """Documents with their true identities."""
    return [Document(hashlib.sha256(text.encode()).hexdigest(), text) for text in texts]


@given(st.lists(st.text(), min_size=2, max_size=40, unique=True).map(documents_of))
def test_split_partitions_and_depends_on_no_order(documents: list[Document]) -> None:
    """Both sides are non-empty, disjoint, together everything, and the same whatever the order of documents."""
    train, held_out = split(documents)
    assert train
    assert held_out
    assert [d for d in documents if d in train] == train
    assert {*train} | {*held_out} == {*documents}
    assert not {*train} & {*held_out}
    assert split(documents[::-1]) == (train[::-1], held_out[::-1])


def test_neither_side_is_empty_at_the_extremes() -> None:
    """Where every document falls under the 2 % the highest is trained on; where none does the lowest is held out."""
    low, lower, high, higher = (Document(identity * 32, identity) for identity in ("02", "01", "fe", "ff"))
    assert split([low, lower]) == ([low], [lower])
    assert split([higher, high]) == ([higher], [high])


def test_split_holds_out_about_the_stated_share() -> None:
    """Of 20000 documents the share held out is within five standard errors of 2 %."""
    documents = documents_of([str(number) for number in range(20_000)])
    share = len(split(documents)[1]) / len(documents)
    assert abs(share - HELD_OUT) < 5 * (HELD_OUT * (1 - HELD_OUT) / len(documents)) ** 0.5


def test_a_document_stays_on_its_side_when_the_corpus_grows() -> None:
    """In corpora where the 2 % rule decides, adding documents moves none."""
    documents = documents_of([str(number) for number in range(2000)])
    few, many = split(documents[:1000])[1], split(documents)[1]
    assert [document for document in many if document in documents[:1000]] == few


@given(st.lists(st.text(alphabet="ab \n", min_size=1, max_size=30)))
def test_sections_lose_no_text(blocks: list[str]) -> None:
    """Short documents come back whole, blank ones are dropped."""
    text = DOCUMENT_BREAK.join(blocks)
    assert list(sections(text)) == [block for block in blocks if block.strip()]


def test_long_texts_are_cut_at_blank_lines() -> None:
    """Joined again, the sections are the text; each but the last just passes the limit."""
    paragraphs = [f"{number} " + "x" * 999 for number in range(100)]
    text = "\n\n".join(paragraphs)
    parts = list(sections(text))
    assert "\n\n".join(parts) == text
    assert len(parts) > 1
    assert all(SECTION <= len(part) < SECTION + 1100 for part in parts[:-1])


def test_folders_and_files_give_the_same_corpus(tmp_path: Path) -> None:
    """A folder is its .txt files; repeated documents count once; licences of a user's own files are not invented."""
    (tmp_path / "a.txt").write_text(DOCUMENT_BREAK.join(f"document {number}" for number in range(200)))
    (tmp_path / "b.txt").write_text("document 7")
    (tmp_path / "c.md").write_text("not read")
    corpus = read_corpus([tmp_path])
    assert read_corpus([str(tmp_path / "a.txt"), tmp_path / "b.txt"]) == corpus
    assert len(corpus.train) + len(corpus.held_out) == 200
    assert [entry["file"] for entry in corpus.files] == ["a.txt", "b.txt"]
    assert {entry["licence"] for entry in corpus.files} == {"not recorded"}
    assert corpus.files[1]["sha256"] == hashlib.sha256(b"document 7").hexdigest()


def test_fingerprint_tells_corpora_apart(tmp_path: Path) -> None:
    """Another text is another fingerprint; another file name is not."""
    for name, last in (("a.txt", "two"), ("b.txt", "two"), ("c.txt", "three")):
        (tmp_path / name).write_text(DOCUMENT_BREAK.join(["one", last]))
    a, b, c = (read_corpus([tmp_path / name]).fingerprint for name in ("a.txt", "b.txt", "c.txt"))
    assert a == b
    assert a != c


@pytest.mark.parametrize("content", [b"", b"\n\n \f\n", b"only one document"])
def test_a_corpus_without_text_is_a_data_error(tmp_path: Path, content: bytes) -> None:
    """Nothing to train on, or nothing to hold out."""
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(DataError, match=r"too little text.*form feeds"):
        read_corpus([tmp_path])


def test_unusable_paths_are_data_errors(tmp_path: Path) -> None:
    """A path that is not there, a folder without .txt files, a file that is not UTF-8, a broken manifest."""
    with pytest.raises(DataError, match=r"does not exist.*nowhere.*dtclaims pretrain corpus"):
        read_corpus([tmp_path / "nowhere"])
    with pytest.raises(DataError, match=r"in 0 \.txt files"):
        read_corpus([tmp_path])
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not UTF-8"):
        read_corpus([tmp_path])
    (tmp_path / "a.txt").write_bytes(b"one\f\ntwo")
    (tmp_path / "manifest.json").write_text('{"files": [{}]}')
    with pytest.raises(DataError, match=r"manifest cannot be read.*manifest\.json"):
        read_corpus([tmp_path])
