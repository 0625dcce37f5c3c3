"""The training loop of language pre-training: updates, held-out curve, checkpoints."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from dtclaims.errors import RunFailed
from dtclaims.pretrain.artefact import save_checkpoint
from dtclaims.pretrain.bits import byte_counts, stream_bits, unigram_bits
from dtclaims.pretrain.corpus import Corpus
from dtclaims.pretrain.network import LanguageModel, Scale
from dtclaims.seeding import derive, generator

Progress = Callable[[dict[str, float]], None]

EVALUATIONS = 10
"""Points of the held-out curve after the start; the run is saved at each."""

WARMUP = 0.02
"""Share of the updates over which the learning rate rises from 0."""

FINAL_RATE = 0.1
"""Learning rate at the end, as a share of its peak."""


class Run:
    """A pre-training run under way."""

    def __init__(
        self,
        model: LanguageModel,
        train: NDArray[np.int32],
        held_out: NDArray[np.int32],
        text: Corpus,
        preset: Scale,
        settings: dict[str, Any],
    ) -> None:
        self.model, self.preset, self.settings = model, preset, settings
        self.seed, self.updates, self.batch = settings["seed"], settings["updates"], settings["batch"]
        self.device = model.wte.device
        self.train_tokens = torch.from_numpy(train).to(self.device)
        self.held_out_tokens = torch.from_numpy(held_out).to(self.device)
        self.text = text
        self.held_out_bytes = sum(len(document.text.encode()) for document in text.held_out)
        parameters = list(model.parameters())
        self.optimizer = torch.optim.AdamW(
            [
                {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.1},
                {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=preset.learning_rate,
            betas=(0.9, 0.95),
            fused=self.device.type == "cuda",
        )
        self.done = 0
        self.seconds = 0.0
        self.curve: list[dict[str, float]] = []

    def restore(self, state: dict[str, Any]) -> None:
        """Continue where `state` was saved."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.done, self.seconds, self.curve = state["done"], state["seconds"], state["curve"]

    def train(self, out: Path, progress: Progress | None) -> None:
        """Run the remaining updates; evaluate and save at every point of the curve."""
        points = {round(self.updates * point / EVALUATIONS) for point in range(EVALUATIONS + 1)}
        if not self.curve:
            self.evaluate(out, progress)
        # Dropout draws from torch's global stream; the caller's must not notice.
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            self.model.train()
            start = time.perf_counter()
            while self.done < self.updates:
                self.update()
                if self.done in points:
                    if self.device.type == "cuda":
                        torch.cuda.synchronize()
                    self.seconds += time.perf_counter() - start
                    self.evaluate(out, progress)
                    start = time.perf_counter()

    def update(self) -> None:
        """One optimizer step. Its draws depend on the seed and its number only, so resuming needs no saved stream."""
        context = self.preset.context
        for group in self.optimizer.param_groups:
            group["lr"] = self.preset.learning_rate * rate(self.done, self.updates)
        torch.manual_seed(derive(self.seed, f"language/dropout/{self.done}"))
        draws = generator(self.seed, f"language/batch/{self.done}")
        starts = torch.from_numpy(draws.integers(0, len(self.train_tokens) - context, self.batch)).to(self.device)
        windows = self.train_tokens[starts[:, None] + torch.arange(context + 1, device=self.device)].long()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            logits = self.model(windows[:, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.done += 1

    def evaluate(self, out: Path, progress: Progress | None) -> None:
        """Add a point to the curve, save the run, tell `progress`."""
        bits = stream_bits(self.model, self.held_out_tokens, self.preset.context) / self.held_out_bytes
        if not math.isfinite(bits):
            raise RunFailed(
                "pre-training diverged",
                given=f"held-out loss {bits} after {self.done} updates",
                remedy="Try another seed or a larger batch.",
            )
        self.curve.append({"update": self.done, "held_out_bits_per_byte": round(bits, 6)})
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "done": self.done,
            "seconds": self.seconds,
            "curve": self.curve,
        }
        save_checkpoint(out, self.settings, state)
        if progress is not None:
            speed = self.tokens_per_second()
            progress({**self.curve[-1], "updates": self.updates, "tokens_per_second": speed})

    def tokens_per_second(self) -> float:
        """Training tokens over training time, evaluation left out; 0 before the first update."""
        return self.done * self.batch * self.preset.context / self.seconds if self.done else 0.0

    def results(self) -> dict[str, object]:
        """Tokens seen, speed, and held-out bits per byte beside three baselines."""
        vocabulary = self.model.wte.shape[0]
        counts = [
            torch.bincount(s[1:], minlength=vocabulary).cpu().numpy() for s in (self.train_tokens, self.held_out_tokens)
        ]
        bytes_ = [byte_counts(doc.text for doc in part) for part in (self.text.train, self.text.held_out)]
        return {
            "updates": self.updates,
            "tokens_seen": self.updates * self.batch * self.preset.context,
            "epochs": round(self.updates * self.batch * self.preset.context / len(self.train_tokens), 2),
            "seconds": round(self.seconds, 1),
            "tokens_per_second": round(self.tokens_per_second()),
            "held_out_bits_per_byte": {
                "model": self.curve[-1]["held_out_bits_per_byte"],
                "untrained_network": self.curve[0]["held_out_bits_per_byte"],
                "token_unigram": round(unigram_bits(*counts) / self.held_out_bytes, 6),
                "byte_unigram": round(unigram_bits(*bytes_) / self.held_out_bytes, 6),
            },
            "held_out_curve": self.curve,
            "measured": (
                f"bits of all held-out tokens, end-of-text tokens included, over UTF-8 bytes; windows of "
                f"{self.preset.context} tokens that do not overlap; float32; the byte unigram model pays for no "
                "end-of-text"
            ),
        }


def rate(update: int, updates: int) -> float:
    """Learning rate of an update (from 0) as a share of its peak: linear warm-up, then half a cosine."""
    warmup = max(1, round(WARMUP * updates))
    if update < warmup:
        return (update + 1) / warmup
    through = (update - warmup) / max(1, updates - warmup)
    return FINAL_RATE + (1.0 - FINAL_RATE) * 0.5 * (1.0 + math.cos(math.pi * through))
