"""The ready-made CI workflow calls what exists, and lets no input of a run into a shell."""

import re
import shlex
from typing import Any

import pytest
import yaml

from dtclaims.harness.commands.table import commands_of
from dtclaims.harness.report import BUNDLES, FORMATS
from dtclaims.places import ROOT
from dtclaims.tests.support.command_line import parse
from dtclaims.tests.support.compat import ROWS


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    """The workflow as GitHub reads it."""
    found: dict[str, Any] = yaml.safe_load((ROOT / ".github/workflows/claims.yml").read_text(encoding="utf-8"))
    return found


def commands(workflow: dict[str, Any], program: str) -> list[list[str]]:
    """The arguments of every call of a program, `$` variables as they are."""
    scripts = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    lines = [line.strip() for script in scripts for line in script.splitlines()]
    words = [shlex.split(line) for line in lines if re.match(rf"(\S*/)?{program} ", line)]
    return [line[1:] for line in words]


def test_its_jobs_are_nox_sessions(workflow: dict[str, Any]) -> None:
    """Every session it names is one of the noxfile's."""
    sessions = set(
        re.findall(
            r"@nox\.session(?:\(.*\))?\n(?:@nox.*\n)?def (\w+)", (ROOT / "noxfile.py").read_text(encoding="utf-8")
        )
    )
    calls = commands(workflow, "nox")
    assert calls
    for call in calls:
        named = call[call.index("-s") + 1 :]
        named = named[: named.index("--")] if "--" in named else named
        assert {name.partition("(")[0] for name in named} <= sessions


def test_its_rows_of_versions_are_ours(workflow: dict[str, Any]) -> None:
    """Every row of `nox -s compat` has a job there, on a Python that the job sets up."""
    job = workflow["jobs"]["compat"]
    assert job["strategy"]["matrix"]["row"] == list(ROWS)
    (pythons,) = (step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", ""))
    assert {row.python for row in ROWS.values()} == set(pythons.split())


def test_its_commands_exist(workflow: dict[str, Any]) -> None:
    """Commands are called as they are defined, and reports are rendered in formats there are."""
    parsed = [(call, parse(call, commands_of(None))) for call in commands(workflow, "dtclaims")]
    assert {" ".join(options.command.words) for _, options in parsed} == {
        "report",
        "report merge",
        "history add",
        "dashboard",
    }
    for call, options in parsed:
        if options.command.words == ("report",):
            formats = call[call.index("--formats") + 1].split(",")
            assert set(formats) <= {*FORMATS, *BUNDLES}


def test_inputs_reach_scripts_as_variables_only(workflow: dict[str, Any]) -> None:
    """An input of a run is never pasted into a script, where it could be a command."""
    for job in workflow["jobs"].values():
        assert not [step["run"] for step in job["steps"] if "${{" in step.get("run", "")]


def test_only_publishing_may_write(workflow: dict[str, Any]) -> None:
    """Jobs that run code of a pull request have no right to change anything."""
    assert workflow["permissions"] == {"contents": "read"}
    assert {name for name, job in workflow["jobs"].items() if "permissions" in job} == {"publish"}
    assert "github.ref == 'refs/heads/main'" in workflow["jobs"]["publish"]["if"]
