"""The doctor: real reasons, real remedies, and no patient that takes the doctor down."""

import errno
import json
import os
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import MissingDependency
from dtclaims.harness.commands.main import main
from dtclaims.lab import doctor
from dtclaims.lab.doctor import Finding, check_required, lines, probe
from dtclaims.lab.doctor_packages import PACKAGES, Package

BY_NAME = {package.name: package for package in PACKAGES}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules the probes see, in place of installed packages."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_absent_packages_name_what_installs_them(site: Path) -> None:
    """Not installed is no fault: absent, with the command."""
    found = probe(Package("surely_not_installed", "`pip install it`."))
    assert (found.state, found.detail, found.remedy) == ("absent", "not installed", "`pip install it`.")


def test_a_package_that_works(site: Path) -> None:
    """What it prints does not disturb the answer; its own detail is shown."""
    (site / "fine.py").write_text("print('hello')")
    found = probe(Package("fine", "x", code="import fine\ndetail = 'version 3'"))
    assert (found.state, found.detail, found.remedy) == ("works", "version 3", None)


@pytest.mark.parametrize(
    ("text", "state", "detail"),
    [
        ("raise Exception('a plain one\\nover two lines')", "broken", "Exception: a plain one over two lines"),
        ("raise SystemExit(3)", "broken", "SystemExit: 3"),
        ("import os; os.abort()", "broken", "importing it ended the interpreter with SIGABRT"),
        ("import os; os._exit(5)", "broken", "importing it ended the interpreter with status 5"),
        ("import time; time.sleep(60)", "broken", "importing it took longer than 0.5 s"),
        ("import not_there_at_all", "broken", "ModuleNotFoundError: No module named 'not_there_at_all'"),
    ],
)
def test_dangerous_imports_are_findings(site: Path, text: str, state: str, detail: str) -> None:
    """A plain Exception, an exit, a crash, a hang: each is one line and the doctor goes on."""
    (site / "patient.py").write_text(text)
    found = probe(Package("patient", "x"), timeout=0.5 if "sleep" in text else 60.0)
    assert (found.state, found.detail) == (state, detail)


def test_another_mujoco_is_broken_with_the_pin(site: Path) -> None:
    """The simulator is pinned: another release is named, with the command that installs ours."""
    (site / "mujoco.py").write_text("__version__ = '9.9'\nclass mjtState:\n    mjSTATE_INTEGRATION = 0")
    found = probe(BY_NAME["mujoco"])
    assert found.required
    assert found.state == "broken"
    assert "got 9.9, expected 3.3.7" in found.detail
    assert found.remedy == "`pip install mujoco==3.3.7`."


def test_files_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shipped files against their cards; D4RL's and Minari's folders; the place for runs."""
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))
    (tmp_path / "hopper_medium-v2.hdf5").write_bytes(b"1" * 1000)
    assert [found.state for found in doctor.d4rl_files()] == ["works", "absent", "absent"]
    assert doctor.minari_sets()[0].state == "absent"
    (tmp_path / "minari" / "mujoco" / "hopper" / "medium-v0").mkdir(parents=True)
    assert doctor.minari_sets()[0].detail == "mujoco/hopper/medium-v0"
    assert doctor.storage()[0].state == "works"
    assert doctor.compiled() == []
    kernel = tmp_path / "home" / "compiled" / "inductor" / "kernel"
    kernel.parent.mkdir(parents=True)
    kernel.write_bytes(b"1" * 2_000_000)
    assert doctor.compiled()[0].detail.startswith(f"2 MB in {tmp_path / 'home' / 'compiled'}, which may be deleted")
    assert {found.state for found in doctor.shipped()} == {"works"}
    policies = tmp_path / "fixtures" / "policies" / "hopper-medium"
    policies.mkdir(parents=True)
    (policies / "card.json").write_text("{")
    monkeypatch.setattr("dtclaims.lab.doctor.fixture_dir", lambda: tmp_path / "fixtures")
    found = {one.part: one for one in doctor.shipped()}
    assert found["policies/hopper-medium"].state == "broken"
    assert found["policies/walker2d-medium"].required
    (tmp_path / "file").touch()
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "file" / "home"))
    assert doctor.storage()[0].state == "broken"


def test_the_place_for_runs_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is really written, where the folder is or would be made, and nothing of it stays; what refuses it is
    named with the system's reason, whatever permission bits say to root."""
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home" / "of" / "mine"))
    assert doctor.storage()[0].state == "works"
    assert list(tmp_path.iterdir()) == []

    def full(*_: object, dir: Path) -> None:
        assert dir == tmp_path
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    (found,) = doctor.storage()
    assert (found.state, found.required) == ("broken", True)
    assert found.detail == f"{tmp_path} cannot be written: {os.strerror(errno.EROFS)}"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc, where nobody may make files")
def test_a_place_that_refuses_even_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is broken, though its permission bits let root write there."""
    monkeypatch.setenv("DTCLAIMS_HOME", "/proc/home")
    assert doctor.storage()[0].state == "broken"


def test_the_hub_cache_is_looked_at_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint that is cached works, one that is not says how to get it."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--openai-community--gpt2" / "snapshots" / "0"
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (folder / name).touch()
    found = doctor.hub()
    assert [one.state for one in found] == ["works", "absent"]
    assert found[0].detail == str(folder)
    assert "hf download openai/imagegpt-small" in str(found[1].remedy)


def test_cuda_without_a_device_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU is no fault; a GPU that torch cannot use is."""
    for detail, state in (
        ("2.13: LookupError: no NVIDIA driver with a device", "absent"),
        ("2.13: RuntimeError: the driver is there, but torch cannot use it", "broken"),
    ):
        monkeypatch.setattr(doctor, "probe", lambda *_, detail=detail, **__: Finding("CUDA", "broken", detail, "r"))
        assert [one.state for one in doctor.cuda()] == [state]


def test_versions_outside_the_bounds_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too old or too new, Python too, each with its bounds; what is absent, or of the tests alone, has no line here."""
    asked = [
        "numpy>=2.0,<3",
        'torch>=2.6,<2.14; extra == "lab"',
        'absent>=1; extra == "lab"',
        'rich<1; extra == "test"',
    ]
    installed = {"numpy": "1.26.4", "torch": "2.15.0+cpu", "rich": "15.0"}

    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "requires", lambda _: asked)
    monkeypatch.setattr(metadata, "metadata", lambda _: {"Requires-Python": "<3.14,>=3.11"})
    monkeypatch.setattr(metadata, "version", version)
    monkeypatch.setattr("platform.python_version", lambda: "3.14.2")
    found = doctor.versions()
    assert [(one.part, one.state, one.detail) for one in found] == [
        ("Python", "untested", "3.14.2; tested are <3.14,>=3.11"),
        ("numpy", "untested", "1.26.4; tested are <3,>=2.0"),
        ("torch", "untested", "2.15.0+cpu; tested are <2.14,>=2.6"),
    ]
    assert found[2].remedy == "`pip install 'torch<2.14,>=2.6'`."
    assert "untested  torch   2.15.0+cpu; tested are" in lines(found)[4]
    check_required(found)
    monkeypatch.setattr("platform.python_version", lambda: "3.13.0")
    installed |= {"numpy": "2.0.0", "torch": "2.13.0+cpu"}
    (sound,) = doctor.versions()
    assert (sound.part, sound.state) == ("versions", "works")


@pytest.mark.parametrize(
    ("script", "state"),
    [
        ('read line; test "$line" = get_server_list && echo 4711', "works"),
        ("echo Cannot find MPS control daemon process", "absent"),
        ("exit 1", "absent"),
        (None, "absent"),
    ],
)
def test_mps_is_asked_where_there_is_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, state: str
) -> None:
    """Whether NVIDIA's control daemon answers; how to start it, if it does not or is not installed."""
    if script is not None:
        (tmp_path / "nvidia-cuda-mps-control").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "nvidia-cuda-mps-control").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(doctor, "probe", lambda *_, **__: Finding("CUDA", "works", "a GPU"))
    found = doctor.cuda()
    assert [(one.part, one.state) for one in found] == [("CUDA", "works"), ("CUDA MPS", state)]
    assert ("nvidia-cuda-mps-control -d" in (found[1].remedy or "")) == (state == "absent")


def test_only_required_parts_decide_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Optional parts may be absent or broken; a required one makes the exit code 2 and is named."""
    sound: list[Any] = [
        Finding("torch", "works", "2.13", required=True),
        Finding("ray", "absent", "not installed", "`pip install ray`."),
        Finding("trackio", "broken", "Exception: no", "see there"),
    ]
    monkeypatch.setattr(doctor, "examine", lambda: sound)
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    assert "broken  trackio  Exception: no" in printed
    assert "→ `pip install ray`." in printed
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[1] == {
        "part": "ray",
        "state": "absent",
        "detail": "not installed",
        "remedy": "`pip install ray`.",
        "required": False,
    }
    sound.append(Finding("mujoco", "broken", "9.9", "`pip install mujoco==3.3.7`.", required=True))
    assert main(["doctor"]) == 2
    assert "mujoco (9.9)" in capsys.readouterr().err
    with pytest.raises(MissingDependency, match=r"mujoco==3\.3\.7"):
        check_required(sound)
    assert "(required)" in lines(sound)[-2]


def test_everything_is_examined(monkeypatch: pytest.MonkeyPatch) -> None:
    """One finding for each package, and those about files, the hub and the GPU."""
    monkeypatch.setattr(doctor, "probe", lambda package, **_: Finding(package.name, "works", ""))
    parts = {found.part for found in doctor.examine()}
    assert {"the paper's stack", "minari", "ray", "wandb", "envpool", "mujoco"} <= parts
    assert {"storage", "policies/hopper-medium", "backbones/language-mini", "checkpoint gpt2"} <= parts
    assert {"D4RL hopper-medium-v2", "Minari data sets"} <= parts
