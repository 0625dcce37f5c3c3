"""The harness alone, installed from its wheel: run by `nox -s light` in an empty folder, by no other session."""

import importlib.metadata
import importlib.util
import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import dtclaims
from dtclaims.places import ROOT

MOST_BYTES = 350_000_000
"""Of everything that is installed, but for what installs it."""
MOST_SECONDS = 20
"""For a first minute, its start included."""
INSTALLERS = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "wheel")
HEAVY = ("torch", "transformers", "mujoco", "gymnasium", "h5py", "safetensors", "tokenizers", "threadpoolctl", "PIL")
EVIDENCE = ROOT / "claims" / "evidence"
TOY = ROOT / "dtclaims" / "examples" / "toy_paper"
SITE = Path(dtclaims.__file__).parent.parent


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder to work in, and a home below it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))


def call(*words: str | Path, code: int = 0) -> str:
    """What a command says, errors included."""
    command = [sys.executable, "-m", "dtclaims.harness.commands.main", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "Traceback" not in said
    return said


def test_this_is_the_environment_it_claims_to_be() -> None:
    """The wheel is installed, none of the lab's packages is, and no test of ours came with it."""
    assert ROOT.name == "_shipped"
    assert [name for name in HEAVY if importlib.util.find_spec(name)] == []
    files = [str(file) for file in importlib.metadata.files("dtclaims") or []]
    assert len(files) > 100
    assert [name for name in files if name.startswith("dtclaims/tests")] == []
    assert [name for name in files if name.endswith((".safetensors", ".npz"))] == []


def test_it_is_small() -> None:
    """All that `pip install .` brings, numpy, scipy and pandas included, compiled files too."""
    files = [path for path in SITE.rglob("*") if path.is_file()]
    ours = [path for path in files if not path.relative_to(SITE).parts[0].startswith(INSTALLERS)]
    assert sum(path.stat().st_size for path in ours) < MOST_BYTES


def test_an_unrelated_suite_is_left_alone() -> None:
    """pytest there knows none of our options: the installation registers no plugin."""
    found = importlib.metadata.entry_points(group="pytest11")
    assert [point.name for point in found if point.value.startswith("dtclaims")] == []


def test_a_first_minute() -> None:
    """`dtclaims demo` judges all that ships, catches a changed number and tests a small paper, within 20 seconds.

    Again there it is refused, and changes nothing.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = call("demo")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Of one core, which is all that it uses: what else the machine does is not its time.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < MOST_SECONDS
    assert "changed.json: cells[0] is not as it was written" in said
    assert "corrected: refuted (reversed)" in said
    made = {str(path): path.stat().st_mtime_ns for path in Path("dtclaims-demo").rglob("*")}
    assert {f"dtclaims-demo/{name}/report.html" for name in ("hopper-small", "k1-random-init", "toy")} <= set(made)
    assert "dtclaims-demo exists" in call("demo", code=2)
    assert {str(path): path.stat().st_mtime_ns for path in Path("dtclaims-demo").rglob("*")} == made


def test_the_pages_of_the_audit_come_along() -> None:
    """A report of the shipped evidence explains its audit's items and its words."""
    call("judge", EVIDENCE / "hopper-small.json", "--report", "out")
    pages = json.loads(Path("out/report.json").read_text())["pages"]
    assert "dev-11" in pages["audit"]["items"]
    assert "tied-head" in pages["glossary"]["items"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("k1-random-init", "published"),
        ("hopper-small", "published (small): 119 of 119 claims: 6 reproduced, 29 refuted, 22 inconclusive"),
        ("hopper-small", "corrected (small): 119 of 119 claims: 8 reproduced, 16 refuted, 13 inconclusive"),
    ],
)
def test_evidence_is_judged(name: str, says: str) -> None:
    """The shipped files, by their path and as copies elsewhere, give the verdicts that the README prints."""
    assert says in call("judge", EVIDENCE / f"{name}.json")
    Path("copy.json").write_bytes((EVIDENCE / f"{name}.json").read_bytes())
    assert says in call("judge", "copy.json")


def test_what_is_made_of_verdicts() -> None:
    """A report in every format, a history and its dashboard, and a comparison of reports."""
    call("judge", EVIDENCE / "k1-random-init.json", "--report", "first")
    call("report", "first/report.json", "--report", "second", "--formats", "json,html,md,csv,badge,crate")
    assert {"report.html", "report.md", "report.csv", "badge.json"} <= {path.name for path in Path("second").iterdir()}
    call("report", "diff", "first/report.json", "second/report.json")
    call("history", "add", "first/report.json", "--to", "history.jsonl", "--commit", "abc1234")
    call("dashboard", "history.jsonl", "--out", "site")
    assert Path("site/index.html").is_file()
    call("curves", EVIDENCE / "k1-random-init.json", "--curve", "score", "--out", "score.svg")
    call("costs", EVIDENCE / "k1-random-init.json")


def test_claims_are_declared_without_the_lab() -> None:
    """The paper's claims are listed as data."""
    listed = json.loads(call("claims", "--json"))
    assert len(listed) > 100
    assert "S5.3-l2-small-gpt2" in call("claims")


def test_the_toy_papers_claims_are_run_and_judged() -> None:
    """A paper whose lab needs nothing heavy: measured, judged and reported, by pytest and from its store."""
    command = [sys.executable, "-m", "pytest", "-p", "dtclaims.harness.plugin", "-p", "no:cacheprovider"]
    # The environment may lie in a checkout, whose conftest.py is not this paper's.
    command += ["--confcutdir", str(TOY), str(TOY)]
    done = subprocess.run([*command, "--seeds", "5", "--store", "s"], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    document = json.loads(Path("claims-report/report.json").read_text())
    verdicts = {(one["id"], one["protocol"]): one["verdict"] for one in document["claims"]}
    assert verdicts["TOY-1-ill-conditioned", "published"] == "reproduced"
    assert verdicts["TOY-1-ill-conditioned", "corrected"] == "reproduced"
    assert verdicts["TOY-2-everywhere", "published"] == "reproduced"
    assert verdicts["TOY-2-everywhere", "corrected"] == "refuted"
    assert "REFUTED" in call("judge", "--claims", TOY, "--seeds", "5", "--store", "s")


@pytest.mark.parametrize(
    "words",
    [
        ["pretrain", "language", "--corpus", "x", "--out", "y"],
        ["data", "info", "x"],
        ["data", "collect", "hopper"],
    ],
)
def test_what_needs_the_lab_says_which_extra(words: list[str]) -> None:
    """Its own commands are there; one error names what to install."""
    assert "pip install 'dtclaims[lab]'" in call(*words, code=2)


def test_doctor_says_what_is_absent() -> None:
    """Part by part, with what would help; the packages of the lab are required of a lab."""
    said = call("doctor", code=2)
    assert "works   numpy" in said
    assert "absent  torch" in said
    assert "pip install 'dtclaims[lab]'" in said
