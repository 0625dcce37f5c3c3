"""What a run or a measurement depends on: specification, data, backbone, versions, device, precision, code."""

from collections.abc import Iterable, Mapping
from typing import Any

from dtclaims.identity import code_digests, versions
from dtclaims.runs.spec import RunSpec

SCHEMA = 1
PRECISION = "float32"

MODEL_CODE = (
    "arms.py",
    "models/arms.py",
    "models/attention.py",
    "models/backbones.py",
    "models/decision_transformer.py",
    "models/transformer.py",
    "data/tasks.py",
    "data/trajectories.py",
    "data/windows.py",
    "seeding.py",
)
TRAINING_CODE = (
    *MODEL_CODE,
    "data/physics.py",
    "train/evaluate.py",
    "train/lanes.py",
    "train/loop.py",
    "train/rollouts.py",
)
MEASUREMENT_CODE = (
    *MODEL_CODE,
    "measurements.py",
    "models/capture.py",
    "metrics/attention.py",
    "metrics/cka.py",
    "metrics/cka_layers.py",
    "metrics/inputs.py",
    "metrics/parameters.py",
)


def run_identity(spec: RunSpec, *, data: Mapping[str, Any], backbone: Mapping[str, Any], device: str) -> dict[str, Any]:
    """Everything the result of `spec` depends on, as plain data.

    Args:
        spec: the run.
        data: identity of the data: the recipe it is collected by, or a file's digest.
        backbone: identity of the language backbone. Random arms take their sizes from it, so it counts for them too.
        device: device class, `cpu` or `cuda`.
    """
    return {
        "schema": SCHEMA,
        "spec": spec.to_json(),
        "data": dict(data),
        "backbone": dict(backbone),
        "versions": versions(),
        "device": device,
        "precision": PRECISION,
        "code": code_digests(TRAINING_CODE),
    }


def measurement_identity(name: str, runs: Iterable[str], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Everything a measurement of stored runs depends on, as plain data."""
    return {
        "schema": SCHEMA,
        "measurement": name,
        "runs": list(runs),
        "parameters": dict(parameters),
        "code": code_digests(MEASUREMENT_CODE),
    }
