"""MPS: a daemon of the session's own where it can be used, and nothing in the way where it cannot."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dtclaims.harness.engine import mps

CONTROL = """#!{python}
import os, sys, time
pipe = os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps")
quit = os.path.join(pipe, "quit")


def say(text):
    with open({log!r}, "a") as log:
        log.write(text)


if sys.argv[1:] == ["-f"]:
    say("started, " + ("limited" if "CUDA_VISIBLE_DEVICES" in os.environ else "all") + ". ")
    if {broken}:
        sys.exit(3)
    open(os.path.join(pipe, "control"), "w").close()
    while not os.path.exists(quit):
        time.sleep(0.02)
    say("ended. ")
elif (asked := sys.stdin.read().strip()) == "quit":
    open(quit, "w").close()
elif asked == "get_server_list" and pipe == "/tmp/nvidia-mps":
    print("" if {running} else "Cannot find MPS control daemon process")
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, *, broken: bool = False, running: bool = False) -> None:
    control = folder / "bin" / mps.CONTROL
    control.parent.mkdir(exist_ok=True)
    control.write_text(CONTROL.format(python=sys.executable, log=str(folder / "log"), broken=broken, running=running))
    control.chmod(0o755)
    monkeypatch.setenv("PATH", str(control.parent))


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a control program on the path did."""
    monkeypatch.delenv(mps.PIPES, raising=False)
    monkeypatch.delenv(mps.SWITCH, raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    monkeypatch.setattr(mps, "PROBE", "import sys; sys.exit(0)")
    install(tmp_path, monkeypatch)
    return tmp_path / "log"


def test_a_daemon_lasts_as_long_as_the_session(log: Path) -> None:
    """It sees every GPU, workers are told where it is, and it is ended however the session ends."""
    notes: list[str] = []
    folders: list[Path] = []

    def interrupted() -> None:
        with mps.sharing("4", notes.append) as environment:
            assert log.read_text() == "started, all. "
            folders.append(Path(environment[mps.PIPES]))
            assert (folders[0] / "control").exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert log.read_text() == "started, all. ended. "
    assert not folders[0].exists()
    assert notes == []


def test_a_gpu_that_cannot_be_used_under_it_is_used_without(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first client is tried; what it meets is told, and the daemon is ended."""
    monkeypatch.setattr(mps, "PROBE", "import sys; sys.exit(46)")
    notes: list[str] = []
    with mps.sharing("4", notes.append) as environment:
        assert environment == {}
    assert notes == ["workers share a GPU without MPS: a process under it cannot use the GPU (exit code 46)"]
    assert log.read_text() == "started, all. ended. "


def test_a_daemon_that_does_not_start_is_done_without(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its exit code is told."""
    install(tmp_path, monkeypatch, broken=True)
    notes: list[str] = []
    with mps.sharing("4", notes.append) as environment:
        assert environment == {}
    assert notes == ["workers share a GPU without MPS: its daemon ended with exit code 3"]
    assert log.read_text() == "started, all. "


@pytest.mark.parametrize(("name", "value"), [(mps.SWITCH, "off"), (mps.PIPES, "/theirs")])
def test_who_wants_none_or_has_one_gets_none(log: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """`DTCLAIMS_MPS=off`, and a daemon of the user's own, which workers find by the environment that they inherit."""
    monkeypatch.setenv(name, value)
    with mps.sharing("4", pytest.fail) as environment:
        assert environment == {}
    assert not log.exists()


def test_a_daemon_where_all_look_is_used(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the machine's administrator, say: it answers without anything in the environment."""
    install(tmp_path, monkeypatch, running=True)
    with mps.sharing("4", pytest.fail) as environment:
        assert environment == {}
    assert not log.exists()


def test_without_a_control_program_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Most machines have none."""
    monkeypatch.delenv(mps.PIPES, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with mps.sharing("0", pytest.fail) as environment:
        assert environment == {}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="children end with their parent on Linux only")
def test_a_killed_session_leaves_no_daemon(log: Path) -> None:
    """SIGKILL of the session ends it."""
    code = (
        "from dtclaims.harness.engine import mps; import time\n"
        "mps.PROBE = ''\n"
        "with mps.sharing('4', print) as found:\n"
        "    print(found[mps.PIPES], flush=True)\n"
        "    time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    pipe = child.stdout.readline().strip()
    assert _runs(pipe)
    child.kill()
    child.wait()
    child.stdout.close()
    until = time.monotonic() + 10
    while _runs(pipe) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _runs(pipe)


def _runs(pipe: str) -> bool:
    """Whether a process has this pipe directory in its environment."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if pipe.encode() in (entry / "environ").read_bytes():
                    return True
            except OSError:
                continue
    return False
