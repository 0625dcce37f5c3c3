"""The ready-made CI workflow calls what exists, and lets no input of a run into a shell."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dtclaims.harness.commands.table import commands_of
from dtclaims.harness.report import BUNDLES, FORMATS, history, write
from dtclaims.harness.report import parse as report_of
from dtclaims.places import ROOT
from dtclaims.tests.support import report_example
from dtclaims.tests.support.command_line import parse
from dtclaims.tests.support.compat import ROWS


@pytest.fixture(scope="module")
def workflow() -> dict[str, Any]:
    """The workflow as GitHub reads it."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed (extra `test`)")
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


def program(folder: Path, name: str, script: str) -> None:
    """Put a program into a folder of the PATH."""
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_publishing_makes_a_history_a_site_and_a_summary(workflow: dict[str, Any], tmp_path: Path) -> None:
    """The steps as written, against a repository of our own: the branch only grows, and the summary names the change.

    A commit that is judged again on a Monday is an entry of its own.
    """
    steps = [step["run"] for step in workflow["jobs"]["publish"]["steps"] if "run" in step]
    scripts = [script for script in steps if not script.startswith("pip install")]
    origin, bin_ = tmp_path / "origin.git", tmp_path / "bin"
    bin_.mkdir()
    program(bin_, "gh", 'test "$*" = "auth setup-git"')
    program(bin_, "dtclaims", f'exec {shlex.quote(sys.executable)} -m dtclaims.harness.commands.main "$@"')
    env = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "GITHUB_"))}
    env |= {"PATH": f"{bin_}:{env['PATH']}", "PYTHONPATH": str(ROOT), "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig")}
    subprocess.run(["git", "init", "-q", "--bare", origin], check=True)
    content = report_example.content()
    summary = tmp_path / "summary.md"
    for place, (event, verdict) in enumerate((("push", "reproduced"), ("schedule", "refuted"))):
        checkout = tmp_path / f"checkout{place}"
        subprocess.run(["git", "clone", "-q", origin, checkout], check=True, capture_output=True)
        content["provenance"]["created"] = f"2026-11-{place + 10}T00:00:00Z"
        content["claims"][3]["verdict"] = verdict
        (checkout / "reports" / "report-mini").mkdir(parents=True)
        write(report_of(content), checkout / "reports" / "report-mini" / "report.json")
        env |= {"GITHUB_SHA": "c0ffee", "GITHUB_EVENT_NAME": event, "GITHUB_STEP_SUMMARY": str(summary)}
        env |= {"GITHUB_SERVER_URL": "https://example.org", "GITHUB_REPOSITORY": "a/b"}
        for script in scripts:
            # As the runner does.
            done = subprocess.run(["bash", "-e", "-c", script], cwd=checkout, env=env, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
    commits = {line.commit.partition("+")[0] for line in history.read(checkout / "history" / "history.jsonl")}
    assert commits == {"c0ffee"}
    log = subprocess.run(["git", "-C", origin, "log", "--format=%s", "history"], capture_output=True, text=True)
    assert log.stdout.split("\n") == ["Verdicts at c0ffee", "Verdicts at c0ffee", ""]
    assert len(list((checkout / "site" / "reports").iterdir())) == 2
    assert 'href="https://example.org/a/b/commit/c0ffee"' in (checkout / "site" / "index.html").read_text()
    assert "(published): reproduced → **refuted**" in summary.read_text(encoding="utf-8")


def test_every_action_is_pinned_to_a_commit(workflow: dict[str, Any]) -> None:
    """No action is taken by a name that can be moved, and no job keeps the right to push in its checkout."""
    steps = [step for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]) for step in steps)
    checkouts = [step for step in steps if step["uses"].startswith("actions/checkout@")]
    assert len(checkouts) == len(workflow["jobs"])
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
