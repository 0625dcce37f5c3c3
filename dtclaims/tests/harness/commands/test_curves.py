"""`dtclaims curves` and `dtclaims costs`: from a file of evidence to a file for a write-up."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dtclaims.harness.commands.main import main
from dtclaims.harness.commands.parser import parser_of
from dtclaims.harness.commands.table import commands_of
from dtclaims.lab import LAB
from dtclaims.places import PACKAGE
from dtclaims.tests.support.evidence_example import run, write

TOY = PACKAGE / "examples" / "toy_paper"


@pytest.fixture
def evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of two arms and two seeds, named as seen from the working folder."""
    monkeypatch.chdir(tmp_path)
    curves = {"saturated": [0.5, 0.25], "action_error": [0.3, 0.2], "return_mean": [1.0, 2.0]}
    write(tmp_path / "e.json", [run(arm, seed, curves) for arm in ("random_init", "mlp") for seed in (0, 1)])
    return Path("e.json")


def test_a_figure_names_its_command_and_commit(evidence: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """So that it can be drawn again; the same command writes the same bytes."""
    command = ["curves", str(evidence), "--curve", "saturated", "--arm", "mlp", "--title", "A b", "--out", "f.svg"]
    assert main(command) == 0
    assert capsys.readouterr().out == "wrote f.svg\n"
    first = Path("f.svg").read_bytes()
    assert (
        b"Made by: dtclaims curves e.json --curve saturated --arm mlp --title &#39;A b&#39; --out f.svg, "
        b"from evidence of commit abc1234 (dtclaims 0.1.0)" in first
    )
    assert main(command) == 0
    assert Path("f.svg").read_bytes() == first


def test_errors_are_compared_with_the_constant_prediction(evidence: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless that is turned off; other curves have the line only on request."""
    for extra, drawn in ((["action_error"], True), (["action_error", "--level", "none"], False), (["score"], False)):
        assert main(["curves", str(evidence), "--curve", *extra]) == 0
        assert ("best constant prediction" in capsys.readouterr().out) == drawn


def test_a_table(evidence: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With differences on request, and the command that made it."""
    assert main(["curves", str(evidence), "--curve", "saturated", "--format", "table", "--against", "mlp"]) == 0
    said = capsys.readouterr().out
    assert "| random_init | 2 | 0.25 [0.25, 0.25] | 0 | 0: 0.25, 1: 0.25 |" in said
    assert "| less mlp |" in said
    assert said.endswith(
        "Made by: `dtclaims curves e.json --curve saturated --format table --against mlp`, "
        "from evidence of commit abc1234 (dtclaims 0.1.0)\n"
    )


def test_an_option_may_be_given_several_times(evidence: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--where A --where B` and `--arm A --arm B` mean both, as `--where A B` does; of a default nothing is left."""
    table = ["curves", str(evidence), "--curve", "saturated", "--format", "table"]
    said = []
    for extra in (["--arm", "mlp", "random_init"], ["--arm", "mlp", "--arm", "random_init"]):
        assert main([*table, *extra, "--where", "seed=0", "--where", "task=hopper"]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert said[0].count("| 1 | 0.25") == 2
    parser = parser_of(commands_of(LAB))
    rates = ["regime", "--rate", "1", "--rate", "2", "3"]
    assert parser.parse_args(rates).rate == [1, 2, 3]
    assert parser.parse_args([*rates, "--seed", "5"]).seed == [5]
    assert list(parser.parse_args(rates).seed) == [900, 901]


def test_several_files(evidence: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs of both are drawn, each once, and both commits named; a file without a commit says so."""
    write(tmp_path / "more.json", [run("mlp", seed, {"saturated": [0.1, 0.2]}) for seed in (2, 3)], commit=None)
    assert main(["curves", "e.json", "more.json", "e.json", "--curve", "saturated", "--format", "table"]) == 0
    said = capsys.readouterr().out
    assert "| mlp | 4 |" in said
    assert "commit abc1234 (dtclaims 0.1.0) and commit unknown (dtclaims 0.1.0)" in said


def test_costs(evidence: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs, and sessions where a file is given."""
    Path("s.json").write_text(json.dumps([{"command": "pytest claims", "seconds": 60, "gpus": 1, "runs": 4}]))
    assert main(["costs", str(evidence), "--sessions", "s.json"]) == 0
    said = capsys.readouterr().out
    assert "| all | | | | | 4 | | 4 min 00 s |" in said
    assert "| `pytest claims` | 1 | 1 min 00 s | 4 | 1.0 | 0.25 |" in said
    assert "Made by: `dtclaims costs e.json --sessions s.json`, from evidence" in said
    assert main(["costs", str(evidence)]) == 0
    assert "Sessions" not in capsys.readouterr().out


def test_costs_of_a_lab_that_tells_no_kinds(evidence: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its runs are told apart by the kind of their jobs; the command that is printed names the claims that were."""
    assert main(["costs", str(evidence), "--claims", str(TOY)]) == 0
    said = capsys.readouterr().out
    assert "| kind | runs | median time per run | sum |" in said
    assert "| run | 4 | 1 min 00 s | 4 min 00 s |" in said
    assert f"`dtclaims costs e.json --claims {TOY.as_posix()}`" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--curve", "loss"], "no such curve"),
        (["--curve", "score", "--claims", str(TOY)], "no such curve: got 'score', expected none"),
        (["--curve", "clipped"], "no run has such a curve"),
        (["--curve", "saturated", "--arm", "gpt"], "no run has this arm: got gpt, expected mlp, random_init"),
        (["--curve", "saturated", "--where", "head"], "expected FIELD=VALUE"),
        (["--curve", "saturated", "--last", "2"], "for tables"),
        (["--curve", "loss_mean", "--against", "mlp", "--level", "constant_error"], "whose line is 0"),
        (["--curve", "saturated", "--out", "no/where.svg"], "cannot write no/where.svg"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    evidence: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    """One message, exit code 2, nothing written."""
    assert main(["curves", str(evidence), *arguments]) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["e.json"]


def test_no_torch_is_needed(evidence: Path) -> None:
    """Write-ups are made where nothing can be trained."""
    code = (
        "import sys; from dtclaims.harness.commands.main import main; "
        "main(['curves', 'e.json', '--curve', 'score', '--out', 'f.svg']); "
        "main(['costs', 'e.json']); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
    assert Path("f.svg").is_file()


def test_runs_of_another_lab_are_named_with_what_to_do(
    evidence: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs cost is asked of the lab of the claims: it need not know those of another, and then says so in one
    line."""

    def unknown(run: Any) -> tuple[str]:
        raise KeyError(run.spec["of another lab"])

    monkeypatch.setattr(type(LAB), "views", replace(LAB.views, kind=unknown))
    assert main(["costs", str(evidence)]) == 2
    said = capsys.readouterr().err
    assert "a run of another lab" in said
    assert "--claims DIR" in said
