"""Another paper's outputs: its own scale, tasks, switches and labels, and no word of this project's own paper."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest

from dtclaims.harness.commands.main import main
from dtclaims.lab.design.arms import ARMS
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.design.switches import SWITCHES
from dtclaims.lab.design.tasks import TASKS
from dtclaims.lab.design.words import SCALES as SAID
from dtclaims.places import ROOT

PAPERS = {
    "toy": ROOT / "dtclaims" / "examples" / "toy_paper",
    "bread": ROOT / "dtclaims" / "tests" / "support" / "bread_paper",
}
OWN = {
    "toy": ("Momentum Everywhere", "desk", "toy paper: three claims", "step_size"),
    "bread": ("Longer Proving Is Always Better", "crumb", "crumb: a spoonful of dough", "oven"),
}
"""What each paper's report has to say of itself: title, scale, label, switch."""

OURS = (
    *TASKS,
    *(name for name in ARMS if "_" in name),
    *(name for name in SWITCHES if "_" in name and name != "step_size"),
    "mini",
    *(f"{name} scale" for name in SCALES),
    *(f"scale {name}" for name in SCALES),
    *(text for scale in SCALES.values() for text in re.split(r"[.:,;] ", scale.label) if len(text) > 12),
    *SAID.values(),
    "auto: without",
    "GPT",
    "CLIP",
    "D4RL",
    "Takagi",
    "MuJoCo",
    "gymnasium",
    "gym-v2",
    "transformer",
    "Decision Transformer",
    "offline RL",
    "reinforcement",
    "trajectories",
    "backbone",
    "pre-training",
    "pre-trained",
    "medium policy",
    "arms?",
    "K=\\d+",
    "torch",
    "training",
    "weights",
    "normalised",
)
"""Words of this project's own paper and lab, as patterns."""
PATTERN = re.compile(rf"(?<![\w/])({'|'.join(OURS)})(?![\w])", re.IGNORECASE)


def found(text: str) -> list[str]:
    """Our own words in a text, each with what stands around it."""
    return [text[max(one.start() - 60, 0) : one.end() + 40].replace("\n", " ") for one in PATTERN.finditer(text)]


@pytest.fixture(scope="module", params=list(PAPERS))
def outputs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """Everything that is shown or written of a paper, by name: made by the commands that a user types."""
    name: str = request.param
    root = tmp_path_factory.mktemp(name)
    shutil.copytree(PAPERS[name], root / "claims", ignore=shutil.ignore_patterns("__pycache__"))
    env = {key: value for key, value in os.environ.items() if not key.startswith(("DTCLAIMS", "GITHUB"))}
    env |= {"PYTHONPATH": str(ROOT), "DTCLAIMS_HOME": str(root / "home"), "COLUMNS": "120"}
    said: dict[str, str] = {}

    def session(title: str, *words: str, code: int) -> None:
        tests = ("pytest", "claims", "-p", "dtclaims.harness.plugin", "-p", "no:cacheprovider")
        ended = subprocess.run(
            [sys.executable, "-m", *tests, *words], cwd=root, env=env, capture_output=True, text=True
        )
        said[title] = ended.stdout + ended.stderr
        assert ended.returncode == code, said[title]

    def command(*words: str) -> None:
        told = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(told), redirect_stderr(told):
            patch.chdir(root)
            patch.setenv("DTCLAIMS_HOME", str(root / "home"))
            patch.delenv("GITHUB_SHA", raising=False)
            try:
                code = main(words)
            except SystemExit as end:
                # argparse ends the program after its help.
                code = int(end.code or 0)
        said[" ".join(words[:2])] = told.getvalue()
        assert code == 0, told.getvalue()

    session("help of pytest", "--help", code=0)
    session("terminal", "-rA", "--factor", "all", "--junitxml", "junit.xml", "--fail-on", "error", code=0)
    session("unknown scale", "--scale", "mini", code=4)
    command("--claims", "claims", "--help")
    command("claims", "--claims", "claims")
    command("plan", "--claims", "claims")
    command("report", "claims-report/report.json", "--formats", "json,html,md,csv,badge,crate")
    command("evidence", "evidence.json", "--claims", "claims")
    command("judge", "evidence.json", "--report", "judged")
    command("judge", "--restated", "evidence.json", "--claims", "claims")
    command("history", "add", "claims-report/report.json", "--to", "history.jsonl", "--commit", "one")
    command("dashboard", "history.jsonl", "--out", "site")
    endings = (".json", ".jsonl", ".html", ".md", ".csv", ".xml")
    written = [path for path in sorted(root.rglob("*")) if path.suffix in endings and path.is_file()]
    own = [path for path in written if not {"home", "claims"} & set(path.relative_to(root).parts)]
    return name, said | {str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in own}


def test_nothing_of_our_paper_is_shown(outputs: tuple[str, dict[str, str]]) -> None:
    """Terminal, help, JUnit, JSON, pages, badges, crate, evidence and dashboard of another paper have no word of ours.

    One that the user typed is said back.
    """
    _, texts = outputs
    kinds = {path.rpartition(".")[2] for path in texts if "." in path}
    assert {"json", "html", "md", "csv", "xml", "jsonl"} <= kinds
    assert {"badge.json", "ro-crate-metadata.json", "site/index.html"} <= {
        path.removeprefix("claims-report/") for path in texts
    }
    texts = texts | {"unknown scale": texts["unknown scale"].replace("'mini'", "")}
    shown = {title: found(text) for title, text in texts.items()}
    assert {title: words for title, words in shown.items() if words} == {}


def test_what_it_is_is_shown(outputs: tuple[str, dict[str, str]]) -> None:
    """Pages name the paper, its scale and its label; the error for what it does not have names what it has."""
    name, texts = outputs
    title, scale, label, switch = OWN[name]
    for page in ("claims-report/report.html", "claims-report/report.md", "site/index.html"):
        assert title in texts[page]
        assert label in texts[page]
        assert scale in texts[page]
    assert switch in texts["claims-report/report.html"]
    assert scale in texts["unknown scale"]
    assert json.loads(texts["claims-report/badge.json"])["label"] == f"claims (corrected, {scale})"


def test_its_evidence_says_what_its_store_said(outputs: tuple[str, dict[str, str]]) -> None:
    """A lab whose runs have no data or weights, several sets of versions or one value each is judged from a file."""
    _, texts = outputs
    reports = [json.loads(texts[f"{folder}/report.json"])["claims"] for folder in ("claims-report", "judged")]
    live, judged = [{(one["id"], one["protocol"]): one["verdict"] for one in report} for report in reports]
    assert judged == live
    assert "reproduced" in texts["judge --restated"]
