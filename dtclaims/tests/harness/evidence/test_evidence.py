"""Evidence: a store's results in one file, which says what the store said, wherever and whenever it is judged."""

import contextlib
import gzip
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dtclaims.closure import Code
from dtclaims.errors import DtclaimsError, StoreError, UsageError
from dtclaims.files import describe_file
from dtclaims.harness.commands.main import main
from dtclaims.harness.declare.registry import load_claims, load_lab
from dtclaims.harness.evidence import files_in, judge_evidence, name_of, read_evidence
from dtclaims.harness.evidence.export import rounded, same_verdicts
from dtclaims.harness.evidence.file import load as read_content
from dtclaims.harness.evidence.file import with_digests, write_evidence
from dtclaims.harness.evidence.form import LARGEST
from dtclaims.harness.judge.entries import Entry
from dtclaims.harness.plan import planner
from dtclaims.harness.report import read
from dtclaims.harness.settings import make_settings
from dtclaims.harness.store.store import Store, write_json
from dtclaims.harness.study import Study, cells_of
from dtclaims.lab import laboratory
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.inputs import Unavailable
from dtclaims.places import ROOT, home
from dtclaims.tests.support import matrix, report_example
from dtclaims.tests.support.examples import SAMPLE_CLAIMS, damaged, fill_store, store_run
from dtclaims.tests.support.studies import CLAIMS, RETURNS, entries, filled, settings_of, study, value_of

EVIDENCE = files_in(ROOT / "claims" / "evidence")
SAMPLE = ("--claims", str(SAMPLE_CLAIMS))


def export(tmp_path: Path, *options: str, name: str = "sample.json", store: Path | None = None) -> Path:
    """The evidence of the sample claims in a store."""
    out = tmp_path / name
    assert main(["evidence", str(out), *SAMPLE, "--store", str(store or tmp_path / "store"), *options]) == 0
    return out


def judged(path: Path, **options: Any) -> dict[tuple[str, str], Entry]:
    """The entries of a file, by claim and protocol."""
    document = judge_evidence(read_evidence(path), **options).document
    return {(entry.id, entry.protocol): entry for entry in document.claims}


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The same file, with its content changed."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(with_digests(content)))
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("exported")
    filled(folder)
    with contextlib.redirect_stdout(io.StringIO()):
        return export(folder).read_bytes()


@pytest.fixture
def file(tmp_path: Path, exported: bytes) -> Path:
    """Evidence of a filled store that is gone."""
    path = tmp_path / "sample.json"
    path.write_bytes(exported)
    return path


@pytest.mark.parametrize("options", [{}, {"task": "all", "seeds": "5"}, {"factor": "all", "protocol": "published"}])
def test_the_file_says_what_the_store_says(tmp_path: Path, options: dict[str, str]) -> None:
    """Every entry of the report is the same: verdicts, effects, reasons, runs, provenance, attribution.

    So it is by the declarations in the file, and by today's, which are the same.
    """
    expected = entries(filled(tmp_path, **options))
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    file = export(tmp_path, *words)
    found = judged(file)
    assert {entry.verdict for entry in found.values()} >= {"reproduced", "refuted"}
    assert found == expected
    assert judged(file, restated=True) == expected


def test_evidence_that_would_be_lost_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file with results that the new one has not, or that is no evidence, stays; else it is renewed."""
    filled(tmp_path, task="all", seeds="5")
    many = ("--task", "all", "--seeds", "5")
    file = export(tmp_path, *many)
    before = file.read_bytes()
    few = ["evidence", str(file), *SAMPLE, "--store", str(tmp_path / "store"), "--task", "hopper", "--seeds", "5"]
    assert main(few) == 2
    assert "holds results that the new file would not" in capsys.readouterr().err
    assert file.read_bytes() == before
    export(tmp_path, *many)
    assert read_content(file)["runs"] == json.loads(before)["runs"]
    other = export(tmp_path, "--task", "hopper", "--seeds", "5", name="few.json")
    renewed = file.read_bytes()
    assert main(["evidence", str(file), "--upgrade", str(other)]) == 2
    assert file.read_bytes() == renewed
    assert "holds results that the new file would not" in capsys.readouterr().err
    file.write_text("{}")
    assert main(few) == 2
    assert "is no evidence" in capsys.readouterr().err
    assert file.read_text() == "{}"


@pytest.mark.parametrize("command", [["judge"], ["report"], ["evidence", "e.json"]])
def test_a_store_that_is_read_has_to_be_there(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that was mistyped is one error, and no store is made there."""
    assert main([*command, *SAMPLE, "--store", str(tmp_path / "mistyped")]) == 2
    assert "no store there" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_regime_travels(file: Path) -> None:
    """A file says how its runs trained as the report that it was made from did; an older one says nothing of it."""
    today = judge_evidence(read_evidence(file), restated=True).document.regime
    assert {row.protocol for row in today} == {"published", "corrected"}
    assert judge_evidence(read_evidence(file)).document.regime == today
    changed(file, lambda content: content.pop("regime"))
    assert judge_evidence(read_evidence(file)).document.regime == ()


def test_the_file_is_text_for_people_and_git(file: Path) -> None:
    """One run or measurement a line; what they share stands there once; no place of this machine is named."""
    text = file.read_text()
    lines = text.splitlines()
    runs, measurements = (len(getattr(read_evidence(file), name)) for name in ("runs", "measurements"))
    assert sum('"curves"' in line for line in lines) == runs > 10
    assert sum('"identity"' in line and '"value"' in line for line in lines) == measurements > 10
    assert sum('"measured"' in line for line in lines) == len(judged(file))
    # Runs without weights need no code that reads them: a list of code for each kind of run, not for each run.
    assert 1 <= text.count('"class Trainer"') < 5
    assert str(file.parent) not in text
    made = read_evidence(file).made
    assert made.command == "dtclaims evidence sample.json --claims dtclaims/tests/support/sample_claims"
    assert made.commit is None or re.fullmatch("[0-9a-f]{40}", made.commit)


def test_runs_are_read_with_everything_about_them(file: Path) -> None:
    """A run has its specification, curves, diagnostics, cost and provenance."""
    run = next(run for run in read_evidence(file).runs if run.spec["seed"] == 2 and run.spec["arm"] == "random_init")
    assert run.curves["return_mean"] == [52.0] * run.spec["epochs"]
    assert (run.seconds, dict(run.diagnostics)) == (1.0, {"fresh_return": 52.0, "fresh_return_last": 52.0})
    assert run.provenance == {"device": "cpu", "data": {"hopper": {"sha256": "made up"}}}
    assert run.identity["code"]["class Trainer"]


def test_a_file_is_judged_without_torch_store_data_and_backbones(file: Path, tmp_path: Path) -> None:
    """In a process that cannot import torch, with an empty home; nothing is written but the report."""
    home, out = tmp_path / "empty", tmp_path / "out"
    words = [*map(str, ("judge", file, "--report", out))]
    code = "import sys; sys.modules['torch'] = None; from dtclaims.harness.commands.main import main; "
    code += f"sys.exit(main({words}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env={**os.environ, "DTCLAIMS_HOME": str(home)},
    )
    assert done.returncode == 0, done.stderr
    # Lines are as wide as a terminal, whatever the path.
    assert "sample.json: scale mini, published and corrected, hopper, seeds 0-2" in " ".join(done.stdout.split())
    assert "REPRODUCED" in done.stdout
    assert not home.exists()
    document = read(out / "report.json")
    assert document.provenance.store == "sample.json"
    assert document.provenance.scale_reason.startswith("evidence of ")


def test_nothing_is_looked_for(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither data nor backbones are searched: today's claims are planned on a file where there are none."""

    def refuse(*_: Any) -> Any:
        raise AssertionError("looked for")

    expected = judged(file, restated=True)
    monkeypatch.setattr(laboratory, "find_data", refuse)
    monkeypatch.setattr(laboratory, "find_backbone", refuse)
    assert judged(file, restated=True) == expected


def gpu_store(tmp_path: Path) -> Study:
    """What a machine with a GPU left."""
    options = {"scale": "small", "task": "hopper", "protocol": "published", "device": "cuda"}
    settings = settings_of({"store": str(tmp_path / "store"), **options}, stored=True)
    made = Study(cells_of(CLAIMS.values(), settings), settings)
    fill_store(made.plan, made.store, RETURNS, value_of)
    return Study(made.cells, settings)


def test_results_of_a_gpu_are_judged_without_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`judge` and `evidence` take stored results of small scale for a GPU's; the file is judged anywhere."""
    expected = entries(gpu_store(tmp_path))
    assert expected["SAMPLE-fails", "published"].verdict == "reproduced"
    scale = ("--scale", "small", "--task", "hopper", "--protocol", "published")
    assert main(["judge", *SAMPLE, "--store", str(tmp_path / "store"), *scale]) == 0
    assert re.search(r"SAMPLE-fails +published +REPRODUCED", capsys.readouterr().out)
    file = export(tmp_path, *scale, "--device", "cuda")
    assert (read_evidence(file).study.device, read_evidence(file).study.precision) == ("cuda", "bfloat16")
    assert judged(file) == expected


def other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "code_of", lambda *_, **__: Code({"function update": "changed"}))
    monkeypatch.setattr(planner, "versions", lambda *_: {"torch": "99"})


def test_evidence_outlives_the_code(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under other code and libraries a store's results no longer count, those of a file do."""
    before, from_store = judged(file), entries(filled(tmp_path))
    other_code(monkeypatch)
    assert judged(file) == judged(file, restated=True) == before
    assert from_store["SAMPLE-fails", "published"].verdict == "reproduced"
    assert entries(study(tmp_path))["SAMPLE-fails", "published"].verdict == "not_run"


def test_results_of_older_code_are_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a store has them only, with a word on what they differ in."""
    expected = entries(filled(tmp_path))
    other_code(monkeypatch)
    file = export(tmp_path)
    assert judged(file) == expected
    said = capsys.readouterr().out
    differ = r"\d+ of \d+ runs, which differ in code\.class Arm, .* and \d+ more"
    made = f"^taken as they were made: {differ} from what would be made here and now$"
    assert re.search(made, said, re.MULTILINE)
    assert "values of attention_gap, which differ in code." in said


def test_cleaning_a_store_takes_no_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`store gc` keeps results of other code and libraries, imported ones among them; --results says what it takes."""
    expected = entries(filled(tmp_path))
    other_code(monkeypatch)
    assert main(["store", "export", str(tmp_path / "x.tar"), "--store", str(tmp_path / "store")]) == 0
    where = tmp_path / "imported"
    assert main(["store", "import", str(tmp_path / "x.tar"), "--store", str(where)]) == 0
    clean = ["store", "gc", *SAMPLE, "--store", str(where), "--yes"]
    assert main(clean) == 0
    assert judged(export(tmp_path, store=where)) == expected
    capsys.readouterr()
    assert main([*clean, "--results"]) == 0
    assert re.search(r"^\d+ runs, \d+ measurements, .* of these are results: ", capsys.readouterr().out, re.M)
    assert main(["evidence", str(tmp_path / "late.json"), *SAMPLE, "--store", str(where)]) == 2
    assert "the store has nothing of this study" in capsys.readouterr().err


def test_one_version_is_taken_and_the_other_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two versions of some runs the file has the one with more of them, of equal ones the present code's."""
    present = filled(tmp_path, seeds="3")
    with monkeypatch.context() as changes:
        other_code(changes)
        older = filled(tmp_path, seeds="5")
        capsys.readouterr()
    keys = {run.key for run in read_evidence(export(tmp_path, "--seeds", "3")).runs}
    assert keys == set(present.plan.runs)
    said = capsys.readouterr().out
    assert re.search(r"left out: \d+ runs of another version, which differ in code\.class Arm, ", said)
    keys = {run.key for run in read_evidence(export(tmp_path, "--seeds", "5", name="five.json")).runs}
    assert keys == set(older.plan.runs)


def test_data_and_backbones_may_be_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Results on data and backbones that are not here are exported, with a word on which they are taken to be."""
    expected = entries(filled(tmp_path))
    for name in ("find_data", "find_backbone"):
        monkeypatch.setattr(laboratory, name, lambda *_, **__: Unavailable("not here", "Go there."))
    assert judged(export(tmp_path)) == expected
    said = capsys.readouterr().out
    assert re.search("the language backbone, not at hand here, is taken to be [0-9a-f]{12}, of ", said)
    assert re.search(
        r"the data of hopper, not at hand here, is taken to be collected, of (\d+) of \1 stored runs", said
    )


def test_what_is_said_of_the_weights_travels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """How checkpoints were made is told by who has them; the file keeps it for those who have not."""
    filled(tmp_path)
    told = "language-mini@1 and language-mini@2 differ in more than their seed: corpus."
    monkeypatch.setattr(laboratory.Session, "_unlike_recipes", lambda self: [] if self._only_recorded else [told])
    file = export(tmp_path)
    monkeypatch.undo()
    assert told in judge_evidence(read_evidence(file)).document.provenance.label
    assert "differ in more" not in judge_evidence(read_evidence(file), restated=True).document.provenance.label


def test_a_tie_between_what_is_elsewhere_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where as many stored runs had other data or another checkpoint, one is taken, and the other is named with what
    sets it apart and how to choose."""
    one = filled(tmp_path)
    for key, planned in list(one.plan.runs.items()):
        how = planned.identity["how"]
        backbones = {source: {**found, "sha256": "f" * 64} for source, found in how["backbones"].items()}
        other = {**planned.identity, "how": {**how, "backbones": backbones, "data": {**how["data"], "seed": 7}}}
        found = one.store.find(key)
        assert found is not None
        store_run(one.store, other, dict(found.result))
    for name in ("find_data", "find_backbone"):
        monkeypatch.setattr(laboratory, name, lambda *_, **__: Unavailable("not here", "Go there."))
    export(tmp_path)
    said = capsys.readouterr().out
    assert re.search(
        r"the data of hopper, not at hand here, is taken to be collected, of (\d+) of \d+ stored runs; as many are of "
        r"another collected, which differs in seed: to choose, name the set with --data\n",
        said,
    )
    place = home() / "backbones" / "language-mini"
    assert re.search(
        r"the language backbone, not at hand here, is taken to be [0-9a-f]{12}, of (\d+) of \d+ stored runs; as many "
        rf"are of [0-9a-f]{{12}}: to choose, put the one that is meant into {re.escape(str(place))}\n",
        said,
    )
    assert "f" * 12 in said


def test_a_scale_may_move_on(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are found under the budget they had, whatever the scale's is now."""
    before = judged(file)
    mini = SCALES["mini"]
    monkeypatch.setitem(SCALES, "mini", replace(mini, budget=replace(mini.budget, batch_size=99)))
    assert judged(file) == judged(file, restated=True) == before


def test_looks_travel(tmp_path: Path) -> None:
    """Seeds that were added after a look are judged at half of alpha from the file, too; making a file is a look."""
    options = {"protocol": "published"}
    filled(tmp_path, seeds="3", **options)
    export(tmp_path, "--seeds", "3", "--protocol", "published", name="first.json")
    filled(tmp_path, seeds="5", **options)
    file = export(tmp_path, "--seeds", "5", "--protocol", "published")
    entry = judged(file)["SAMPLE-fails", "published"]
    assert entry.statistics.looks == 2
    assert judged(file)["SAMPLE-fails", "published"] == entry


def test_what_is_missing_is_not_run(tmp_path: Path) -> None:
    """Runs that the store lacks are left out of the file; claims that rest on them say so, others are judged."""
    one = study(tmp_path, ["SAMPLE-fails"])
    fill_store(one.plan, one.store, RETURNS)
    found = judged(export(tmp_path))
    assert found["SAMPLE-fails", "published"].verdict == "reproduced"
    assert found["SAMPLE-ratio", "published"].verdict == "not_run"
    assert "evidence" in found["SAMPLE-ratio", "published"].reason


def test_a_claim_that_changed_finds_nothing(file: Path, tmp_path: Path) -> None:
    """A claim that needs something else now is not run and says why; one that is gone is named; others are judged."""
    folder = tmp_path / "claims"
    folder.mkdir()
    text = (SAMPLE_CLAIMS / "test_sample.py").read_text()
    text = text.replace('Need("score", arm="random_init", context=1)', 'Need("score", arm="random_init", context=7)')
    (folder / "test_sample.py").write_text(text.replace('"SAMPLE-corrected-only"', '"SAMPLE-renamed"'))
    (folder / "paper.json").write_bytes((SAMPLE_CLAIMS / "paper.json").read_bytes())
    found = judge_evidence(read_evidence(file), claims=folder)
    today = {(entry.id, entry.protocol): entry for entry in found.document.claims}
    assert today["SAMPLE-fails", "published"].verdict == "not_run"
    assert "needs changed since" in today["SAMPLE-fails", "published"].reason
    assert today["SAMPLE-everywhere", "published"].verdict == "reproduced"
    assert found.undeclared == ["SAMPLE-corrected-only"]
    assert "no longer declared: SAMPLE-corrected-only" in found.header()[-1]
    assert found.differing == ["SAMPLE-fails"]
    assert re.search(r"declared otherwise on \d{4}-\d\d-\d\d: SAMPLE-fails$", found.header()[-2])
    frozen = judged(file)
    assert frozen["SAMPLE-fails", "published"].verdict == "reproduced"
    assert ("SAMPLE-corrected-only", "corrected") in frozen


def test_runs_of_different_provenance_are_not_pooled(tmp_path: Path) -> None:
    """Two devices under one claim are an error from the file as from the store."""
    one = filled(tmp_path)
    folder = one.store.root / "runs" / next(key for key, run in one.plan.runs.items() if run.job.what["context"] == 1)
    result = json.loads((folder / "result.json").read_text())
    result["provenance"]["shared"]["device"] = "another"
    manifest = json.loads((folder / "manifest.json").read_text())
    write_json(folder / "result.json", result)
    write_json(folder / "manifest.json", {**manifest, "result.json": describe_file(folder / "result.json")})
    found = judged(export(tmp_path))
    entry = found["SAMPLE-fails", one.cells[0].protocol.name]
    assert entry.verdict == "error"
    assert "device is " in entry.reason


def test_an_experiments_values_travel(tmp_path: Path) -> None:
    """Claims on experiments are judged from a file as from a store, with what the values depend on."""
    toy = ROOT / "dtclaims" / "examples" / "toy_paper"
    settings = make_settings({"store": str(tmp_path / "store")}, load_lab(toy))
    made = Study(cells_of(load_claims(toy).values(), settings), settings)
    fill_store(made.plan, made.store, {}, 1.0)
    expected = entries(made)
    out = tmp_path / "toy.json"
    assert main(["evidence", str(out), "--claims", str(toy), "--store", str(tmp_path / "store")]) == 0
    assert judged(out) == judged(out, restated=True) == expected
    assert all(entry.provenance["versions"] for entry in expected.values() if entry.decided)


# --- files from outside -------------------------------------------------------------------------------------------


def _twice(content: dict[str, Any]) -> None:
    again = {**content["runs"][0]}
    content["runs"].append(again)


def _two_versions(content: dict[str, Any]) -> None:
    """A second value of one measurement, by other code: the same name cannot stand for both, so its key is wrong."""
    again = json.loads(json.dumps(content["measurements"][0]))
    again["key"] = "0" * 20
    content["measurements"].append(again)


def _renamed(content: dict[str, Any]) -> None:
    """A study of one claim, under another name."""
    content["study"]["claims"] = ["SAMPLE-nope"]
    for line in (*content["claims"], *content["cells"]):
        line.update({name: "SAMPLE-nope" for name in ("id", "claim") if line.get(name) == "SAMPLE-corrected-only"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(schema=4), "of a version that this dtclaims does not know"),
        (lambda c: c.update(schema=True), "of a version that this dtclaims does not know"),
        (lambda c: c.update(kind="something"), "is no evidence"),
        (lambda c: c.update(more=1), "more is no field"),
        (lambda c: c.pop("runs"), "runs is missing"),
        (lambda c: c["runs"][0].update(seconds="1"), r"runs\[0\]\.seconds is of another type"),
        (lambda c: c["runs"][0]["curves"].update(x=[None]), "is of another type"),
        (lambda c: c["runs"][0]["parts"]["what"].update(arm="mlp"), r"runs\[0\] does not hold what its key says"),
        (lambda c: c["runs"][0]["parts"].update(colour="red"), "colour is no field"),
        (lambda c: c["runs"][0].pop("parts"), r"runs\[0\] has a specification and parts, or neither"),
        (lambda c: c["runs"][0].update(inputs=99), r"refers to inputs\[99\]"),
        (lambda c: c["codes"][0].update({"function update": "0"}), "does not hold what its key says"),
        (lambda c: c["codes"].clear(), r"runs\[0\] refers to codes\[0\], which is not there"),
        (_two_versions, "does not hold what its key says"),
        (_twice, r"runs\[\d+\] is there a second time"),
        (lambda c: c["study"].update(scale="huge"), "study.scale is not the scale whose table is there"),
        (lambda c: c["study"].update(seeds=[]), "study.seeds is empty"),
        (lambda c: c["study"].update(seeds=[1, 1]), "study.seeds is empty or names something twice"),
        (lambda c: c["study"].update(seeds=list(range(5000))), "too many seeds"),
        (lambda c: c["study"].update(factors=["colour"]), "--factor names no switch"),
        (lambda c: c["study"].update(claims=["SAMPLE-nope"]), "a claim of the study has no cell"),
        (_renamed, "no claim of .* is declared here"),
        (lambda c: c["study"].update(folder="/etc"), "not in the checkout"),
        (lambda c: c["study"].update(folder="../claims"), "not in the checkout"),
        (lambda c: c["study"].update(folder="nowhere"), "are not here: got nowhere.*--claims DIR"),
    ],
)
def test_a_file_that_breaks_the_form_is_refused(file: Path, change: Any, message: str) -> None:
    """One typed error that names the place, before anything is judged by today's claims."""
    with pytest.raises((StoreError, UsageError), match=message):
        judged(changed(file, change), restated=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "damaged: no JSON"),
        ("[]", "is no evidence"),
        ('{"kind": "dtclaims-evidence", "schema": 1, "runs": NaN}', "NaN is not JSON"),
        ("[" * 100_000, "damaged: no JSON"),
    ],
)
def test_what_is_no_evidence_is_refused(tmp_path: Path, content: str, message: str) -> None:
    """Empty, of another shape, not finite, nested without end; and a file that is not there, or a folder."""
    path = tmp_path / "evidence.json"
    path.write_text(content)
    with pytest.raises(StoreError, match=message):
        read_evidence(path)
    for place in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(UsageError, match="cannot read"):
            read_evidence(place)


def test_a_header_cannot_move_the_cursor(file: Path) -> None:
    """What a file says of itself is printed without control characters."""

    def spoil(content: dict[str, Any]) -> None:
        content["made"]["command"] = "dtclaims \x1b[2J\nevidence"

    found = judge_evidence(read_evidence(changed(file, spoil)))
    assert "`dtclaims ?[2J evidence`" in found.header()[2]
    assert all(line.isprintable() for line in found.header())


def test_a_huge_file_is_not_read(file: Path) -> None:
    """A file far larger than any evidence is refused by its size."""
    with file.open("ab") as end:
        end.truncate(65 * 2**20)
    with pytest.raises(StoreError, match="at most 67108864"):
        read_evidence(file)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    folder = tmp_path_factory.mktemp("sound")
    one = study(folder, ["SAMPLE-fails"], protocol="published")
    fill_store(one.plan, one.store, RETURNS)
    with contextlib.redirect_stdout(io.StringIO()):
        content = export(folder, "--claim", "SAMPLE-fails", "--protocol", "published").read_bytes()
    return folder / "damaged.json", content


@hypothesis_settings(max_examples=40)
@given(data=st.data())
def test_damage_is_an_error_or_harmless(sound: tuple[Path, bytes], data: st.DataObject) -> None:
    """A cut or altered file is refused in a typed error, or judged either way: nothing else happens."""
    path, content = sound
    path.write_bytes(damaged(data, content))
    with contextlib.suppress(DtclaimsError):
        document = judge_evidence(read_evidence(path), restated=data.draw(st.booleans())).document
        assert [entry.id for entry in document.claims] == ["SAMPLE-fails"]


# --- commands -------------------------------------------------------------------------------------------------------


def test_a_store_with_nothing_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to export is an error that names what may be wrong; no file appears."""
    out = tmp_path / "out.json"
    Store(tmp_path / "store")
    assert main(["evidence", str(out), *SAMPLE, "--store", str(tmp_path / "store")]) == 2
    assert "the store has nothing of this study" in capsys.readouterr().err
    assert not out.exists()


def test_digits_are_dropped_only_where_that_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers have nine digits; where a verdict would change they are written as they were stored."""
    one = study(tmp_path)
    fill_store(one.plan, one.store, {name: value + 1 / 3 for name, value in RETURNS.items()}, value_of)

    def first_return(path: Path) -> float:
        return next(run for run in read_evidence(path).runs if run.spec["arm"] == "random_init").curves["return_mean"][
            0
        ]

    assert first_return(export(tmp_path)) in (50.3333333, 51.3333333, 52.3333333)
    coarse = rounded({"runs": [], "measurements": [{"value": [1.26, {"a": 31.4}, "text", 7]}]}, 1)
    assert coarse["measurements"] == [{"value": [1.0, {"a": 30.0}, "text", 7]}]
    monkeypatch.setattr("dtclaims.harness.evidence.export.rounded", lambda content: rounded(content, 1))
    assert first_return(export(tmp_path)) % 1 == pytest.approx(1 / 3, rel=1e-12)


ONE = report_example.component()


@pytest.mark.parametrize(
    "change",
    [{"verdict": "refuted"}, {"effect": replace(ONE.effect, mean=65.2)}, {"components": {}}],
)
def test_entries_that_differ_are_told_apart(change: dict[str, Any]) -> None:
    """Another verdict, an effect beyond rounding or other components are not the same result; rounding is."""
    entry = report_example.entry("one")
    whole = replace(entry, verdict="reproduced", effect=ONE.effect, components={"one": ONE})
    near = replace(ONE, effect=replace(ONE.effect, mean=65.1 + 1e-8))
    assert same_verdicts([whole], [replace(whole, effect=near.effect, components={"one": near})])
    assert not same_verdicts([whole], [replace(whole, **change)])
    assert not same_verdicts([whole], [])


def test_judge_takes_no_choice_that_a_file_has_made(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Options of the study are refused beside files, by name; a claim may be picked, if the file is about it."""
    assert main(["judge", str(file), "--scale", "mini", "--seeds", "5"]) == 2
    assert "--scale, --seeds" in capsys.readouterr().err
    assert main(["judge", str(file), "--claim", "SAMPLE-fails"]) == 0
    said = capsys.readouterr().out
    assert "SAMPLE-fails" in said
    assert "SAMPLE-ratio" not in said
    assert main(["judge", str(file), "--claim", "S4-nope"]) == 2
    assert "is not about these claims" in capsys.readouterr().err


def test_several_files_are_judged_one_after_the_other(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its own header and, where a report is asked for, its own folder; equal names are refused."""
    other = file.with_name("other.json")
    other.write_bytes(file.read_bytes())
    out = file.parent / "out"
    assert main(["judge", str(file), str(other), "--report", str(out)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.index("sample.json: scale") < said.index("other.json: scale")
    for name in ("sample", "other"):
        assert sorted(path.name for path in (out / name).iterdir()) == ["report.html", "report.json", "report.md"]
    assert main(["judge", str(file), str(file), "--report", str(out)]) == 2
    assert "one folder" in capsys.readouterr().err


def test_the_matrix_for_a_page(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row per claim that was run, headline claims in bold, a column per protocol, the others counted."""
    assert main(["judge", str(file), "--format", "markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("<b>sample.json: mini scale, hopper, seeds 0–2, ")
    assert "| Claim | published | corrected |" in lines
    rows = {line.split(" | ")[0].strip("| "): line for line in lines if line.startswith("| ")}
    said = "✓ reproduced (provisional): 0.933 [0.885, 0.982] lies below 10 (our threshold)"
    assert said in html.unescape(rows["<b>SAMPLE-fails</b>"])
    assert rows["SAMPLE-corrected-only"].split(" | ")[1] == "–"
    assert "SAMPLE-tasks" not in rows
    assert lines[-1] == "- not run under either protocol: 1 claim."


def test_a_folder_stands_for_the_files_in_it(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`dtclaims judge FOLDER` is `dtclaims judge FOLDER/*.json`, packed files included; one without any is refused."""
    (folder := tmp_path / "study").mkdir()
    assert main(["judge", str(folder)]) == 2
    assert "no file of evidence in this folder" in capsys.readouterr().err
    shutil.copy(file, folder / "one.json")
    (folder / "two.json.gz").write_bytes(gzip.compress(file.read_bytes()))
    (folder / "README.md").write_text("no evidence")
    assert main(["judge", str(folder / "one.json"), str(folder / "two.json.gz")]) == 0
    both = capsys.readouterr().out
    assert main(["judge", str(folder)]) == 0
    assert capsys.readouterr().out == both


def test_of_a_folder_only_what_is_about_the_claims_is_judged(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With `--claim` files about other claims are passed over, before anything is written; all of them is refused."""
    (folder := tmp_path / "study").mkdir()
    shutil.copy(ROOT / "claims" / "evidence" / "k1-random-init.json", folder / "a.json")
    shutil.copy(file, folder / "b.json")
    assert main(["judge", str(folder), "--claim", "SAMPLE-fails", "--report", str(tmp_path / "out")]) == 0
    out = capsys.readouterr().out
    assert "SAMPLE-fails" in out
    assert "a.json" not in out
    assert (tmp_path / "out" / "report.json").is_file()
    assert main(["judge", str(folder), "--claim", "NO-SUCH"]) == 2
    assert "is not about these claims" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("mode", [0o000, 0o644])
def test_a_folder_that_may_not_be_read_is_not_empty(
    file: Path, tmp_path: Path, mode: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not to be listed or not to be searched: one error, and none that says there is nothing."""
    (folder := tmp_path / "study").mkdir()
    shutil.copy(file, folder)
    folder.chmod(mode)
    try:
        assert main(["judge", str(folder)]) == 2
        assert "may not be read" in capsys.readouterr().err
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize(("listed", "searched"), [(False, False), (True, False)])
def test_permissions_of_a_folder_are_told(
    file: Path,
    tmp_path: Path,
    listed: bool,
    searched: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The same where tests run as root, with what the system would say."""
    (folder := tmp_path / "study").mkdir()
    shutil.copy(file, folder)

    def refused(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    if not listed:
        monkeypatch.setattr(Path, "iterdir", refused)
    monkeypatch.setattr(os, "access", lambda path, mode: searched)
    assert main(["judge", str(folder)]) == 2
    assert "may not be read" in capsys.readouterr().err


def test_a_store_is_judged_into_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`dtclaims judge --report DIR` writes one of a store as of a file, and none if it is not asked for."""
    filled(tmp_path)
    words = ["judge", *SAMPLE, "--store", str(tmp_path / "store")]
    assert main([*words, "--report", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "report.json").is_file()
    assert str(tmp_path / "out") in capsys.readouterr().out


def test_the_recorded_command_names_the_claims(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a file of some claims only, so that the command makes this file again."""
    filled(tmp_path)
    out = export(tmp_path, "--claim", "SAMPLE-fails")
    assert "--claim SAMPLE-fails" in read_evidence(out).made.command
    assert "--claim " not in read_evidence(export(tmp_path, name="all.json")).made.command


def test_a_packed_file_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`OUT.json.gz` is smaller, the same bytes for the same results, judged and reported under its name."""
    filled(tmp_path)
    plain, packed = export(tmp_path), export(tmp_path, name="sample.json.gz")
    assert packed.stat().st_size < plain.stat().st_size / 3
    assert judged(packed).keys() == judged(plain).keys()
    assert [one.verdict for one in judged(packed).values()] == [one.verdict for one in judged(plain).values()]
    assert files_in(tmp_path) == [plain, packed]
    assert {name_of(plain), name_of(packed)} == {"sample"}
    capsys.readouterr()
    assert main(["judge", str(packed), "--report", str(tmp_path / "out")]) == 0
    assert "sample.json.gz: scale mini" in " ".join(capsys.readouterr().out.split())
    content = read_content(packed)
    write_evidence(content, tmp_path / "again.json.gz")
    assert (tmp_path / "again.json.gz").read_bytes() == packed.read_bytes()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda raw: raw[:-9], "not the one packed text"),
        (lambda raw: raw + b"more", "not the one packed text"),
        (lambda raw: raw[:40] + bytes([raw[40] ^ 255]) + raw[41:], "is damaged"),
        (lambda raw: gzip.compress(b" " * (LARGEST + 1)), "too large"),
        (lambda raw: gzip.compress(b"[" * 100_000), "no JSON"),
    ],
)
def test_a_packed_file_is_unpacked_with_care(tmp_path: Path, spoil: Callable[[bytes], bytes], said: str) -> None:
    """Cut off, with more behind it, changed, or a small file of far too much: one error, and no more is unpacked."""
    filled(tmp_path)
    packed = export(tmp_path, name="sample.json.gz")
    packed.write_bytes(spoil(packed.read_bytes()))
    with pytest.raises(StoreError, match=said):
        read_evidence(packed)


# --- what is committed ------------------------------------------------------------------------------------------------


def test_the_matrix_shows_what_the_evidence_says() -> None:
    """The page is, to the letter, what the committed evidence is judged to say (`support/matrix.py` writes it again).

    Every committed file names its commit, holds no error and stays below 4 MB: five seeds of all claims on three tasks,
    both protocols, would be 4.7 in one packed file.
    """
    page = matrix.PAGE.read_text(encoding="utf-8")
    assert matrix.written(page) == page
    assert EVIDENCE
    for path in EVIDENCE:
        assert read_evidence(path).made.commit, path.name
        assert path.stat().st_size < 4_000_000, path.name
        assert "error" not in {entry.verdict for entry in judged(path).values()}, path.name


def test_the_readme_counts_what_the_evidence_says() -> None:
    """README's sentence on the verdicts at `small` has the numbers of the files that are committed."""
    said = []
    for protocol in ("published", "corrected"):
        entries = judged(ROOT / "claims" / "evidence" / f"small-seeds-5-9-{protocol}.json.gz")
        assert len(entries) == len(load_claims())
        said.append(counted(entries, protocol))
    first, second = said
    expected = f"Published: {first[0]} reproduced, {first[1]} refuted, {first[2]} inconclusive, "
    expected += f"{first[3]} not evaluable; corrected: {second[0]}, {second[1]}, {second[2]} and {second[3]}."
    assert expected in " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    older = {id for id, _ in judged(ROOT / "claims" / "evidence" / "hopper-small.json")}
    text = (ROOT / "claims" / "evidence" / "README.md").read_text(encoding="utf-8")
    assert f"{len(older)} of today's {len(load_claims())} claims, those that were declared then" in text


def counted(entries: Mapping[tuple[str, str], Entry], protocol: str) -> list[int]:
    """How often each verdict was given under a protocol."""
    verdicts = [one.verdict for one in entries.values() if one.protocol == protocol]
    return [verdicts.count(one) for one in ("reproduced", "refuted", "inconclusive", "not_evaluable")]
