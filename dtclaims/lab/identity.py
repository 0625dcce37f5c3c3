"""What a run or a measurement depends on: specification, data, backbone, versions, device, precision, code."""

from collections.abc import Iterable, Mapping
from typing import Any

from dtclaims.addresses import versions
from dtclaims.closure import code_of, resolved
from dtclaims.lab.design.arms import get_arm
from dtclaims.lab.design.spec import RunSpec
from dtclaims.lab.design.tasks import get_task

SCHEMA = 1
PACKAGES = ("gymnasium", "mujoco", "numpy", "torch")
"""Whose versions change numbers."""
TABLES = ("ARMS", "PROTOCOLS", "SCALES", "SWITCHES", "TASKS")
"""Whose rows stand in addresses as values."""
HANDED = (
    "dtclaims.lab.data.trajectories:Trajectories",
    "dtclaims.lab.design.spec:RunSpec",
    "dtclaims.lab.models.backbones:Backbone",
)
"""Classes of what training and measurements are handed: their code counts, whoever makes them."""
TRAINING = ("dtclaims.lab.train.loop:Trainer", *HANDED)
"""Where a run's code begins."""
MEASURING = ("dtclaims.lab.measurements.bench:Bench", *HANDED)
"""Where the code of every measurement of networks begins, beside its own function."""


def training_code() -> dict[str, str]:
    """The code that a run depends on: part → digest."""
    return code_of(*TRAINING, rows=TABLES).to_json()


def measurement_code(name: str) -> dict[str, str]:
    """The code that a measurement of networks depends on: part → digest; of one that reads curves, none."""
    from dtclaims.lab.measurements import MEASUREMENTS

    function = MEASUREMENTS[name].from_networks
    if function is None:
        return {}
    return code_of(f"{function.__module__}:{function.__qualname__}", *MEASURING, rows=TABLES).to_json()


def code_now(identity: Mapping[str, Any]) -> dict[str, str]:
    """The code that what an identity stands for would depend on today."""
    return measurement_code(identity["measurement"]) if "measurement" in identity else training_code()


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
        "resolved": {
            "arm": resolved(get_arm(spec.arm)),
            "task": resolved(get_task(spec.task)),
            "kept_epochs": resolved(spec.kept_epochs),
            "gradient_clip": resolved(spec.gradient_clip),
        },
        "data": dict(data),
        "backbones": {source: dict(found) for source, found in backbones.items()},
        "versions": versions(*PACKAGES),
        "device": device,
        "precision": precision,
        "code": training_code(),
    }


def measurement_identity(name: str, runs: Iterable[str], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Everything a measurement of stored runs depends on, as plain data.

    Args:
        name: of the measurement.
        runs: keys of the runs it reads.
        parameters: its switches and parameters.
    """
    return {
        "schema": SCHEMA,
        "measurement": name,
        "runs": list(runs),
        "parameters": dict(parameters),
        "code": measurement_code(name),
    }
