"""The training loop of pre-training: updates, held-out curve, checkpoints."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from dtclaims.errors import RunFailed
from dtclaims.lab.pretrain.artefact import save_checkpoint
from dtclaims.lab.pretrain.examples import Examples
from dtclaims.lab.pretrain.network import Scale, TokenModel
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

    def __init__(self, model: TokenModel, examples: Examples, preset: Scale, settings: dict[str, Any]) -> None:
        self.model, self.examples, self.preset, self.settings = model, examples, preset, settings
        self.seed, self.updates, self.batch = settings["seed"], settings["updates"], settings["batch"]
        self.device = model.wte.device
        self.figure = f"held_out_bits_per_{examples.unit}"
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
        for group in self.optimizer.param_groups:
            group["lr"] = self.preset.learning_rate * rate(self.done, self.updates)
        kind = self.examples.kind
        torch.manual_seed(derive(self.seed, f"{kind}/dropout/{self.done}"))
        inputs, targets = self.examples.batch(generator(self.seed, f"{kind}/batch/{self.done}"), self.batch)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda"):
            loss = F.cross_entropy(self.model(inputs).flatten(0, 1), targets.flatten())
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.done += 1

    def evaluate(self, out: Path, progress: Progress | None) -> None:
        """Add a point to the curve, save the run, tell `progress`."""
        bits = self.examples.held_out_bits(self.model)
        if not math.isfinite(bits):
            raise RunFailed(
                "pre-training diverged",
                given=f"held-out loss {bits} after {self.done} updates",
                remedy="Try another seed or a larger batch.",
            )
        self.curve.append({"update": self.done, self.figure: round(bits, 6)})
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
        """Tokens seen, speed, and held-out bits beside the untrained network's and the baselines'.

        Weights that are stored in half precision are rounded to it, and measured once more.
        """
        seen = self.updates * self.batch * self.preset.context
        tokens = self.examples.tokens
        model = self.curve[-1][self.figure]
        baselines = {"untrained_network": self.curve[0][self.figure], **self.examples.baselines()}
        return {
            "updates": self.updates,
            "tokens_seen": seen,
            **({} if tokens is None else {"epochs": round(seen / tokens, 2)}),
            "seconds": round(self.seconds, 1),
            "tokens_per_second": round(self.tokens_per_second()),
            self.figure: {"model": model, **{name: round(bits, 6) for name, bits in baselines.items()}},
            "better_by": {name: round(bits - model, 6) for name, bits in baselines.items()},
            "stored": {
                "precision": str(self.preset.stored).removeprefix("torch."),
                self.figure: model if self.preset.stored == torch.float32 else self.rounded_bits(),
            },
            "held_out_curve": self.curve,
            "measured": self.examples.measured,
        }

    def rounded_bits(self) -> float:
        """Round the weights to the precision they are stored in; the held-out figure of what is left."""
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.copy_(parameter.to(self.preset.stored))
        return round(self.examples.held_out_bits(self.model), 6)


def rate(update: int, updates: int) -> float:
    """Learning rate of an update (from 0) as a share of its peak: linear warm-up, then half a cosine."""
    warmup = max(1, round(WARMUP * updates))
    if update < warmup:
        return (update + 1) / warmup
    through = (update - warmup) / max(1, updates - warmup)
    return FINAL_RATE + (1.0 - FINAL_RATE) * 0.5 * (1.0 + math.cos(math.pi * through))
