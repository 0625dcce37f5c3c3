"""The pytest plugin, seen from outside: options, outcomes, exit codes, reports."""

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

# pytester forgets modules that are first imported inside it, and numpy's refuse to be loaded twice.
import scipy.stats  # noqa: F401

from dtclaims.errors import RunFailed
from dtclaims.harness.commands.main import main
from dtclaims.harness.declare.registry import load_claims
from dtclaims.harness.report.document import check_folder
from dtclaims.harness.store.store import Store
from dtclaims.harness.study import Study, cells_of
from dtclaims.lab.data.hdf5 import save_hdf5
from dtclaims.places import ROOT
from dtclaims.tests.support.examples import SAMPLE_CLAIMS, fill_store, made_up
from dtclaims.tests.support.studies import RETURNS, settings_of, study, value_of

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 4
LINE = 'pytest_plugins = ["dtclaims.harness.plugin"]'


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `pytest claims` on a copy of the sample claims, in a home of its own."""
    monkeypatch.setenv("DTCLAIMS_HOME", str(pytester.path / "home"))
    shutil.copytree(SAMPLE_CLAIMS, pytester.path / "claims", ignore=shutil.ignore_patterns("__pycache__"))
    pytester.makeconftest(LINE)

    def run(*arguments: str) -> pytest.RunResult:
        return pytester.runpytest("claims", "-p", "no:cacheprovider", *arguments)

    return run


@pytest.fixture
def filled(run: Any, pytester: pytest.Pytester) -> Path:
    """A store that holds a made-up result for everything mini needs; its path."""
    store = pytester.path / "filled"
    first = study(pytester.path, store=str(store))
    fill_store(first.plan, first.store, RETURNS, value_of)
    return store


def report(pytester: pytest.Pytester) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((pytester.path / "claims-report" / "report.json").read_text())
    return content


def test_judging_a_filled_store(run: Any, filled: Path, pytester: pytest.Pytester) -> None:
    """Refuted claims fail the run; verdicts, the report's place and all twelve entries are there.

    What counts stands last, below all that pytest says: counts, headlines, what to do next, the report. No claim is in
    pytest's own failures or short summary, whose lines know no ids and no reasons that are shared.
    """
    result = run("--store", str(filled))
    assert result.ret == EXIT_FAILED
    result.stdout.fnmatch_lines(
        [
            "dtclaims: scale mini (auto: without -m gpu), published and corrected, hopper, seeds 0,1,2, device cpu,*",
            "*SAMPLE-fails*REPRODUCED*",
            "not run, 2: it needs walker2d too, and this session is on hopper only:*",
            "R reproduced, X refuted, *",
            "published (mini): 6 of 6 claims: *",
            "headlines, published (mini): refuted SAMPLE-whole",
            "next: *",
            "report: claims-report/report.html (beside it report.json, report.md)",
            "=* failed, * passed, * skipped in *",
        ]
    )
    said = result.stdout.str()
    assert said.count("= claims =") == 1
    assert "short test summary" not in said
    assert "FAILURES" not in said
    # A path stays whole, so that it can be copied.
    lines = said.partition("= claims =")[2].splitlines()
    assert max(len(line) for line in lines if str(filled) not in line) <= 80
    result.stdout.no_fnmatch_line("*runs to train*")
    claims = report(pytester)["claims"]
    assert len({(entry["id"], entry["protocol"]) for entry in claims}) == 12
    assert all(len(entry["effect"]["per_seed"]) == 3 for entry in claims if entry["n"] and not entry.get("parts"))


def test_refuted_is_a_result_with_fail_on_error(run: Any, filled: Path) -> None:
    """`--fail-on error` turns refuted claims into passes: what CI's main job uses."""
    result = run("--store", str(filled), "--fail-on", "error")
    assert result.ret == EXIT_OK
    result.stdout.fnmatch_lines(["*REFUTED*"])


def test_inconclusive_fails_on_request(run: Any, filled: Path) -> None:
    """Two seeds are inconclusive: skipped by default, failing with --fail-on."""
    assert run("--store", str(filled), "--seeds", "2").ret == EXIT_OK
    result = run("--store", str(filled), "--seeds", "2", "--fail-on", "inconclusive")
    assert result.ret == EXIT_FAILED
    # SAMPLE-tasks under both protocols and SAMPLE-corrected-only under published are not run.
    result.assert_outcomes(failed=9, skipped=3)


def test_plan_prints_and_stops(run: Any, pytester: pytest.Pytester) -> None:
    """`--plan` says by arm what is to be trained and how long it takes, and trains, judges and writes nothing.

    With -v it lists every run with its cost. A reason for which claims cannot be tested stands there once.
    """
    result = run("--plan", "--seeds", "1")
    assert result.ret == EXIT_OK
    result.stdout.fnmatch_lines(
        [
            "run *number *epochs *stored *alone",
            "random_init *context 1 *",
            "measurement *number *stored *alone",
            "9 runs: 0 cached, 9 to train; * measurements: *, about * on *",
            "the first headline verdict after about *",
            "not run: 1 claim: it needs walker2d too, and this session is on hopper only (SAMPLE-tasks). Add *",
        ]
    )
    result.stdout.no_fnmatch_line("*/seed0/mini")
    run("--plan", "--seeds", "1", "-v").stdout.fnmatch_lines(
        ["*hopper/K1/random_init/reference-tied-eps1e-08-unpaired/seed0/mini"]
    )
    assert not (pytester.path / "claims-report").exists()


@pytest.mark.parametrize(
    "mark",
    ["skip(reason='later')", "skipif('sys.platform', reason='true')", "xfail(run=False)", "skipif('no such name')"],
)
def test_nothing_is_planned_for_what_a_mark_leaves_out(run: Any, pytester: pytest.Pytester, mark: str) -> None:
    """Of claims that pytest's own marks keep from being run, set by a conftest file too, no job is planned.

    A mark whose condition cannot be read is told of by pytest, which then does not run the claim either.
    """
    wanted = plan_keys(run("--plan", "-v", "--seeds", "1", "--claim", "SAMPLE-ratio"))
    pytester.makeconftest(
        f"import pytest\n{LINE}\n"
        "def pytest_collection_modifyitems(items):\n"
        "    for item in items:\n"
        "        if 'SAMPLE-ratio' not in item.name:\n"
        f"            item.add_marker(pytest.mark.{mark})\n"
    )
    assert plan_keys(run("--plan", "-v", "--seeds", "1")) == wanted
    assert len(plan_keys(run("--plan", "-v", "--seeds", "1", "-p", "no:skipping"))) > len(wanted)


@pytest.mark.parametrize("option", ["--plan", "--preflight"])
def test_a_plan_of_no_claim_runs_no_test(run: Any, pytester: pytest.Pytester, option: str) -> None:
    """`--plan` and `--preflight` stop before any test, also where none of those that are selected is a claim."""
    pytester.makepyfile(test_unit="def test_unit():\n    assert False\n")
    result = pytester.runpytest("-p", "no:cacheprovider", option, "-k", "test_unit")
    assert result.ret == EXIT_OK
    result.stdout.fnmatch_lines([f"{option}: of no claim, for none is selected"])


def test_a_machine_that_is_not_here_can_be_planned_for(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-m gpu --plan` and `--device cuda --plan` need no GPU; more of one, and more cores, take less time."""
    monkeypatch.setattr("dtclaims.device.cuda_devices", lambda: 0)

    def planned(*arguments: str) -> tuple[int, str]:
        result = run("--plan", *arguments)
        assert result.ret == EXIT_OK
        result.stdout.fnmatch_lines(["dtclaims: *device cuda, bfloat16*"])
        (line,) = (line for line in result.outlines if " to train; " in line)
        took, _, machine = line.partition(", about ")[2].partition(" on ")
        seconds = 0
        for part in took.split(":"):
            seconds = 60 * seconds + int(part)
        return seconds, machine

    one, four = planned("-m", "gpu"), planned("-m", "gpu", "--gpus", "4", "--cores", "64")
    assert one[1] == "8 processes, 1 GPU and 16 cores"
    assert four[1] == "32 processes, 4 GPUs and 64 cores"
    assert one[0] > 2 * four[0] > 0
    assert planned("--device", "cuda", "--scale", "mini", "--cores", "2")[1] == "2 processes, 1 GPU and 2 cores"
    assert run("--device", "cuda").ret == EXIT_USAGE


def test_judge_only_never_trains(run: Any, pytester: pytest.Pytester) -> None:
    """With an empty store every claim is not run, with the command that would run it, and that is no failure."""
    result = run("--judge-only", "-v")
    assert result.ret == EXIT_OK
    result.assert_outcomes(skipped=12)
    result.stdout.fnmatch_lines(["*NOT RUN*"])
    assert {entry["verdict"] for entry in report(pytester)["claims"]} == {"not_run"}
    assert run("--judge-only", "--fail-on", "not-run").ret == EXIT_FAILED


def test_gpu_claims_without_a_gpu(run: Any) -> None:
    """`-m gpu --seeds 5` where none of them can be tested ends at once, with one message that says what to do."""
    result = run("-m", "gpu", "--seeds", "5", "--device", "cpu")
    assert result.ret == EXIT_USAGE
    result.stdout.fnmatch_lines(["dtclaims: scale small (auto: *"])
    result.stderr.fnmatch_lines(
        ["ERROR: none of the claims can be tested here: scale small needs a CUDA device*on a machine with a GPU*"]
    )
    assert sum("needs a CUDA device" in line for line in (*result.outlines, *result.errlines)) == 1
    some = run("-m", "gpu", "--seeds", "5", "--device", "cpu", "--claim", "SAMPLE-fails")
    some.stderr.fnmatch_lines(["ERROR: none of the claims*--seeds 5*--claim SAMPLE-fails` on a machine with a GPU*"])
    assert not any("--claim" in line for line in result.errlines)
    assert main(["run", "--scale", "small", "--device", "cpu", "--claims", "claims"]) == 2
    assert run("-m", "gpu", "--device", "cpu", "--judge-only").ret == EXIT_OK


def test_a_report_that_cannot_be_written_is_found_out_first(run: Any, filled: Path, pytester: pytest.Pytester) -> None:
    """Before anything is trained or judged; a folder that can be is not made for the trial."""
    (pytester.path / "file").write_text("")
    result = run("--report", "file/report", "--seeds", "1")
    assert result.ret == EXIT_USAGE
    result.stderr.fnmatch_lines(["ERROR: the report cannot be written: got file/report: Not a directory*--report*"])
    assert not list((pytester.path / "home" / "store" / "runs").iterdir())
    assert run("--report", "a/b/c", "--data", "absent", "--seeds", "1").ret == EXIT_USAGE
    check_folder(pytester.path / "a" / "b" / "c")
    assert not (pytester.path / "a").exists()
    assert run("--report", "a/b/c", "--store", str(filled), "--fail-on", "error").ret == EXIT_OK
    assert (pytester.path / "a" / "b" / "c" / "report.json").is_file()


def test_verdicts_are_printed_without_a_report(
    run: Any, filled: Path, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the report fails after all, the verdicts are in the summary with what went wrong, and the exit code says so.

    Once because something else is in a file's place, once because what draws the figures fails.
    """
    arguments = ("--store", str(filled), "--fail-on", "error")
    (pytester.path / "claims-report" / "report.json").mkdir(parents=True)
    result = run(*arguments)
    assert result.ret == EXIT_USAGE
    result.stdout.fnmatch_lines(["*SAMPLE-fails*REPRODUCED*", "ERROR: cannot write the report: got Is a directory*"])

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("float division")

    monkeypatch.setattr("dtclaims.harness.study.read_figures", fail)
    result = run(*arguments)
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stdout.fnmatch_lines(["SAMPLE-fails (published): reproduced", "ERROR: no report: ZeroDivisionError: float*"])


def test_a_full_disk_is_one_message(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session ends with what is needed and what is free, and says it once."""
    save_hdf5(made_up([30, 40]), Path("mine.hdf5"))

    def full(self: Store, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Store, "workspace", full)
    result = run("--seeds", "1", "--data", "mine.hdf5", "--executor", "inline")
    assert result.ret == EXIT_USAGE
    result.stderr.fnmatch_lines(["ERROR: the disk is full, so the session ends here: got * free in *, expected about*"])
    assert sum("disk is full" in line for line in (*result.outlines, *result.errlines)) == 1


def test_a_failed_job_fails_the_command(
    run: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`dtclaims run` exits with 1 and says how many jobs failed and how the first did; the verdicts are there."""
    save_hdf5(made_up([30, 40]), Path("mine.hdf5"))

    def fail(*_: object, **__: object) -> None:
        raise RunFailed("the loss stopped being finite")

    monkeypatch.setattr("dtclaims.lab.train.job.train_runs", fail)
    words = ["--claims", "claims", "--claim", "SAMPLE-fails", "--seeds", "1", "--data", "mine.hdf5"]
    assert main(["run", *words, "--executor", "inline"]) == 1
    told = capsys.readouterr()
    assert "SAMPLE-fails" in told.out
    assert "2 of 2 jobs failed; the first: the loss stopped being finite." in told.err


def test_gpu_results_are_judged_without_a_gpu(run: Any, pytester: pytest.Pytester) -> None:
    """`-m gpu --judge-only` judges a store that was filled on a machine with a GPU."""
    options = {"store": str(pytester.path / "gpu"), "scale": "small", "task": "hopper", "protocol": "published"}
    made = settings_of(options, stored=True)
    one = Study(cells_of(load_claims(SAMPLE_CLAIMS).values(), made), made)
    fill_store(one.plan, one.store, RETURNS, value_of)
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    run("-m", "gpu", "--judge-only", "--seeds", "5", *words)
    assert {entry["verdict"] for entry in report(pytester)["claims"]} == {"reproduced", "refuted", "not_run"}


def test_gpu_marker_deselects_mini(run: Any) -> None:
    """Claims at mini scale do not carry the marker."""
    result = run("-m", "gpu", "--scale", "mini", "--plan")
    result.assert_outcomes(deselected=12)


def test_one_claim_by_id(run: Any, filled: Path) -> None:
    """`--claim` and pytest's own node ids both select a claim, under each protocol."""
    assert run("--store", str(filled), "--claim", "SAMPLE-fails", "-v").parseoutcomes()["passed"] == 2
    result = run("--store", str(filled), "--deselect", "claims/test_sample.py::SAMPLE-ratio", "--fail-on", "error")
    result.stdout.no_fnmatch_line("SAMPLE-ratio*")


def test_junit_properties(run: Any, filled: Path, pytester: pytest.Pytester) -> None:
    """Verdict, effect and the paper's value travel in JUnit files."""
    run("--store", str(filled), "--junit-xml", "junit.xml")
    text = (pytester.path / "junit.xml").read_text()
    assert '<property name="verdict" value="reproduced"' in text
    assert '<property name="effect_mean"' in text


def test_ini_twins(run: Any, filled: Path, pytester: pytest.Pytester) -> None:
    """Every option can stand in the ini file; the command line wins."""
    pytester.makeini(f"[pytest]\nclaims_store = {filled}\nclaims_seeds = 2\nclaims_protocol = corrected\n")
    run("--plan").stdout.fnmatch_lines(["dtclaims: *corrected, hopper, seeds 0,1, *", "10 runs: 10 cached*"])
    run("--plan", "--seeds", "3").stdout.fnmatch_lines(["15 runs: 15 cached*"])


def test_recorded_verdicts(run: Any, filled: Path, pytester: pytest.Pytester) -> None:
    """With `--expect` a refuted claim that was recorded so passes; one that differs fails and says what was there."""
    run("--store", str(filled))
    recorded = pytester.path / "claims-report" / "report.json"
    recorded.rename(pytester.path / "recorded.json")
    assert run("--store", str(filled), "--expect", "recorded.json").ret == EXIT_OK
    other = {"schema": 1, "verdicts": {"SAMPLE-fails/published/mini": "refuted", "GONE/published/mini": "refuted"}}
    (pytester.path / "other.json").write_text(json.dumps(other))
    result = run("--store", str(filled), "--expect", "other.json", "--claim", "SAMPLE-fails")
    assert result.ret == EXIT_FAILED
    result.stdout.fnmatch_lines(
        [
            "not as recorded: 3",
            "*SAMPLE-fails (published, mini): refuted -> reproduced",
            "*SAMPLE-fails (corrected, mini): absent -> reproduced; it is not recorded",
            "*GONE (published, mini): refuted -> absent; it is declared no more",
        ]
    )
    # People's pages begin with it.
    part = pytester.path / "claims-report" / "part"
    summary = (part / "report.md").read_text(encoding="utf-8")
    assert "not as recorded in other.json" in summary
    assert summary.index("<b>SAMPLE-fails</b> (published, mini) | refuted | ✓ reproduced") < summary.index(
        "## Verdicts"
    )
    assert "not as recorded in other.json" in (part / "report.html").read_text(encoding="utf-8")
    assert run("--store", str(filled), "--expect", "absent.json").ret == EXIT_USAGE
    # What is gone fails a session in which nothing else does.
    (pytester.path / "other.json").write_text(json.dumps({"schema": 1, "verdicts": {"GONE/corrected/mini": "refuted"}}))
    assert run("--store", str(filled), "--expect", "other.json", "--claim", "SAMPLE-tasks").ret == EXIT_FAILED
    published = ("--claim", "SAMPLE-tasks", "--protocol", "published")
    assert run("--store", str(filled), "--expect", "other.json", *published).ret == EXIT_OK


def test_a_session_compared_with_an_earlier_report(run: Any, filled: Path, pytester: pytest.Pytester) -> None:
    """`--compare` runs, says what differs, and that is the exit code: refuted or not, 0 where no verdict differs."""
    run("--store", str(filled))
    path = pytester.path / "claims-report" / "report.json"
    result = run("--store", str(filled), "--compare", "claims-report/report.json")
    assert result.ret == EXIT_OK
    result.stdout.fnmatch_lines(["compared with *report.json:", "the reports agree", "report: *"])
    earlier = json.loads(path.read_text())
    for entry in earlier["claims"]:
        if (entry["id"], entry["protocol"]) == ("SAMPLE-fails", "published"):
            entry["verdict"] = "refuted"
    (pytester.path / "earlier.json").write_text(json.dumps(earlier))
    result = run("--store", str(filled), "--compare", "earlier.json")
    assert result.ret == EXIT_FAILED
    result.stdout.fnmatch_lines(["verdicts differ: 1", "  SAMPLE-fails (published, mini): refuted -> reproduced"])
    # Of a part only what it judged is compared.
    other = ("--claim", "SAMPLE-ratio", "--report", "other")
    assert run("--store", str(filled), "--compare", "earlier.json", *other).ret == EXIT_OK


@pytest.mark.parametrize("option", ["--compare", "--expect"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the report before.json"),
        ("{", "before.json is damaged: no JSON"),
        ('{"schema": 9, "claims": []}', "before.json: schema is a version this dtclaims does not know"),
    ],
)
def test_what_to_compare_with_is_read_first(
    run: Any, filled: Path, pytester: pytest.Pytester, option: str, content: str | None, message: str
) -> None:
    """A record that is missing, damaged or of another schema is one line and a usage error; no report is touched."""
    (pytester.path / "claims-report").mkdir()
    (pytester.path / "claims-report" / "report.json").write_text("kept")
    if content is not None:
        (pytester.path / "before.json").write_text(content)
    result = run("--store", str(filled), option, "before.json")
    assert result.ret == EXIT_USAGE
    result.stderr.fnmatch_lines([f"ERROR: {message}*"])
    assert (pytester.path / "claims-report" / "report.json").read_text() == "kept"


def test_a_part_leaves_the_whole_report_alone(run: Any, filled: Path, pytester: pytest.Pytester) -> None:
    """Some claims, one protocol, fewer seeds, or an empty store: the report goes beside the whole one, and that is
    said."""
    run("--store", str(filled))
    whole = pytester.path / "claims-report" / "report.json"
    kept = whole.read_bytes()
    for words, why in (
        (("--claim", "SAMPLE-fails"), "1 of 6 claims"),
        (("-k", "test_ratio"), "1 of 6 claims"),
        (("--protocol", "corrected"), "corrected only"),
        (("--seeds", "2"), "2 of 3 seeds"),
    ):
        result = run("--store", str(filled), *words)
        result.stdout.fnmatch_lines([f"a part ({why}): *", "report: claims-report/part/report.html*"])
        assert whole.read_bytes() == kept
    run("--judge-only").stdout.fnmatch_lines(["a part (nothing was judged in it): *"])
    assert whole.read_bytes() == kept
    assert main(["report", "--claims", "claims", "--store", str(filled), "--claim", "SAMPLE-fails"]) == 0
    assert whole.read_bytes() == kept


@pytest.mark.parametrize("word", ["test_ratio", "SAMPLE-ratio", "sample-RATIO"])
def test_claims_are_found_by_their_test_and_their_id(run: Any, word: str) -> None:
    """`-k` knows the id, the name of the test, and the section."""
    assert run("--collect-only", "-q", "-k", word).parseoutcomes()["deselected"] == 10


def test_remedies_repeat_the_sessions_own_options(run: Any, pytester: pytest.Pytester) -> None:
    """What would run a claim is said with the store and the options of this session, and blames none that was not
    given."""
    run("--judge-only", "--store", "my store", "--looks", "3,5", "--seeds", "3")
    remedies = {
        entry["id"]: entry["remedy"] for entry in report(pytester)["claims"] if entry["protocol"] == "published"
    }
    assert remedies["SAMPLE-fails"] == (
        "pytest claims --scale mini --protocol published --task hopper --seeds 3 --looks 3,5 --store 'my store' "
        "--claim SAMPLE-fails"
    )
    assert not any("--task leaves" in entry["reason"] for entry in report(pytester)["claims"])


def test_a_session_under_a_registration(run: Any, filled: Path, pytester: pytest.Pytester) -> None:
    """The report names the seal that the session was given, and the looks declared; a broken one is a usage error."""
    assert main(["register", "--out", "plan.json", "--claims", "claims", "--seeds", "5", "--looks", "3,5"]) == 0
    declared = ("--store", str(filled), "--looks", "3,5", "--registration", "plan.json")
    result = run(*declared, "--seeds", "3")
    result.stdout.fnmatch_lines(["dtclaims: *seeds 0,1,2, looks at 3 and 5, *"])
    said = report(pytester)["provenance"]["registration"]
    assert said["digest"] == json.loads((pytester.path / "plan.json").read_text())["digest"]
    assert (said["matches"], said.get("differs", [])) == (True, [])
    spent = {one["statistics"]["spent"] for one in report(pytester)["claims"] if one["statistics"]}
    assert list(spent) == [pytest.approx(0.035)]
    run(*declared, "--seeds", "2", "--report", "fewer")
    fewer = json.loads((pytester.path / "fewer" / "report.json").read_text())
    assert fewer["provenance"]["registration"]["differs"] == ["seeds"]
    (pytester.path / "plan.json").write_text("{}")
    result = run(*declared, "--seeds", "3")
    assert result.ret == EXIT_USAGE
    result.stderr.fnmatch_lines(["*plan.json is no registration*"])


def test_the_switches_of_a_verdict(run: Any, filled: Path, pytester: pytest.Pytester) -> None:
    """`--attribute` plans one variant per switch that matters to a claim; `--factor` only the named ones."""
    arguments = ["--claim", "SAMPLE-fails", "--protocol", "published", "--seeds", "1", "--plan", "-v"]
    few = plan_keys(run(*arguments, "--factor", "head"))
    every = plan_keys(run(*arguments, "--attribute"))
    assert plan_keys(run(*arguments)) < few < every


def test_switches_that_there_was_no_time_for_ask_for_no_larger_sets(run: Any, filled: Path) -> None:
    """Which set of switches comes next is read off the smaller ones: out of time, a session is over."""
    stored = ["--store", str(filled), "--protocol", "published"]
    result = run(*stored, "--attribute", "--time-limit", "0.0001")
    text = str(result.stdout)
    assert (text.count(" to do, "), text.count("no time for ")) == (1, 1)


def test_data_of_the_users_own(run: Any, pytester: pytest.Pytester) -> None:
    """`--data` and its ini twin: a file's runs are others than those on collected data, wherever the file lies."""
    save_hdf5(made_up([30, 40]), pytester.path / "mine.hdf5")
    first = plan_keys(run("--plan", "-v", "--seeds", "1", "--data", "mine.hdf5"))
    (pytester.path / "elsewhere").mkdir()
    (pytester.path / "mine.hdf5").rename(pytester.path / "elsewhere" / "mine.hdf5")
    pytester.makeini("[pytest]\nclaims_data = elsewhere/mine.hdf5\n")
    assert plan_keys(run("--plan", "-v", "--seeds", "1")) == first
    assert not first & plan_keys(run("--plan", "-v", "--seeds", "1", "--data", "auto"))


def plan_keys(result: pytest.RunResult) -> set[str]:
    assert result.ret == EXIT_OK
    found = {line.split()[0] for line in result.outlines if "/seed0/" in line}
    assert found
    return found


def test_broken_data_end_the_session(run: Any, pytester: pytest.Pytester) -> None:
    """A set with a fault in it is named before anything is trained or written."""
    save_hdf5(made_up([30, 40]), pytester.path / "mine.hdf5")
    content = (pytester.path / "mine.hdf5").read_bytes()
    (pytester.path / "mine.hdf5").write_bytes(content[:3000])
    result = run("--data", "mine.hdf5", "--seeds", "1")
    assert result.ret == EXIT_USAGE
    result.stderr.fnmatch_lines(["ERROR: cannot read mine.hdf5 as HDF5*Is the download complete?"])
    assert not (pytester.path / "claims-report").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "absent.hdf5"], "--data names nothing that is here: got 'absent.hdf5'"),
        (["--scale", "huge"], "unknown scale: got 'huge', expected one of auto, mini, small, full, paper"),
        (["--seeds", "0"], "--seeds names no usable seeds: got '0'"),
        (["--seeds", "x"], "--seeds cannot be read: got 'x'"),
        (["--claim", "S9-nope"], "unknown claim: got S9-nope"),
        (["--device", "cuda:9"], "no such CUDA device"),
        (["--fail-on", "never"], "--fail-on cannot be read"),
    ],
)
def test_usage_errors(run: Any, arguments: list[str], message: str) -> None:
    """Each bad option is one line and pytest's exit code for usage errors."""
    result = run(*arguments)
    assert result.ret == EXIT_USAGE
    result.stderr.fnmatch_lines([f"ERROR: {message}*"])


def test_a_foreign_store_is_left_alone(run: Any, pytester: pytest.Pytester) -> None:
    """A folder that is not a store ends the session before anything is written to it."""
    (pytester.path / "photos").mkdir()
    (pytester.path / "photos" / "cat.jpg").write_text("")
    result = run("--store", "photos")
    assert result.ret == EXIT_USAGE
    result.stderr.fnmatch_lines(["ERROR: not a dtclaims store*"])
    assert [path.name for path in (pytester.path / "photos").iterdir()] == ["cat.jpg"]


def test_a_damaged_run_is_named(run: Any, filled: Path) -> None:
    """A truncated file of a needed run makes its claims errors that name it and the remedy; nothing is deleted, and the
    report is written."""
    file = next((filled / "runs").glob("*/result.json"))
    file.write_text(file.read_text()[:-20])
    result = run("--store", str(filled), "-vv")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    said = " ".join(result.stdout.str().split())
    assert f"{file} is damaged" in said
    assert "verify --repair" in said
    result.stdout.fnmatch_lines(["report: *report.html*"])
    assert file.exists()


def test_a_changed_fixture_is_named(run: Any, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shipped file whose hash differs ends the session with its path."""
    shutil.copytree(ROOT / "fixtures" / "policies", pytester.path / "fixtures" / "policies")
    shutil.copytree(
        ROOT / "fixtures" / "backbones" / "language-mini", pytester.path / "fixtures/backbones/language-mini"
    )
    weights = pytester.path / "fixtures" / "policies" / "hopper-medium" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    monkeypatch.setattr("dtclaims.places.ROOT", pytester.path)
    result = run("--plan")
    assert result.ret == EXIT_USAGE
    result.stderr.fnmatch_lines(["ERROR: *hopper-medium/model.safetensors is not the recorded file*sha256*"])


def test_xdist_is_refused_at_the_start(run: Any, filled: Path) -> None:
    """Claims plan their own processes; under -n one usage error says so before a worker starts, with -n0 they run."""
    result = run("--store", str(filled), "-n", "2")
    assert result.ret == EXIT_USAGE
    assert len(result.outlines) + len(result.errlines) < 10
    result.stderr.fnmatch_lines(["ERROR: claims plan and share processes of their own*add -n0.*"])
    assert run("--store", str(filled), "-n0", "--fail-on", "error").ret == EXIT_OK


def test_markers_are_registered(run: Any) -> None:
    """Strict marker mode accepts ours."""
    result = run("--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.claim: *", "@pytest.mark.gpu: *", "@pytest.mark.slow: *"])
