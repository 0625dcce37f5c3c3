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


LEGACY = (
    "An environment of its own, because dtclaims needs numpy 2: `pip install 'numpy<2' 'gym<0.25' d4rl==1.1 "
    "'mujoco-py<2.2'`. The file that D4RL downloads there is all that dtclaims needs: give it to --data."
)
BINARY = (
    "Unpack MuJoCo 2.1 (mujoco210-linux-x86_64.tar.gz of the MuJoCo releases) into ~/.mujoco/mujoco210 and add "
    "its bin folder to LD_LIBRARY_PATH."
)
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
    Package(
        "gym",
        LEGACY,
        code="""
import gym, numpy
env = gym.make("CartPole-v1")
env.reset()
env.step(0)
minor = int(gym.__version__.split(".")[1])
if minor >= 25:
    raise RuntimeError(f"works by itself, but d4rl needs gym<0.25 and this is {gym.__version__}")
""",
        remedies=(("bool8|numpy", "gym needs numpy<2. " + LEGACY), ("", LEGACY)),
    ),
    Package(
        "mujoco_py",
        LEGACY,
        code="import mujoco_py",
        remedies=(("missing MuJoCo|mujoco210|LD_LIBRARY_PATH", BINARY), ("", LEGACY)),
        distribution="mujoco-py",
    ),
    Package(
        "d4rl",
        LEGACY,
        code="""
import gym, d4rl
gym.spec("hopper-medium-v2")
""",
        remedies=(
            ("NameNotFound|doesn't exist|UnregisteredEnv", "d4rl needs gym<0.25 and a working mujoco-py. " + LEGACY),
            ("missing MuJoCo|mujoco210|LD_LIBRARY_PATH", BINARY),
            ("", LEGACY),
        ),
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
