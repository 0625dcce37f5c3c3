"""Small policies with random weights, and what a tanh-Gaussian's network says of a state."""

import numpy as np


def random_tensors(seed: int = 0, width: int = 8) -> dict[str, np.ndarray]:
    """Weights of a small Hopper policy."""
    rng = np.random.default_rng(seed)
    sizes = {"hidden.0": (width, 11), "hidden.1": (width, width), "mean": (3, width), "log_std": (3, width)}
    tensors = {}
    for layer, shape in sizes.items():
        tensors[f"{layer}.weight"] = (rng.normal(size=shape) / np.sqrt(shape[1])).astype(np.float32)
        tensors[f"{layer}.bias"] = rng.normal(size=shape[:1]).astype(np.float32)
    return tensors


def moments(tensors: dict[str, np.ndarray], state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """μ and σ of one state, in float64 and unit by unit."""
    x = list(state.astype(np.float64))
    for layer in ("hidden.0", "hidden.1"):
        weight, bias = tensors[f"{layer}.weight"].astype(np.float64), tensors[f"{layer}.bias"].astype(np.float64)
        x = [max(sum(w * v for w, v in zip(row, x, strict=True)) + b, 0.0) for row, b in zip(weight, bias, strict=True)]
    mean = tensors["mean.weight"].astype(np.float64) @ x + tensors["mean.bias"]
    log_std = tensors["log_std.weight"].astype(np.float64) @ x + tensors["log_std.bias"]
    return mean, np.exp(np.clip(log_std, -20, 2))
