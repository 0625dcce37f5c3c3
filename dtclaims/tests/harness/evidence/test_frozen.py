"""What a file of evidence says for ever: verdicts by the declarations, effects and rule that it holds."""

import hashlib
import json
import math
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import Damaged, StoreError, UsageError
from dtclaims.harness.commands.main import main
from dtclaims.harness.evidence import Judged, judge_evidence, judge_frozen, load, read_evidence, write_evidence
from dtclaims.harness.evidence.file import with_digests
from dtclaims.harness.evidence.form import RESULTS_ONLY, SCHEMAS
from dtclaims.harness.judge.entries import Entry
from dtclaims.places import ROOT

FOLDER = ROOT / "claims" / "evidence"
HOPPER, K1 = FOLDER / "hopper-small.json", FOLDER / "k1-random-init.json"
TOLD = json.loads((Path(__file__).parent / "verdicts.json").read_text(encoding="utf-8"))
"""By file what was judged before its claims were frozen, when their functions were called on the recorded results."""


def told(entry: Entry) -> dict[str, Any]:
    """An entry in the form of `verdicts.json`: what is empty is left out (zero is not), long texts are a digest."""
    whole, effect = entry.to_json(), entry.effect
    rest = ("section", "headline", "quote", "scope", "paper_value", "deviations", "switches", "measured")
    rest += ("remedy", "provenance", "diagnostics")
    texts = {name: whole.get(name) for name in rest}
    trend = entry.trend
    texts["predicate"] = {"kind": trend.kind, "threshold": trend.bound, "null": trend.null, "text": trend.text}
    texts |= {"runs": [run.key for run in entry.runs], "effect": [effect.name, effect.unit]}
    row = {
        "id": entry.id,
        "protocol": entry.protocol,
        "verdict": entry.verdict,
        "n": entry.n,
        "provisional": entry.provisional,
        "mean": effect.mean,
        "low": effect.low,
        "high": effect.high,
        "p_value": entry.p_value,
        "holm": entry.holm,
        "per_seed": list(effect.per_seed.values()),
        "statistics": list(whole["statistics"].values()) if whole["statistics"] else None,
        "components": {
            name: [one.verdict, one.effect.mean, one.effect.low, one.effect.high, one.statistics.p_value]
            for name, one in entry.components.items()
            if one.statistics is not None
        },
        "parts": {part.id: part.verdict for part in entry.parts},
        "reason": entry.reason,
        "rest": digest(texts),
    }
    return {name: value for name, value in row.items() if value is not False and value not in (None, [], {})}


def digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("file", [HOPPER, K1], ids=lambda file: file.stem)
def test_published_verdicts_are_the_old_ones(file: Path) -> None:
    """Every entry says what it said before: verdict, reason, effects, intervals, p, parts, runs, provenance.

    Numbers to twelve digits: the last ones of t's quantiles are another release's of scipy.
    This holds edition 1 of the rule: whoever makes it fail has edited the old rule, and is to write a new one instead.
    """
    found = [told(entry) for entry in judge_frozen(read_evidence(file)).document.claims]
    assert len(found) == {"hopper-small": 238, "k1-random-init": 14}[file.stem]
    for ours, theirs in zip(found, TOLD[file.stem], strict=True):
        assert same(ours, theirs), (ours, theirs)


def same(ours: Any, theirs: Any) -> bool:
    """Equal, floats but for what lies beyond their twelfth digit."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(value, theirs[name]) for name, value in ours.items())
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-12, abs_tol=1e-12)
    return bool(ours == theirs)


GUARD = """
import importlib.abc, sys
HEAVY = {"torch", "gymnasium", "mujoco", "h5py", "transformers", "safetensors", "tokenizers", "PIL", "pandas"}
class Guard(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HEAVY or (name + ".").startswith("dtclaims.lab."):
            raise ImportError(f"{name} is not needed to judge a file")
sys.meta_path.insert(0, Guard())
from dtclaims.harness.commands.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_file_is_judged_and_drawn_without_lab_claims_and_libraries(tmp_path: Path) -> None:
    """In an empty folder, where neither this paper's lab nor anything heavy can be imported; a file names no code."""
    file = changed(tmp_path, K1, lambda content: content["study"].update(folder="/nowhere"))
    empty = tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", GUARD, "judge", str(file), "--report", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=empty,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "judged as declared on 2026-11-27, rule 1" in done.stdout
    said = " ".join(done.stdout.split())
    assert "published (full): 14 of 14 claims: 5 reproduced, 2 refuted, 3 inconclusive, 4 not run" in said
    assert not list(empty.iterdir())
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "K1-untied-head-rescues" in page


def test_a_report_has_the_figures_that_were_drawn_then() -> None:
    """Of the whole study, beside the paper's values; of some claims only there are none."""
    evidence = read_evidence(HOPPER)
    whole = judge_evidence(evidence).document
    assert {"fig1", "fig8", "fig10"} <= set(whole.figures)
    assert set(whole.tables) >= {"table1"}
    some = judge_evidence(evidence, only=["S4-sanity-prior"]).document
    assert {entry.id for entry in some.claims} == {"S4-sanity-prior"}
    assert not some.figures
    with pytest.raises(UsageError, match="is not about these claims"):
        judge_evidence(evidence, only=["S4-nope"])


def numbers(found: Judged) -> list[object]:
    """What is said of each claim, and on what effects."""
    return [(one.id, one.protocol, one.verdict, one.effect, one.statistics) for one in found.document.claims]


def test_todays_claims_are_judged_on_the_recorded_results() -> None:
    """As declared today, by today's rule: the effects of the recorded runs are the same, and what differs is named."""
    found = judge_evidence(read_evidence(K1), restated=True)
    before = {entry.id: entry for entry in judge_evidence(read_evidence(K1)).document.claims}
    for entry in found.document.claims:
        assert (entry.rule, before[entry.id].rule) == ("2", "1")
        assert entry.effect.per_seed == pytest.approx(before[entry.id].effect.per_seed)
    assert {entry.verdict for entry in found.document.claims} >= {"reproduced", "refuted", "not_run"}
    assert set(found.differing) == set(before)
    assert any("judged as declared today, by today's rule" in line for line in found.header())


# --- a study with many forms of claims ------------------------------------------------------------------------------


def changed(tmp_path: Path, file: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A file like another, with its content changed."""
    content = json.loads(file.read_text(encoding="utf-8"))
    change(content)
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(with_digests(content)), encoding="utf-8")
    return path


def cell(content: dict[str, Any], claim: str, protocol: str = "published") -> dict[str, Any]:
    """The line of a cell."""
    found: dict[str, Any] = next(
        line for line in content["cells"] if (line["claim"], line["protocol"]) == (claim, protocol)
    )
    return found


def effects(content: dict[str, Any], claim: str) -> dict[str, Any]:
    """The effects of a claim's first component, by seed."""
    found: dict[str, Any] = cell(content, claim)["components"][0]["effects"]
    return found


def test_a_verdict_is_computed(tmp_path: Path) -> None:
    """Nothing is copied: another effect, another threshold, another alpha or more looks are another verdict."""
    name = "K1-untied-head-rescues"

    def judged(change: Callable[[dict[str, Any]], object]) -> Entry:
        (entry,) = judge_evidence(read_evidence(changed(tmp_path, K1, change)), only=[name]).document.claims
        return entry

    before = judged(lambda _: None)
    assert before.verdict == "reproduced"
    turned = judged(lambda c: effects(c, name).update({seed: -value for seed, value in effects(c, name).items()}))
    assert turned.verdict == "refuted"
    assert turned.effect.mean == pytest.approx(-before.effect.mean)
    beyond = judged(lambda c: cell(c, name)["components"][0]["predicate"].update(value=before.effect.high + 1))
    assert beyond.verdict == "refuted"
    careful = judged(lambda c: cell(c, name).update(looks=2))
    assert careful.effect.low < before.effect.low
    strict = judged(lambda c: c["frozen"].update(alpha=0.01))
    assert strict.effect.low < careful.effect.low


def test_seeds_of_one_unit_are_judged_as_one(tmp_path: Path) -> None:
    """A file that says which seeds share a checkpoint has a verdict on these, with every seed's effect shown."""
    name, units = "K1-untied-head-rescues", {str(seed): f"language-paper@{seed % 3 + 1}" for seed in range(5)}
    evidence = read_evidence(changed(tmp_path, K1, lambda c: cell(c, name).update(units=units)))
    (entry,) = judge_evidence(evidence, only=[name]).document.claims
    assert (entry.n, entry.provisional, sorted(entry.effect.per_seed)) == (3, True, [0, 1, 2, 3, 4])
    of = entry.effect.per_seed
    means = [(of[0] + of[3]) / 2, (of[1] + of[4]) / 2, of[2]]
    assert entry.effect.mean == pytest.approx(sum(means) / 3)


def test_an_effect_that_is_no_number_is_an_error(tmp_path: Path) -> None:
    """It travels as text, and the claim it belongs to is an error with its seed."""
    name = "K1-untied-head-rescues"
    file = changed(tmp_path, K1, lambda c: effects(c, name).update({"3": "nan"}))
    evidence = read_evidence(file)
    assert math.isnan(evidence.frozen.cells[name, "published"].components[0].effects[3])
    (entry,) = judge_evidence(evidence, only=[name]).document.claims
    assert (entry.verdict, entry.effect.per_seed) == ("error", {})
    assert "the effect of seed 3 is nan" in entry.reason


def _twice(content: dict[str, Any]) -> None:
    content["cells"].append(json.loads(json.dumps(content["cells"][0])))


def _circle(content: dict[str, Any]) -> None:
    for line in content["cells"]:
        if line["claim"] == "S4-sanity-prior":
            line["parts"] = ["SUM-5.1"]
        if line["claim"] == "SUM-5.1":
            line["parts"] = [*line["parts"], "S4-sanity-prior"]


def _predicate(content: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = cell(content, "S4-sanity-prior")["components"][0]["predicate"]
    return found


NAME = "S4-sanity-prior"
BROKEN: list[tuple[Callable[[dict[str, Any]], object], str]] = [
    (
        lambda c: c["frozen"].update(rule="7"),
        r"does not know: got '7', expected one of 1, 2\. They were made by a newer",
    ),
    (lambda c: c["frozen"].update(alpha=0), r"frozen\.alpha is out of range"),
    (lambda c: c["frozen"].pop("scale"), r"frozen\.scale is missing"),
    (lambda c: c["frozen"]["paper"].pop("title"), r"title is missing"),
    (lambda c: c.pop("cells"), "cells is missing"),
    (lambda c: c["cells"].remove(cell(c, NAME)), "(is no cell|has no cell): got .*S4-sanity-prior"),
    (_twice, r"cells\[\d+\] is there a second time: got ABS-rep under published"),
    (lambda c: c["claims"].append(c["claims"][0]), r"claims\[\d+\] is there a second time"),
    (lambda c: cell(c, NAME).update(claim="S4-nope"), "is of a claim that is not there"),
    (lambda c: cell(c, NAME).update(colour="red"), "colour is no field"),
    (lambda c: cell(c, NAME).update(protocol="other"), "protocol is not of the form"),
    (lambda c: effects(c, NAME).pop("2"), r"effects is not on the seeds of the study: got 0, 1, 3, 4, expected 0–4"),
    (lambda c: effects(c, NAME).update({"7": 1.0}), r"effects is not on the seeds of the study: got 0–4, 7"),
    (lambda c: effects(c, NAME).update({"2": "many"}), r"effects\.2 is not of the form"),
    (lambda c: effects(c, NAME).update({"x": 1.0}), "is not of the form"),
    (lambda c: cell(c, NAME)["components"][0].pop("effects"), "effects is not on the seeds of the study: got none"),
    (lambda c: cell(c, NAME).update(components=[]), "an effect without components"),
    (lambda c: cell(c, NAME)["components"].append(cell(c, NAME)["components"][0]), "has a component twice"),
    (
        lambda c: _predicate(c).update(kind="near"),
        f"{NAME} under published cannot be judged: unknown predicate",
    ),
    (lambda c: _predicate(c).update(value="47"), r"predicate\.value is of another type"),
    (lambda c: cell(c, NAME).update(any_of=[["hopper"]]), "any_of names no components"),
    (lambda c: cell(c, NAME).update(looks=0), "looks is out of range"),
    (lambda c: cell(c, NAME).update(runs=[999]), r"refers to runs\[999\]"),
    (lambda c: cell(c, NAME).update(pooled=999), r"refers to pooled\[999\]"),
    (lambda c: cell(c, NAME).update(scope=99_999), r"refers to texts\[99999\]"),
    (
        lambda c: cell(c, NAME).update(factors=["head"]),
        r"has a variant that is no cell: got .* under published\+head",
    ),
    (lambda c: cell(c, NAME).update(units={"0": "a", "7": "a"}), "units is not on the seeds of the study: got 0, 7"),
    (lambda c: cell(c, NAME).update(tried=3), "sets of more switches than there are"),
    (lambda c: cell(c, NAME).update(parts=["S4-nope"]), "has a part that is no cell: got S4-nope under published"),
    (_circle, "a claim is made of itself: got S4-sanity-prior and SUM-5.1"),
    (lambda c: c["study"].update(scale="mini"), "study.scale is not the scale whose table is there: got small"),
    (lambda c: c["figures"]["fig1"]["panels"][0]["series"][0].update(style="loud"), "style is unknown"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN, ids=[message[:40] for _, message in BROKEN])
def test_a_file_whose_verdicts_cannot_follow_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    """One typed error that names the file and the place."""
    with pytest.raises(StoreError, match=message) as caught:
        judge_evidence(read_evidence(changed(tmp_path, HOPPER, change)))
    assert str(tmp_path / "changed.json") in str(caught.value)


# --- files without declarations ---------------------------------------------------------------------------------------


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file as dtclaims 0.1.0 wrote it: results, and no declarations."""
    content = json.loads(K1.read_text(encoding="utf-8"))
    known = SCHEMAS[RESULTS_ONLY]["properties"]
    path = tmp_path / "old.json"
    path.write_text(json.dumps({**{n: v for n, v in content.items() if n in known}, "schema": 1}), encoding="utf-8")
    return path


def test_a_file_without_declarations_is_judged_by_todays(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says the same, and its header says so and names the command that adds the declarations."""
    assert main(["judge", str(old)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "judged as declared today, by today's rule: the file holds no declarations (`dtclaims evidence" in said
    assert "5 reproduced, 2 refuted, 3 inconclusive, 4 not run" in said
    assert main(["judge", str(old), "--restated"]) == 0


def test_a_file_is_upgraded_beside_its_claims(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The new file says the same by itself, and its results are the old one's to the byte."""
    new = old.with_name("new.json")
    assert main(["evidence", str(new), "--upgrade", str(old)]) == 0
    assert "14 cells as declared today" in capsys.readouterr().out
    before, after = load(old), load(new)
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert {name: after[name] for name in before} == {**before, "schema": 3}
    today = judge_evidence(read_evidence(K1), restated=True)
    assert numbers(judge_frozen(read_evidence(new))) == numbers(today)
    with pytest.raises(UsageError, match="holds its declarations already: got schema 3"):
        raise_of(["evidence", str(new.with_name("again.json")), "--upgrade", str(new)], capsys)


def raise_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Run a command that fails, and raise what it said."""
    assert main(words) == 2
    raise UsageError(capsys.readouterr().err)


def test_an_upgrade_needs_the_claims_of_then(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where one of them is declared no more, no file is written, and the commit that had them is named."""
    content = json.loads(old.read_text(encoding="utf-8"))
    content["study"]["claims"].append("K1-gone")
    old.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UsageError, match=r"can be upgraded only beside the claims .*K1-gone.* commit deeeb655e20a"):
        raise_of(["evidence", str(tmp_path / "new.json"), "--upgrade", str(old)], capsys)
    with pytest.raises(UsageError, match="evidence is judged as it was recorded: got --seeds"):
        raise_of(["evidence", str(tmp_path / "new.json"), "--upgrade", str(old), "--seeds", "3"], capsys)
    assert not (tmp_path / "new.json").exists()


def test_a_file_without_digests_is_read_and_upgraded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Schema 2 says the same; the new file is the old one with checksums, declarations of then included."""
    content = json.loads(K1.read_text(encoding="utf-8"))
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    del content["digests"]
    old.write_text(json.dumps({**content, "schema": 2}), encoding="utf-8")
    assert numbers(judge_frozen(read_evidence(old))) == numbers(judge_frozen(read_evidence(K1)))
    assert main(["evidence", str(new), "--upgrade", str(old)]) == 0
    assert new.read_bytes() == K1.read_bytes()
    capsys.readouterr()


def _leaves(value: Any) -> Iterator[tuple[Any, Any]]:
    """Containers and places of every number in some JSON."""
    for place, one in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(one, dict | list):
            yield from _leaves(one)
        elif isinstance(one, int | float) and not isinstance(one, bool):
            yield value, place


def test_no_number_of_a_file_can_be_changed(tmp_path: Path) -> None:
    """Returns set to zero, curves cut to their first epoch, an effect a little larger: the place is named, and no
    verdict is given. 200 numbers drawn from all parts, and one of each part at least."""
    content = json.loads(K1.read_text(encoding="utf-8"))
    path, source = tmp_path / "changed.json", random.Random(0)
    every = {part: list(_leaves(value)) for part, value in content.items() if isinstance(value, dict | list)}
    chosen = [(part, source.choice(found)) for part, found in every.items() if found]
    chosen += [(part, one) for part, found in every.items() for one in source.sample(found, min(len(found), 20))]
    assert len(chosen) > 100
    for part, (held, place) in chosen:
        before = held[place]
        # Within what the form allows, whatever it is.
        held[place] = before + 1 if isinstance(before, int) else before * 0.999 + 1e-6
        path.write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(Damaged, match=part):
            read_evidence(path)
        held[place] = before
    curves = content["runs"][0]["curves"]
    content["runs"][0]["curves"] = {name: values[:1] for name, values in curves.items()}
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(Damaged, match=r"runs\[0\] is not as it was written"):
        read_evidence(path)


def test_restated_is_for_files(capsys: pytest.CaptureFixture[str]) -> None:
    """A store has no recorded declarations: the option beside none is refused."""
    with pytest.raises(UsageError, match="--restated is for files of evidence"):
        raise_of(["judge", "--restated"], capsys)


def test_what_is_read_is_written_back(tmp_path: Path) -> None:
    """A published file is what `write_evidence` makes of its content, to the byte; nothing unsound is written."""
    path = tmp_path / HOPPER.name
    write_evidence(json.loads(HOPPER.read_text(encoding="utf-8")), path)
    assert path.read_bytes() == HOPPER.read_bytes()
    with pytest.raises(StoreError, match="cells is missing"):
        write_evidence({n: v for n, v in json.loads(HOPPER.read_text("utf-8")).items() if n != "cells"}, path)
    assert path.read_bytes() == HOPPER.read_bytes()


def test_what_is_not_evaluable_needs_no_measurement() -> None:
    """A claim whose presupposition fails by today's declaration is judged, though its effect was never measured."""
    found = judge_evidence(read_evidence(HOPPER), restated=True)
    verdicts = {(one.id, one.protocol): one.verdict for one in found.document.claims}
    assert verdicts["S5.2-mi-igpt-none", "published"] == "not_evaluable"
    assert "S5.2-mi-igpt-none" in found.differing
