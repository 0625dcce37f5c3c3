"""Language pre-training of GPT-2-shaped backbones on a local corpus: from text files to a result folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from dtclaims.errors import DataError
from dtclaims.lab.pretrain.corpus import HELD_OUT, SECTION, Corpus, Document, read_corpus
from dtclaims.lab.pretrain.examples import TextExamples
from dtclaims.lab.pretrain.job import Job, Prepared, make_job, run_job
from dtclaims.lab.pretrain.network import SCALES, LanguageModel
from dtclaims.lab.pretrain.sources import SOURCES
from dtclaims.lab.pretrain.tokenizer import encode_documents, train_tokenizer
from dtclaims.lab.pretrain.training import Progress
from dtclaims.seeding import derive


def pretrain_language(
    scale: str,
    corpus: Sequence[Path | str],
    out: Path,
    *,
    seed: int = 1,
    device: str = "auto",
    updates: int | None = None,
    batch: int | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Pre-train a backbone and write `model.safetensors`, `tokenizer.json` and `card.json` to `out`.

    AdamW (betas 0.9 and 0.95, weight decay 0.1 on matrices), linear warm-up and cosine decay, gradient norm clipped
    to 1, windows drawn uniformly from the training text. Arithmetic is float32, on CUDA bfloat16 where autocast
    allows; evaluation is always float32. On a CPU the result is a function of the arguments, interrupted or not; on
    CUDA it is so up to the order of sums.

    Args:
        scale: a name in `SCALES`.
        corpus: `.txt` files and folders of them.
        out: result folder, created if needed. Until the end it holds a checkpoint.
        seed: number of the checkpoint, and seed of its weights, batches and dropout.
        device: `auto` (CUDA if there is one), `cpu`, `cuda` or `cuda:i`.
        updates: instead of the scale's.
        batch: windows per update, instead of the scale's.
        resume: continue from the checkpoint in `out`, if there is one; a finished run returns its card.
        progress: called with `update`, `updates`, `held_out_bits_per_byte` and `tokens_per_second` at each point of
            the held-out curve.

    Returns:
        The card.

    Raises:
        UsageError: unknown scale or device, a count below 1, or `out` belongs to another run.
        DataError: the corpus has too little text.
        StoreError: the checkpoint cannot be read.
        RunFailed: the loss is no longer finite.
    """
    words = ("language", "--corpus", *map(str, corpus))
    job = make_job("language", words, SCALES, scale, seed=seed, device=device, updates=updates, batch=batch)
    text = read_corpus(corpus)
    return run_job(job, text.fingerprint, out, lambda: prepare(job, text), resume=resume, progress=progress)


def prepare(job: Job, text: Corpus[Document]) -> Prepared:
    """Tokenizer, token streams and untrained network of a run.

    Raises:
        DataError: the training text has no more tokens than a window.
    """
    context = job.preset.context
    tokenizer = train_tokenizer((document.text for document in text.train), job.preset.vocabulary)
    train = encode_documents(tokenizer, [document.text for document in text.train])
    held_out = encode_documents(tokenizer, [document.text for document in text.held_out])
    if len(train) <= context:
        raise DataError(
            "corpus is shorter than one window",
            given=f"{len(train)} training tokens",
            expected=f"more than {context}",
        )
    vocabulary = tokenizer.get_vocab_size()
    weights = torch.Generator().manual_seed(derive(job.seed, "language/weights"))
    redistributable = all(entry.get("package") in SOURCES for entry in text.files)
    return Prepared(
        model=LanguageModel(job.preset.config, vocabulary, context, weights).to(job.device),
        examples=TextExamples(train, held_out, text, vocabulary, context, job.device),
        vocabulary=vocabulary,
        assets={"tokenizer.json": tokenizer.to_str(pretty=False).encode()},
        licence="MIT" if redistributable else "not stated: see the licences of the corpus under origin",
        origin=origin(text, len(train), len(held_out)),
        packages=["tokenizers"],
    )


def origin(text: Corpus[Document], train_tokens: int, held_out_tokens: int) -> dict[str, object]:
    """Where the text comes from and how it was split."""
    return {
        "corpus": list(text.files),
        "fingerprint": text.fingerprint,
        "split": (
            f"texts cut at blank lines into documents of about {SECTION} characters; held out are those whose sha256 "
            f"is in the lowest {HELD_OUT:.0%}"
        ),
        "train": {"documents": len(text.train), "tokens": train_tokens},
        "held_out": {"documents": len(text.held_out), "tokens": held_out_tokens},
    }
