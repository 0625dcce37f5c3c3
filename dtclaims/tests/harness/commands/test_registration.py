"""`dtclaims register`: the seal as a user meets it, from the declaration to the file of evidence."""

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from dtclaims.harness.commands.main import main
from dtclaims.harness.evidence import judge_evidence, read_evidence
from dtclaims.harness.evidence.remedies import with_whole_remedies
from dtclaims.harness.judge import registration
from dtclaims.tests.support.examples import SAMPLE_CLAIMS

TINY = SAMPLE_CLAIMS.with_name("tiny_paper")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Claims that take no training, in a place of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))
    shutil.copytree(TINY, tmp_path / "paper", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "paper"


def test_register_run_and_keep_the_evidence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sealed, run, judged, exported: report and file of evidence name the seal and that it came first."""
    chosen = ["--claims", "paper", "--seeds", "5", "--looks", "5,8"]
    assert main(["register", "--out", "r.json", *chosen]) == 0
    digest = json.loads(Path("r.json").read_text())["digest"]
    assert digest in capsys.readouterr().out
    assert main(["run", *chosen]) == 0
    named = [*chosen, "--registration", "r.json"]
    assert main(["report", *named, "--report", "out", "--formats", "json"]) == 0
    said = json.loads(Path("out/report.json").read_text())["provenance"]["registration"]
    assert (said["digest"], said["matches"]) == (digest, True)
    assert said["before_first_run"] is not None
    assert main(["evidence", "e.json", *named]) == 0
    assert json.loads(Path("e.json").read_text())["made"]["registration"] == said
    capsys.readouterr()
    assert main(["judge", "e.json"]) == 0
    assert digest[:12] in capsys.readouterr().out
    assert main(["judge", "e.json", "--report", "again"]) == 0
    again = json.loads(Path("again/report.json").read_text())["provenance"]
    assert again["registration"] == said


def test_evidence_without_a_registration_stays_as_it_was(folder: Path) -> None:
    """The field is there only where a registration was named."""
    chosen = ["--claims", "paper", "--seeds", "5"]
    assert main(["run", *chosen]) == 0
    assert main(["evidence", "e.json", *chosen]) == 0
    assert "registration" not in json.loads(Path("e.json").read_text())["made"]


def test_a_check_lists_what_is_declared_otherwise(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 with the claims' ids: one that was changed, and one that is gone."""
    assert main(["register", "--out", "r.json", "--claims", "paper"]) == 0
    assert main(["register", "--check", "r.json", "--claims", "paper"]) == 0
    assert "declared" not in capsys.readouterr().out.splitlines()[-1]
    file = folder / "test_tiny.py"
    file.write_text(file.read_text().replace("above(2.0)", "above(1.5)").replace("TINY-2", "TINY-3"))
    assert main(["register", "--check", "r.json", "--claims", "paper"]) == 1
    lines = capsys.readouterr().out.splitlines()[1:]
    assert lines == ["declared otherwise today: TINY-1", "not in the seal: TINY-3", "declared no more: TINY-2"]


def test_a_check_against_other_claims_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that shares no claim with the seal is the wrong one; a file that is not there is no bad one."""
    assert main(["register", "--out", "r.json", "--claims", "paper"]) == 0
    assert main(["register", "--check", "r.json"]) == 2
    error = capsys.readouterr().err
    assert "the registration is of other claims" in error
    assert "--claims DIR" in error
    assert main(["register", "--check", "nowhere.json", "--claims", "paper"]) == 2
    assert "no such registration" in capsys.readouterr().err


def test_a_file_at_home_is_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Shells leave the `~` of `--out=~/r.json` as it is; where nobody lives is one line."""
    home = folder.parent / "at-home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    assert main(["register", "--out=~/r.json", "--claims", "paper"]) == 0
    assert (home / "r.json").is_file()
    assert main(["register", "--check", "~/r.json", "--claims", "paper"]) == 0
    assert main(["register", "--out=~nobody-lives-here/r.json", "--claims", "paper"]) == 2
    assert "the folder cannot be found: got ~nobody-lives-here/r.json" in capsys.readouterr().err
    assert main(["judge", "e.json", "--report", "~nobody-lives-here/r"]) == 2
    assert "the folder cannot be found: got ~nobody-lives-here/r" in capsys.readouterr().err


def test_a_seal_that_may_not_be_read_is_not_called_damaged(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may be sound: nobody is told to restore it."""
    assert main(["register", "--out", "r.json", "--claims", "paper"]) == 0

    def refused(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(registration, "plain_text", refused)
    assert main(["register", "--check", "r.json", "--claims", "paper"]) == 2
    error = capsys.readouterr().err
    assert "may not be read" in error
    assert "is no registration" not in error


def test_a_check_takes_no_choices(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They were sealed too, and a check of other ones that says nothing would be taken for a comparison with them."""
    assert main(["register", "--out", "r.json", "--claims", "paper", "--seeds", "5"]) == 0
    assert main(["register", "--check", "r.json", "--claims", "paper", "--seeds", "3", "--protocol", "corrected"]) == 2
    error = capsys.readouterr().err
    assert "a seal is checked as it is: got --check with --protocol, --seeds" in error


def test_a_file_that_is_no_python_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the file, what is wrong and where."""
    (folder / "test_broken.py").write_text("x = 1\nsyntax(\n")
    assert main(["judge", "--claims", "paper"]) == 2
    error = capsys.readouterr().err
    assert "test_broken.py cannot be read as Python" in error
    assert "line 2" in error
    assert error.count("\n") == 1


def test_a_broken_registration_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 for every command that is given it; nothing is run."""
    assert main(["register", "--out", "r.json", "--claims", "paper"]) == 0
    Path("r.json").write_text(Path("r.json").read_text().replace("more than twice", "more than once"))
    capsys.readouterr()
    for words in (["register", "--check", "r.json"], ["run", "--registration", "r.json"]):
        assert main([*words, "--claims", "paper"]) == 2
        error = capsys.readouterr().err
        assert "is not as it was sealed" in error
        assert error.count("\n") == 1
    assert not list((folder.parent / "home").rglob("measurements/*.json"))


@pytest.mark.parametrize("words", [[], ["--out", "a.json", "--check", "b.json"]])
def test_one_thing_is_asked_for(folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """To seal or to check: neither and both are refused."""
    assert main(["register", *words, "--claims", "paper"]) == 2
    assert "one thing at a time" in capsys.readouterr().err


def test_what_departs_from_the_seal_is_said_before_any_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A plan and a session name it first; one that departs in nothing has no such line."""
    sealed = ["--claims", "paper", "--seeds", "5"]
    assert main(["register", "--out", "r.json", *sealed]) == 0
    other = ["--claims", "paper", "--seeds", "6", "--registration", "r.json"]
    for command in ("plan", "run"):
        capsys.readouterr()
        assert main([command, *sealed, "--registration", "r.json"]) == 0
        assert "not as registered" not in capsys.readouterr().out
        assert main([command, *other]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[1] == "not as registered in r.json: seeds; the report will say so"


def test_what_evidence_advises_to_run_is_of_the_study(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a registered study that is half run the command for the rest names the seal: runs without it are not its."""
    sealed = ["--claims", "paper", "--seeds", "5"]
    assert main(["register", "--out", "r.json", *sealed]) == 0
    assert main(["run", "--claims", "paper", "--seeds", "3"]) == 0
    capsys.readouterr()
    assert main(["evidence", "e.json", *sealed, "--registration", "r.json"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "not run" in said
    assert "--registration r.json" in said


@pytest.fixture
def half(folder: Path) -> tuple[Path, str]:
    """Evidence of a registered study of which only some seeds were run, and the digest of its seal, `r.json`."""
    sealed = ["--claims", "paper", "--seeds", "5"]
    assert main(["register", "--out", "r.json", *sealed]) == 0
    assert main(["run", "--claims", "paper", "--seeds", "3"]) == 0
    assert main(["evidence", "e.json", *sealed, "--registration", "r.json"]) == 0
    return Path("e.json"), json.loads(Path("r.json").read_text())["digest"]


def advised(text: str) -> list[str]:
    """The words of the one command below what was not run."""
    lines = text.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("    pytest "))
    end = next(place for place, line in enumerate(lines[start:], start) if not line.endswith("\\"))
    return shlex.split(" ".join(line.rstrip("\\") for line in lines[start : end + 1]))


@pytest.mark.parametrize("place", ["r.json", "registered/r.json"])
@pytest.mark.parametrize("how", [[], ["--restated"]])
def test_what_a_judged_file_advises_goes_on_with_its_study(
    half: tuple[Path, str], place: str, how: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The file knows no path of its seal: it is found by its digest beside the file, and the command, followed as it
    is printed, departs from the seal in nothing and leaves nothing to run."""
    Path(place).parent.mkdir(exist_ok=True)
    Path("r.json").rename(place)
    # Another seal, and what is none, lie there too.
    assert main(["register", "--out", "another.json", "--claims", "paper", "--seeds", "7"]) == 0
    Path("broken.json").write_text(f"{half[1]}, but no JSON")
    capsys.readouterr()
    assert main(["judge", *how, "e.json"]) == 0
    program, claims, *options = advised(capsys.readouterr().out)
    assert (program, claims) == ("pytest", "paper")
    assert main(["run", "--claims", claims, *options]) == 0
    said = capsys.readouterr().out
    assert "; judged as declared\n" in said
    assert "not as registered" not in said
    assert "not run" not in said


def test_no_command_goes_on_without_the_seal(half: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    """Where a registered study's seal is not beside its evidence, what to do is said with the digest, as no command
    that would start the same runs unregistered."""
    file, digest = half
    Path("r.json").unlink()
    capsys.readouterr()
    assert main(["judge", str(file)]) == 0
    said = capsys.readouterr().out
    assert not [line for line in said.splitlines() if line.startswith("    pytest ")]
    assert f"the registration with digest {digest[:16]}, which is not beside e.json" in " ".join(said.split())
    assert "--registration FILE" in " ".join(said.split())


def test_what_evidence_advises_has_the_choices_of_its_study(half: tuple[Path, str]) -> None:
    """Data, weights, simulator, device and precision that a study chose are in the command that goes on with it; a
    command of another scale is another study's, and a text is no command: neither gets them, nor the seal."""
    evidence = read_evidence(half[0])
    study = evidence.study
    chosen = replace(
        evidence,
        study=replace(study, device="cuda", precision="tf32", data="my set.hdf5", backbones={"simulator": "gym-v2"}),
    )
    entry = next(one for one in judge_evidence(evidence).document.claims if one.verdict == "not_run")

    def whole(remedy: str) -> str | None:
        (found,) = with_whole_remedies(chosen, [replace(entry, remedy=remedy)])
        return found.remedy

    added = "--precision tf32 --data 'my set.hdf5' --simulator gym-v2 --registration r.json"
    for words, more in (("pytest paper", f"--device cuda {added}"), ("pytest paper -m gpu", added)):
        command = f"{words} --scale {study.scale} --seeds 5"
        assert whole(f"{command} --claim TINY-1") == f"{command} {more} --claim TINY-1"
        assert whole(command) == f"{command} {more}"
    for other in ("pytest paper --scale larger --claim TINY-1", "Add --task all.", "pytest 'it"):
        assert whole(other) == other
