"""The legacy environment: gym, mujoco-py and d4rl on MuJoCo 2.1.0, in a virtual environment of its own.

`requirements.txt` says which packages, why, under which licence, and the digests of their files; all come from the
package registry. So does the MuJoCo binary (Apache-2.0): the wheel free-mujoco-py (MIT) carries it, of which nothing
else is taken. Nothing outside the folder is changed.
"""

import hashlib
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from filelock import FileLock

from dtclaims.errors import DtclaimsError, MissingDependency, SimulatorError
from dtclaims.files import PARTIAL, write_json
from dtclaims.lab.legacy import worker
from dtclaims.lab.legacy.system import check_system, find_python
from dtclaims.places import home, sha256_file

REQUIREMENTS = Path(__file__).with_name("requirements.txt")

BINARY_WHEEL = "free-mujoco-py==2.1.6 --hash=sha256:f541d84b6bd87919ccf28f5a708681ca90560a945d104aca393d89275790efb8"
BINARY_FOLDER = "mujoco_py/binaries/linux/mujoco210/"
"""Where the wheel has MuJoCo."""
BINARY_SHA256 = "9e7ffba152bff0e4e889e2fddf3850785fb5da28ebd05adbb6f4daaa34e3bd21"
"""Of libmujoco210.so, of which every trajectory is."""

VERSIONS = {"mujoco": "2.1.0", "mujoco-py": "2.1.2.14", "gym": "0.23.1", "d4rl": "1.1", "numpy": "1.26.4"}
"""What decides how a trajectory and a set look."""

RECORD = "dtclaims-legacy.json"
"""Written last: an environment that has it was whole."""

TIMEOUT = 120.0
"""Seconds that the environment gets to step three tasks."""

INSTALL = "`dtclaims legacy install` makes it."
ANEW = "`dtclaims legacy install` makes it anew."

Note = Callable[[str], None]


def folder() -> Path:
    """Where the environment is: `DTCLAIMS_LEGACY`, or `legacy` in dtclaims' own folder."""
    return Path(os.environ.get("DTCLAIMS_LEGACY") or home() / "legacy").expanduser().absolute()


def python(where: Path) -> list[str]:
    """What runs a program in the environment: its Python, which sees nothing of its user's."""
    return [str(where / "bin" / "python"), "-I", "-W", "ignore"]


def variables(where: Path) -> dict[str, str]:
    """What such a program finds beside the variables of its user."""
    binary = where / "mujoco210"
    # Its Python may need the user's own libraries; those of MuJoCo are ours.
    libraries = [str(binary / "bin"), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return {
        "MUJOCO_PY_MUJOCO_PATH": str(binary),
        "LD_LIBRARY_PATH": ":".join(libraries),
        # Where there is an NVIDIA driver it would build against EGL, for pictures that nobody takes.
        "MUJOCO_PY_FORCE_CPU": "1",
        "D4RL_SUPPRESS_IMPORT_ERROR": "1",
    }


def ready(where: Path | None = None) -> Path:
    """The environment's folder, if it is as it was made; told from its files, in milliseconds.

    Raises:
        MissingDependency: it is not installed, or half made.
        SimulatorError: packages or the binary are of other versions than ours.
    """
    where = where or folder()
    record = where / RECORD
    if not record.is_file():
        problem = "the legacy environment is half made" if where.exists() else "no legacy environment is installed"
        raise MissingDependency(problem, given=f"no {record}", remedy=ANEW if where.exists() else INSTALL)
    if _recipe_of(record) != recipe():
        raise SimulatorError("the legacy environment was made by another recipe", given=where, remedy=ANEW)
    if not (where / "bin" / "python").exists():
        raise MissingDependency("the legacy environment's Python is gone", given=where / "bin" / "python", remedy=ANEW)
    _check_packages(where)
    binary = where / "mujoco210" / "bin" / "libmujoco210.so"
    digest = sha256_file(binary) if binary.is_file() else "none"
    if digest != BINARY_SHA256:
        raise SimulatorError(
            "the legacy environment has another MuJoCo binary",
            given=f"{binary}, sha256 {digest}",
            expected=f"MuJoCo 2.1.0, {BINARY_SHA256}",
            remedy=ANEW,
        )
    return where


def recipe() -> str:
    """Digest of what an environment is made of."""
    return hashlib.sha256(REQUIREMENTS.read_bytes() + BINARY_WHEEL.encode()).hexdigest()


def _recipe_of(record: Path) -> object:
    try:
        return dict(json.loads(record.read_text(encoding="utf-8"))).get("recipe")
    except (OSError, ValueError, TypeError):
        return None


def _check_packages(where: Path) -> None:
    """Compare the versions of packages, by their folders of metadata."""
    found: dict[str, str] = {}
    for path in where.glob("lib/python*/site-packages/*.dist-info"):
        name, _, version = path.name.removesuffix(".dist-info").partition("-")
        found[name.lower().replace("_", "-")] = version
    for name, expected in VERSIONS.items():
        if name != "mujoco" and found.get(name) != expected:
            why = ", for which mujoco-py was compiled" if name == "numpy" else ""
            raise SimulatorError(
                f"the legacy environment has another {name}",
                given=found.get(name, "none"),
                expected=f"{name} {expected}{why}",
                remedy=ANEW,
            )


def check(where: Path | None = None) -> dict[str, str]:
    """Step the three tasks in the environment; versions by its own word.

    Raises:
        MissingDependency: it is not installed, half made, or does not work.
        SimulatorError: it is of other versions.
    """
    return _stepped(ready(where))


def _stepped(where: Path) -> dict[str, str]:
    text = _run([*python(where), worker.__file__], "the legacy environment does not step its tasks", where, TIMEOUT)
    found: dict[str, str] = json.loads(text)
    wrong = {name: found.get(name) for name, version in VERSIONS.items() if found.get(name) != version}
    if wrong:
        raise SimulatorError("the legacy environment is of other versions", given=wrong, expected=VERSIONS, remedy=ANEW)
    return found


def install(where: Path | None = None, note: Note = print) -> Path:
    """Make the environment, or leave it as it is where it is whole; its folder.

    It is made beside its place and moved there when the three tasks have stepped: whoever looks sees a whole one or
    none. What a killed installation left is removed by the next.

    Args:
        where: the folder; where not said, the one that is looked for.
        note: is told what is being done.

    Raises:
        MissingDependency: the system lacks something, a package cannot be had, or the extension does not build.
        SimulatorError: what was made is of other versions.
    """
    where = (where or folder()).expanduser().absolute()
    try:
        where.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(where.with_name(f".{where.name}.lock")).acquire()
    except OSError as error:
        raise MissingDependency(f"cannot write beside {where}", given=error, remedy="Name another --folder.") from None
    with held:
        try:
            ready(where)
        except DtclaimsError as error:
            _check_ours(where)
            base = find_python()
            check_system(base)
            note(f"{error.problem}; making it in {where}")
            _make(base, where, note)
        else:
            note(f"{where} is as it was made")
    return where


def _check_ours(where: Path) -> None:
    """See that a folder that would be replaced is an environment, and not something of the user's."""
    if where.exists() and not (where / "pyvenv.cfg").is_file() and any(where.iterdir()):
        raise MissingDependency(
            "this folder is not a legacy environment", given=where, remedy="Name another --folder, or empty it."
        )


def _make(base: str, where: Path, note: Note) -> None:
    for left in where.parent.glob(f".{where.name}.*{PARTIAL}"):
        shutil.rmtree(left)
    made = where.with_name(f".{where.name}.{os.getpid()}{PARTIAL}")
    try:
        note("a virtual environment …")
        _run([base, "-I", "-m", "venv", str(made)], "no virtual environment can be made", made)
        note("packages …")
        _install_packages(made)
        note("the MuJoCo 2.1.0 binary …")
        _unpack_binary(made)
        note("mujoco-py's extension, a minute or two …")
        # What it wraps is compiled already; less optimising halves the wait, and no result depends on it.
        _run([*python(made), "-c", "import mujoco_py"], "mujoco-py does not build", made, more={"CFLAGS": "-O1 -g0"})
        note("steps of the three tasks …")
        versions = _stepped(made)
        # Their first lines name the folder that this one was made in; `bin/python -m pip` is the same.
        for script in (made / "bin").iterdir():
            if not script.is_symlink():
                script.unlink()
        shutil.rmtree(made / "wheels")
        write_json(made / RECORD, {"recipe": recipe(), "versions": versions})
        old = where.with_name(f".{where.name}.{os.getpid()}.old{PARTIAL}")
        if where.exists():
            where.rename(old)
        made.rename(where)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise MissingDependency(f"{made} cannot be written", given=error, remedy="Name another --folder.") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _install_packages(made: Path) -> None:
    pip = [*python(made), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    text = REQUIREMENTS.read_text(encoding="utf-8")
    builder = made / "builder.txt"
    start = text.index("setuptools==")
    builder.write_text(text[start : text.index("#", start)], encoding="utf-8")
    hashed = ["--no-deps", "--require-hashes", "--no-cache-dir", "-r"]
    problem = "the legacy environment's packages cannot be installed"
    # gym comes as source: what builds it is ours too, not whatever is newest.
    _run([*pip, "install", *hashed, str(builder)], problem, made)
    sources = ["--no-build-isolation", "--only-binary", ":all:", "--no-binary", "gym"]
    _run([*pip, "install", *sources, *hashed, str(REQUIREMENTS)], problem, made)
    wheel = made / "wheel.txt"
    wheel.write_text(BINARY_WHEEL + "\n", encoding="utf-8")
    # Its wheel says that it is for older Pythons; what is taken of it is not Python.
    older = ["--only-binary", ":all:", "--python-version", "3.10", "--dest", str(made / "wheels")]
    _run([*pip, "download", *older, *hashed, str(wheel)], "the MuJoCo 2.1.0 binary cannot be had", made)
    builder.unlink()
    wheel.unlink()


def _unpack_binary(made: Path) -> None:
    (wheel,) = (made / "wheels").glob("free_mujoco_py-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.startswith(BINARY_FOLDER)]
        archive.extractall(made / "wheels", members)
    (made / "wheels" / BINARY_FOLDER).rename(made / "mujoco210")
    digest = sha256_file(made / "mujoco210" / "bin" / "libmujoco210.so")
    if digest != BINARY_SHA256:
        raise SimulatorError("the wheel has another MuJoCo binary", given=digest, expected=BINARY_SHA256)


def _run(
    command: list[str],
    problem: str,
    where: Path,
    timeout: float | None = None,
    more: Mapping[str, str] = {},
) -> str:
    """What a program says; it runs with the environment's variables.

    Raises:
        MissingDependency: it failed; its last words are given.
    """
    done = finished(command, problem, where, timeout, more)
    if done.returncode:
        raise MissingDependency(
            problem, given=f"status {done.returncode}: {last_words(done)}", remedy="Give the same command again."
        )
    return done.stdout


def finished(
    command: list[str],
    problem: str,
    where: Path,
    timeout: float | None = None,
    more: Mapping[str, str] = {},
) -> subprocess.CompletedProcess[str]:
    """A program that ran to its end with the environment's variables, well or not.

    Raises:
        MissingDependency: it cannot be started, or did not end in so many seconds.
    """
    around = {**os.environ, **variables(where), **more}
    try:
        return subprocess.run(command, env=around, text=True, capture_output=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise MissingDependency(problem, given=f"no answer in {timeout:g} s", remedy=ANEW) from None
    except OSError as error:
        raise MissingDependency(problem, given=error, remedy=ANEW) from None


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    """The last lines that a program printed, of its errors if there are some."""
    return " | ".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-3:])
