"""Byte-level BPE, as GPT-2's: every text has tokens and every byte comes back."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from dtclaims.errors import BackboneError, UsageError

END_OF_TEXT = "<|endoftext|>"
"""Stands before every document; token 0."""

SMALLEST_VOCABULARY = 257
"""The 256 bytes and `END_OF_TEXT`."""


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """Train a tokenizer of at most `vocabulary` tokens (fewer where the text gives no more pairs to merge).

    Token 0 is `END_OF_TEXT`, tokens 1 to 256 the bytes, the rest merges in order of training.

    Raises:
        UsageError: a vocabulary that does not hold the bytes.
    """
    if vocabulary < SMALLEST_VOCABULARY:
        raise UsageError("vocabulary is too small", given=vocabulary, expected=f"at least {SMALLEST_VOCABULARY}")
    tokenizer = Tokenizer(models.BPE())
    # add_prefix_space would change the text: decoding could not tell whether the space was there.
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """Read a `tokenizer.json`.

    Raises:
        BackboneError: the file is absent or not a tokenizer.
    """
    try:
        return Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises bare Exception for a malformed file
        raise BackboneError("tokenizer cannot be read", given=f"{path} ({error})") from error


def encode_documents(tokenizer: Tokenizer, texts: Sequence[str]) -> NDArray[np.int32]:
    """All `texts` as one row of token numbers, (tokens,): `END_OF_TEXT` before each text and after the last."""
    end = tokenizer.token_to_id(END_OF_TEXT)
    pieces: list[NDArray[np.int32]] = []
    batch = 256  # bounds the memory of the library's per-token offsets
    for start in range(0, len(texts), batch):
        encodings = tokenizer.encode_batch_fast(list(texts[start : start + batch]))
        pieces.extend(np.array([end, *encoding.ids], dtype=np.int32) for encoding in encodings)
    return np.concatenate([*pieces, np.array([end], dtype=np.int32)])
