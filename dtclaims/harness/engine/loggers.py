"""Outside loggers that are told of every epoch of every run: by name, none by default, imported only when asked for."""

import contextlib
import importlib
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from dtclaims.errors import MissingDependency, UsageError
from dtclaims.files import is_full
from dtclaims.harness.engine.engine import imported

Config = Mapping[str, Any]
PROJECT = "dtclaims"


class Logger(Protocol):
    """What is told of one run."""

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """The values of the curves at an epoch, 1…E."""

    def close(self) -> None:
        """The run is over, well or not."""


class TensorBoard:
    """Event files under `STORE/logs/tensorboard`; look at them with `tensorboard --logdir`."""

    def __init__(self, folder: Path, key: str, name: str, config: Config, done: int) -> None:
        writers: Any = importlib.import_module("torch.utils.tensorboard")
        # A run that was killed may have logged an epoch that it then lost.
        place = folder / "tensorboard" / f"{name}-{key[:8]}"
        self._writer: Any = writers.SummaryWriter(str(place), purge_step=done + 1)

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """One scalar per curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


class WandB:
    """A run of the Weights & Biases project `dtclaims`, under the key of the run."""

    def __init__(self, folder: Path, key: str, name: str, config: Config, done: int) -> None:
        wandb: Any = importlib.import_module("wandb")
        self._run = wandb.init(project=PROJECT, name=name, id=key, resume="allow", config=dict(config), dir=str(folder))

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """One row per epoch."""
        self._run.log(dict(values), step=epoch)

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


class Trackio:
    """A run of the local trackio project `dtclaims`."""

    def __init__(self, folder: Path, key: str, name: str, config: Config, done: int) -> None:
        self._trackio: Any = importlib.import_module("trackio")
        self._trackio.init(project=PROJECT, name=f"{name}-{key[:8]}", config=dict(config), resume="allow")

    def log(self, epoch: int, values: Mapping[str, float]) -> None:
        """One row per epoch."""
        self._trackio.log(dict(values), step=epoch)

    def close(self) -> None:
        """Finish the run."""
        self._trackio.finish()


Maker = Callable[[Path, str, str, Config, int], Logger]
"""From a folder, and key, name, what it is and epochs done of a run, to a logger."""

LOGGERS: dict[str, Maker] = {
    "tensorboard": TensorBoard,
    "wandb": WandB,
    "trackio": Trackio,
}


def check_loggers(names: Sequence[str]) -> tuple[str, ...]:
    """Refuse loggers that cannot be used, before anything is trained.

    Raises:
        UsageError: no such logger.
        MissingDependency: its package is not installed.
    """
    for name in names:
        if ":" in name:
            # Of another plugin (`dtclaims.harness.extensions`), which was loaded.
            continue
        if name not in LOGGERS:
            raise UsageError("unknown logger", given=repr(name), expected=f"some of {', '.join(LOGGERS)}")
        if importlib.util.find_spec(name) is None:
            raise MissingDependency(
                f"the logger {name} is not installed",
                remedy=f"`pip install {name}`, or `pip install 'dtclaims[loggers]'`.",
            )
    return tuple(names)


def maker(name: str) -> Maker:
    """What makes a logger: one of ours by its name, another's by its address `module:name`."""
    made: Maker = imported(name) if ":" in name else LOGGERS[name]
    return made


@contextlib.contextmanager
def telling(
    names: Sequence[str],
    folder: Path,
    key: str,
    name: str,
    config: Config,
    done: int,
    note: Callable[[str], None],
) -> Iterator[Callable[[int, Mapping[str, float]], None]]:
    """A function that tells loggers of an epoch. A logger that fails is told no more; the run goes on.

    Args:
        names: of the loggers.
        folder: where those that write files may do so.
        key: of the run.
        name: of the run.
        config: what it is, as plain data.
        done: epochs done before.
        note: is told of failures.
    """
    loggers: dict[str, Logger] = {}

    def attempt(logger: str, call: Callable[[], object]) -> None:
        # Whatever goes wrong in somebody else's library is no reason to lose a run.
        try:
            call()
        except Exception as error:
            loggers.pop(logger, None)
            if is_full(error):
                # Not the library's fault: the run that is told of could not be saved either.
                raise
            note(f"logger {logger} failed and is told no more: {type(error).__name__}: {error}")

    def begin(logger: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        loggers[logger] = maker(logger)(folder, key, name, config, done)

    for one in names:
        attempt(one, lambda one=one: begin(one))  # type: ignore[misc]

    def tell(epoch: int, values: Mapping[str, float]) -> None:
        for called, logger in list(loggers.items()):
            attempt(called, lambda logger=logger: logger.log(epoch, values))  # type: ignore[misc]

    try:
        yield tell
    finally:
        for called, logger in list(loggers.items()):
            attempt(called, logger.close)
