"""The project's jobs: `nox -s unit lint types claims bench light`."""

import shutil
import tempfile
from pathlib import Path

import nox

nox.options.sessions = ["unit", "lint", "types"]
nox.options.reuse_existing_virtualenvs = True


@nox.session
def unit(session: nox.Session) -> None:
    """Tests of the package."""
    session.install("-e", ".[test]")
    # Without --benchmark-disable pytest-benchmark warns that it cannot measure in parallel.
    session.run("pytest", "-n", "auto", "--benchmark-disable", "-m", "not slow", *session.posargs)


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
def bench(session: nox.Session) -> None:
    """Benchmarks, each beside a plain transcription of the reference's method."""
    session.install("-e", ".[test]")
    session.run("pytest", "dtclaims/tests/benchmarks", "-o", "python_files=bench_*.py", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style: ruff's linter and formatter."""
    session.install("ruff>=0.9,<1")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types: mypy, strict."""
    session.install("-e", ".[dev]")
    session.run("mypy", "dtclaims", "claims", "conftest.py", "noxfile.py")
