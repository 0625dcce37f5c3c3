"""`dtclaims claims` and `dtclaims calibrate`: what is said of claims before any run."""

import json
from pathlib import Path

import pytest

from dtclaims.harness.commands.main import main
from dtclaims.harness.declare.registry import DEFAULT_FOLDER
from dtclaims.tests.support.examples import SAMPLE_CLAIMS


def test_calibrate_prints_a_line_per_reading(capsys: pytest.CaptureFixture[str]) -> None:
    """Claim, protocol, seed of the paper, part, effect, what it says and why; an exception is called one."""
    assert main(["calibrate", "--claim", "D3-threshold", "--claim", "S4-igpt-worse-than-random"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["claim", "protocol", "seed", "part", "effect", "says", "reason"]
    (threshold,) = [line for line in lines if line.startswith("D3-threshold") and " 666 " in line]
    assert "fails (exception)" in threshold
    assert "contradicted by Fig. 1" in threshold
    assert any(line.startswith("S4-igpt-worse-than-random") and "holds" in line for line in lines)
    assert lines[-2].startswith("seed 666: ")


def test_calibrate_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The same as data, with what is wrong beside the rows."""
    assert main(["calibrate", "--json", "--claim", "D3-threshold"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["failing"], found["stale"]) == ([], [])
    assert {(row["seed"], row["said"]) for row in found["rows"]} == {(666, "fails"), (42, "fails")}
    assert {row["claim"] for row in found["rows"]} == {"D3-threshold"}


def test_calibrate_fails_where_an_exception_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without its exception the claim fails the command, and is named; so does an exception that fails no more."""
    monkeypatch.setattr("dtclaims.harness.declare.exceptions.FILE", "none.json")
    assert main(["calibrate", "--claim", "D3-threshold"]) == 1
    assert "and is no exception: D3-threshold" in capsys.readouterr().out
    listed = [{"claim": "S4-igpt-worse-than-random", "seed": 666, "reason": "it used to fail"}]
    file = DEFAULT_FOLDER / "none.json"
    monkeypatch.setattr("dtclaims.harness.declare.exceptions.FILE", str(tmp_path / file.name))
    (tmp_path / file.name).write_text(json.dumps(listed))
    assert main(["calibrate", "--claim", "S4-igpt-worse-than-random"]) == 1
    assert "is an exception, and does not fail" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["calibrate", "--claim", "S9-nope"], "unknown claim"),
        (["calibrate", "--claims", str(SAMPLE_CLAIMS.with_name("tiny_paper"))], "no values of the paper's own"),
        (["calibrate", "--claims", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_calibrated_is_one_error(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown claim, a paper without its values, no claims: one line and exit code 2."""
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_claims_can_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    """`dtclaims claims --claim ID` lists one of them."""
    assert main(["claims", "--claims", str(SAMPLE_CLAIMS), "--claim", "SAMPLE-ratio", "--json"]) == 0
    assert [one["id"] for one in json.loads(capsys.readouterr().out)] == ["SAMPLE-ratio"]


def test_claims_can_be_asked_for_their_reach(capsys: pytest.CaptureFixture[str]) -> None:
    """A line per protocol and set of tasks: what can come out at 3, 5 and 8 seeds, and from how many on."""
    chosen = ["claims", "--claims", str(SAMPLE_CLAIMS), "--claim", "SAMPLE-fails", "--reach"]
    assert main(chosen) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:6] == ["claim", "protocol", "tasks", "n=3", "n=5", "n=8"]
    assert lines[1].split() == ["SAMPLE-fails", "published", "1", "either", "either", "either", "5", "5"]
    assert main([*chosen, "--json"]) == 0
    assert [len(one["tasks"]) for one in json.loads(capsys.readouterr().out)] == [1, 3, 1, 3]


def test_the_page_of_a_paper_without_an_inventory(capsys: pytest.CaptureFixture[str]) -> None:
    """Any paper's claims have a page: its sentence, trend and the reasons for what is ours, and no word of changes."""
    assert main(["claims", "--claims", str(SAMPLE_CLAIMS), "--markdown"]) == 0
    page = capsys.readouterr().out
    assert "### SAMPLE-fails (headline)\n\n> it fails\n\n- **Trend** score (points) on hopper: `< 10`." in page
    assert "**Ours:** A score below ten is a failure." in page
    assert "**Changed**" not in page
