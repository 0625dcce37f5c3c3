"""What a stored run says of itself, whatever version wrote it. Needs no torch."""

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from dtclaims.errors import StoreError
from dtclaims.harness.lab import Stored
from dtclaims.lab.data.simulators import simulator_of_data
from dtclaims.lab.design.spec import Budget, RunSpec

if TYPE_CHECKING:
    from torch import Tensor

COLLECTED_WITH = ("code", "simulator", "resolved")
"""Parts of the identity of collected data that say what collected them; of the simulator, its version."""
SIZES = "sizes"
"""Kind of a backbone that an arm takes its sizes from, and nothing else."""
Identity = Mapping[str, Any]


def spec_of(identity: Identity) -> RunSpec:
    """The specification of a run; fields that it was recorded without have their default.

    Raises:
        StoreError: fields that a run of today does not have, or lacks one without a default.
    """
    own = {field.name for field in fields(RunSpec)}
    try:
        # Until schema 2 the specification stood apart.
        said = identity["spec"] if "spec" in identity else {**identity["what"], **identity["how"]}
        known = said if "spec" in identity else {name: value for name, value in said.items() if name in own}
        return RunSpec(**{**known, "budget": Budget(**said["budget"])})
    except (TypeError, KeyError) as error:
        raise StoreError("a run that this dtclaims cannot have made", given=error) from None


def budget_of(run: Stored) -> Budget:
    """The budget of a run's scale."""
    return spec_of(run.identity).budget


def checkpoint(run: Stored, epoch: int) -> "dict[str, Tensor]":
    """Parameters at a kept epoch, on the CPU.

    Raises:
        StoreError: the epoch was not kept, was dropped, or the file is not the one that was written.
    """
    from safetensors.torch import load_file

    tensors: dict[str, Tensor] = load_file(run.file(checkpoint_name(epoch)))
    return tensors


def checkpoint_name(epoch: int) -> str:
    """The file of a kept epoch."""
    return f"epoch_{epoch:03d}.safetensors"


def inputs_of(identity: Identity) -> tuple[Identity, Mapping[str, Identity]]:
    """Identity of a run's data, and of its backbones by source."""
    found = identity if "spec" in identity else identity["how"]
    return found["data"], found["backbones"]


def meaning(identity: Identity) -> dict[str, Any]:
    """What a result is of, whatever code and versions made it.

    Raises:
        StoreError: a result that this dtclaims cannot have made.
    """
    made = {"device": identity.get("device"), "precision": identity.get("precision")}
    try:
        if "spec" in identity or identity.get("kind") == "run":
            data, backbones = inputs_of(identity)
            weights = {source: _weights(one) for source, one in backbones.items()}
            return {"run": asdict(spec_of(identity)), "data": _data(data), "backbones": weights, **made}
        if "measurement" in identity:
            said = dict(identity["parameters"])
            if "data" in said:
                said["data"] = _data(said["data"])
            return {"quantity": identity["measurement"], "runs": list(identity["runs"]), "said": said}
        how, what = identity["how"], identity["what"]
        said = {**how["switches"], **how["parameters"], **({"remade": True} if how.get("remade") else {})}
        if "data" in how:
            said |= {"data": _data(how["data"]), "seed": what["seed"], "scale": what["scale"]}
        return {"quantity": what["quantity"], "runs": list(identity["needs"]), "said": said}
    except (KeyError, TypeError) as error:
        raise StoreError("a result that this dtclaims cannot have made", given=repr(error)) from None


def _data(identity: Identity) -> dict[str, Any]:
    """Data by content, or by recipe and simulator; a file's name and place say nothing."""
    said = {name: value for name, value in identity.items() if name not in (*COLLECTED_WITH, "name", "path")}
    return {**said, "simulator": simulator_of_data(identity)} if identity.get("kind") == "collected" else said


def _weights(identity: Identity) -> dict[str, Any]:
    if identity.get("kind") == SIZES:
        return {"kind": SIZES, "config": identity["config"]}
    return {"sha256": identity["sha256"]}


def fault(identity: Mapping[str, Any], result: Mapping[str, Any]) -> str | None:
    """What is wrong with a run's result: a curve without a value for each of its epochs, or with one that is no number.

    Args:
        identity: of the run.
        result: what its `result.json` holds.
    """
    epochs = identity.get("what", identity.get("spec", {})).get("epochs")
    curves = result.get("curves")
    if not isinstance(curves, Mapping) or "return_mean" not in curves:
        return "no curves"
    for name, values in curves.items():
        if not isinstance(values, list) or len(values) != epochs:
            count = len(values) if isinstance(values, list) else 0
            return f"curve {name} has {count} values, and the run {epochs} epochs"
        if not all(isinstance(one, int | float) and math.isfinite(one) for one in values):
            return f"curve {name} has a value that is no finite number"
    return None
