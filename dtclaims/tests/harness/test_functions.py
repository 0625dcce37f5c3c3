"""A lab of functions: what its values depend on, how they are taken, and what becomes of failures."""

import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dtclaims import FunctionLab, Need
from dtclaims.errors import MissingDependency, UsageError
from dtclaims.harness.declare import labs, registry
from dtclaims.harness.declare.registry import load_claims, load_lab
from dtclaims.harness.engine.executor import execute
from dtclaims.harness.engine.progress import Display
from dtclaims.harness.evidence.freeze import frozen_cell
from dtclaims.harness.judge.entries import Entry
from dtclaims.harness.lab import Circumstances, Wish, protocols_of
from dtclaims.harness.plan.explain import explain
from dtclaims.harness.report import validate
from dtclaims.harness.settings import make_settings
from dtclaims.harness.store.store import Store
from dtclaims.harness.study import Study, cells_of
from dtclaims.places import ROOT

PAPER = {"title": "Mine", "authors": "A", "venue": "V", "year": 2026, "url": "", "label": "mine", "lab": "my_lab:LAB"}

LAB = '''
"""A lab of two quantities."""

from dtclaims import FunctionLab, Switch

LAB = FunctionLab("mine", switches=(Switch("tuning", "one", "both"),))


@LAB.quantity(packages=("numpy",))
def level(seed: int, tuning: str, base: float, more: float = 0.0) -> float:
    """A level."""
    from beside_mine import STEP

    return base + more + seed * STEP + (1.0 if tuning == "both" else 0.0)


@LAB.quantity
def other(seed: int) -> object:
    """Something else."""
    return 2.0
'''

BESIDE = '"""Beside the lab."""\n\nSTEP = 0.25\nUNUSED = 1\n'

CLAIMS = '''
"""Claims on them."""

from dtclaims import Need, Paper, above, claim, composite

DECLARED = {"section": "1", "scope": "s", "effect": "e", "unit": "u", "paper": Paper("1")}


@claim("ONE", quote="the level is high", needs={"low": Need("level", base=5.0)}, trend=above(1.0), **DECLARED)
def test_one(low: float) -> float:
    """The level."""
    return low


@claim("TWO", quote="it works", needs={"found": Need("other")}, trend=above(0.0), **DECLARED)
def test_two(found: float) -> float:
    """What was found."""
    return found


both = composite("BOTH", section="1", quote="both", parts=("ONE", "TWO"), scope="s", paper=Paper("1"))
'''

SLOW = (
    "@LAB.quantity\ndef other(seed: int) -> object:",
    "@LAB.quantity(keeps_files=True)\ndef other(seed: int, bench: object) -> object:",
)
HEAVY = ("torch", "transformers", "mujoco", "gymnasium", "h5py", "safetensors")

Change = tuple[str, str]


def forget() -> None:
    """As in a new process: labs, claims and modules beside them are read again."""
    labs._known.clear()
    labs._load.cache_clear()
    registry._beside.cache_clear()
    sys.modules.pop("beside_mine", None)


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What these papers register, and where they lie, is forgotten after each test."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(labs, "_known", {})
    forget()
    yield
    forget()


def changed(text: str, changes: tuple[Change, ...]) -> str:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def write(
    folder: Path, *lab: Change, claims: tuple[Change, ...] = (), beside: tuple[Change, ...] = (), **paper: Any
) -> Path:
    """The paper's folder, some of its texts changed."""
    folder.mkdir(exist_ok=True)
    (folder / "paper.json").write_text(json.dumps({**PAPER, **paper}))
    (folder / "my_lab.py").write_text(changed(LAB, lab))
    (folder / "beside_mine.py").write_text(changed(BESIDE, beside))
    (folder / "test_mine.py").write_text(changed(CLAIMS, claims))
    return folder


def study(folder: Path, **choices: str) -> Study:
    """All its claims on three seeds, as a new session finds them; results are kept beside the folder."""
    forget()
    sys.path[:] = [one for one in sys.path if one != str(folder)]
    kept = {name: str(folder.parent / f"{folder.name}-{name}") for name in ("store", "report")}
    settings = make_settings({**kept, "seeds": "3", **choices}, load_lab(folder))
    return Study(cells_of(load_claims(folder).values(), settings), settings)


def keys(folder: Path) -> dict[str, str]:
    """The addresses of its jobs, by their names."""
    return {one.job.name: key for key, one in study(folder).plan.jobs.items()}


def taken(one: Study, executor: str = "inline") -> dict[tuple[str, str], Entry]:
    """The entries of its claims after the values were taken."""
    folder = one.cells[0].claim.file.parent
    one.verdicts.failures = execute(
        one.plan, one.store, Display(io.StringIO()), session=one.settings.session, folder=folder, executor=executor
    ).failures
    return {(cell.claim.id, cell.protocol.name): one.judge(cell) for cell in one.cells}


def last_line(one: Study) -> str:
    (line,) = (line for line in one.plan_lines() if "experiments: " in line)
    return line.partition(", about")[0]


LEVEL = "level/seed0 tuning=one base=5.0"


def test_a_need_is_one_job_per_seed_switch_and_condition(tmp_path: Path) -> None:
    """What it is and what the switches make of it stand apart; the value is the job's own."""
    lab = load_lab(write(tmp_path / "mine"))
    session = lab.session(Wish(None, (), False, {}))
    settings = []
    for protocol in protocols_of(lab.switches).values():
        at = Circumstances(protocol, session.scale, None, 3, (3,))
        reading = session.resolve(Need("level", base=2.0), at, device="cpu", precision="float32")
        assert not hasattr(reading, "remedy")
        (job,) = reading.jobs
        assert job.what == {"quantity": "level", "seed": 3, "scale": "all", "parameters": {"base": 2.0}}
        settings.append(job.how["switches"]["tuning"])
        assert not reading.derived
    assert settings == ["one", "both"]


def test_a_value_depends_on_seed_switches_and_condition(tmp_path: Path) -> None:
    """Each job has an address of its own; a switch that a function does not take makes no second one."""
    planned = keys(write(tmp_path / "mine"))
    assert set(planned) == {
        *(f"level/seed{seed} tuning={tuning} base=5.0" for seed in range(3) for tuning in ("one", "both")),
        *(f"other/seed{seed}" for seed in range(3)),
    }
    assert len(set(planned.values())) == len(planned)
    sharper = keys(write(tmp_path / "mine", claims=(("base=5.0", "base=6.0"),)))
    assert sharper[LEVEL.replace("5.0", "6.0")] not in planned.values()


@pytest.mark.parametrize(
    "changes",
    [
        {"lab": (("base + more", "base - more"),)},
        {"lab": (("more: float = 0.0", "more: float = 1.0"),)},
        {"lab": (('("numpy",)', '("scipy",)'),)},
        {"beside": (("STEP = 0.25", "STEP = 0.5"),)},
    ],
    ids=["its code", "its defaults", "packages", "code beside the lab"],
)
def test_a_value_depends_on_the_code_that_it_reaches(tmp_path: Path, changes: dict[str, tuple[Change, ...]]) -> None:
    """Of the lab's file and of those beside it, and on versions of packages. Other quantities keep theirs."""
    before = keys(write(tmp_path / "mine"))
    after = keys(write(tmp_path / "mine", *changes.get("lab", ()), beside=changes.get("beside", ())))
    assert after[LEVEL] != before[LEVEL]
    assert after["other/seed0"] == before["other/seed0"]


@pytest.mark.parametrize(
    "changes",
    [
        {"claims": (("above(1.0)", "above(4.0)"),)},
        {"claims": (("the level is high", "in other words"), ('quote="both"', 'quote="together"'))},
        {"claims": (("return low", "return 2 * low"),)},
        {"lab": (('"""A level."""', '"""A level, in other words."""\n    # why'),)},
        {"lab": (("return 2.0", "return 3.0"),)},
        {"beside": (("UNUSED = 1", "UNUSED = 2"),)},
    ],
    ids=["threshold", "quotes", "effect", "prose", "another quantity", "code beside that it does not reach"],
)
def test_what_a_value_does_not_depend_on(tmp_path: Path, changes: dict[str, tuple[Change, ...]]) -> None:
    """The claims, prose, and code that it does not reach: a new threshold measures nothing again."""
    before = keys(write(tmp_path / "mine"))[LEVEL]
    folder = write(
        tmp_path / "mine", *changes.get("lab", ()), claims=changes.get("claims", ()), beside=changes.get("beside", ())
    )
    assert keys(folder)[LEVEL] == before


def test_a_value_does_not_depend_on_where_the_paper_lies(tmp_path: Path) -> None:
    """A copy of the folder has the same addresses, and no identity holds a path."""
    assert keys(write(tmp_path / "here")) == keys(write(tmp_path / "there"))
    identities = [one.identity for one in study(tmp_path / "here").plan.jobs.values()]
    assert str(tmp_path) not in json.dumps([dict(one) for one in identities])


def test_claims_are_judged_on_functions(tmp_path: Path) -> None:
    """One effect per seed under each protocol; no run, no task, and no switch but the lab's own.

    The document is valid and speaks of the paper.
    """
    one = study(write(tmp_path / "mine"))
    entries = taken(one)
    published, corrected = (entries["ONE", name] for name in ("published", "corrected"))
    assert published.effect.per_seed == {0: 5.0, 1: 5.25, 2: 5.5}
    assert corrected.effect.per_seed == {0: 6.0, 1: 6.25, 2: 6.5}
    assert entries["BOTH", "corrected"].verdict == published.verdict == "reproduced"
    assert published.runs == ()
    assert (published.switches, corrected.switches) == ({"tuning": "one"}, {"tuning": "both"})
    assert published.scope == "s"
    assert "A level." in published.measured
    assert published.provenance["versions"].keys() == {"numpy"}  # type: ignore[attr-defined]
    document = one.document(list(entries.values()))
    validate(document)
    assert (document.paper.title, document.provenance.label) == ("Mine", "mine")
    assert (document.figures, document.tables) == ({}, {})


def test_workers_take_the_same_values(tmp_path: Path) -> None:
    """Processes that have not seen the lab import it by the paper's folder, with what lies beside it."""
    here = taken(study(write(tmp_path / "mine"), store=str(tmp_path / "a")))
    there = taken(study(tmp_path / "mine", store=str(tmp_path / "b"), workers="2"), "processes")
    assert {name: one.effect for name, one in there.items()} == {name: one.effect for name, one in here.items()}
    assert {one.verdict for one in there.values()} == {"reproduced"}


def test_the_second_time_nothing_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values are stored; the plan says which are; more seeds add theirs."""
    folder = write(tmp_path / "mine")
    assert last_line(study(folder)) == "9 experiments: 0 cached, 9 to take"
    first = taken(study(folder))
    assert last_line(study(folder)) == "9 experiments: 9 cached, 0 to take"
    assert any(line.endswith(f" {LEVEL}") and "cached" in line for line in study(folder).plan_lines(every=True))
    # A function that is called now fails.
    again = study(folder)
    monkeypatch.setattr(type(again.settings.lab), "perform", None)
    assert {name: one.effect for name, one in taken(again).items()} == {name: one.effect for name, one in first.items()}
    more = study(folder, seeds="4")
    assert last_line(more) == "12 experiments: 9 cached, 3 to take"
    entry = more.judge(more.cells[0])
    assert entry.verdict == "not_run"
    assert entry.remedy == (
        f"pytest {folder} --scale all --protocol published --seeds 4 --store {folder}-store --report {folder}-report "
        "--claim ONE"
    )
    assert last_line(study(folder, scale="all", protocol="published", seeds="0,1,2,3,")) == (
        "8 experiments: 6 cached, 2 to take"
    )


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("1 / 0", r"ZeroDivisionError at my_lab\.py"),
        ("__import__('sys').exit(3)", r"SystemExit at my_lab\.py:\d+: 3"),
        ('float("nan")', "other/seed0 did not give plain data: got .*nan"),
        ("[1.0, {2}]", r"other/seed0 did not give plain data: got .*\{2\}"),
        ("None", "other/seed0 did not give plain data: got None"),
        ("{1: 2.0}", r"other/seed0 did not give plain data: .*\(1 is a key, and no text\)"),
        ("[{True: 2.0, 'true': 1.0}]", "did not give plain data"),
        ("10**400", "too large a whole number"),
        ("chr(0xD800)", "did not give plain data"),
        ("__import__('functools').reduce(lambda inner, _: [inner], range(90), 1.0)", "nested too deep"),
        ("__import__('numpy').arange(3)", r"`array\.tolist\(\)`"),
        (
            "(_ for _ in ()).throw(type('Mute', (Exception,), {'__str__': lambda self: 1 / 0})())",
            r"Mute at my_lab\.py.*its text cannot be had \(ZeroDivisionError\)",
        ),
    ],
)
@pytest.mark.parametrize("kept", [False, True], ids=["one value", "keeps files"])
def test_a_failed_function_is_an_error_with_its_reason(tmp_path: Path, value: str, why: str, kept: bool) -> None:
    """An exception, also one that fails at saying what it is, or a value that is no plain finite data: the claims on it
    are errors, the others are judged."""
    folder = write(tmp_path / "mine", ("return 2.0", f"return {value}"), *((SLOW,) if kept else ()))
    entries = taken(study(folder))
    assert entries["TWO", "published"].verdict == entries["BOTH", "published"].verdict == "error"
    assert re.search(why, entries["TWO", "published"].reason)
    assert entries["ONE", "published"].verdict == "reproduced"
    assert {one.cached for one in study(folder).plan.jobs.values() if one.job.name[:5] == "other"} == {False}


def test_a_value_is_explained(tmp_path: Path) -> None:
    """Why a value is, or is not, found, by name, by key and by the key of one that other code made: where nothing but
    values is taken, as where runs are."""
    folder = write(tmp_path / "mine")
    first = study(folder)
    name, key = next((one.job.name, one.key) for one in first.plan.jobs.values() if one.job.name == "other/seed0")
    same = ", ".join(f"{word} {value}" for word, value in first.plan.jobs[key].job.what.items())
    assert explain(first.plan, first.store, name) == [f"{key}  {name}", f"miss: the store has no experiment of {same}"]
    taken(first)
    assert explain(first.plan, first.store, key[:8])[1].startswith("hit: ")
    write(folder, ("return 2.0", "return 3.0"))
    again = study(folder)
    lines = explain(again.plan, again.store, name)
    assert lines[1] == f"miss: the nearest stored experiment is {key}; it differs in"
    assert lines[2].startswith("  code.function ")
    assert explain(again.plan, again.store, key[:8]) == lines
    with pytest.raises(UsageError, match=r"no job matches 'nothing'.*`dtclaims plan --all` lists them"):
        explain(again.plan, again.store, "nothing")


def test_a_function_that_keeps_files_goes_on(tmp_path: Path) -> None:
    """It works in its folder, where it finds what a worker that failed left; its value counts, its files are kept."""
    slow = (
        "return 2.0",
        "half = bench.folder / 'half.txt'\n"
        "    if not half.exists():\n"
        "        half.write_text(str(seed))\n"
        "        raise RuntimeError('stopped half-way')\n"
        "    bench.report(1, 1)\n"
        "    return 10.0 + float(half.read_text())",
    )
    folder = write(tmp_path / "mine", SLOW, slow)
    first = taken(study(folder))
    assert first["TWO", "published"].verdict == "error"
    assert "stopped half-way" in first["TWO", "published"].reason
    second = study(folder)
    entry = taken(second)["TWO", "published"]
    assert entry.verdict == "reproduced"
    assert entry.effect.per_seed == {0: 10.0, 1: 11.0, 2: 12.0}
    assert [run.seed for run in entry.runs] == [0, 1, 2]
    found = Store(second.settings.store).find(entry.runs[2].key)
    assert found is not None
    assert found.file("half.txt").read_text() == "2"
    assert {one.cached for one in study(folder).plan.jobs.values()} == {True}


def test_a_function_is_told_the_task_that_is_tested(tmp_path: Path) -> None:
    """With a parameter `task` it is given the claim's, or its need's: each task has numbers of its own. In a lab
    without tasks such a function is refused."""
    tasks = (
        'switches=(Switch("tuning", "one", "both"),)',
        'tasks=("easy", "hard"), switches=(Switch("tuning", "one", "both"),)',
    )
    told = (
        ("def other(seed: int) -> object:", "def other(seed: int, task: str) -> object:"),
        ("return 2.0", 'return {"easy": 2.0, "hard": 3.0}[task]'),
    )
    changes = (
        ('@claim("TWO"', '@claim("TWO", tasks=("easy", "hard")'),
        ('{"low": Need("level", base=5.0)}', '{"low": Need("other", task="hard")}'),
    )
    entries = taken(study(write(tmp_path / "mine", tasks, *told, claims=changes)))
    each = entries["TWO", "published"].components
    assert {name: one.effect.mean for name, one in each.items()} == {"easy": 2.0, "hard": 3.0}
    assert entries["ONE", "published"].effect.mean == 3.0
    with pytest.raises(UsageError, match="quantity other takes a task, and the lab mine has none"):
        study(write(tmp_path / "other", *told))


def test_a_file_edited_after_planning_is_noticed(tmp_path: Path) -> None:
    """A value is never stored under the address of other code, wherever that lies."""
    one = study(write(tmp_path / "mine"))
    write(tmp_path / "mine", beside=(("STEP = 0.25", "STEP = 0.5"),))
    entries = taken(one)
    assert entries["ONE", "published"].verdict == "error"
    assert "changed after level/seed0 tuning=one base=5.0 was planned" in entries["ONE", "published"].reason
    assert entries["TWO", "published"].verdict == "reproduced"
    write(tmp_path / "mine")
    assert last_line(study(tmp_path / "mine")) == "9 experiments: 3 cached, 6 to take"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (("level(seed: int, tuning", "level(tuning"), UsageError, "quantity level must take its seed"),
        (('"""A level."""', "pass"), UsageError, "quantity level has no docstring"),
        (('("numpy",)', '("no-such-package",)'), MissingDependency, "pip install no-such-package"),
        (("def other(", "def level("), UsageError, "two functions of the lab mine measure level"),
    ],
    ids=["no seed", "no docstring", "absent package", "two of one name"],
)
def test_incomplete_quantities_are_refused(tmp_path: Path, change: Change, error: type, message: str) -> None:
    """When the lab is loaded, before anything is planned."""
    with pytest.raises(error, match=message):
        load_lab(write(tmp_path / "mine", change))


def test_two_files_of_a_lab_do_not_share_a_name(tmp_path: Path) -> None:
    """A function of another file with the name of one that the lab has is refused; the same file again is not."""
    folder = write(tmp_path / "mine")
    lab = load_lab(folder)
    assert isinstance(lab, FunctionLab)
    (folder / "more.py").write_text("def level(seed: int) -> float:\n    '''Another.'''\n    return 1.0\n")
    (folder / "again.py").write_text("def fresh(seed: int) -> float:\n    '''Once.'''\n    return 1.0\n")
    with pytest.raises(UsageError, match="two functions of the lab mine measure level"):
        lab.quantity(registry.import_claims(folder / "more.py").level)
    for _ in range(2):
        lab.quantity(registry.import_claims(folder / "again.py").fresh)
    assert set(lab.quantities) == {"level", "other", "fresh"}


@pytest.mark.parametrize(
    ("need", "message"),
    [
        ('Need("level")', "level cannot be needed like that: got no condition, expected base, more, at least base"),
        ('Need("level", base=5.0, bass=1)', "got base, bass"),
        ('Need("level", base=5.0, seed=1)', "cannot be needed like that"),
        ('Need("level", base=5.0, tuning="both")', "cannot be needed like that"),
        ('Need("level", base={1})', "needed under no plain data"),
        ('Need("level", base=float("inf"))', "needed under no plain data"),
        ('Need("leveling", base=5.0)', "needs a quantity that nobody provides: got leveling"),
        ('Need("level", base=5.0, task="hopper")', "needs a task that there is not: got hopper"),
    ],
)
def test_a_condition_that_fits_nothing_is_refused(tmp_path: Path, need: str, message: str) -> None:
    """Words that the function lacks or needs, values that are no plain data, names of nothing: the claim is named."""
    folder = write(tmp_path / "mine", claims=(('Need("level", base=5.0)', need),))
    with pytest.raises(UsageError, match="claim ONE") as caught:
        study(folder)
    assert message in str(caught.value)


def test_a_need_names_its_quantity(tmp_path: Path) -> None:
    """By a name; the function itself is refused where the claim is declared."""
    folder = write(tmp_path / "mine", claims=(('Need("level", base=5.0)', "Need(above)"),))
    with pytest.raises(UsageError, match="a need names its quantity: got function"):
        load_claims(folder)


def test_the_toy_paper_without_torch(tmp_path: Path) -> None:
    """`pytest` on the example, workers and all, where no heavy package can be imported: one claim does not survive.

    The report carries the toy paper's name and label, and nothing of the paper that dtclaims was written for. The
    command line then judges the same store.
    """
    for name in HEAVY:
        (tmp_path / "absent" / name).mkdir(parents=True)
        (tmp_path / "absent" / name / "__init__.py").write_text(f"raise ImportError('no {name} here')\n")
    toy = tmp_path / "toy"
    shutil.copytree(ROOT / "dtclaims" / "examples" / "toy_paper", toy, ignore=shutil.ignore_patterns("__pycache__"))
    path = os.pathsep.join([str(tmp_path / "absent"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "DTCLAIMS_HOME": str(tmp_path / "home")}

    def call(*words: object) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, *map(str, words)]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    assert "no torch here" in call("-c", "import torch").stderr
    options = ["--seeds", "5", "--store", tmp_path / "store", "--report", tmp_path / "report"]
    done = call("-m", "pytest", "-p", "no:cacheprovider", "-p", "dtclaims.harness.plugin", toy, *options)
    assert done.returncode == 1, done.stdout + done.stderr
    document = json.loads((tmp_path / "report" / "report.json").read_text())
    assert {(one["id"], one["protocol"]): one["verdict"] for one in document["claims"]} == {
        ("TOY-1-ill-conditioned", "published"): "reproduced",
        ("TOY-1-ill-conditioned", "corrected"): "reproduced",
        ("TOY-2-everywhere", "published"): "reproduced",
        ("TOY-2-everywhere", "corrected"): "refuted",
        ("TOY-3-unstable", "published"): "reproduced",
        ("TOY-3-unstable", "corrected"): "reproduced",
    }
    about = json.loads((toy / "paper.json").read_text())
    assert document["paper"]["title"] == about["title"]
    assert document["provenance"]["label"] == about["label"]
    assert document["figures"] == document["tables"] == {}
    for kind in ("html", "md"):
        text = (tmp_path / "report" / f"report.{kind}").read_text()
        assert about["title"] in text
        for word in ("Takagi", "Pre-training", "pre-trained", "DEV-", "Hopper"):
            assert word not in text, (kind, word)
    again = call("-m", "dtclaims.harness.commands.main", "judge", "--claims", toy, *options)
    assert "2 reproduced, 1 refuted" in again.stdout, again.stdout + again.stderr


PRESUPPOSING = (
    (
        "from dtclaims import Need, Paper, above, claim, composite",
        "from dtclaims import Need, Paper, above, check, claim, composite",
    ),
    (
        '@claim("ONE"',
        '@check("there is something", needs={"found": Need("other")}, trend=above(3.0), unit="u")\n'
        "def something(found: float) -> float:\n"
        '    """What was found."""\n'
        "    return found\n\n\n"
        '@claim("ONE", checks=(something,)',
    ),
)


@pytest.mark.parametrize("value", ["2.0 + seed / 100", "4.0 + seed / 100"], ids=["not passed", "passed"])
def test_a_claim_is_judged_where_its_check_is_passed(tmp_path: Path, value: str) -> None:
    """Else it is not evaluable, with the check's numbers, in the session and in its file of evidence."""
    folder = write(tmp_path / "mine", ("return 2.0", f"return {value}"), claims=PRESUPPOSING)
    done = study(folder, protocol="published")
    entry = taken(done)["ONE", "published"]
    passed = value.startswith("4")
    assert entry.verdict == ("reproduced" if passed else "not_evaluable")
    (shown,) = entry.checks
    assert (shown.name, shown.verdict) == ("there is something", "reproduced" if passed else "refuted")
    assert shown.effect.mean == pytest.approx(4.01 if passed else 2.01)
    assert sorted(shown.effect.per_seed) == [0, 1, 2]
    assert entry.effect.mean == (pytest.approx(5.25) if passed else None)
    assert taken(done)["BOTH", "published"].verdict == ("reproduced" if passed else "not_evaluable")
    frozen = frozen_cell(done.verdicts, done.cells[0])
    assert [one.name for one in frozen.checks] == ["there is something"]
    assert frozen.components[0].effects == pytest.approx({0: 5.0, 1: 5.25, 2: 5.5})


@pytest.mark.parametrize(
    ("no_value", "why"),
    [
        ('raise UndefinedMeasurement("no share of nothing")', "no share of nothing."),
        ("return 1 / 0", "ZeroDivisionError: division by zero"),
        ("return None", "TypeError: float() argument must be a string or a real number, not 'NoneType'"),
    ],
)
def test_an_effect_may_have_no_value_where_a_check_is_not_passed(tmp_path: Path, no_value: str, why: str) -> None:
    """What the claim presupposes is asked first: where it is not so no effect is asked for, and a file of evidence has
    none, whatever the claim's function would have raised."""
    undefined = (
        "    return low",
        f"    {no_value}",
    )
    imported = (
        '"""Claims on them."""\n',
        '"""Claims on them."""\n\nfrom dtclaims.errors import UndefinedMeasurement\n',
    )
    changes = (*PRESUPPOSING, undefined, imported)
    done = study(write(tmp_path / "mine", claims=changes), protocol="published")
    assert taken(done)["ONE", "published"].verdict == "not_evaluable"
    assert all(math.isnan(value) for value in frozen_cell(done.verdicts, done.cells[0]).components[0].effects.values())
    other = write(tmp_path / "other", ("return 2.0", "return 4.0 + seed / 100"), claims=changes)
    entry = taken(study(other, protocol="published"))["ONE", "published"]
    assert (entry.verdict, entry.reason) == ("error", why)


@pytest.mark.parametrize("where", ["effect", "check"])
def test_a_number_where_true_or_false_was_declared_is_that_claims_error(tmp_path: Path, where: str) -> None:
    """A share that is neither 0 nor 1 is refused: the claim is an error that says so, the other is judged."""
    share = (
        ("import Need", "import in_most_seeds, Need"),
        ("trend=above(1.0)", "trend=in_most_seeds()")
        if where == "effect"
        else ("trend=above(3.0)", "trend=in_most_seeds()"),
    )
    claims = (*PRESUPPOSING, *share) if where == "check" else share
    done = study(write(tmp_path / "mine", claims=claims), protocol="published")
    entries = taken(done)
    assert entries["ONE", "published"].verdict == "error"
    assert "true (1.0) or false (0.0) in each seed" in entries["ONE", "published"].reason
    assert entries["TWO", "published"].verdict == "reproduced"
    assert frozen_cell(done.verdicts, done.cells[0]).failure is not None


def test_two_seeds_are_too_few_for_a_check_too(tmp_path: Path) -> None:
    """Then the claim is inconclusive: nothing was shown not to be."""
    entry = taken(study(write(tmp_path / "mine", claims=PRESUPPOSING), protocol="published", seeds="2"))
    assert entry["ONE", "published"].verdict == "inconclusive"
