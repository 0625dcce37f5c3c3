"""The command line: what it prints, and its exit codes."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from dtclaims.harness.commands.main import main
from dtclaims.harness.commands.table import commands_of
from dtclaims.harness.lab import Command
from dtclaims.harness.options import KNOWN
from dtclaims.harness.plan import planner
from dtclaims.harness.store.store import Store
from dtclaims.lab import LAB
from dtclaims.places import ROOT
from dtclaims.tests.support.examples import SAMPLE_CLAIMS
from dtclaims.tests.support.studies import filled


def test_claims_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """`dtclaims claims --json` lists the registry as data."""
    assert main(["claims", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert len(listed) == 128
    assert all(entry["test"] or entry["parts"] or not entry["protocols"] for entry in listed)
    assert all(entry["paper_value"]["text"] for entry in listed)


def test_claims_for_reading(capsys: pytest.CaptureFixture[str]) -> None:
    """Without --json, a line per claim."""
    assert main(["claims"]) == 0
    assert "S5.3-l2-small-gpt2  (headline) §5.3: " in capsys.readouterr().out


def test_judge_report_and_render_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A stored study is judged, reported in every format, and its JSON renders to the same page again."""
    filled(tmp_path)
    store, out = str(tmp_path / "store"), tmp_path / "out"
    sample = ["--claims", str(SAMPLE_CLAIMS), "--store", store]
    assert main(["judge", *sample]) == 0
    assert "2 reproduced" in capsys.readouterr().out
    assert main(["report", *sample, "--report", str(out), "--formats", "json,html,md,csv"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["report.csv", "report.html", "report.json", "report.md"]
    again = tmp_path / "again"
    assert main(["report", str(out / "report.json"), "--report", str(again)]) == 0
    assert (again / "report.html").read_bytes() == (out / "report.html").read_bytes()


def test_plan_and_explain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan prints keys that explain understands."""
    filled(tmp_path)
    arguments = ["--claims", str(SAMPLE_CLAIMS), "--store", str(tmp_path / "store"), "--claim", "SAMPLE-fails"]
    assert main(["plan", *arguments]) == 0
    told = capsys.readouterr().out
    assert "\n6 runs: 6 cached, 0 to train" in told
    assert "/seed0/" not in told
    assert main(["plan", "--all", *arguments]) == 0
    key = capsys.readouterr().out.splitlines()[1].split()[0]
    assert main(["explain", key, *arguments]) == 0
    assert "hit" in capsys.readouterr().out


def test_what_a_session_made_is_not_called_made_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its plan still calls it missing. The report is where it was asked for."""
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))
    report = tmp_path / "report"
    bread = ["--claims", str(SAMPLE_CLAIMS.with_name("bread_paper")), "--store", str(tmp_path / "store")]
    assert main(["run", *bread, "--seeds", "2", "--report", str(report)]) == 0
    text = capsys.readouterr().out
    assert "runs" in text
    assert "made otherwise" not in text
    assert (report / "report.json").is_file()


def test_a_stored_key_is_explained_by_the_run_that_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs of one name in words may differ in their head: the nearest is meant."""
    filled(tmp_path)
    arguments = ["--claims", str(SAMPLE_CLAIMS), "--store", str(tmp_path / "store")]
    monkeypatch.setattr(planner, "versions", lambda *_: {"torch": "99"})
    for key in Store(tmp_path / "store").run_keys():
        assert main(["explain", key, *arguments]) == 0
        assert f"the nearest stored run is {key}" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["plan", "judge"])
def test_runs_that_other_versions_made_are_told(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a store from another machine nothing is found; what it has, and what judges it, is said in a line."""
    filled(tmp_path)
    arguments = [command, "--claims", str(SAMPLE_CLAIMS), "--store", str(tmp_path / "store"), "--claim", "SAMPLE-fails"]
    assert main(arguments) == 0
    assert "made otherwise" not in capsys.readouterr().out
    monkeypatch.setattr(planner, "versions", lambda *_: {"torch": "99"})
    assert main(arguments) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "made otherwise" in line)
    assert line.startswith("stored, but made otherwise: 6 of 6 missing runs, which differ in versions.")
    assert "versions.torch" in line
    assert "`dtclaims evidence OUT.json`" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "--scale", "huge"], "unknown scale"),
        (["plan", "--seeds", "0"], "--seeds"),
        (["judge", "--claim", "S9-nope"], "unknown claim"),
        (["claims", "--claims", "nowhere"], "no claims there"),
        (["report", "nowhere.json"], "nowhere.json"),
        (["report", "--formats", "pdf"], "unknown report format"),
        (["data", "collect", "cartpole"], "unknown task"),
        (["data", "train-policy", "cartpole"], "unknown task"),
        (["data", "info", "nowhere.hdf5"], "nowhere.hdf5"),
        (["pretrain", "language", "--corpus", "nowhere", "--out", "x"], "nowhere"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What cannot be done is said once, on standard error, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("dtclaims: ")
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("words", [("plan", "--data", "x"), ("doctor",)])
def test_options_of_a_paper_that_is_not_there(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """They are unknown because the paper is: its fault is said, and no other option is guessed at."""
    try:
        code = main([*words, "--claims", "nowhere"])
    except SystemExit as end:
        code = end.code
    assert code == 2
    error = capsys.readouterr().err
    assert "of the paper's own are not known here: no paper.json beside the claims" in error
    assert "Did you mean" not in error


def test_a_report_that_cannot_be_written_is_found_out_before_any_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`dtclaims run --report` of a place that is taken: nothing is made before it is said."""
    (tmp_path / "taken").write_text("")
    toy, store = str(ROOT / "dtclaims" / "examples" / "toy_paper"), tmp_path / "store"
    assert main(["run", "--claims", toy, "--store", str(store), "--report", str(tmp_path / "taken")]) == 2
    assert "nothing was done yet" in capsys.readouterr().err
    assert not list((store / "measurements").iterdir())


def test_a_damaged_report_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A truncated or foreign report.json is refused, and no page is written from it."""
    file = tmp_path / "report.json"
    for content in ('{"schema": 1, "claims": [', '{"hello": 1}', "[]"):
        file.write_text(content)
        assert main(["report", str(file), "--report", str(tmp_path / "out")]) == 2
        assert capsys.readouterr().err.startswith("dtclaims: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("group", ["data", "history", "pretrain", "store"])
def test_a_group_lists_its_commands(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its name alone, or with --help."""
    words = [command.words[1] for command in commands_of(LAB) if command.words[0] == group]
    assert words
    assert main([group]) == 0
    alone = capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main([group, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == alone
    assert set(words) <= set(alone.split())


@pytest.mark.parametrize("command", commands_of(LAB), ids=lambda command: "-".join(command.words))
def test_every_option_says_what_it_means(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """The help of each command shows each option's own words, the same wherever the option is."""
    with pytest.raises(SystemExit) as ended:
        main([*command.words, "--help"])
    assert ended.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "%%" not in shown
    flags = {one: argument.settings.get("help", "") for argument in command.arguments for one in argument.flags}
    for name in command.options:
        flags[f"--{name}"] = KNOWN[name].text
    for known, text in flags.items():
        # What is hidden is refused (`test_help.py`).
        if known.startswith("--") and text != argparse.SUPPRESS:
            assert text, known
            assert " ".join(text.replace("%%", "%").split()) in shown.replace("- ", "-"), known


def test_a_device_means_the_same_everywhere(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """What no machine has is refused in the same words by all commands that take it; what is meant is in one table."""
    said = set()
    for words in (
        ["run", "--store", str(tmp_path / "s")],
        ["pretrain", "synthetic", "--kind", "iid", "--out", str(tmp_path / "b")],
        ["data", "train-policy", "hopper", "--out", str(tmp_path / "p")],
    ):
        assert main([*words, "--device", "cuda:99"]) == 2
        said.add(capsys.readouterr().err)
    assert len(said) == 1
    assert "no such CUDA device: got cuda:99" in said.pop()
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_python_without_docstrings_is_named(tmp_path: Path) -> None:
    """Under -OO nothing says what it measures: one line that says why, and no traceback."""
    words = [
        "-m",
        "dtclaims.harness.commands.main",
        "claims",
        "--claims",
        str(ROOT / "dtclaims" / "examples" / "toy_paper"),
    ]
    done = subprocess.run([sys.executable, "-OO", *words], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert "has no docstring: got a Python that leaves them out" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["register", "--claim", "K1-language-learns-tied"], ["judge", "--protoc", "both"]])
def test_options_are_not_abbreviated(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is the beginning of another option's is not taken for it: it is refused, and the other is named."""
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "unrecognized" in error
    assert "Did you mean --" in error
