"""What the paper's scale needs, with random contents: GPT-2 and iGPT as the hub's cache has them, and D4RL-shaped sets.

    python -m dtclaims.tests.support.lookalikes FOLDER
    HF_HUB_CACHE=FOLDER/hub D4RL_DATASET_DIR=FOLDER/d4rl DTCLAIMS_HOME=FOLDER/home \\
        pytest claims -m gpu --scale paper --simulator v4 --preflight

Sizes, names and layouts are the real ones; so are counts and returns of the sets, by which D4RL's are told from others.
Nothing that is learnt from them means anything.
"""

import sys
from pathlib import Path

import numpy as np
from transformers import GPT2Config, GPT2Model, ImageGPTConfig, ImageGPTModel

from dtclaims.lab.data.hdf5 import save_hdf5
from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.design.tasks import ALL_TASKS, Task, get_task

REVISION = "0" * 40


def like_d4rl(task: Task, seed: int = 0) -> Trajectories:
    """A set of random states and actions with the counts and returns of D4RL's medium-v2 (protocol §1)."""
    facts, random = task.medium, np.random.default_rng(seed)
    count = facts.trajectories
    ends = np.array([facts.return_max, facts.return_min])
    # All others lie at two returns, which make up what is left of the mean and of the spread.
    mean = (count * facts.return_mean - ends.sum()) / (count - 2)
    square = (count * (facts.return_std**2 + facts.return_mean**2) - (ends**2).sum()) / (count - 2)
    spread = np.sqrt(square - mean**2) * np.where(np.arange(count - 2) % 2, 1, -1)
    lengths = np.full(count, facts.steps // count)
    lengths[: facts.steps % count] += 1
    rewards = np.repeat(np.concatenate([ends, mean + spread]) / lengths, lengths)
    return Trajectories(
        task,
        random.normal(size=(facts.steps, task.state_dim)).astype(np.float32),
        random.uniform(-1, 1, size=(facts.steps, task.action_dim)).astype(np.float32),
        rewards.astype(np.float32),
        lengths.astype(np.int64),
        lengths < 1000,
    )


def like_gpt2(folder: Path, blocks: int = 12, width: int = 768, heads: int = 12) -> Path:
    """A GPT-2 of random weights as its hub checkpoint is laid out; of gpt2's shape unless another is asked for."""
    GPT2Model(GPT2Config(n_layer=blocks, n_embd=width, n_head=heads)).save_pretrained(folder)
    return folder


def like_igpt(folder: Path, blocks: int = 24, width: int = 512, heads: int = 8) -> Path:
    """An ImageGPT of random weights; of openai/imagegpt-small's shape unless another is asked for."""
    ImageGPTModel(ImageGPTConfig(n_layer=blocks, n_embd=width, n_head=heads)).save_pretrained(folder)
    return folder


def in_cache(cache: Path, name: str) -> Path:
    """The folder of a checkpoint's files in the hub's cache, made and referred to."""
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(REVISION)
    return repository / "snapshots" / REVISION


def make_all(folder: Path, tasks: tuple[str, ...] = ALL_TASKS) -> None:
    """Everything, below a folder: `hub`, `d4rl`, and an empty `home`."""
    like_gpt2(in_cache(folder / "hub", "gpt2"))
    like_igpt(in_cache(folder / "hub", "openai/imagegpt-small"))
    for name in ("d4rl", "home"):
        (folder / name).mkdir()
    for task in map(get_task, tasks):
        save_hdf5(like_d4rl(task), folder / "d4rl" / f"{task.name}_medium-v2.hdf5")


if __name__ == "__main__":
    make_all(Path(sys.argv[1]))
