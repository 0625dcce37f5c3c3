"""Ctrl-C at any moment, as a terminal sends it: to the session and all its processes. And scripts that start one."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dtclaims.harness.engine.processes import GRACE
from dtclaims.places import ROOT
from dtclaims.tests.support.processes import until

PYTEST = ["-m", "pytest", "paper", "-q", "-p", "no:cacheprovider", "-p", "dtclaims.harness.plugin"]
RUN = ["-c", "import sys; from dtclaims.harness.commands.main import main; sys.exit(main())", "run"]
RUN += ["--claims", "paper"]
PATIENCE = 120.0

HANGS = """
import multiprocessing, pathlib, time
if (multiprocessing.parent_process() is not None) == {in_workers}:
    pathlib.Path({begun!r}).touch()
    time.sleep(600)
"""


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    """The tiny paper."""
    folder = tmp_path / "paper"
    shutil.copytree(ROOT / "dtclaims/tests/support/tiny_paper", folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def started(paper: Path, *words: str) -> "subprocess.Popen[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTHONPATH": str(ROOT), "DTCLAIMS_HOME": str(paper.parent / "home")}
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=paper.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    ("words", "in_workers", "code", "said"),
    [
        (PYTEST, False, 2, "interrupted while the lab of the claims was imported; nothing was begun\n"),
        (RUN, False, 130, "dtclaims: interrupted; what was finished is kept\n"),
        (PYTEST, True, 2, "interrupted: what is finished is kept, the same command goes on from there\n"),
        (RUN, True, 130, "dtclaims: interrupted; what was finished is kept\n"),
    ],
)
def test_an_import_of_the_lab_is_interrupted_in_a_line(
    paper: Path, words: list[str], in_workers: bool, code: int, said: str
) -> None:
    """Whoever imports the paper's lab at the time, the session or its workers: a line, an exit code, no traceback."""
    begun, lab = paper.parent / "begun", paper / "tiny_lab.py"
    lab.write_text(lab.read_text() + HANGS.format(in_workers=in_workers, begun=str(begun)))
    session = started(paper, *words)
    until(lambda: begun.exists() or session.poll() is not None, PATIENCE)
    assert session.poll() is None
    os.killpg(session.pid, signal.SIGINT)
    output, _ = session.communicate(timeout=PATIENCE)
    assert (session.returncode, "Traceback" in output) == (code, False)
    assert said in output


def test_workers_that_are_being_started_hear_no_ctrl_c(paper: Path) -> None:
    """A worker is deaf to Ctrl-C from its first instruction on: it says nothing when all are stopped."""
    script = paper.parent / "stopped.py"
    script.write_text(
        "import os, signal\n"
        "from dtclaims.harness.engine import processes\n"
        "from dtclaims.harness.commands.main import main\n"
        "spawn = processes.Processes._spawn\n"
        "def spawn_and_stop(engine, place):\n"
        "    worker = spawn(engine, place)\n"
        "    os.kill(worker.process.pid, signal.SIGINT)\n"
        "    return worker\n"
        "processes.Processes._spawn = spawn_and_stop\n"
        "main(['run', '--claims', 'paper', '--seeds', '3'])\n"
    )
    session = started(paper, str(script))
    output, _ = session.communicate(timeout=PATIENCE)
    assert "Traceback" not in output
    assert "died" not in output
    assert "TINY-1" in output


def test_a_script_needs_no_guard(paper: Path) -> None:
    """A script may call `main` as it stands: workers do not import it, and do not begin the session once more."""
    script = paper.parent / "all_of_it.py"
    script.write_text(
        "print('begun', flush=True)\n"
        "from dtclaims.harness.commands.main import main\n"
        "raise SystemExit(main(['run', '--claims', 'paper', '--seeds', '3']))\n"
    )
    session = started(paper, str(script))
    output, _ = session.communicate(timeout=PATIENCE)
    assert session.returncode == 0
    assert output.count("begun") == 1
    assert "Traceback" not in output


def test_sessions_in_threads_leave_the_script_its_main_module(paper: Path) -> None:
    """What is put in its place while a worker starts does not stay, whoever starts another at that moment."""
    script = paper.parent / "threads.py"
    script.write_text(
        "import sys, threading\n"
        "from dtclaims.harness.commands.main import main\n"
        "call = ['run', '--claims', 'paper', '--seeds', '3', '--store']\n"
        "threads = [threading.Thread(target=main, args=([*call, f's{i}'],)) for i in range(3)]\n"
        "[one.start() for one in threads], [one.join() for one in threads]\n"
        "assert sys.modules['__main__'].threads is threads\n"
        "print('as it was')\n"
    )
    session = started(paper, str(script))
    output, _ = session.communicate(timeout=PATIENCE)
    assert output.endswith("as it was\n")


def test_jobs_that_are_deaf_to_being_stopped_are_killed(paper: Path) -> None:
    """All together get the time that one gets to leave; another Ctrl-C ends them at once, and the session with them."""
    begun, lab = paper.parent / "begun", paper / "tiny_lab.py"
    begun.mkdir()
    deaf = "import os, pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    deaf += f"pathlib.Path({str(begun)!r}, str(os.getpid())).touch(); time.sleep(600)"
    lab.write_text(lab.read_text().replace("    return (", f"    {deaf}\n    return ("))
    for stops, most in ((1, 4 * GRACE), (2, GRACE)):
        session = started(paper, *RUN, "--workers", "6", "--store", f"s{stops}")
        until(lambda: len(list(begun.iterdir())) == 6, PATIENCE)
        stopped = time.monotonic()
        for _ in range(stops):
            os.killpg(session.pid, signal.SIGINT)
            time.sleep(0.5)
        output, _ = session.communicate(timeout=PATIENCE)
        assert time.monotonic() - stopped < most
        assert (session.returncode, "Traceback" in output) == (130, False)
        for worker in begun.iterdir():
            with pytest.raises(ProcessLookupError):
                os.kill(int(worker.name), 0)
            worker.unlink()


ODD = {
    "raises what Ctrl-C does": ("raise KeyboardInterrupt", "KeyboardInterrupt at tiny_lab.py"),
    "loses a pipe of its own": ("raise BrokenPipeError('my simulator is gone')", "BrokenPipeError at tiny_lab.py"),
    "comes back twice": ("if os.fork() == 0: return 1.0\n    os.wait()", None),
    "comes back twice, once with an error": ("if os.fork() == 0: 1 / 0\n    os.wait()", None),
    "leaves the folder": ("os.chdir('/')", None),
}


@pytest.mark.parametrize("executor", ["processes", "inline"])
@pytest.mark.parametrize("kind", ODD)
def test_odd_jobs_end_as_themselves(paper: Path, kind: str, executor: str) -> None:
    """What a job raises is its failure, not its worker's, nor the end of the session with exit code 0; a process that
    it forks does not go on as a second worker; a folder that it leaves keeps no other from a store named from there."""
    line, why = ODD[kind]
    if executor == "inline" and "Ctrl-C" in kind:
        pytest.skip("the session itself hears it")
    lab = paper / "tiny_lab.py"
    lab.write_text("import os\n" + lab.read_text().replace("    return (", f"    {line}\n    return ("))
    session = started(paper, *RUN, "--seeds", "3", "--store", "s", "--executor", executor, "--workers", "1")
    output, _ = session.communicate(timeout=PATIENCE)
    assert "Traceback" not in output
    assert "worker process died" not in output
    assert session.returncode == (1 if why else 0)
    if why:
        assert why in output
    else:
        assert "TINY-1  published  REPRODUCED" in output
