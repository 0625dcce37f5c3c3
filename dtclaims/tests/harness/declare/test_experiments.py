"""Experiments of a claims file: what their values depend on, how they are taken, and what becomes of failures."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import MeasurementError, UsageError
from dtclaims.harness.declare.claim import ANY_TASK
from dtclaims.harness.declare.experiments import Experiment, get_experiment
from dtclaims.harness.declare.registry import import_claims, load_claims
from dtclaims.harness.engine.executor import execute
from dtclaims.harness.engine.progress import Display
from dtclaims.harness.report import validate
from dtclaims.harness.study import Study, cells_of
from dtclaims.lab.measurements import MEASUREMENTS
from dtclaims.places import ROOT
from dtclaims.tests.support.studies import settings_of

CLAIMS = '''
"""Claims on two experiments."""

from dtclaims import Paper, above, claim, composite, experiment


@experiment(packages=("numpy",))
def level(seed: int, protocol: str, base: float, more: float = 0.0) -> float:
    """A level."""
    return base + more + seed / 100 + (1.0 if protocol == "corrected" else 0.0)


@experiment
def other(seed: int, protocol: str) -> object:
    """Something else."""
    return 2.0


DECLARED = {"section": "1", "scope": "s", "effect": "e", "unit": "u", "paper": Paper("1")}


@claim("ONE", quote="the level is high", needs={"low": level.need(base=5.0)}, predicate=above(1.0), **DECLARED)
def test_one(low: float) -> float:
    """The level."""
    return low


@claim("TWO", quote="it works", needs={"found": other.need()}, predicate=above(0.0), **DECLARED)
def test_two(found: float) -> float:
    """What was found."""
    return found


both = composite("BOTH", section="1", quote="both", parts=("ONE", "TWO"), scope="s", paper=Paper("1"))
'''


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What claims files register, and where they lie, is forgotten after each test."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = dict(MEASUREMENTS)
    yield
    MEASUREMENTS.clear()
    MEASUREMENTS.update(before)


def write(folder: Path, *changes: tuple[str, str]) -> Path:
    """The claims file, some of its text changed."""
    text = CLAIMS
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    folder.mkdir(exist_ok=True)
    file = folder / "test_mine.py"
    file.write_text(text)
    return file


def declared(folder: Path, *changes: tuple[str, str], name: str = "level") -> Experiment:
    """An experiment of the file, as it stands there now."""
    found = getattr(import_claims(write(folder, *changes)), name)
    assert isinstance(found, Experiment)
    return found


def study(folder: Path, **choices: str) -> Study:
    """All its claims, on three seeds."""
    options = {"store": str(folder / "store"), "report": str(folder / "report"), "seeds": "3", **choices}
    settings = settings_of(options)
    return Study(cells_of(load_claims(folder).values(), settings), settings)


def taken(folder: Path, **choices: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The entries of its claims after the experiments were taken in this process."""
    one = study(folder, **choices)
    one._judge.failures = execute(one.plan, one.store, Display(io.StringIO()), executor="inline").failures
    return {(cell.claim.id, cell.protocol.name): one.judge(cell) for cell in one.cells}


def test_what_a_value_depends_on(tmp_path: Path) -> None:
    """Seed, protocol, parameters, the code of the file, other files named, and package versions: another key each.

    Where the file lies is not among them.
    """
    asked: dict[str, Any] = {"seed": 0, "protocol": "published", "parameters": {"base": 5.0}}
    one = declared(tmp_path)
    first = one.identity(**asked)
    assert str(tmp_path) not in json.dumps(first)
    for change in ({"seed": 1}, {"protocol": "corrected"}, {"parameters": {"base": 6.0}}):
        assert one.identity(**{**asked, **change}) != first
    assert declared(tmp_path, ("seed / 100", "seed / 10")).identity(**asked) != first
    assert declared(tmp_path, ("return 2.0", "return 3.0")).identity(**asked) != first
    assert declared(tmp_path, ('("numpy",)', '("scipy",)')).identity(**asked) != first
    (tmp_path / "solver.py").write_text("STEP = 1\n")
    named = ('packages=("numpy",)', 'packages=("numpy",), files=("solver.py",)')
    with_solver = declared(tmp_path, named).identity(**asked)
    assert with_solver != first
    (tmp_path / "solver.py").write_text("STEP = 2\n")
    assert declared(tmp_path, named).identity(**asked) not in (first, with_solver)


@pytest.mark.parametrize(
    "change",
    [
        ("above(1.0)", "above(4.0)"),
        ("the level is high", "in other words"),
        ('"""A level."""', '"""A level, in other words."""\n    # why'),
        ("Paper, above", "Paper, above, below"),
        ('quote="both"', 'quote="together"'),
    ],
)
def test_what_a_value_does_not_depend_on(tmp_path: Path, change: tuple[str, str]) -> None:
    """The claims of the file and its prose: a new threshold measures nothing again and does not make data new."""
    asked: dict[str, Any] = {"seed": 0, "protocol": "published", "parameters": {"base": 5.0}}
    assert declared(tmp_path, change).identity(**asked) == declared(tmp_path).identity(**asked)


def test_claims_are_judged_on_experiments(tmp_path: Path) -> None:
    """One effect per seed under each protocol; no run, no task, no switch of another paper, but the code they rest on.

    The document is valid and speaks of the folder where it has no `paper.json`.
    """
    write(tmp_path / "mine")
    entries = taken(tmp_path / "mine", task="walker2d")
    published, corrected = (entries["ONE", name] for name in ("published", "corrected"))
    assert published.effect.per_seed == {0: 5.0, 1: 5.01, 2: 5.02}
    assert corrected.effect.per_seed == {0: 6.0, 1: 6.01, 2: 6.02}
    assert entries["BOTH", "corrected"].verdict == published.verdict == "reproduced"
    assert published.runs == ()
    assert published.switches == entries["BOTH", "published"].switches == {}
    assert published.scope == "s"
    assert "A level." in published.measured
    assert published.to_json()["provenance"]["experiments"]["test_mine:level"].keys() == {"test_mine.py", "numpy"}
    document = study(tmp_path / "mine").document(list(entries.values()))
    validate(document)
    assert document.paper.title == "mine"
    assert document.figures == document.tables == {}
    assert load_claims(tmp_path / "mine")["ONE"].tasks == (ANY_TASK,)


def test_the_second_time_nothing_is_taken(tmp_path: Path) -> None:
    """Values are stored; the plan says which are; more seeds add theirs; no GPU is asked for at any scale."""
    write(tmp_path)
    assert study(tmp_path).plan_lines()[-1] == "12 experiments: 0 cached, 12 to take"
    taken(tmp_path)
    assert study(tmp_path).plan_lines()[-1] == "12 experiments: 12 cached, 0 to take"
    assert any(
        line.endswith("test_mine:level/corrected/seed2 base=5.0") and "cached" in line
        for line in study(tmp_path).plan_lines()
    )
    assert study(tmp_path, seeds="4").plan_lines()[-1] == "16 experiments: 12 cached, 4 to take"
    assert study(tmp_path, scale="small", device="cpu").plan_lines()[-1] == "12 experiments: 12 cached, 0 to take"
    entry = study(tmp_path, seeds="4").judge(study(tmp_path, seeds="4").cells[0])
    assert entry.verdict == "not_run"
    assert entry.remedy == f"pytest {tmp_path} --protocol published --seeds 0,1,2,3, --claim ONE"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ('float("nan")', "test_mine:other did not return plain data: got nan"),
        ("[1.0, {2}]", "did not return plain data"),
        ("None", "did not return plain data: got None"),
        ("__import__('numpy').arange(3)", "`array.tolist()`"),
    ],
)
def test_a_failed_experiment_is_an_error_with_its_reason(tmp_path: Path, value: str, why: str) -> None:
    """An exception, or a value that is no plain finite data: the claims on it are errors, the others are judged."""
    write(tmp_path, ("return 2.0", f"return {value}"))
    entries = taken(tmp_path)
    assert entries["TWO", "published"].verdict == entries["BOTH", "published"].verdict == "error"
    assert why in entries["TWO", "published"].reason
    assert entries["ONE", "published"].verdict == "reproduced"
    assert study(tmp_path).plan_lines()[-1] == "12 experiments: 6 cached, 6 to take"


def test_a_worker_imports_the_file(tmp_path: Path) -> None:
    """A process that has not seen the file gets the experiment by name and file; modules beside it can be imported."""
    (tmp_path / "solver_of_mine.py").write_text("BASE = 7.0\n")
    file = write(tmp_path, ("return 2.0", "from solver_of_mine import BASE\n    return BASE"))
    code = (
        "from pathlib import Path; from dtclaims.harness.declare.experiments import get_experiment; "
        f"print(get_experiment('test_mine:other', Path({str(file)!r}))(seed=0, protocol='published'))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "7.0\n"


def test_experiments_that_cannot_be_found(tmp_path: Path) -> None:
    """No such file, or no such function at its top level: named."""
    with pytest.raises(MeasurementError, match=r"not here: got .*nowhere\.py"):
        get_experiment("nowhere:level", tmp_path / "nowhere.py")
    with pytest.raises(MeasurementError, match="declares no experiment test_mine:inner"):
        get_experiment("test_mine:inner", write(tmp_path))


def test_a_file_edited_after_planning_is_noticed(tmp_path: Path) -> None:
    """A value is never stored under the key of other code."""
    identity = declared(tmp_path).identity(seed=0, protocol="published", parameters={"base": 5.0})
    changed = declared(tmp_path, ("seed / 100", "seed / 10"))
    with pytest.raises(MeasurementError, match="changed after test_mine:level was planned"):
        changed.take(identity)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("level(seed: int, protocol: str, base", "level(seed: int, base"), "must take seed and protocol"),
        (('"""A level."""', "pass"), "has no docstring"),
        (('packages=("numpy",)', 'packages=("no-such-package",)'), "not installed: got no-such-package"),
        (('packages=("numpy",)', 'files=("solver.py",)'), "depends on a file that is no Python"),
        (("need(base=5.0)", "need()"), "cannot be needed like that"),
        (("need(base=5.0)", "need(base=5.0, bass=1)"), "bass"),
        (("need(base=5.0)", "need(base=5.0, seed=1)"), "cannot be needed like that"),
        (("need(base=5.0)", "need(base={1})"), "cannot be needed like that"),
        (("need(base=5.0)", "need(base=float('inf'))"), "cannot be needed like that"),
    ],
)
def test_bad_declarations_are_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    """At import, before anything is planned."""
    with pytest.raises(UsageError, match=message):
        load_claims(write(tmp_path, change).parent)


def test_needs_of_nothing_known_are_refused(tmp_path: Path) -> None:
    """The experiment itself in place of its name when it is declared, an unknown name when it is planned."""
    imports = ("Paper, above", "Need, Paper, above")
    with pytest.raises(UsageError, match="a need names its measurement: got Experiment"):
        load_claims(write(tmp_path, imports, ("level.need(base=5.0)", "Need(level)")).parent)
    write(tmp_path, imports, ("level.need(base=5.0)", "Need('leveling')"))
    with pytest.raises(UsageError, match="claim ONE needs unknown measurements: got leveling"):
        study(tmp_path)


def test_names_are_told_apart_by_file(tmp_path: Path) -> None:
    """Two files of one name with an experiment of one name are refused, unless one is a copy of the other."""
    declared(tmp_path / "a")
    declared(tmp_path / "b")
    with pytest.raises(UsageError, match="two files declare the experiment test_mine:level"):
        declared(tmp_path / "c", ("seed / 100", "seed / 10"))


def test_a_claim_names_its_tasks_once(tmp_path: Path) -> None:
    """A claim may need runs and experiments; then it is of the runs' task."""
    mixed = (
        'needs={"found": other.need()}',
        'needs={"found": other.need(), "run": __import__("dtclaims").Need("score", arm="random_init")}',
    )
    claims = load_claims(
        write(tmp_path, mixed, ("test_two(found: float)", "test_two(found: float, run: float)")).parent
    )
    assert claims["TWO"].tasks == ("hopper",)
    assert claims["ONE"].tasks == (ANY_TASK,)
    one = study(tmp_path, protocol="corrected", seeds="1")
    assert {planned.name for planned in one.plan.measurements.values()} == {
        "test_mine:level",
        "test_mine:other",
        "score",
    }
    assert one.judge(one.cells[1]).switches
    assert "--task hopper" in one.judge(one.cells[1]).remedy


def test_the_toy_paper(tmp_path: Path) -> None:
    """`pytest` on the example, workers and all: one claim survives a fair comparison, the other does not.

    The report carries the toy paper's name and label, and nothing of the paper that dtclaims was written for. The
    command line then judges the same store.
    """
    toy = ROOT / "dtclaims" / "examples" / "toy_paper"
    options = ["--seeds", "5", "--store", str(tmp_path / "store"), "--report", str(tmp_path / "report")]
    pytest_command = ["-m", "pytest", "-p", "no:cacheprovider", str(toy), *options]
    done = subprocess.run([sys.executable, *pytest_command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stdout + done.stderr
    paths = {kind: tmp_path / "report" / f"report.{kind}" for kind in ("json", "html", "md")}
    document = json.loads(paths["json"].read_text())
    assert {(one["id"], one["protocol"]): one["verdict"] for one in document["claims"]} == {
        ("TOY-1-ill-conditioned", "published"): "reproduced",
        ("TOY-1-ill-conditioned", "corrected"): "reproduced",
        ("TOY-2-everywhere", "published"): "reproduced",
        ("TOY-2-everywhere", "corrected"): "refuted",
    }
    about = json.loads((toy / "paper.json").read_text())
    assert document["paper"]["title"] == about["title"]
    assert document["provenance"]["label"] == about["label"]
    assert document["figures"] == document["tables"] == {}
    for kind in ("html", "md"):
        text = paths[kind].read_text()
        assert about["title"] in text
        for word in ("Takagi", "Pre-training", "pre-trained", "DEV-", "Hopper"):
            assert word not in text, (kind, word)
    report = [sys.executable, "-m", "dtclaims.harness.commands.main", "judge", "--claims", str(toy), *options]
    again = subprocess.run(report, check=True, capture_output=True, text=True, timeout=60)
    assert "1 reproduced, 1 refuted" in again.stdout
