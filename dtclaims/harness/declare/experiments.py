"""Experiments: what a claims file measures itself, without runs, networks or data of ours.

    @experiment(packages=("numpy",))
    def steps(seed: int, protocol: str, condition: float) -> int:
        '''Steps until the gradient is a millionth of what it was.'''

    needs={"easy": steps.need(condition=2.0), "hard": steps.need(condition=100.0)}

An experiment is taken once for each seed, protocol and set of parameters, in a worker process; its value is stored
under a key that also depends on the code of its file. The claims in that file do not count as its code: another
threshold or quote measures nothing again, and does not make the data new (statistics rule 10).
"""

import ast
import importlib.metadata
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from dtclaims.addresses import source_digest
from dtclaims.errors import MeasurementError, UsageError
from dtclaims.harness.declare.claim import ANY_TASK, Need
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.lab.measurements import MEASUREMENTS, Measurement

SCHEMA = 1
GIVEN = ("seed", "protocol")
"""What every experiment is called with; the rest are its parameters."""
DECLARATIONS = ("Paper", "claim", "composite", "corrected", "limitation")
"""Calls that declare claims: no experiment can compute with what they make."""

Function = Callable[..., Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Experiment(Measurement):
    """A measurement that a claims file makes itself. Made by the decorator `experiment`.

    Its name is `FILE:FUNCTION`, without folder and ending.
    """

    function: Function
    file: Path
    depends: Mapping[str, str]
    """What its values depend on beside seed, protocol and parameters: digests of files, versions of packages."""

    def __call__(self, *, seed: int, protocol: str, **parameters: Any) -> Any:
        """Call the function itself, past the store."""
        return self.function(seed=seed, protocol=protocol, **parameters)

    def need(self, **parameters: Any) -> Need:
        """What a claim needs: this experiment's value, with these parameters, for the claim's seed and protocol.

        Raises:
            UsageError: parameters that the function does not take, lacks, or that are no plain data.
        """
        try:
            inspect.signature(self.function).bind(**dict.fromkeys(GIVEN), **parameters)
            json.dumps(parameters, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"experiment {self.name} cannot be needed like that",
                given=f"{parameters}: {error}",
                expected=f"plain data for {inspect.signature(self.function)}, {' and '.join(GIVEN)} aside",
            ) from None
        return Need(self.name, task=ANY_TASK, parameters=parameters)

    def identity(self, *, seed: int, protocol: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Everything a value depends on, as plain data."""
        return {
            "schema": SCHEMA,
            "measurement": self.name,
            "runs": [],
            "seed": seed,
            "protocol": protocol,
            "parameters": dict(parameters),
            "depends": dict(self.depends),
        }

    def take(self, identity: Mapping[str, Any]) -> Any:
        """The value that an identity stands for.

        Raises:
            MeasurementError: the file changed since the identity was made, or the value is no plain, finite data.
        """
        asked = {name: identity[name] for name in (*GIVEN, "parameters")}
        if self.identity(**asked) != identity:
            raise MeasurementError(f"{self.file} changed after {self.name} was planned", remedy="Start again.")
        value = self(seed=asked["seed"], protocol=asked["protocol"], **asked["parameters"])
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise self._no_data(f"{value!r:.200} ({error})") from None
        if value is None:
            raise self._no_data("None")
        return value

    def _no_data(self, given: str) -> MeasurementError:
        return MeasurementError(
            f"experiment {self.name} did not return plain data",
            given=given,
            expected="finite numbers, text, true or false, and lists and dicts of them",
            remedy="`float(x)` and `array.tolist()` turn numpy's into plain ones.",
        )


def name_of(identity: Mapping[str, Any]) -> str:
    """One value of an experiment as people call it: `test_toy:steps/published/seed0 momentum=True`."""
    parameters = "".join(f" {name}={value}" for name, value in identity["parameters"].items())
    return f"{identity['measurement']}/{identity['protocol']}/seed{identity['seed']}{parameters}"


@overload
def experiment(function: Function, /) -> Experiment: ...
@overload
def experiment(*, files: Sequence[str] = (), packages: Sequence[str] = ()) -> Callable[[Function], Experiment]: ...
def experiment(
    function: Function | None = None, /, *, files: Sequence[str] = (), packages: Sequence[str] = ()
) -> Experiment | Callable[[Function], Experiment]:
    """Declare an experiment: a function `(seed, protocol, **parameters)` at the top level of a claims file.

    It returns plain JSON data, draws from nothing but its seed, and has a docstring that says what it measures.

    Args:
        function: where the decorator stands without parentheses.
        files: other Python files that it depends on, relative to its own. Its own always counts.
        packages: installed packages whose version its values depend on.

    Raises:
        UsageError: no `seed` or `protocol`, no docstring, a file or package that is not there, or the name of an
            experiment in another file.
    """
    if function is None:
        return lambda inner: _register(inner, files, packages)
    return _register(function, files, packages)


def _register(function: Function, files: Sequence[str], packages: Sequence[str]) -> Experiment:
    file = Path(inspect.getfile(function)).resolve()
    name = f"{file.stem}:{function.__name__}"
    doc = inspect.getdoc(function)
    if not doc:
        raise UsageError(f"experiment {name} has no docstring", expected="what is measured, in our words")
    try:
        inspect.signature(function).bind_partial(**dict.fromkeys(GIVEN))
    except TypeError:
        raise UsageError(
            f"experiment {name} must take {' and '.join(GIVEN)}",
            given=str(inspect.signature(function)),
            expected="(seed: int, protocol: str, **parameters)",
        ) from None
    says = dict.fromkeys(PROTOCOLS, " ".join(doc.split()))
    depends = {**_digests(name, file, files), **_versions(name, packages)}
    made = Experiment(name, (), says, function=function, file=file, depends=depends)
    other = MEASUREMENTS.get(name)
    # A copy of the same code does no harm.
    if isinstance(other, Experiment) and other.file != file and other.depends != made.depends:
        raise UsageError(
            f"two files declare the experiment {name}",
            given=f"{other.file} and {file}",
            remedy="Rename one of the files.",
        )
    MEASUREMENTS[name] = made
    return made


def _digests(name: str, file: Path, others: Sequence[str]) -> dict[str, str]:
    found = {}
    for other in (file.name, *others):
        try:
            tree = ast.parse((file.parent / other).read_text(encoding="utf-8"))
        except (OSError, SyntaxError, UnicodeDecodeError) as error:
            raise UsageError(f"experiment {name} depends on a file that is no Python", given=error) from None
        tree.body = [node for node in tree.body if not _declares(node)]
        found[other] = source_digest(tree)
    return found


def _declares(node: ast.stmt) -> bool:
    """Whether a statement at the top of a file declares a claim, or imports what that takes."""
    if isinstance(node, ast.ImportFrom):
        return node.module == "dtclaims"
    calls: list[ast.expr] = []
    if isinstance(node, ast.FunctionDef):
        calls = node.decorator_list
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        calls = [node.value]
    called = [call.func for call in calls if isinstance(call, ast.Call)]
    names = [func.id if isinstance(func, ast.Name) else getattr(func, "attr", "") for func in called]
    return any(name in DECLARATIONS for name in names)


def _versions(name: str, packages: Sequence[str]) -> dict[str, str]:
    try:
        return {package: importlib.metadata.version(package) for package in packages}
    except importlib.metadata.PackageNotFoundError as error:
        raise UsageError(
            f"experiment {name} depends on a package that is not installed",
            given=error.name,
            remedy=f"pip install {error.name}",
        ) from None


def get_experiment(name: str, file: Path) -> Experiment:
    """An experiment by name, from the file that declares it: a worker process has not imported that yet.

    Raises:
        MeasurementError: the file is not here, or declares no such experiment at its top level.
    """
    from dtclaims.harness.declare.registry import import_claims

    if name not in MEASUREMENTS:
        if not file.is_file():
            raise MeasurementError(f"the file of experiment {name} is not here", given=str(file))
        import_claims(file)
    found = MEASUREMENTS.get(name)
    if not isinstance(found, Experiment):
        raise MeasurementError(
            f"{file} declares no experiment {name}", expected="a function at its top level, decorated with `experiment`"
        )
    return found
