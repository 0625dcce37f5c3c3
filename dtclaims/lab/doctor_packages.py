"""The packages that `dtclaims doctor` tries: how each shows that it works, and what helps where it does not."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """A package, the code that shows it working, and what helps where it does not."""

    name: str
    install: str
    """What helps where it is absent."""
    code: str = ""
    """Run after the package was found; empty for a plain import. May set `detail`."""
    remedies: tuple[tuple[str, str], ...] = ()
    """(pattern in the reason, what helps), the first that fits."""
    distribution: str | None = None
    """Its name where it is installed from, if another."""
    required: bool = False


REINSTALL = "Install what the lab needs: `pip install -e '.[lab]'` in the checkout, or `pip install 'dtclaims[lab]'`."

PACKAGES = (
    Package("numpy", REINSTALL, required=True),
    Package("torch", REINSTALL, required=True),
    Package("h5py", REINSTALL, required=True),
    Package("transformers", REINSTALL, required=True),
    Package(
        "mujoco",
        REINSTALL,
        code="""
import numpy, mujoco, gymnasium
from dtclaims.lab.data.physics import BatchedEnv, simulator_version
from dtclaims.lab.design.tasks import TASKS
found = simulator_version()
for task in TASKS.values():
    env = BatchedEnv(task, 1)
    env.reset([0])
    env.step(numpy.zeros((1, task.action_dim)))
detail = f"mujoco {found['mujoco']}, gymnasium {found['gymnasium']}, the three v4 tasks step"
""",
        remedies=(("has not been compared", "`pip install mujoco==3.3.7`."),),
        required=True,
    ),
    Package("minari", "`pip install minari`; needed for remote data sets only, local ones are read without it."),
    Package("envpool", "`pip install envpool`; nothing needs it, the built-in batched physics is the default."),
    Package("ray", "`pip install -e '.[ray]'` in the checkout."),
    Package("tensorboard", "`pip install -e '.[loggers]'` in the checkout."),
    Package("wandb", "`pip install -e '.[loggers]'` in the checkout."),
    Package("trackio", "`pip install -e '.[loggers]'` in the checkout."),
)

CUDA = Package(
    "torch",
    REINSTALL,
    code="""
import torch
if torch.version.cuda is None:
    raise LookupError(f"torch {torch.__version__} is a build without CUDA")
import glob
if not torch.cuda.is_available():
    if glob.glob("/dev/nvidia[0-9]*"):
        raise RuntimeError("the driver is there, but torch cannot use it")
    raise LookupError("no NVIDIA driver with a device")
detail = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
""",
    remedies=(
        ("without CUDA", "Install a CUDA build of torch; --scale mini needs none."),
        ("", "Needs an NVIDIA GPU and a driver; --scale mini needs none."),
    ),
)
