"""Language pre-training of GPT-2-shaped backbones on a local corpus: from text files to a result folder."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from dtclaims.errors import DataError, UsageError
from dtclaims.pretrain.artefact import CHECKPOINT, finished_card, load_checkpoint, write_atomically, write_card
from dtclaims.pretrain.corpus import HELD_OUT, SECTION, Corpus, read_corpus
from dtclaims.pretrain.network import SCALES, LanguageModel
from dtclaims.pretrain.sources import SOURCES
from dtclaims.pretrain.tokenizer import encode_documents, train_tokenizer
from dtclaims.pretrain.training import Progress, Run
from dtclaims.seeding import derive


def pretrain_language(
    scale: str,
    corpus: Sequence[Path | str],
    out: Path,
    *,
    seed: int = 0,
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
        seed: of weights, batches and dropout.
        device: `auto` (CUDA if there is one), `cpu` or `cuda`.
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
    if scale not in SCALES:
        raise UsageError("unknown scale", given=repr(scale), expected=f"one of {', '.join(SCALES)}")
    preset = SCALES[scale]
    updates = preset.updates if updates is None else updates
    batch = preset.batch if batch is None else batch
    for name, count in (("updates", updates), ("batch", batch)):
        if count < 1:
            raise UsageError(f"{name} must be at least 1", given=count)
    place = pick_device(device)
    text = read_corpus(corpus)
    settings: dict[str, object] = {
        "scale": scale,
        "seed": seed,
        "updates": updates,
        "batch": batch,
        "device": place.type,
        "corpus": text.fingerprint,
    }
    card = finished_card(out, settings, resume=resume)
    if card is not None:
        return card
    out.mkdir(parents=True, exist_ok=True)
    saved = load_checkpoint(out, settings) if resume else None

    tokenizer = train_tokenizer((document.text for document in text.train), preset.vocabulary)
    train = encode_documents(tokenizer, [document.text for document in text.train])
    held_out = encode_documents(tokenizer, [document.text for document in text.held_out])
    if len(train) <= preset.context:
        raise DataError(
            "corpus is shorter than one window",
            given=f"{len(train)} training tokens",
            expected=f"more than {preset.context}",
        )
    vocabulary = tokenizer.get_vocab_size()
    weights = torch.Generator().manual_seed(derive(seed, "language/weights"))
    model = LanguageModel(preset.config, vocabulary, preset.context, weights).to(place)
    run = Run(model, train, held_out, text, preset, settings)
    if saved is not None:
        run.restore(saved)
    run.train(out, progress)

    save_file(model.backbone(preset.stored), out / "model.safetensors")
    write_atomically(out / "tokenizer.json", tokenizer.to_str(pretty=False).encode())
    redistributable = all(entry.get("package") in SOURCES for entry in text.files)
    card = write_card(
        out,
        {
            "kind": "backbone",
            "name": f"language-{scale}",
            "made_with": command(scale, corpus, out, seed, place.type, updates, batch),
            "licence": "MIT" if redistributable else "not stated: see the licences of the corpus under origin",
            "origin": origin(text, len(train), len(held_out)),
            "settings": settings,
            "config": {**asdict(preset.config), "context": preset.context, "vocabulary": vocabulary},
            "results": run.results(),
        },
        ["model.safetensors", "tokenizer.json"],
        ["torch", "tokenizers", "safetensors", "numpy"],
    )
    (out / CHECKPOINT).unlink()
    return card


def pick_device(name: str) -> torch.device:
    """The device called `name`.

    Raises:
        UsageError: unknown, or `cuda` without one.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise UsageError("unknown device", given=repr(name), expected="auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("no CUDA device here", given="cuda", remedy="Use --device cpu or auto.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def command(
    scale: str, corpus: Sequence[Path | str], out: Path, seed: int, device: str, updates: int, batch: int
) -> str:
    """The command line that repeats a run; the output folder by its last name, wherever it stands."""
    words = ["dtclaims", "pretrain", "language", "--scale", scale, "--corpus", *map(str, corpus)]
    words += ["--out", out.name, "--seed", str(seed), "--device", device]
    if updates != SCALES[scale].updates:
        words += ["--updates", str(updates)]
    if batch != SCALES[scale].batch:
        words += ["--batch", str(batch)]
    return shlex.join(words)


def origin(text: Corpus, train_tokens: int, held_out_tokens: int) -> dict[str, object]:
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
