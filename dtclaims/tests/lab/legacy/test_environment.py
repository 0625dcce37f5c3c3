"""The legacy environment: whole or not there, of our versions or refused, and what the system lacks in one line."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import DtclaimsError, MissingDependency, SimulatorError
from dtclaims.files import write_json
from dtclaims.harness.commands.main import main
from dtclaims.lab import doctor
from dtclaims.lab.data.physics_pool import PhysicsPool
from dtclaims.lab.design.tasks import TASKS
from dtclaims.lab.legacy import environment, system
from dtclaims.lab.legacy.slots import LegacySlots, legacy_version

LIBRARY = b"the binary"


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of an environment that is as it was made."""
    folder = tmp_path / "legacy"
    monkeypatch.setenv("DTCLAIMS_LEGACY", str(folder))
    lay_out(folder)
    monkeypatch.setattr(environment, "BINARY_SHA256", environment.sha256_file(library(folder)))
    return folder


def lay_out(folder: Path) -> None:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / "pyvenv.cfg").touch()
    for name, version in environment.VERSIONS.items():
        if name != "mujoco":
            (packages(folder) / f"{name.replace('-', '_')}-{version}.dist-info").mkdir(parents=True)
    library(folder).parent.mkdir(parents=True)
    library(folder).write_bytes(LIBRARY)
    write_json(folder / environment.RECORD, {"recipe": environment.recipe()})


def packages(folder: Path) -> Path:
    return folder / "lib" / "python3.11" / "site-packages"


def library(folder: Path) -> Path:
    return folder / "mujoco210" / "bin" / "libmujoco210.so"


def numpy_2(folder: Path) -> None:
    (packages(folder) / "numpy-1.26.4.dist-info").rename(packages(folder) / "numpy-2.1.0.dist-info")


def no_gym(folder: Path) -> None:
    (packages(folder) / "gym-0.23.1.dist-info").rmdir()


def another_binary(folder: Path) -> None:
    library(folder).write_bytes(b"MuJoCo 2.0")


def no_binary(folder: Path) -> None:
    library(folder).unlink()


def half_made(folder: Path) -> None:
    (folder / environment.RECORD).unlink()


def record_cut_short(folder: Path) -> None:
    (folder / environment.RECORD).write_text('{"recipe": "')


def not_there(folder: Path) -> None:
    shutil.rmtree(folder)


def python_gone(folder: Path) -> None:
    (folder / "bin" / "python").unlink()
    (folder / "bin" / "python").symlink_to("/nowhere/python")


FAULTS: Sequence[tuple[Callable[[Path], None], type[DtclaimsError], str]] = (
    (not_there, MissingDependency, r"no legacy environment is installed: .*`dtclaims legacy install` makes it\."),
    (half_made, MissingDependency, r"half made: .*makes it anew"),
    (record_cut_short, SimulatorError, r"by another recipe: .*makes it anew"),
    (python_gone, MissingDependency, r"Python is gone: .*makes it anew"),
    (numpy_2, SimulatorError, r"another numpy: got 2\.1\.0, expected numpy 1\.26\.4, for which mujoco-py .*anew"),
    (no_gym, SimulatorError, r"another gym: got none, expected gym 0\.23\.1.*anew"),
    (another_binary, SimulatorError, r"another MuJoCo binary: got .*libmujoco210\.so, .*expected MuJoCo 2\.1\.0.*anew"),
    (no_binary, SimulatorError, r"another MuJoCo binary: got .*sha256 none, .*anew"),
)


@pytest.mark.parametrize(("spoil", "kind", "message"), FAULTS, ids=lambda one: getattr(one, "__name__", ""))
def test_what_is_not_as_it_was_made_is_refused(
    whole: Path, spoil: Callable[[Path], None], kind: type[DtclaimsError], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One typed error with its remedy, before any process is started; the doctor says the same."""
    monkeypatch.setattr(PhysicsPool, "processes", lambda *_: pytest.fail("a process was started"))
    assert environment.ready() == whole
    spoil(whole)
    for use in (environment.ready, legacy_version, lambda: LegacySlots(TASKS["hopper"], 2, 1)):
        with pytest.raises(kind, match=message):
            use()
    (found,) = doctor.legacy()
    assert found.state == ("absent" if spoil is not_there else "broken")
    assert found.remedy is not None
    assert "dtclaims legacy install" in found.remedy
    assert found.remedy not in found.detail


def test_a_python_that_cannot_step_is_an_error(whole: Path) -> None:
    """Files are as they were, but the packages are not there: what it says last is told."""
    with pytest.raises(MissingDependency, match=r"does not step its tasks: got status 1: .*No module named"):
        environment.check()


def test_a_place_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`DTCLAIMS_LEGACY`, else a folder in dtclaims' own."""
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path))
    monkeypatch.delenv("DTCLAIMS_LEGACY", raising=False)
    assert environment.folder() == tmp_path / "legacy"
    monkeypatch.setenv("DTCLAIMS_LEGACY", "~/there")
    assert environment.folder() == Path.home() / "there"


def made_by(
    monkeypatch: pytest.MonkeyPatch, fails_at: str | None = None, said: Sequence[str] = ()
) -> list[Sequence[str]]:
    """Programs that an installation would run; they lay files out, and one may fail."""
    asked: list[Sequence[str]] = []

    def run(command: Sequence[str], **_: Any) -> "subprocess.CompletedProcess[str]":
        asked.append(command)
        words = " ".join(command)
        if fails_at and fails_at in words:
            return subprocess.CompletedProcess(command, 1, "", "\n".join(said))
        if "venv" in words:
            made = Path(command[-1])
            lay_out(made)
            (made / environment.RECORD).unlink()
            (made / "mujoco210").rename(made / "hidden")
            (made / "bin" / "pip").touch()
        if " download " in words:
            wheels = Path(command[command.index("--dest") + 1])
            wheels.mkdir()
            with zipfile.ZipFile(wheels / "free_mujoco_py-2.1.6-py3-none-any.whl", "w") as wheel:
                wheel.writestr(environment.BINARY_FOLDER + "bin/libmujoco210.so", LIBRARY)
                wheel.writestr("mujoco_py/__init__.py", "of another package")
        versions = environment.json.dumps(environment.VERSIONS) if words.endswith("worker.py") else ""
        return subprocess.CompletedProcess(command, 0, versions, "")

    monkeypatch.setattr(environment.subprocess, "run", run)
    monkeypatch.setattr(environment, "check_system", lambda python: None)
    return asked


def test_an_installation_is_moved_to_its_place_when_it_is_whole(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every package with its digest and without what it asks for; the binary out of the wheel alone; nothing lies
    about; what is whole is left as it is."""
    shutil.rmtree(whole)
    (whole.parent / ".legacy.123.partial").mkdir()
    asked, notes = made_by(monkeypatch), []
    assert environment.install(note=notes.append) == whole
    pips = [command for command in asked if "pip" in command]
    assert len(pips) == 3
    assert all({"--require-hashes", "--no-deps"} <= set(command) for command in pips)
    assert environment.ready() == whole
    assert library(whole).read_bytes() == LIBRARY
    assert [path.name for path in sorted((whole / "bin").iterdir())] == ["python"]
    assert not (whole / "wheels").exists()
    assert [path.name for path in whole.parent.iterdir() if path != whole] == [".legacy.lock"]
    asked.clear()
    environment.install(note=notes.append)
    assert asked == []
    assert notes[-1] == f"{whole} is as it was made"


@pytest.mark.parametrize(
    ("stage", "problem"),
    [
        (" venv ", "no virtual environment can be made"),
        ("requirements.txt", "packages cannot be installed"),
        (" download ", "binary cannot be had"),
        ("import mujoco_py", "mujoco-py does not build"),
        ("worker.py", "does not step its tasks"),
    ],
)
def test_a_failed_installation_leaves_nothing(
    whole: Path, stage: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One typed error with the last words of what failed; an environment that was broken before is still there."""
    numpy_2(whole)
    made_by(monkeypatch, stage, ["much", "a", "little", "its last words"])
    with pytest.raises(MissingDependency, match=rf"{problem}: got status 1: a \| little \| its last words"):
        environment.install(note=lambda _: None)
    assert sorted(path.name for path in whole.parent.iterdir()) == [".legacy.lock", "legacy"]
    with pytest.raises(SimulatorError, match="another numpy"):
        environment.ready()


def test_what_is_of_other_versions_is_not_installed(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel with another binary, or packages that say other versions when they step, end it."""
    shutil.rmtree(whole)
    with monkeypatch.context() as patched:
        made_by(patched)
        patched.setattr(environment, "BINARY_SHA256", "0" * 64)
        with pytest.raises(SimulatorError, match="the wheel has another MuJoCo binary"):
            environment.install(note=lambda _: None)
    made_by(monkeypatch)
    monkeypatch.setattr(environment.json, "loads", lambda _: {**environment.VERSIONS, "mujoco": "2.0.0"})
    with pytest.raises(SimulatorError, match=r"of other versions: got \{'mujoco': '2\.0\.0'\}"):
        environment.install(note=lambda _: None)
    assert not whole.exists()


def test_what_is_somebodys_is_not_replaced(tmp_path: Path) -> None:
    """A folder that is no environment stays as it is."""
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(MissingDependency, match="is not a legacy environment"):
        environment.install(tmp_path, lambda _: None)
    assert (tmp_path / "thesis.tex").exists()


def test_what_the_system_lacks_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a compiler and patchelf, all that they are needed for; with them, what does not link."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        MissingDependency,
        match=r"no a C compiler.*no patchelf\. `apt-get install gcc libc6-dev libosmesa6-dev libgl-dev patchelf`",
    ):
        system.check_system(sys.executable)
    compiler = tmp_path / "gcc"
    compiler.write_text('#!/bin/sh\ncase "$*" in *OSMesa*) exit 1;; esac\n')
    compiler.chmod(0o755)
    (tmp_path / "patchelf").symlink_to("/bin/true")
    with pytest.raises(MissingDependency, match=r"got no OSMesa and its header\. `apt-get install libosmesa6-dev`, or"):
        system.check_system(sys.executable)
    compiler.write_text("#!/bin/sh\n")
    system.check_system(sys.executable)


def test_a_python_without_headers_names_its_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Debian's Python comes without headers and without what makes environments."""
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\necho python3.11-dev python3.11-venv\n")
    bare.chmod(0o755)
    monkeypatch.setattr(system, "_compiles", lambda need: True)
    monkeypatch.setattr(system.shutil, "which", lambda name: name)
    with pytest.raises(MissingDependency, match=r"`apt-get install python3\.11-dev python3\.11-venv`"):
        system.check_system(str(bare))


def test_a_python_that_numpy_1_knows_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """This one, else one of its kind on PATH, else an error; on another machine none."""
    monkeypatch.setattr(system.sys, "version_info", (3, 13, 0))
    monkeypatch.setattr(system.shutil, "which", {"python3.11": "/usr/bin/python3.11"}.get)
    assert system.find_python() == "/usr/bin/python3.11"
    monkeypatch.setattr(system.shutil, "which", lambda name: None)
    with pytest.raises(MissingDependency, match=r"expected CPython 3\.11 or 3\.12"):
        system.find_python()
    monkeypatch.setattr(system.platform, "machine", lambda: "aarch64")
    with pytest.raises(MissingDependency, match="expected linux x86_64"):
        system.find_python()


def test_requirements_are_pinned_by_digest() -> None:
    """Every package has one version, those of provenance the ones that are said, and digests."""
    text = environment.REQUIREMENTS.read_text(encoding="utf-8").replace("\\\n", "")
    rows = [line for line in text.splitlines() if not line.startswith("#")]
    assert all("--hash=sha256:" in row and "==" in row for row in rows)
    pinned = dict(row.split()[0].split("==") for row in rows)
    assert {name: pinned[name] for name in environment.VERSIONS if name != "mujoco"}.items() <= (
        environment.VERSIONS.items()
    )


def test_the_commands(whole: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`legacy install` says what it does and how another folder is found; `legacy check` says versions, or what is
    amiss with status 2."""
    other = whole.parent / "other"
    lay_out(other)
    assert main(["legacy", "install", "--folder", str(other)]) == 0
    assert f"`export DTCLAIMS_LEGACY={other}`" in capsys.readouterr().out
    monkeypatch.setattr(environment, "_stepped", lambda where: environment.VERSIONS)
    assert main(["legacy", "check"]) == 0
    assert "the three tasks step: mujoco 2.1.0, mujoco-py 2.1.2.14" in capsys.readouterr().out
    half_made(whole)
    assert main(["legacy", "check"]) == 2
    assert "half made" in capsys.readouterr().err
