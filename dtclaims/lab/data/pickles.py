"""The Decision Transformer's pickles: a list of dicts of numpy arrays, one per trajectory.

A pickle is a program. This one is run by an unpickler that knows no function of anybody's: numpy's
few constructors are replaced by stand-ins that check what they are given, everything else is refused
by name. Nothing that a file names is imported, let alone called.
"""

import io
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dtclaims.errors import DataError
from dtclaims.lab.data.assembly import from_episodes, settle_task
from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.design.tasks import Task

KEYS = ("observations", "actions", "rewards", "terminals")
DTYPES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}


def load_pickle(path: Path, task: Task | None = None) -> Trajectories:
    """Read a Decision Transformer pickle, such as `hopper-medium-v2.pkl`.

    Each dict holds observations (T, S), actions (T, A), rewards and terminals (T,); `next_observations`
    is left unread. Trajectories were cut at terminals and time-outs when the file was made.

    Raises:
        DataError: not a pickle, one that names a global which no array needs, other content than
            trajectories, or values out of range.
    """
    try:
        content = _resolve(_Unpickler(io.BytesIO(path.read_bytes())).load())
    except DataError as error:
        raise DataError(f"{path}: {error.problem}", given=error.given, remedy=error.remedy) from None
    except Exception as error:
        # A damaged pickle fails in almost any way.
        raise DataError(
            f"cannot read {path} as a pickle",
            given=f"{type(error).__name__}: {error}",
            remedy="Is the download complete?",
        ) from None
    if not isinstance(content, list) or not content or not all(isinstance(one, dict) for one in content):
        raise DataError(
            f"{path} holds no trajectories", given=type(content).__name__, expected="a list of dicts of arrays"
        )
    for index, episode in enumerate(content):
        missing = [key for key in KEYS if key not in episode]
        if missing:
            raise DataError(
                f"trajectory {index} of {path} lacks {', '.join(missing)}",
                given=[str(key) for key in episode],
                expected=list(KEYS),
            )
    shapes = (np.shape(content[0]["observations"]), np.shape(content[0]["actions"]))
    found = settle_task(task, None, path.name, shapes, str(path))
    episodes = ({key: episode[key] for key in KEYS} for episode in content)
    return from_episodes(found, episodes, source=str(path), provenance={"source": "Decision Transformer pickle"})


class _Dtype:
    """Stands in for numpy.dtype: plain numbers only."""

    def __init__(self, code: object, *_: object) -> None:
        plain = str(code).lstrip("<>|=")
        if plain not in DTYPES:
            raise DataError("the pickle holds arrays that are not numbers", given=str(code))
        self.value: np.dtype[Any] = np.dtype(plain)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] in ("<", ">"):
            self.value = self.value.newbyteorder(state[1])


class _Array:
    """Stands in for numpy.ndarray."""

    value: npt.NDArray[Any]

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        self.value = _array(data, dtype, shape, "F" if fortran else "C")


def _array(data: Any, dtype: object, shape: Any, order: Any = "C") -> npt.NDArray[Any]:
    if not isinstance(dtype, _Dtype) or not isinstance(data, bytes | bytearray):
        raise DataError("the pickle holds arrays that are not numbers", given=type(data).__name__)
    # Checked before numpy is asked, so that a wrong shape cannot ask for memory.
    if math.prod(shape) * dtype.value.itemsize != len(data):
        raise DataError("an array of the pickle has another size than it says", given=f"{len(data)} bytes for {shape}")
    return np.frombuffer(data, dtype.value).reshape(shape, order=order)


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _frombuffer(data: Any, dtype: object, shape: Any, order: Any = "C") -> _Array:
    array = _Array()
    array.value = _array(data, dtype, shape, order)
    return array


def _scalar(dtype: object, data: Any) -> Any:
    return _array(data, dtype, ()).item()


def _latin1(text: str, encoding: str) -> bytes:
    """`_codecs.encode`, which protocols 0 to 2 write bytes with."""
    if encoding != "latin1":
        raise DataError("the pickle uses an encoding that no array needs", given=encoding)
    return text.encode("latin1")


ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _latin1,
    ("builtins", "bytearray"): lambda data=b"": bytearray(data if isinstance(data, bytes) else b""),
    **{("builtins", kind.__name__): kind for kind in (bool, int, float)},
    **{
        (f"numpy.{core}.{module}", name): function
        for core in ("core", "_core")
        for module, name, function in (
            ("multiarray", "_reconstruct", _reconstruct),
            ("multiarray", "scalar", _scalar),
            ("numeric", "_frombuffer", _frombuffer),
        )
    },
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise DataError(
                "the pickle names something that no array needs, and was not run",
                given=f"{module}.{name}",
                remedy="Do not trust this file. A set of the Decision Transformer holds numpy arrays only.",
            ) from None


def _resolve(content: Any) -> Any:
    """Stand-ins replaced by the arrays they hold, two levels deep: a list of dicts of arrays."""
    if not isinstance(content, list):
        return content
    return [
        {key: value.value if isinstance(value, _Array) else value for key, value in one.items()}
        if isinstance(one, dict)
        else one
        for one in content
    ]
