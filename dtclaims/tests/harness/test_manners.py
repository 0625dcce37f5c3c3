"""A guest's manners: what the plugin does to suites and plugins that are not its own, and what it stands from them."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import UsageError
from dtclaims.harness.declare.unplugged import LINE
from dtclaims.harness.pytest_options import PLUGIN, asks_for_gpu
from dtclaims.places import ROOT
from dtclaims.tests.support.studies import CLAIMS

TINY = ROOT / "dtclaims" / "tests" / "support" / "tiny_paper"
EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_NOTHING = 0, 1, 4, 5


class Suite:
    """A folder of tests of somebody's, run by a pytest of its own, as they would run it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        self.environment |= {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "DTCLAIMS_HOME": str(folder / "home")}

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, *arguments: str, plugin: bool = True, drop: tuple[str, ...] = (), **more: str) -> "Ended":
        words = ["-p", "dtclaims.harness.plugin"] if plugin else []
        environment = {name: value for name, value in {**self.environment, **more}.items() if name not in drop}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *words, *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return Ended(done.returncode, done.stdout + done.stderr)


class Ended:
    def __init__(self, code: int, said: str) -> None:
        self.code = code
        self.said = said


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    found = Suite(tmp_path)
    found.write("test_x.py", "def test_x(): pass\n")
    return found


@pytest.fixture
def tiny(suite: Suite) -> Suite:
    """A suite with a paper of two claims, one of which fails, and a test that passes."""
    shutil.copytree(TINY, suite.folder / "p", ignore=shutil.ignore_patterns("__pycache__"))
    return suite


def test_an_installation_changes_nothing() -> None:
    """pytest loads no plugin of ours by itself: there is no entry point."""
    assert "pytest11" not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_an_option_of_a_conftest_stays_its_own(suite: Suite) -> None:
    """A suite with a `--device` of its own goes on with it, also where the plugin was loaded first."""
    suite.write("conftest.py", 'def pytest_addoption(parser):\n    parser.addoption("--device", default="mine")\n')
    suite.write("test_x.py", 'def test_x(request):\n    assert request.config.getoption("--device") == "mine"\n')
    assert suite.run("-q").code == EXIT_OK


@pytest.mark.parametrize("order", ["before", "after"])
def test_options_of_another_plugin_stay_its_own(tiny: Suite, order: str) -> None:
    """In whatever order both are loaded; claims run all the same, and the header says how to choose for them."""
    names = ("--workers", "--report", "--seeds", "--store", "--scale", "--plan")
    body = "".join(f'    parser.getgroup("theirs").addoption("{name}", default="other")\n' for name in names)
    tiny.write("otherplugin.py", f"def pytest_addoption(parser):\n{body}")
    words = ["-p", "otherplugin", "-p", "dtclaims.harness.plugin"]
    words = words if order == "before" else [*words[2:], *words[:2]]
    done = tiny.run(*words, "p", "--fail-on", "error", "-o", "claims_seeds=4", plugin=False)
    assert done.code == EXIT_OK, done.said
    assert "--seeds is an option of another plugin here (theirs); for the claims, -o claims_seeds=VALUE" in done.said
    assert "seeds 0,1,2,3" in done.said


def test_properties_and_reports_of_others_are_left_alone(suite: Suite) -> None:
    """A test may record a property called `verdict`, and a plugin may have outcomes of its own."""
    suite.write("test_x.py", 'def test_one(record_property):\n    record_property("verdict", "pass")\n')
    done = suite.run("-q")
    assert done.code == EXIT_OK
    assert "1 passed" in done.said


def test_without_claims_nothing_is_loaded_or_looked_up(suite: Suite) -> None:
    """No numpy, no lab, no home: not even with `-m gpu`, where there is no home and MUJOCO_GL is broken."""
    suite.write(
        "test_x.py",
        "import sys, pytest\n"
        "heavy = {'mujoco', 'gymnasium', 'h5py', 'numpy', 'scipy', 'jinja2', 'torch', 'dtclaims.lab'}\n"
        "@pytest.mark.gpu\n"
        "def test_x():\n    assert not heavy & set(sys.modules), heavy & set(sys.modules)\n",
    )
    suite.write("sitecustomize.py", "import pwd\ndef unknown(uid):\n    raise KeyError(uid)\npwd.getpwuid = unknown\n")
    homeless = ("HOME", "XDG_CACHE_HOME", "DTCLAIMS_HOME")
    for marker in ([], ["-m", "gpu"]):
        done = suite.run("-q", *marker, drop=homeless, MUJOCO_GL="no-such-backend")
        assert done.code == EXIT_OK, done.said


@pytest.mark.parametrize(
    "command",
    [["--version"], ["claims"], ["doctor"], ["judge", str(ROOT / "claims" / "evidence" / "k1-random-init.json")]],
    ids=lambda command: command[0],
)
def test_commands_need_no_display_and_no_home(suite: Suite, command: list[str]) -> None:
    """A broken MUJOCO_GL and a user without a home are findings of `doctor`, and nobody's traceback."""
    suite.write("sitecustomize.py", "import pwd\ndef unknown(uid):\n    raise KeyError(uid)\npwd.getpwuid = unknown\n")
    homeless = ("HOME", "XDG_CACHE_HOME", "DTCLAIMS_HOME")
    environment = {name: value for name, value in suite.environment.items() if name not in homeless}
    done = subprocess.run(
        [sys.executable, "-m", "dtclaims.harness.commands.main", *command],
        cwd=suite.folder,
        env={**environment, "MUJOCO_GL": "no-such-backend"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode == (2 if command == ["doctor"] else 0)


def test_failed_claims_are_known_again(tiny: Suite) -> None:
    """`--lf` runs the claims that failed and nothing else, also beside tests that are mended meanwhile."""
    tiny.write("p/test_unit.py", "import os\ndef test_unit(): assert os.path.exists('mended')\n")
    assert tiny.run("p", "--store", "s").code == EXIT_FAILED
    tiny.write("mended", "")
    again = tiny.run("p", "--store", "s", "--lf")
    assert again.code == EXIT_FAILED
    assert "2 failed, 1 passed" in again.said
    assert "2 failed" in tiny.run("p", "--store", "s", "--lf").said.splitlines()[-1]


RERUNS = """
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item, nextitem):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in runtestprotocol(item, nextitem=nextitem, log=False):
        if report.failed:
            report.outcome = "rerun"
        item.ihook.pytest_runtest_logreport(report=report)
    item._initrequest()
    for report in runtestprotocol(item, nextitem=nextitem, log=False):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True

def pytest_report_teststatus(report):
    if report.outcome == "rerun":
        return "rerun", "r", "RERUN"
"""


def test_a_claim_that_is_run_again_has_one_entry(tiny: Suite) -> None:
    """Plugins that run a failed test again, and files that are given twice: a report with the last verdict of each.

    Some ask a test for fresh fixtures first, as pytest-retry does: a claim has none, and goes on.
    """
    tiny.write("again.py", RERUNS)
    done = tiny.run("p", "-p", "again", "--store", "s", "--report", "first", "-v")
    assert done.code == EXIT_FAILED
    assert "RERUN" in done.said
    assert (tiny.folder / "first" / "report.json").is_file()
    done = tiny.run("p", "p/test_tiny.py", "--keep-duplicates", "--store", "s", "--report", "second")
    assert done.code == EXIT_FAILED
    assert (tiny.folder / "second" / "report.json").is_file()


def test_warnings_of_other_plugins_are_theirs(tiny: Suite) -> None:
    """This project's strictness is for its own tests: its settings turn no warning of a user's plugin into an error."""
    warns = "import warnings\nimport pytest\ndef pytest_configure(config):\n"
    tiny.write("warns.py", warns + "    warnings.warn(pytest.PytestDeprecationWarning('unset'))\n")
    done = tiny.run("p", "-c", str(ROOT / "pyproject.toml"), "-p", "warns", "--plan", "--store", "s")
    assert done.code == EXIT_OK, done.said


@pytest.mark.parametrize(
    "words", [["-W", "error"], ["-p", "no:cacheprovider"], ["-p", "no:terminal"], ["-k", "TINY-1"]]
)
def test_claims_run_under_pytests_own_options(tiny: Suite, words: list[str]) -> None:
    """No warning of ours, no need of the cache or of a terminal: claims are judged and the report is written."""
    done = tiny.run("p", *words, "--fail-on", "error", "--store", "s", "--report", "r")
    assert done.code == EXIT_OK, done.said
    assert (tiny.folder / "r" / "report.json").is_file()


@pytest.mark.parametrize("words", [["-p", PLUGIN], [f"-p{PLUGIN}"]], ids=["apart", "together"])
def test_what_is_advised_loads_the_plugin_as_it_was_loaded(tiny: Suite, words: list[str]) -> None:
    """Where the command line loads it, the command that is printed does too, so that it works as it stands."""
    done = tiny.run(*words, "p", "--store", "s", "--seeds", "3", plugin=False, COLUMNS="400")
    advised = next(line for line in done.said.splitlines() if "--attribute" in line)
    assert f"pytest -p {PLUGIN} p --scale" in advised
    again = tiny.run(*shlex.split(advised[advised.index("pytest ") :])[1:], plugin=False)
    assert again.code == EXIT_FAILED, again.said
    assert "passed" in again.said


def test_what_is_advised_leaves_the_plugin_to_a_conftest(tiny: Suite) -> None:
    """Where a conftest file loads it, nothing is said of it."""
    tiny.write("conftest.py", f"{LINE}\n")
    done = tiny.run("p", "--store", "s", "--seeds", "3", plugin=False, COLUMNS="400")
    assert "pytest p --scale" in done.said, done.said


def test_names_that_an_ascii_locale_cannot_read(tiny: Suite) -> None:
    """Python hands them on as surrogates: claims, store and report are found, and the report names them."""
    (tiny.folder / "p").rename(tiny.folder / "p\N{LATIN SMALL LETTER A WITH DIAERESIS}")
    words = [f"{name}\N{LATIN SMALL LETTER A WITH DIAERESIS}" for name in ("p", "s", "r")]
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    # pytest's own cache cannot write them.
    rest = ["--fail-on", "error", "-p", "no:cacheprovider"]
    done = tiny.run(words[0], "--store", words[1], "--report", words[2], *rest, **ascii_only)
    assert done.code == EXIT_OK, done.said
    report = json.loads((tiny.folder / words[2] / "report.json").read_text(encoding="utf-8"))
    assert report["provenance"]["store"] == words[1]
    assert f"--store {words[1]}" in report["provenance"]["command"]


def test_words_that_no_file_can_be_called_are_no_places(tiny: Suite) -> None:
    """A long expression of -k is as good as a short one."""
    long = " or ".join(["TINY-1", *("x" * 90 for _ in range(50))])
    done = tiny.run("p", "-k", long, "--fail-on", "error", "--store", "s")
    assert done.code == EXIT_OK, done.said
    assert "2 passed, 2 deselected" in done.said


def test_a_file_of_claims_may_be_skipped(tiny: Suite) -> None:
    """Where what it imports is not installed: the claims of the other files are judged, and there is a report."""
    tiny.write("p/test_more.py", "import pytest\n\npytest.importorskip('no_such_package')\n")
    done = tiny.run("p", "--fail-on", "error", "--store", "s", "--report", "r")
    assert done.code == EXIT_OK, done.said
    assert (tiny.folder / "r" / "report.json").is_file()


def test_an_error_in_anothers_hook_is_shown_without_pytests_own_lines(tiny: Suite) -> None:
    """Of each claim what that hook did, not the hundreds of lines of pytest that called it."""
    tiny.write("p/conftest.py", "def pytest_runtest_setup(item):\n    item.fixturenames\n")
    done = tiny.run("p", "--store", "s")
    assert done.code == EXIT_FAILED
    assert "'ClaimItem' object has no attribute 'fixturenames'" in done.said
    assert len(done.said.splitlines()) < 80


@pytest.mark.skipif(int(pytest.__version__.split(".")[0]) < 9, reason="pytest has no tables of its own in TOML")
def test_numbers_in_pytests_own_tables_are_one_line(tiny: Suite) -> None:
    """Options are text there too, and the error shows how it is written."""
    tiny.write("pyproject.toml", "[tool.pytest]\nclaims_seeds = 3\n")
    done = tiny.run("p", "--store", "s")
    assert done.code == EXIT_USAGE
    assert errors_of(done) == [line for line in done.said.splitlines() if "expects a string, got int: 3" in line]
    assert 'Write it as text: claims_seeds = "5".' in done.said


def test_advice_names_a_folder_that_begins_with_a_dash_as_a_folder(tiny: Suite) -> None:
    """Or it would be taken for options where it is pasted."""
    (tiny.folder / "p").rename(tiny.folder / "-p")
    done = tiny.run("./-p", "--store", "s", COLUMNS="400")
    assert f"pytest -p {PLUGIN} ./-p --scale all" in done.said, done.said


def test_a_plan_is_printed_without_a_terminal(tiny: Suite) -> None:
    """What was asked for is said, on standard output."""
    done = tiny.run("p", "-p", "no:terminal", "--plan", "--store", "s")
    assert done.code == EXIT_OK
    assert "to take" in done.said


@pytest.mark.parametrize("flag", ["--collect-only", "--setup-plan", "--setup-only", "--fixtures-per-test"])
def test_where_no_test_is_run_nothing_is_made(tiny: Suite, flag: str) -> None:
    """Options of pytest that show what there is list the claims and touch no store."""
    done = tiny.run("p", flag, "--store", "s")
    assert done.code == EXIT_OK
    assert "TINY-1[published-all]" in done.said or flag == "--fixtures-per-test"
    assert not (tiny.folder / "s").exists()


def test_claims_in_processes_of_their_own_are_refused(tiny: Suite) -> None:
    """pytest-forked judges in children, whose verdicts nobody hears of: one usage error before anything is made."""
    tiny.write("forks.py", 'def pytest_addoption(parser):\n    parser.addoption("--forked", action="store_true")\n')
    done = tiny.run("p", "-p", "forks", "--forked", "--store", "s")
    assert done.code == EXIT_USAGE
    assert "got --forked, of pytest-forked. Run them without it." in done.said
    assert not (tiny.folder / "s").exists()
    assert tiny.run("p", "-p", "forks", "--fail-on", "error", "--store", "s").code == EXIT_OK


def test_parallel_sessions_have_one_line_for_all_claims(tiny: Suite) -> None:
    """One usage error where the claims are asked for; one failure where workers come upon them."""
    done = tiny.run("p", "-n", "2", "--store", "s")
    assert done.code == EXIT_USAGE
    assert len(done.said.splitlines()) < 10
    (tiny.folder / "deep").mkdir()
    (tiny.folder / "p").rename(tiny.folder / "deep" / "er")
    tiny.write("deep/er2/test_y.py", "def test_y(): pass\n")
    shutil.move(tiny.folder / "deep" / "er", tiny.folder / "deep" / "er2" / "p")
    done = tiny.run("-n", "2", "--store", "s", "test_x.py", "deep")
    assert done.code == EXIT_FAILED
    assert "1 failed, 2 passed" in done.said
    assert len(done.said.splitlines()) < 40


@pytest.mark.parametrize(
    ("expression", "asks"),
    [
        ("gpu", True),
        ("gpu and slow", True),
        ("claim and gpu", True),
        ("gpu and not slow", False),
        ("not slow", False),
        ("gpu or claim", False),
        ("", False),
        ("gpu and", False),
    ],
)
def test_marker_expressions_that_ask_for_a_gpu(expression: str, asks: bool) -> None:
    """Those that select claims which need one and leave out those which do not; nonsense is for pytest to refuse."""
    assert asks_for_gpu(expression) == asks


def test_a_missing_plugin_line_is_a_failure(tiny: Suite) -> None:
    """Without the plugin each claim is a test that fails and says which line to add: it is not passed over."""
    done = tiny.run("p", plugin=False)
    assert done.code == EXIT_FAILED
    assert "2 failed" in done.said
    assert LINE in done.said
    with pytest.raises(UsageError, match="the plugin is not loaded"):
        CLAIMS["SAMPLE-fails"]()


SAMPLE_PLUGIN = """
from dtclaims.harness.engine.inline import Inline
from dtclaims.harness.store.store import Store

def engine(store, device, workers):
    print("my engine", device, workers)
    return Inline(Store(store))

class Told:
    def __init__(self, *about):
        pass
    def log(self, epoch, values):
        pass
    def close(self):
        pass

def pytest_claims_engines():
    return {"mine": engine}

def pytest_claims_loggers():
    return {"told": Told}

def pytest_claims_report_formats():
    return {"txt": lambda document: "\\n".join(one["id"] for one in document["claims"])}
"""


def test_other_plugins_add_engines_loggers_and_formats(tiny: Suite) -> None:
    """By hooks: their names are taken where ours are, and a report of theirs is written beside ours."""
    tiny.write("adds.py", SAMPLE_PLUGIN)
    words = ["--executor", "mine", "--logger", "told", "--workers", "3", "--fail-on", "error", "-s"]
    done = tiny.run("p", "-p", "adds", *words, "--store", "s", "--report", "r")
    assert done.code == EXIT_OK, done.said
    assert "my engine cpu 3" in done.said
    assert (tiny.folder / "r" / "report.txt").read_text().split() == ["TINY-1", "TINY-1", "TINY-2", "TINY-2"]
    done = tiny.run("p", "-p", "adds", "--executor", "min", "--store", "s")
    assert done.code == EXIT_USAGE
    assert "expected one of processes, inline, ray, mine. Did you mean mine?" in done.said


def test_two_plugins_of_one_name_are_refused(tiny: Suite) -> None:
    """Nobody could say which is meant."""
    tiny.write("adds.py", "def pytest_claims_loggers():\n    return {'wandb': print}\n")
    done = tiny.run("p", "-p", "adds", "--store", "s")
    assert done.code == EXIT_USAGE
    assert "two plugins provide the logger wandb" in done.said


def test_a_report_that_cannot_be_written_costs_no_verdict(tiny: Suite) -> None:
    """Where that shows at the end only, the table of verdicts is printed, then the error; it is a usage error."""
    tiny.write("r/report.md/x", "a folder where the file should be")
    done = tiny.run("p", "--store", "s", "--report", "r")
    assert done.code == EXIT_USAGE
    assert "REFUTED" in done.said
    assert "ERROR: cannot write the report" in done.said


def errors_of(done: Any) -> list[str]:
    return [line for line in done.said.splitlines() if line.startswith("ERROR")]


def test_what_is_wrong_with_a_choice_is_said_once(tiny: Suite) -> None:
    """Settings are made when claims are found; an error in them ends the session as one usage error."""
    done = tiny.run("p", "--seeds", "x")
    assert done.code == EXIT_USAGE
    assert len(errors_of(done)) == 1
    assert "--seeds cannot be read" in done.said
    assert tiny.run("test_x.py", "--seeds", "x").code == EXIT_OK
