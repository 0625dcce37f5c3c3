"""Tanh-Gaussian policies: the actors that the synthetic datasets are collected with.

a = tanh(μ(s) + σ(s)·ε), ε ~ N(0, I), with μ and log σ from a two-layer ReLU network on the raw
state (Soft Actor-Critic's actor; log σ clipped to [−20, 2]). Inference is plain numpy, so that
collecting data needs no torch.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from dtclaims.errors import DataError
from dtclaims.lab.cards import WEIGHTS_FILE
from dtclaims.lab.design.tasks import Task

Float32 = npt.NDArray[np.float32]

LOG_STD_RANGE = (-20.0, 2.0)

HIDDEN_LAYERS = ("hidden.0", "hidden.1")


class Policy:
    """A tanh-Gaussian actor in float32.

    Args:
        task: the environment it acts in.
        tensors: `hidden.0`, `hidden.1`, `mean` and `log_std`, each with `.weight` (out, in) and `.bias`
            (out), as float32 or float16.

    Raises:
        DataError: a tensor that is missing, unknown, of another shape or type, or not finite.
    """

    def __init__(self, task: Task, tensors: Mapping[str, npt.NDArray[np.floating]]) -> None:
        self.task = task
        self.tensors: dict[str, Float32] = _checked(task, tensors)

    @classmethod
    def load(cls, folder: Path, task: Task) -> "Policy":
        """Read `folder`/model.safetensors.

        Raises:
            DataError: no such file, not a safetensors file, or tensors that do not fit the task.
        """
        path = folder / WEIGHTS_FILE
        try:
            tensors = load_file(path)
        except FileNotFoundError:
            raise DataError("no policy weights", given=path, expected="a safetensors file") from None
        except SafetensorError as error:
            raise DataError("policy weights cannot be read", given=f"{path} ({error})") from None
        return cls(task, tensors)

    def save(self, path: Path) -> None:
        """Write the weights to `path` as float32 safetensors."""
        save_file({name: np.ascontiguousarray(value) for name, value in self.tensors.items()}, path)

    def act(self, states: npt.NDArray[np.floating], rng: np.random.Generator, deterministic: bool = False) -> Float32:
        """Actions (n, A) in [−1, 1] for states (n, S), one independent draw a row.

        With `deterministic`, tanh(μ(s)), and `rng` is left untouched.

        Raises:
            DataError: states of another width.
        """
        if states.ndim != 2 or states.shape[1] != self.task.state_dim:
            raise DataError(f"states of {self.task.name}", given=states.shape, expected=f"(n, {self.task.state_dim})")
        x = states.astype(np.float32)
        for layer in HIDDEN_LAYERS:
            x = np.maximum(self._linear(layer, x), 0.0)
        actions = self._linear("mean", x)
        if not deterministic:
            std = np.exp(self._linear("log_std", x).clip(*LOG_STD_RANGE))
            actions = actions + std * rng.standard_normal(actions.shape, dtype=np.float32)
        return np.tanh(actions)

    def _linear(self, layer: str, x: Float32) -> Float32:
        out: Float32 = x @ self.tensors[f"{layer}.weight"].T + self.tensors[f"{layer}.bias"]
        return out


def _checked(task: Task, tensors: Mapping[str, npt.NDArray[np.floating]]) -> dict[str, Float32]:
    names = [f"{layer}.{part}" for layer in (*HIDDEN_LAYERS, "mean", "log_std") for part in ("weight", "bias")]
    if missing := [name for name in names if name not in tensors]:
        raise DataError("policy tensors are missing", given=sorted(tensors), expected=", ".join(missing))
    if unknown := sorted(set(tensors) - set(names)):
        raise DataError("unknown policy tensors", given=", ".join(unknown), expected=", ".join(names))
    width = tensors["hidden.0.bias"].shape[0] if tensors["hidden.0.bias"].ndim == 1 else 0
    shapes = {
        "hidden.0": (width, task.state_dim),
        "hidden.1": (width, width),
        "mean": (task.action_dim, width),
        "log_std": (task.action_dim, width),
    }
    for name in names:
        layer, _, part = name.rpartition(".")
        value, shape = tensors[name], shapes[layer] if part == "weight" else shapes[layer][:1]
        if value.shape != shape or value.dtype not in (np.float32, np.float16):
            raise DataError(
                f"policy tensor {name}", given=f"{value.dtype} {value.shape}", expected=f"float32 or float16 {shape}"
            )
        if not np.isfinite(value).all():
            raise DataError(f"policy tensor {name} is not finite")
    return {name: tensors[name].astype(np.float32) for name in names}
