"""A pre-training run from its arguments to the result folder, whatever the data are."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from dtclaims.device import resolve_device
from dtclaims.errors import UsageError
from dtclaims.files import replacing
from dtclaims.lab.cards import WEIGHTS_FILE
from dtclaims.lab.design.checkpoints import draws_of, folder_name, number_of
from dtclaims.lab.pretrain.artefact import (
    CHECKPOINT,
    finished_card,
    load_checkpoint,
    make_folder,
    write_card,
)
from dtclaims.lab.pretrain.examples import Examples
from dtclaims.lab.pretrain.network import Scale, TokenModel
from dtclaims.lab.pretrain.training import Progress, Run
from dtclaims.lab.tensor_files import save_tensors


@dataclass(frozen=True)
class Job:
    """What is to be trained."""

    kind: str
    """`language`, `image`, `iid` or `markov`: the backbone's name begins with it."""
    words: tuple[str, ...]
    """What stands after `dtclaims pretrain`: the command's name, and the options that say what is learnt."""
    scale: str
    preset: Scale
    number: int
    """Of the checkpoint: `language-small@2`."""
    device: torch.device
    updates: int
    batch: int

    @property
    def name(self) -> str:
        """Of the checkpoint, and of its folder where claims look."""
        return folder_name(f"{self.kind}-{self.scale}", self.number)

    @property
    def seed(self) -> int:
        """What all draws derive from, with their purpose."""
        return draws_of(self.number)

    def settings(self, fingerprint: str) -> dict[str, object]:
        """What a resumed run must share with the one it continues."""
        return {
            "scale": self.scale,
            "seed": self.seed,
            "updates": self.updates,
            "batch": self.batch,
            "device": self.device.type,
            "corpus": fingerprint,
        }

    def command(self, out: Path) -> str:
        """The command line that repeats the run; the output folder by its last name, wherever it stands."""
        words = ["dtclaims", "pretrain", *self.words, "--scale", self.scale]
        words += ["--out", out.name, "--seed", str(self.number), "--device", self.device.type]
        if self.updates != self.preset.updates:
            words += ["--updates", str(self.updates)]
        if self.batch != self.preset.batch:
            words += ["--batch", str(self.batch)]
        return shlex.join(words)


@dataclass(frozen=True)
class Prepared:
    """A network, what it learns from, and what the card says of both."""

    model: TokenModel
    examples: Examples
    vocabulary: int
    assets: Mapping[str, bytes]
    """Files beside the weights, by name."""
    licence: str
    origin: Mapping[str, object]
    packages: Sequence[str]
    """Whose versions shape the result."""


def make_job(
    kind: str,
    words: tuple[str, ...],
    scales: Mapping[str, Scale],
    scale: str,
    *,
    seed: int,
    device: str,
    updates: int | None,
    batch: int | None,
) -> Job:
    """Check the arguments and fill in the scale's own values.

    Raises:
        UsageError: unknown scale or device, a negative seed, or a count below 1.
    """
    if scale not in scales:
        raise UsageError("unknown scale", given=repr(scale), expected=f"one of {', '.join(scales)}")
    preset = scales[scale]
    updates = preset.updates if updates is None else updates
    batch = preset.batch if batch is None else batch
    for name, count in (("updates", updates), ("batch", batch)):
        if count < 1:
            raise UsageError(f"{name} must be at least 1", given=count)
    return Job(kind, words, scale, preset, number_of(seed), torch.device(resolve_device(device)), updates, batch)


def run_job(
    job: Job,
    fingerprint: str,
    out: Path,
    prepare: Callable[[], Prepared],
    *,
    resume: bool,
    progress: Progress | None,
) -> dict[str, Any]:
    """Train, and write weights, assets and card to `out`; a finished run that may be resumed returns its card.

    Raises:
        UsageError: `out` belongs to another run, or cannot be written to.
        StoreError: the checkpoint cannot be read.
        RunFailed: the loss is no longer finite.
    """
    settings = job.settings(fingerprint)
    card = finished_card(out, settings, resume=resume)
    if card is not None:
        return card
    make_folder(out)
    saved = load_checkpoint(out, settings) if resume else None
    prepared = prepare()
    run = Run(prepared.model, prepared.examples, job.preset, settings)
    if saved is not None:
        run.restore(saved)
    run.train(out, progress)

    save_tensors(out / WEIGHTS_FILE, prepared.model.backbone(job.preset.stored))
    for name, content in prepared.assets.items():
        with replacing(out / name) as partial:
            partial.write_bytes(content)
    card = write_card(
        out,
        {
            "kind": "backbone",
            "name": job.name,
            "number": job.number,
            "made_with": job.command(out),
            "licence": prepared.licence,
            "origin": prepared.origin,
            "settings": settings,
            "config": {
                "kind": job.words[0],
                **asdict(job.preset.config),
                "context": job.preset.context,
                "vocabulary": prepared.vocabulary,
            },
            "results": run.results(),
        },
        [WEIGHTS_FILE, *prepared.assets],
        ["torch", *prepared.packages, "safetensors", "numpy"],
    )
    (out / CHECKPOINT).unlink()
    return card
