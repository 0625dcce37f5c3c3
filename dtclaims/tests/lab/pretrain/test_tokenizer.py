"""Byte-level BPE (dtclaims/lab/pretrain/tokenizer.py)."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dtclaims.errors import BackboneError, UsageError
from dtclaims.lab.pretrain.tokenizer import (
    END_OF_TEXT,
    SMALLEST_VOCABULARY,
    encode_documents,
    load_tokenizer,
    train_tokenizer,
)

TEXTS = ["the cat sat on the mat", "the dog sat on the cat", "naïve café – déjà vu"] * 5
TOKENIZER = train_tokenizer(TEXTS, 300)


@given(st.text())
@example("a <|endoftext|> b")
@example("  \r\n\t\0 ")
def test_decoding_gives_the_text_back(text: str) -> None:
    """Every text has tokens and comes back byte for byte, also signs the training text never held."""
    assert TOKENIZER.decode(TOKENIZER.encode(text).ids, skip_special_tokens=False) == text


@given(st.lists(st.text(max_size=20), max_size=5))
def test_documents_are_separated_by_end_of_text(texts: list[str]) -> None:
    """Token 0 stands before each document and after the last; between them is each document's own encoding."""
    stream = encode_documents(TOKENIZER, texts)
    expected = [token for text in texts for token in (0, *TOKENIZER.encode(text).ids)]
    assert stream.tolist() == [*expected, 0]
    assert stream.dtype == np.int32


def test_vocabulary_begins_with_end_of_text_and_the_bytes() -> None:
    """Token 0 is the separator; with the smallest vocabulary every byte is one token."""
    bare = train_tokenizer(TEXTS, SMALLEST_VOCABULARY)
    assert TOKENIZER.token_to_id(END_OF_TEXT) == bare.token_to_id(END_OF_TEXT) == 0
    assert bare.get_vocab_size() == 257
    assert len(bare.encode("café").ids) == 5
    assert 257 < TOKENIZER.get_vocab_size() <= 300
    assert len(TOKENIZER.encode("the cat").ids) < len("the cat")


def test_training_is_deterministic() -> None:
    """The same text gives the same tokenizer."""
    assert train_tokenizer(TEXTS, 300).to_str() == TOKENIZER.to_str()


def test_a_saved_tokenizer_is_read_back(tmp_path: Path) -> None:
    """`tokenizer.json` holds everything."""
    TOKENIZER.save(str(tmp_path / "tokenizer.json"))
    assert load_tokenizer(tmp_path / "tokenizer.json").to_str() == TOKENIZER.to_str()


def test_unusable_input_is_a_typed_error(tmp_path: Path) -> None:
    """A vocabulary too small for the bytes, a file that is absent, a file that is no tokenizer."""
    with pytest.raises(UsageError, match=r"256.*257"):
        train_tokenizer(TEXTS, 256)
    with pytest.raises(BackboneError, match=r"absent\.json"):
        load_tokenizer(tmp_path / "absent.json")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(BackboneError, match=r"bad\.json"):
        load_tokenizer(tmp_path / "bad.json")
