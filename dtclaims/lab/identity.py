"""What a run or a measurement depends on: specification, data, backbone, versions, device, precision, code."""

from collections.abc import Iterable, Mapping
from typing import Any

from dtclaims.addresses import PACKAGE, code_digests, versions
from dtclaims.lab.design.spec import RunSpec

SCHEMA = 1

MODEL_CODE = (
    "lab/design/arms.py",
    "lab/models/arms.py",
    "lab/models/attention.py",
    "lab/models/backbones.py",
    "lab/models/behaviour_cloning.py",
    "lab/models/changes.py",
    "lab/models/checkpoints.py",
    "lab/models/decision_transformer.py",
    "lab/models/initialisation.py",
    "lab/models/transformer.py",
    "lab/design/tasks.py",
    "lab/data/trajectories.py",
    "lab/data/windows.py",
    "seeding.py",
)
TRAINING_CODE = (
    *MODEL_CODE,
    "lab/data/physics.py",
    "lab/data/split.py",
    *sorted(f"lab/train/{module.name}" for module in (PACKAGE / "lab" / "train").glob("[a-z]*.py")),
)
MEASUREMENT_CODE = (*MODEL_CODE, "lab/data/split.py", "lab/measurements/bench.py", "lab/models/activations.py")
"""What every measurement of networks rests on; each names the rest of its code itself."""


def run_identity(
    spec: RunSpec,
    *,
    data: Mapping[str, Any],
    backbones: Mapping[str, Mapping[str, Any]],
    device: str,
    precision: str,
) -> dict[str, Any]:
    """Everything the result of `spec` depends on, as plain data.

    Args:
        spec: the run.
        data: identity of the data: the recipe it is collected by, or a file's digest.
        backbones: identities of the backbones the arm needs, by source. Random arms take their sizes from one.
        device: device class, `cpu` or `cuda`.
        precision: of the matrix products, see `dtclaims.lab.train`.
    """
    return {
        "schema": SCHEMA,
        "spec": spec.to_json(),
        "data": dict(data),
        "backbones": {source: dict(found) for source, found in backbones.items()},
        "versions": versions(),
        "device": device,
        "precision": precision,
        "code": code_digests(TRAINING_CODE),
    }


def measurement_identity(
    name: str, runs: Iterable[str], parameters: Mapping[str, Any], code: Iterable[str] = ()
) -> dict[str, Any]:
    """Everything a measurement of stored runs depends on, as plain data.

    Args:
        name: of the measurement.
        runs: keys of the runs it reads.
        parameters: its switches and parameters.
        code: modules of its own.
    """
    return {
        "schema": SCHEMA,
        "measurement": name,
        "runs": list(runs),
        "parameters": dict(parameters),
        "code": code_digests((*MEASUREMENT_CODE, *code)),
    }
