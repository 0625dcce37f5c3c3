"""Every command that README and docs show is run as it is written, or is in the list of those that cannot be, with why.

A page's commands run one after the other, in a copy of what a checkout has, on what the page takes for granted.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from dtclaims.harness.commands.main import main
from dtclaims.harness.commands.table import commands_of
from dtclaims.harness.declare.registry import DEFAULT_FOLDER, load_lab
from dtclaims.places import ROOT
from dtclaims.tests.support.command_line import parse
from dtclaims.tests.support.studies import filled

DOCS = ROOT / "dtclaims" / "docs"
PAGES = [
    ROOT / "README.md",
    *sorted(DOCS.glob("*.md")),
    ROOT / "claims" / "evidence" / "README.md",
    ROOT / "claims" / "evidence" / "matrix.md",
    ROOT / "dtclaims" / "examples" / "toy_paper" / "README.md",
]

TRAINS = "trains for minutes or hours"
GPU = "needs a GPU"
STORED = "needs the results of days on a GPU"
NETWORK = "installs, or takes from the network"
LEGACY = "needs the paper's own stack, which `nox -s legacy` installs"
JOB = "is a job of its own, which CI runs"
ROLLS = "rolls policies out for minutes"
CLUSTER = "needs a cluster"

NOT_RUN = {
    'git clone "$REPOSITORY" dtclaims': NETWORK,
    "cd dtclaims": NETWORK,
    "pip install .": NETWORK,
    "pip install -e '.[lab]'": NETWORK,
    "pip install nox": NETWORK,
    "nox -s unit": JOB,
    "nox -s lint types": JOB,
    "nox -s light": JOB,
    "nox -s claims": JOB,
    "nox -s gpu": GPU,
    "nox -s legacy": JOB,
    "nox -s compat": JOB,
    "nox -s attack": JOB,
    "pytest claims": TRAINS,
    "pytest claims -m gpu --preflight": GPU,
    "pytest claims -m gpu --seeds 5": GPU,
    "pytest claims --seeds 8 --protocol corrected": TRAINS,
    "pytest claims --expect expected.json": TRAINS,
    "pytest claims --checkpoints 1,2,3 --seeds 12": TRAINS,
    "pytest claims --simulator gym-v2": LEGACY,
    "pytest claims -m gpu --executor ray --ray-address HOST:6379": CLUSTER,
    "pytest claims/k1_head -m gpu --scale full --task hopper --protocol published --seeds 5": GPU,
    "pytest claims -m gpu --scale small --seeds 8 --looks 5,8 --registration plan.json": GPU,
    "dtclaims evidence results.json --scale small --seeds 5": STORED,
    "dtclaims evidence claims/evidence/hopper.json --scale small --task hopper --seeds 5": STORED,
    "dtclaims evidence results.json --scale small --seeds 8 --looks 5,8 --registration plan.json": STORED,
    "dtclaims data collect hopper --steps 1000000 --out hopper.hdf5": ROLLS,
    "dtclaims data references all": ROLLS,
    "dtclaims data collect hopper --simulator gym-v2 --out hopper.hdf5": LEGACY,
    "dtclaims data references all --simulator gym-v2": LEGACY,
    "dtclaims data fit-policy hopper --simulator gym-v2": LEGACY,
    "dtclaims regime --rate 1e-3 2e-3": TRAINS,
    "dtclaims regime --scale mini --arm language_pretrained random_init image_pretrained "
    "--rate 5e-4 1e-3 1.5e-3 2e-3 2.3e-3 2.5e-3 3e-3 4e-3": TRAINS,
    "dtclaims regime --scale small --steps 100000 --rate 3e-5 4e-5 --device cuda": GPU,
    "dtclaims pretrain corpus --out corpus": NETWORK,
    "dtclaims pretrain corpus --kind image --out photographs": NETWORK,
    "dtclaims pretrain language --scale mini --corpus corpus --seed 2": TRAINS,
    "dtclaims pretrain image --scale mini --corpus photographs --seed 2": TRAINS,
    "dtclaims pretrain synthetic --kind markov --scale mini --out markov-mine": TRAINS,
    "export DTCLAIMS_HOME=/shared/dtclaims": CLUSTER,
    "srun pytest claims -m gpu --seeds 5 --store /shared/store --report /shared/report-$SLURM_ARRAY_TASK_ID": CLUSTER,
}
"""Commands that no test runs, and why. What can be checked of them is: the parsers take them, what they name exists."""

ONE = {
    "pytest dtclaims/examples/toy_paper --seeds 5": "one claim of the toy paper is refuted",
    "pytest my_claims --seeds 5": "momentum is no faster once both are tuned",
    "dtclaims report diff before.json after.json": "a verdict differs",
}
"""Commands whose exit code is 1, and why: the page says so beside them."""


def commands(page: Path) -> list[str]:
    """The commands of a page's blocks, in their order, without their comments; those joined by && one by one."""
    text = page.read_text(encoding="utf-8")
    lines = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)).splitlines()
    bare = [re.sub(r"(^|\s+)#.*$", "", line).strip() for line in lines]
    return [one.strip() for line in bare for one in line.split(" && ") if one.strip()]


SHOWN = {page: found for page in PAGES if (found := commands(page))}


def test_the_list_of_what_is_not_run_is_of_what_is_shown() -> None:
    """An entry for a command that no page shows any more is refused, and so is an exit code."""
    shown = {line for lines in SHOWN.values() for line in lines}
    assert set(NOT_RUN) - shown == set()
    assert set(ONE) - shown == set()
    assert set(NOT_RUN) & set(ONE) == set()


@pytest.mark.parametrize("line", NOT_RUN)
def test_what_cannot_be_run_could_be(line: str, pytestconfig: pytest.Config) -> None:
    """A command that no test runs is one that its program takes, about files and sessions that there are."""
    words = shlex.split(line)
    if words[0] == "srun":
        words = words[1:]
    match words:
        case ["dtclaims", *rest]:
            parse(rest, commands_of(load_lab(DEFAULT_FOLDER)))
        case ["pytest", *rest]:
            known, unknown = pytestconfig._parser.parse_known_and_unknown_args(rest)
            assert unknown == []
            assert [name for name in known.file_or_dir if not (ROOT / name).exists()] == []
            assert known.file_or_dir
        case ["nox", "-s", *sessions]:
            there = set(re.findall(r"^@nox\.session.*?^def (\w+)", (ROOT / "noxfile.py").read_text(), re.M | re.S))
            assert set(sessions) <= there
        case ["pip", "install", *what]:
            project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
            for name in re.findall(r"\[(\w+)\]", " ".join(what)):
                assert name in project["optional-dependencies"]
            assert what in (["nox"], ["."], ["-e", ".[lab]"])
        case _:
            assert re.match(r"git clone|cd dtclaims$|export DTCLAIMS_HOME=", line)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What commands find in a checkout, copied; programs called `dtclaims` and `pytest`; a home with nothing in it."""
    for name in ("claims", "dtclaims/docs", "dtclaims/examples", "fixtures/paper"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in (("dtclaims", "dtclaims.harness.commands.main"), ("pytest", "pytest")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))
    # The commit that a history records; the copy is in no repository.
    monkeypatch.setenv("GITHUB_SHA", "0123456789abcdef0123456789abcdef01234567")
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_CURRENT_TEST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def of_usage(here: Path) -> None:
    """Two reports that differ, evidence of one's own, a small set, and a store with runs."""
    evidence = here / "claims" / "evidence" / "k1-random-init.json"
    assert main(["judge", str(evidence), "--report", "whole"]) == 0
    shutil.copy("whole/report.json", "before.json")
    text = Path("before.json").read_text(encoding="utf-8")
    assert '"verdict": "reproduced"' in text
    Path("after.json").write_text(text.replace('"verdict": "reproduced"', '"verdict": "inconclusive"', 1), "utf-8")
    shutil.copy(evidence, "results.json")
    assert main(["data", "collect", "hopper", "--steps", "2000", "--out", "hopper.hdf5"]) == 0
    filled(here / "home")


def of_evidence(here: Path) -> None:
    """Results that were made elsewhere, as a tar file."""
    filled(here / "elsewhere")
    store = str(here / "elsewhere" / "store")
    assert main(["store", "export", "results.tar", "--store", store]) == 0


def of_another_paper(here: Path) -> None:
    """The reader's own paper: the files that the page shows."""
    text = (DOCS / "another_paper.md").read_text(encoding="utf-8")
    paper, *_ = re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lab, claims, check, conftest, _ = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    folder = here / "my_claims"
    folder.mkdir()
    for name, content in {
        "paper.json": paper,
        "my_lab.py": lab,
        "test_mine.py": check + claims,
        "solver.py": "def solve(seed, tuned, momentum):\n    return 10 + seed if momentum else 11 if tuned else 40\n",
    }.items():
        (folder / name).write_text(content, encoding="utf-8")
    (here / "conftest.py").write_text(conftest, encoding="utf-8")


PREPARED: dict[str, Callable[[Path], None]] = {
    "usage.md": of_usage,
    "evidence.md": of_evidence,
    "another_paper.md": of_another_paper,
}
"""What a page's commands take for granted."""


RUN = [page for page, lines in SHOWN.items() if any(line not in NOT_RUN for line in lines)]


@pytest.mark.parametrize("page", RUN, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_work_as_written(page: Path, checkout: Path) -> None:
    """In their order, by a shell; each ends as its page says, without a traceback or an unknown name."""
    PREPARED.get(page.name, lambda here: None)(checkout)
    for line in SHOWN[page]:
        if line in NOT_RUN:
            continue
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=600)
        said = f"$ {line}\n{done.stdout}{done.stderr}"
        assert done.returncode == (1 if line in ONE else 0), said[-4000:]
        assert "Traceback" not in said, said[-4000:]
