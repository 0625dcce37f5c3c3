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

from dtclaims.errors import DataError, StoreError
from dtclaims.files import read_bytes
from dtclaims.lab.data.assembly import from_episodes, settle_task
from dtclaims.lab.data.hdf5_reading import SHOWN
from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.design.tasks import Task
from dtclaims.lab.pickle_bounds import check_pickle

KEYS = ("observations", "actions", "rewards", "terminals")
LARGEST = 8 * 2**30
"""Bytes of a pickle that is read at all; of D4RL's, the largest has two thousand million."""
DIMENSIONS = 8
"""Of an array, at most."""
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
        raw = read_bytes(path, LARGEST)
        check_pickle(raw)
        content = _resolve(_Unpickler(io.BytesIO(raw)).load())
    except StoreError as error:
        raise DataError(f"cannot read {path}", given=error.given or error, expected=error.expected) from None
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
                given=[str(key) for key in list(episode)[:SHOWN]],
                expected=list(KEYS),
            )
        # A list of lists that are one list takes numpy as long as if each were its own.
        for key in KEYS:
            if not isinstance(episode[key], np.ndarray) and not _is_flat(episode[key]):
                raise DataError(
                    f"{key} of episode {index} of {path} are not an array of numbers", given=type(episode[key]).__name__
                )
    shapes = (np.shape(content[0]["observations"]), np.shape(content[0]["actions"]))
    found = settle_task(task, None, path.name, shapes, str(path))
    episodes = ({key: episode[key] for key in KEYS} for episode in content)
    return from_episodes(found, episodes, source=str(path), provenance={"source": "Decision Transformer pickle"})


def _is_flat(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, int | float) for one in value)


class _Dtype:
    """Stands in for numpy.dtype: plain numbers only."""

    def __init__(self, code: object, *_: object) -> None:
        plain = code.lstrip("<>|=") if isinstance(code, str) else None
        if plain not in DTYPES:
            given = code[:SHOWN] if isinstance(code, str) else type(code).__name__
            raise DataError("the pickle holds arrays that are not numbers", given=given)
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
    if not isinstance(shape, tuple) or not all(type(one) is int and 0 <= one <= LARGEST for one in shape[:DIMENSIONS]):
        raise DataError("an array of the pickle has no shape", given=type(shape).__name__)
    # Checked before numpy is asked, so that a wrong shape cannot ask for memory.
    if len(shape) > DIMENSIONS or math.prod(shape) * dtype.value.itemsize != len(data):
        raise DataError(
            "an array of the pickle has another size than it says", given=f"{len(data)} bytes for {shape[:DIMENSIONS]}"
        )
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


class _Sealed:
    """A function that a pickle may call, and whose attributes it may not set."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *given: Any) -> Any:
        return self._function(*given)

    def __setstate__(self, state: object) -> None:
        raise DataError("the pickle changes what it calls, which no array needs")


ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Sealed(_latin1),
    ("builtins", "bytearray"): _Sealed(lambda data=b"": bytearray(data if isinstance(data, bytes) else b"")),
    **{("builtins", kind.__name__): kind for kind in (bool, int, float)},
    **{
        (f"numpy.{core}.{module}", name): _Sealed(function)
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
