"""The project's jobs: `nox -s unit gpu legacy lint types claims bench light compat screens attack`."""

import datetime
import shutil
import sys
import tempfile
from pathlib import Path

import nox

# Beside this file, which nox loads without making its folder one of modules.
sys.path.insert(0, str(Path(__file__).parent / "dtclaims" / "tests" / "support"))
import compat as rows

nox.options.sessions = ["unit", "lint", "types"]
nox.options.reuse_existing_virtualenvs = True

WORKFLOW = ".github/workflows/claims.yml"

# Without the option pytest-benchmark warns that it cannot measure in parallel, and a warning is an error here.
PARALLEL = ("pytest", "--benchmark-disable")


@nox.session
def unit(session: nox.Session) -> None:
    """Tests of the package that need no GPU."""
    session.install("-e", ".[test]")
    session.run(*PARALLEL, "-n", "auto", "-m", "not slow and not gpu", *session.posargs)


@nox.session
def gpu(session: nox.Session) -> None:
    """Every test that needs a CUDA device, the slow ones too; without one it fails instead of skipping them."""
    session.install("-e", ".[test]")
    here = "from dtclaims.device import cuda_devices; print(cuda_devices())"
    if not int(str(session.run("python", "-c", here, silent=True))):
        session.error("no CUDA device: these tests need one, with its driver and a CUDA build of torch")
    # Each worker takes half a gigabyte of the GPU before its first test.
    session.run(*PARALLEL, "-n", "8", "-m", "gpu", *session.posargs)


@nox.session
def legacy(session: nox.Session) -> None:
    """The paper's own stack: makes its environment, once, and runs the tests that need it."""
    session.install("-e", ".[test]")
    where = {"DTCLAIMS_LEGACY": str(Path(session.virtualenv.location, "legacy").resolve())}
    session.run("dtclaims", "legacy", "install", env=where)
    session.run(*PARALLEL, "-m", "legacy", *session.posargs, env=where)


@nox.session
def claims(session: nox.Session) -> None:
    """The main job: run what the claims need, judge them, write the report."""
    session.install("-e", ".[lab]")
    session.run("pytest", "claims", "--fail-on", "error", *session.posargs)


@nox.session
def light(session: nox.Session) -> None:
    """The wheel alone, in an environment of exactly what it asks for: judges the evidence and the toy paper there."""
    tests = Path("dtclaims/tests/light").resolve()
    with tempfile.TemporaryDirectory() as empty:
        session.run("pip", "wheel", "--no-deps", "--wheel-dir", f"{empty}/wheels", ".")
        (wheel,) = Path(empty, "wheels").glob("dtclaims-*.whl")
        session.install(str(wheel))
        # The tests alone: beside the checkout they would find its conftest.py, and its dtclaims.
        shutil.copytree(tests, Path(empty, "light"))
        command = ("python", "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", ".", "light")
        with session.chdir(empty):
            session.run(*command, *session.posargs, env={"PYTHONPATH": ""})


@nox.session
@nox.parametrize("python,row", [nox.param(row.python, name, id=name) for name, row in rows.ROWS.items()])
def compat(session: nox.Session, row: str) -> None:
    """The fast tier on oldest and newest versions, a row each; `-- libraries` runs the tests that lean on them most."""
    chosen = rows.LIBRARIES if session.posargs == ["libraries"] else tuple(session.posargs)
    with tempfile.TemporaryDirectory() as folder:
        held, junit = Path(folder, "constraints.txt"), Path(folder, "junit.xml")
        held.write_text("\n".join(rows.constraints(rows.ROWS[row])))
        session.install("--upgrade", "--upgrade-strategy", "eager", "-e", ".[test]", "-c", str(held))
        # 0 and 1: what failed is a result too, and is written down before the session fails.
        command = (*PARALLEL, "-n", "auto", *rows.FAST, f"--junitxml={junit}", *chosen)
        session.run(*command, success_codes=[0, 1])
        versions = str(session.run("python", "-c", rows.VERSIONS, silent=True))
        found = rows.result(junit)
    rows.record(row, versions, chosen, found, datetime.date.today().isoformat())
    if "failed" in found or "error" in found:
        session.error(f"{row}: {found}")


@nox.session
def bench(session: nox.Session) -> None:
    """Benchmarks, each beside a plain transcription of the reference's method."""
    session.install("-e", ".[test]")
    session.run("pytest", "dtclaims/tests/benchmarks", "-o", "python_files=bench_*.py", *session.posargs)


@nox.session
def screens(session: nox.Session) -> None:
    """Screenshots of report, card and figures into build/screenshots/: desktop and phone, light and dark."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "dtclaims.tests.support.screens", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style by ruff's linter and formatter; the CI workflow by GitHub's schema and by zizmor. Asks GitHub nothing."""
    session.install("ruff>=0.9,<1", "check-jsonschema>=0.30,<1", "zizmor>=1.5,<2")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", WORKFLOW)
    session.run("zizmor", "--offline", WORKFLOW)


@nox.session
def types(session: nox.Session) -> None:
    """Types: mypy, strict."""
    session.install("-e", ".[dev]")
    session.run("mypy", "dtclaims", "claims", "conftest.py", "noxfile.py")


@nox.session
def attack(session: nox.Session) -> None:
    """500 seeded trials of what can happen to a store and its sessions; prints what became of them."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "dtclaims.tests.support.attack", *session.posargs)
