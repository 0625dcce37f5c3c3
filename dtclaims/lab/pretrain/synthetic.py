"""Pre-training of the language stack on tokens that mean nothing (Wang et al., ICLR 2024): no corpus is needed."""

from pathlib import Path
from typing import Any

import torch

from dtclaims.lab.pretrain.chains import STATES, TEMPERATURE, Chain, ChainExamples, make_chain
from dtclaims.lab.pretrain.job import Job, Prepared, make_job, run_job
from dtclaims.lab.pretrain.network import SYNTHETIC_SCALES, LanguageModel
from dtclaims.lab.pretrain.training import Progress
from dtclaims.seeding import derive

ORIGINS = {
    "iid": f"independent tokens, uniform over {STATES} states",
    "markov": (
        f"a one-step Markov chain of {STATES} states; transition probabilities are the softmax of numbers drawn "
        f"uniformly from [0, 1] at temperature {TEMPERATURE}"
    ),
}


def pretrain_synthetic(
    scale: str,
    kind: str,
    out: Path,
    *,
    seed: int = 1,
    device: str = "auto",
    updates: int | None = None,
    batch: int | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Pre-train a backbone on synthetic tokens and write `model.safetensors` and `card.json` to `out`.

    Network and optimizer are `pretrain_language`'s, and so is what a result depends on; the stack starts from the
    weights that a language backbone of this scale and seed starts from. Tokens are drawn as they are needed, from
    (seed, purpose), so none is seen twice.

    Args:
        scale: a name in `SYNTHETIC_SCALES`.
        kind: `iid` or `markov`, see `make_chain`.
        out: result folder, created if needed. Until the end it holds a checkpoint.
        seed: number of the checkpoint, and seed of its chain, weights, tokens and dropout.
        device: `auto` (CUDA if there is one), `cpu`, `cuda` or `cuda:i`.
        updates: instead of the scale's.
        batch: windows per update, instead of the scale's.
        resume: continue from the checkpoint in `out`, if there is one; a finished run returns its card.
        progress: called with `update`, `updates`, `held_out_bits_per_token` and `tokens_per_second` at each point of
            the held-out curve.

    Returns:
        The card. Its `config` says `"kind": "synthetic"`.

    Raises:
        UsageError: unknown scale, kind or device, a count below 1, or `out` belongs to another run.
        StoreError: the checkpoint cannot be read.
        RunFailed: the loss is no longer finite.
    """
    words = ("synthetic", "--kind", kind)
    job = make_job(kind, words, SYNTHETIC_SCALES, scale, seed=seed, device=device, updates=updates, batch=batch)
    chain = make_chain(kind, job.seed)
    return run_job(job, chain.fingerprint, out, lambda: prepare(job, chain), resume=resume, progress=progress)


def prepare(job: Job, chain: Chain) -> Prepared:
    """Untrained network and token source of a run."""
    context = job.preset.context
    weights = torch.Generator().manual_seed(derive(job.seed, "language/weights"))
    return Prepared(
        model=LanguageModel(job.preset.config, chain.states, context, weights).to(job.device),
        examples=ChainExamples(job.kind, chain, job.seed, context, job.device),
        vocabulary=chain.states,
        assets={},
        licence="MIT",
        origin={
            "data": f"drawn by dtclaims: {ORIGINS[job.kind]}",
            "after": "Wang et al., Pre-training with Synthetic Data Helps Offline Reinforcement Learning, ICLR 2024",
            "fingerprint": chain.fingerprint,
            "entropy_rate": chain.entropy_rate,
        },
        packages=["scipy"],
    )
