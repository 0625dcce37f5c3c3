"""The scales: what a run costs and what its verdict can say (design: scales table)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dtclaims.errors import UsageError
from dtclaims.harness.lab import Scale as AnyScale
from dtclaims.lab.design.spec import Budget


@dataclass(frozen=True, kw_only=True)
class Scale(AnyScale):
    """Backbones, data and budget of every run at one scale."""

    backbones: Mapping[str, str]
    """By source: a folder under `fixtures/backbones` or `DTCLAIMS_HOME/backbones`, or `hub:NAME` for a checkpoint in
    the Hugging Face cache."""
    medium_steps: int
    """Environment steps of the medium set that is collected where no file is given."""
    budget: Budget
    sizes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By source: shape of the network, where the backbone does not ship and random arms are to run without it."""
    simulator: str = "v4"
    """That runs are evaluated in, and data collected, where the user names none."""


def _own(scale: str) -> dict[str, str]:
    return {source: f"{source}-{scale}" for source in ("language", "image", "iid", "markov")}


PAPER_BUDGET = Budget(
    epochs=40,
    steps_per_epoch=2500,
    batch_size=64,
    learning_rate=1e-4,
    warmup_steps=5000,
    evaluation_episodes=100,
    fresh_episodes=100,
)
"""Protocol §§3, 4, 5."""
PAPER_SIZES = {
    "language": {"blocks": 12, "width": 768, "heads": 12, "activation": "gelu_new"},
    "image": {"blocks": 24, "width": 512, "heads": 8, "activation": "quick_gelu", "norm": "rms"},
}
"""GPT-2 small and iGPT-S. Dropout is the fine-tuning's own (protocol §3.2), as it is for loaded backbones."""

SCALES: dict[str, Scale] = {
    scale.name: scale
    for scale in (
        # 12 blocks of width 32: every block claim of the paper has its block, and all runs of the default job fit a few
        # minutes of two cores. At this rate the language arm's blocks end as far from their start, by their norm, as
        # the paper's do, in 100 steps instead of 100,000 (docs/regime.md); warm-up keeps its share of 5 %.
        Scale(
            name="mini",
            backbones=_own("mini"),
            medium_steps=50_000,
            budget=Budget(
                epochs=5,
                steps_per_epoch=20,
                batch_size=12,
                learning_rate=2.3e-3,
                warmup_steps=5,
                evaluation_episodes=4,
                held_out_steps=800,
                fresh_episodes=8,
            ),
            needs_gpu=False,
            seeds=3,
            tasks=("hopper",),
            per_gpu=16,
            label="mini: toy-sized networks, self-pre-trained backbone, self-collected data. "
            "Shows that the pipeline works and a direction at toy size; it is not a verdict on the paper.",
            apart="networks of width 32 after 100 updates are of another size than the paper's, and so is what they do",
        ),
        Scale(
            name="small",
            backbones=_own("small"),
            medium_steps=1_000_000,
            budget=Budget(
                epochs=40,
                steps_per_epoch=250,
                batch_size=64,
                # Where the language arm's blocks end as far from their start, by their norm, as the paper's do: 0.12.
                # At the paper's own rate they would move 0.19, at 3e-4 0.32 (docs/regime.md).
                learning_rate=3.5e-5,
                warmup_steps=500,
                # Fewer than the reference's 100: physics on the CPU is what a run waits for, and a claim's score is the
                # mean or the best of several epochs.
                evaluation_episodes=20,
                fresh_episodes=100,
            ),
            needs_gpu=True,
            per_gpu=8,
            label="small: reduced networks, self-pre-trained backbone, self-collected data. "
            "A conceptual replication; it is not the paper's own verdict.",
            # Fitted to one arm, the others are where they are.
            apart="the regime agrees for the language arm only: random init moves 0.25 of its norm where the paper's "
            "moved more than 1, and the image arm 0.22 where it moved less than 0.03",
        ),
        Scale(
            name="full",
            backbones=_own("paper"),
            medium_steps=1_000_000,
            budget=PAPER_BUDGET,
            needs_gpu=True,
            per_gpu=2,
            label="full: the paper's sizes and training budget, self-pre-trained backbones, self-collected data. "
            "A replication with other weights and data; it is not the paper's own verdict.",
            sizes=PAPER_SIZES,
        ),
        Scale(
            name="paper",
            backbones={**_own("paper"), "language": "hub:gpt2", "image": "hub:openai/imagegpt-small"},
            medium_steps=1_000_000,
            budget=PAPER_BUDGET,
            needs_gpu=True,
            per_gpu=2,
            label="paper: the paper's sizes, weights and data.",
            simulator="gym-v2",
        ),
    )
}


def get_scale(name: str) -> Scale:
    """The scale called `name`.

    Raises:
        UsageError: no such scale.
    """
    try:
        return SCALES[name]
    except KeyError:
        raise UsageError("unknown scale", given=repr(name), expected=f"auto, {', '.join(SCALES)}") from None
