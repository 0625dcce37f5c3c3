"""Behaviour of `dtclaims.harness.judge.registration`: what is sealed before the runs, and what a report says of it."""

import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dtclaims.addresses import digest_of
from dtclaims.errors import StoreError, UsageError
from dtclaims.harness.declare.claim import Claim
from dtclaims.harness.declare.registry import load_claims, load_lab
from dtclaims.harness.judge.document import Registration
from dtclaims.harness.judge.registration import Sealed, read, sealed_now, write
from dtclaims.harness.settings import make_settings
from dtclaims.harness.stats.trends import level_below
from dtclaims.harness.store.store import MadeAt
from dtclaims.harness.study import Study, cells_of
from dtclaims.tests.support.examples import SAMPLE_CLAIMS, fill_store
from dtclaims.tests.support.studies import CLAIMS, LAB, RETURNS, settings_of, study

TINY = SAMPLE_CLAIMS.with_name("tiny_paper")
FAILS = "SAMPLE-fails"
CHOICES = {"seeds": "5", "looks": "3,5", "protocol": "published"}


def sealed(path: Path, **choices: str) -> Sealed:
    """The sample claims, registered in a file and read back."""
    write(path, sealed_now(list(CLAIMS.values()), settings_of({**CHOICES, **choices})))
    return read(path)


def restated(bound: float, why: str = "A score below ten is a failure.") -> Claim:
    """A claim with another number in its trend."""
    claim = CLAIMS[FAILS]
    assert claim.form is not None
    trends = dict.fromkeys(claim.form.trends, level_below(bound, why=why))
    return replace(claim, form=replace(claim.form, trends=trends))


def test_everything_that_a_verdict_comes_from_is_sealed(tmp_path: Path) -> None:
    """Sentence, needs, trend, checks, parts, tasks, code and size of claims; seeds, looks, scale, rule and origin."""
    content = sealed(tmp_path / "r.json").content
    assert [one["id"] for one in content["claims"]] == list(CLAIMS)
    (fails,) = [one for one in content["claims"] if one["id"] == "SAMPLE-fails"]
    assert fails["quote"] == "it fails"
    assert fails["test"]["trends"]["effect"]["bound"] == 10
    assert {"needs", "checks", "any_of", "units"} <= set(fails["test"])
    assert {"parts", "primary", "tasks", "size", "code"} <= set(fails)
    assert len(fails["code"]["test"]["effect"]) == 16
    assert set(fails["size"]["effect"]) == {"666", "42"}
    assert (content["seeds"], content["looks"], content["scale"]) == ([0, 1, 2, 3, 4], [3, 5], "mini")
    assert (content["protocols"], content["rule"]) == (["published"], "2")
    assert {"dtclaims", "commit", "created", "alpha", "tasks", "options"} <= set(content)
    assert content["digest"] == digest_of({name: value for name, value in content.items() if name != "digest"})


def test_a_registration_is_never_overwritten(tmp_path: Path) -> None:
    """What was sealed stays: a second one has a file of its own."""
    sealed(tmp_path / "r.json")
    before = (tmp_path / "r.json").read_bytes()
    with pytest.raises(StoreError, match="never overwritten"):
        sealed(tmp_path / "r.json")
    assert (tmp_path / "r.json").read_bytes() == before


def changed(change: Callable[[dict[str, Any]], object], *, seal: bool = False) -> Callable[[str], str]:
    """The file with its content changed, and sealed again or not."""

    def damage(text: str) -> str:
        content = json.loads(text)
        change(content)
        if seal:
            content["digest"] = digest_of({name: value for name, value in content.items() if name != "digest"})
        return json.dumps(content)

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "is no registration"),
        (lambda text: "[]", "is no registration"),
        (lambda text: "[" * 100_000, "is no registration"),
        (changed(lambda one: one.update(seeds=[7])), "is not as it was sealed"),
        (changed(lambda one: one.update(created="2020-01-01T00:00:00Z")), "is not as it was sealed"),
        (changed(lambda one: one["claims"][0].update(quote="another")), "is not as it was sealed"),
        (changed(lambda one: one["claims"].pop()), "is not as it was sealed"),
        (changed(lambda one: one.update(digest="0" * 64)), "is not as it was sealed"),
        (changed(lambda one: one.pop("digest")), "is no registration"),
        (changed(lambda one: one.update(kind="a diary"), seal=True), "is no registration"),
        (changed(lambda one: one.update(schema=2), seal=True), "is no registration"),
        (changed(lambda one: one.update(more=1), seal=True), "is no registration"),
        (changed(lambda one: one.update(created="yesterday"), seal=True), "is no registration"),
        (changed(lambda one: one.update(created="2026-13-41T99:99:99Z"), seal=True), "is no registration"),
        (changed(lambda one: one["claims"].append("X"), seal=True), "is no registration"),
        (changed(lambda one: one["claims"].append({"quote": "no id"}), seal=True), "is no registration"),
    ],
)
def test_a_file_that_is_not_as_sealed_is_one_error(tmp_path: Path, damage: Any, message: str) -> None:
    """Changed by a letter, cut, or another kind of file: it is named, and nothing is judged by it."""
    path = tmp_path / "r.json"
    sealed(path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(StoreError, match=message) as error:
        read(path)
    assert str(path) in str(error.value)
    with pytest.raises(StoreError, match=message):
        study(tmp_path, registration=str(path), **CHOICES)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A name that was mistyped is not there, which is another thing than a file that is none."""
    with pytest.raises(UsageError, match="no such registration"):
        read(tmp_path / "nowhere.json")


def test_what_a_verdict_comes_from_differs_and_prose_does_not(tmp_path: Path) -> None:
    """Another number, need, task or function is another declaration; a better reason or description is the same."""
    one = sealed(tmp_path / "r.json")
    assert one.differing(CLAIMS.values(), LAB) == []
    assert one.differing([restated(10, why="In other words.")], LAB) == []
    assert one.differing([restated(11)], LAB) == ["SAMPLE-fails"]
    assert one.differing([replace(CLAIMS[FAILS], tasks=("walker2d",))], LAB) == ["SAMPLE-fails"]
    assert one.differing([replace(CLAIMS[FAILS], id="SAMPLE-new")], LAB) == ["SAMPLE-new"]
    form = CLAIMS[FAILS].form
    assert form is not None

    def other(random: float) -> float:
        return random + 0

    assert one.differing([replace(CLAIMS[FAILS], form=replace(form, function=other))], LAB) == ["SAMPLE-fails"]
    assert one.undeclared([CLAIMS[FAILS]]) == [name for name in CLAIMS if name != "SAMPLE-fails"]


def test_an_unknown_shape_differs_and_nothing_breaks(tmp_path: Path) -> None:
    """A foreign claim in a file that is sealed is declared otherwise, whatever stands in it."""
    one = sealed(tmp_path / "r.json")
    odd = {**one.content, "claims": [{"id": "SAMPLE-fails", "test": 3, "corrections": [1]}]}
    assert Sealed(one.path, odd).differing([CLAIMS[FAILS]], LAB) == ["SAMPLE-fails"]


@pytest.mark.parametrize(
    ("choices", "moved"),
    [
        ({}, []),
        ({"seeds": "3"}, []),
        ({"seeds": "4"}, ["seeds"]),
        ({"seeds": "1,2,3"}, ["seeds"]),
        ({"looks": "5"}, ["looks"]),
        ({"protocol": "both"}, ["protocols"]),
        ({"task": "all"}, ["tasks"]),
    ],
)
def test_a_session_that_chose_otherwise_is_named(tmp_path: Path, choices: dict[str, str], moved: list[str]) -> None:
    """Seeds are those declared, or at a declared look the first of them; looks, tasks and protocols as declared."""
    one = sealed(tmp_path / "r.json", task="hopper")
    assert one.otherwise(settings_of({**CHOICES, "task": "hopper", **choices})) == moved


HELPED = """
import aside
from dtclaims import Need, Paper, above, claim, in_most_seeds

SCALE = 1.0
UNUSED = 1.0
WHERE = __file__


def ratio(a):
    \"\"\"A ratio.\"\"\"
    return [SCALE * aside.twice(a) for _ in WHERE[:1]][0]


def of(name, value):
    @claim(name, section="1", quote="q", scope="s", effect="e", unit="u", needs={"a": Need("value", arm="plain")},
           trend=above(0.0), paper=Paper("p"))
    def test(a):
        \"\"\"It.\"\"\"
        return value(a)
    return test


test_helped = of("HELPED", ratio)
test_alone = of("ALONE", lambda a: a)
"""
ASIDE = '"""Beside it."""\n\n\ndef twice(a):\n    return 2 * a\n'


@pytest.mark.parametrize(
    ("file", "before", "after", "named"),
    [
        ("test_mine.py", "SCALE = 1.0", "SCALE = 2.0", ["HELPED"]),
        ("test_mine.py", "return [SCALE *", "return [1 + SCALE *", ["HELPED"]),
        ("test_mine.py", "lambda a: a)", "lambda a: 2 * a)", ["ALONE"]),
        ("aside.py", "return 2 * a", "return 3 * a", ["HELPED"]),
        ("test_mine.py", "UNUSED = 1.0", "UNUSED = 2.0", []),
        ("test_mine.py", "A ratio.", "A ratio, as it were.", []),
    ],
)
def test_what_a_claims_function_names_beside_it_is_sealed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, before: str, after: str, named: list[str]
) -> None:
    """A helper, a constant or a module beside the claims decides effects as the function itself does: edited after the
    seal, the claims that use it are declared otherwise, and in another folder they are not. A seal of before this says
    nothing of them."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def claims(where: str, *change: str) -> list[Claim]:
        monkeypatch.delitem(sys.modules, "aside", raising=False)
        folder = tmp_path / where
        folder.mkdir()
        monkeypatch.syspath_prepend(str(folder))
        for name in ("paper.json", "tiny_lab.py"):
            shutil.copy(TINY / name, folder)
        for name, text in {"test_mine.py": HELPED, "aside.py": ASIDE}.items():
            (folder / name).write_text(text.replace(*change) if change and name == file else text)
        return list(load_claims(folder).values())

    then = claims("then")
    lab = load_lab(tmp_path / "then")
    write(tmp_path / "r.json", sealed_now(then, make_settings(CHOICES, lab)))
    one = read(tmp_path / "r.json")
    today = claims("now", before, after)
    assert one.differing(today, lab) == named
    for each in one.content["claims"]:
        del each["beside"]
    assert one.differing(today, lab) == []


EARLIER, LATER = "2000-01-01T00:00:00+00:00", "2100-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("made", "before"),
    [
        ([], None),
        ([MadeAt(LATER, True)], True),
        ([MadeAt(EARLIER, True), MadeAt(LATER, True)], False),
        ([MadeAt(LATER, True), MadeAt(LATER, False)], None),
        ([MadeAt(EARLIER, False)], False),
    ],
)
def test_it_is_before_the_first_run_only_where_that_is_recorded(
    tmp_path: Path, made: list[MadeAt], before: bool | None
) -> None:
    """A file's time may be that of a copy: too late to show that the run came after, not that it came before."""
    assert sealed(tmp_path / "r.json").before(made) is before


def judged_under(tmp_path: Path, path: Path, restated: Claim | None = None) -> Registration:
    """What a report of one claim says of a registration."""
    claim = restated or CLAIMS[FAILS]
    settings = settings_of({**CHOICES, "store": str(tmp_path / "store"), "registration": str(path)})
    one = Study(cells_of([claim], settings), settings)
    found = one.document([one.judge(cell) for cell in one.cells]).provenance.registration
    assert found is not None
    return found


def test_a_report_names_its_registration(tmp_path: Path) -> None:
    """Digest, day, whether it came first, and what was judged otherwise."""
    path = tmp_path / "r.json"
    one = sealed(path)
    assert judged_under(tmp_path, path) == Registration(one.digest, one.created, None, True)
    first = study(tmp_path, ["SAMPLE-fails"], **CHOICES)
    fill_store(first.plan, first.store, RETURNS)
    for folder in (tmp_path / "store" / "runs").iterdir():
        os.utime(folder / "manifest.json", (0, 0))
    found = judged_under(tmp_path, path, restated(11))
    assert found == Registration(one.digest, one.created, False, False, ("SAMPLE-fails",))


def test_switches_are_beyond_the_seal_and_no_departure(tmp_path: Path) -> None:
    """`--attribute` runs claims with a switch at its other value. No registered verdict rests on that: it is judged as
    declared, the same as without, and a run of that kind from before the seal is no peek; what is said before any run
    is that these are not registered."""
    path = tmp_path / "r.json"
    sealed(path)
    choices = {**CHOICES, "registration": str(path)}
    plain, asked = (study(tmp_path, ["SAMPLE-fails"], **choices, **more) for more in ({}, {"factor": "head"}))
    beyond = [key for key in asked.plan.runs if key not in plain.plan.runs]
    assert beyond
    fill_store(asked.plan, asked.store, RETURNS)
    for key in beyond:
        run = asked.store.find(key)
        assert run is not None
        name = json.loads((run.folder / "name.json").read_text())
        (run.folder / "name.json").write_text(json.dumps({**name, "finished": EARLIER}))
    told, before = (one.document([one.judge(cell) for cell in one.cells]) for one in (asked, plain))
    assert told.provenance.registration == before.provenance.registration
    assert told.provenance.registration is not None
    assert told.provenance.registration.matches
    assert [replace(one, attribution=None) for one in told.claims] == list(before.claims)
    assert plain.departures() == []
    assert asked.departures() == [
        f"beyond {path}: runs with a switch at its other value were not registered, and no verdict rests on them"
    ]


def test_a_report_without_one_says_nothing(tmp_path: Path) -> None:
    """Nothing named, nothing claimed."""
    assert study(tmp_path).document([]).provenance.registration is None
