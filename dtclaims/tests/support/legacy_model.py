"""Compile MJCF files in MuJoCo 2.1.0 and write every numerical field: run by the legacy environment's python.

    python legacy_model.py OUT.npz NAME=FILE …

A FILE without a folder is one of gym's. Arrays are called NAME/field, those of `opt` NAME/opt.field.
"""

import sys
from pathlib import Path

import numpy as np


def fields(model):
    found = {}
    for prefix, part in (("", model), ("opt.", model.opt)):
        for name in dir(part):
            value = None if name.startswith("_") or name == "uintptr" else getattr(part, name)
            if isinstance(value, (int, float, np.ndarray)):
                # A copy: mujoco-py's arrays are views of a model that may be gone.
                found[prefix + name] = np.array(value)
    return found


if __name__ == "__main__":
    import gym.envs.mujoco
    import mujoco_py

    assets, arrays = Path(gym.envs.mujoco.__file__).parent / "assets", {}
    for argument in sys.argv[2:]:
        name, _, file = argument.partition("=")
        model = mujoco_py.load_model_from_path(str(assets / file))
        arrays.update({f"{name}/{field}": value for field, value in fields(model).items()})
    np.savez(sys.argv[1], **arrays)
