"""Where a run's data and backbone come from, and whether they are at hand, without importing torch."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtclaims.data.collect import obtain, policy_folder, shipped_recipe
from dtclaims.data.tasks import get_task
from dtclaims.data.trajectories import Trajectories, load_hdf5
from dtclaims.fixtures import fixture_dir, read_card, sha256_file
from dtclaims.runs.scales import SCALES, Scale

if TYPE_CHECKING:
    from dtclaims.models import Backbone


@dataclass(frozen=True)
class Unavailable:
    """Something a run needs is not at hand: why, and what would make it run."""

    reason: str
    remedy: str


@dataclass(frozen=True)
class Inputs:
    """Data and language backbone of the runs of one task at one scale."""

    task: str
    scale: str
    data: Mapping[str, Any]
    """Identity of the data: part of a run's key."""
    backbone: Mapping[str, Any]
    """Identity of the language backbone: part of a run's key."""

    def load_data(self, progress: Callable[[int, int], None] | None = None) -> Trajectories:
        """Read the data, collecting it first if need be."""
        if self.data["kind"] == "file":
            return load_hdf5(Path(self.data["path"]), self.task)
        return obtain(shipped_recipe(self.task, steps=self.data["steps"], seed=self.data["seed"]), progress)

    def load_backbone(self) -> "Backbone":
        """Read the language backbone (imports torch)."""
        from dtclaims.models import load_backbone

        return load_backbone(Path(self.backbone["path"]))


def find_inputs(task: str, scale: Scale) -> Inputs | Unavailable:
    """What runs of a task at a scale would use, or what is missing.

    Raises:
        FixtureError: a shipped file is not the recorded one.
    """
    backbone = find_backbone(scale)
    if isinstance(backbone, Unavailable):
        return backbone
    data = find_data(task, scale)
    if isinstance(data, Unavailable):
        return data
    return Inputs(task, scale.name, data, backbone)


def find_backbone(scale: Scale) -> dict[str, Any] | Unavailable:
    """Identity of a scale's language backbone: a shipped folder, or the hub's checkpoint in the local cache."""
    if scale.language_backbone.startswith("hub:"):
        name = scale.language_backbone.removeprefix("hub:")
        weights = cached_hub_file(name, "model.safetensors")
        if weights is None:
            return Unavailable(
                f"the checkpoint {name} is not in the Hugging Face cache",
                f"Where there is a network: `hf download {name} config.json model.safetensors`; or set HF_HOME.",
            )
        return {"kind": "hub", "name": name, "sha256": sha256_file(weights), "path": str(weights.parent)}
    folder = fixture_dir() / "backbones" / scale.language_backbone
    if not folder.is_dir():
        return Unavailable(
            f"the backbone {scale.language_backbone} is not shipped with this version",
            f"Make it: `dtclaims pretrain corpus --out corpus && dtclaims pretrain language --scale {scale.name} "
            f"--corpus corpus --out {folder}`.",
        )
    sha256 = read_card(folder)["files"]["model.safetensors"]["sha256"]
    return {"kind": "self-pre-trained", "name": scale.language_backbone, "sha256": sha256, "path": str(folder)}


def find_data(task: str, scale: Scale) -> dict[str, Any] | Unavailable:
    """Identity of the medium set: D4RL's own file for the paper scale, else collected with the shipped policy."""
    if scale.name == "paper":
        root = Path(os.environ.get("D4RL_DATASET_DIR", Path.home() / ".d4rl" / "datasets"))
        path = root / f"{task}_medium-v2.hdf5"
        if not path.is_file():
            return Unavailable(
                f"D4RL's {path.name} is not at hand",
                f"Put it at {path} (D4RL's own cache; D4RL_DATASET_DIR overrides the folder).",
            )
        return {"kind": "file", "name": path.name, "sha256": sha256_file(path), "path": str(path)}
    get_task(task)
    if not policy_folder(task, "medium").is_dir():
        return Unavailable(
            f"no medium policy for {task} is shipped with this version",
            f"Train it: `dtclaims data train-policy {task}`.",
        )
    return shipped_recipe(task, steps=scale.medium_steps).identity()


def cached_hub_file(name: str, file: str) -> Path | None:
    """A file of a hub checkpoint in the local cache, or None; never asks the network."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, file)
    return Path(found) if isinstance(found, str) else None


def auto_scale(gpu_selected: bool, tasks: list[str]) -> tuple[str, str]:
    """The scale that `--scale auto` means, and why.

    Args:
        gpu_selected: whether the marker expression (`-m gpu`) asks for claims that need a GPU.
        tasks: the tasks of the claims.
    """
    if not gpu_selected:
        return "mini", "auto: without -m gpu"
    missing = [found for task in tasks if isinstance(found := find_inputs(task, SCALES["paper"]), Unavailable)]
    if not missing:
        return "paper", "auto: the paper's weights and data are at hand"
    return "small", f"auto: {missing[0].reason}"


def portable(identity: Mapping[str, Any]) -> dict[str, Any]:
    """An identity without this machine's paths: what goes into keys."""
    return {name: value for name, value in identity.items() if name != "path"}
