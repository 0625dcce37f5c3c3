"""Behaviour of `dtclaims.harness.report.expect` and `.causes`: what differs from recorded verdicts, and why."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import ReportError
from dtclaims.harness.judge.entries import Entry
from dtclaims.harness.report import check_expectations, compare, parse, read_record, record, write
from dtclaims.harness.report.causes import causes
from dtclaims.tests.support import report_example

KEY = ("S5.1-cka-random-higher-gpt2", "published", "mini")


Content = dict[str, Any]
"""A report as JSON."""


def entry(document: Content, key: tuple[str, str, str] = KEY) -> dict[str, Any]:
    """The entry of a key."""
    (found,) = [one for one in document["claims"] if (one["id"], one["protocol"], one["scale"]) == key]
    return found


@pytest.fixture
def before() -> Content:
    """A report."""
    return report_example.content()


@pytest.fixture
def after() -> Content:
    """The same report, to be changed."""
    return report_example.content()


def test_a_report_meets_its_own_record(before: Content, tmp_path: Path) -> None:
    """Both forms of a record are met by the report that they were made of."""
    write(parse(before), tmp_path / "report.json")
    record(parse(before), tmp_path / "short.json")
    for name in ("report.json", "short.json"):
        assert check_expectations(parse(before), tmp_path / name) == []
    assert json.loads((tmp_path / "short.json").read_text())["verdicts"]["/".join(KEY)] == "reproduced"


def test_only_verdicts_that_changed_are_reported(before: Content, tmp_path: Path) -> None:
    """A changed verdict is a difference, in words."""
    record(parse(before), tmp_path / "short.json")
    entry(before)["verdict"] = "refuted"
    (difference,) = check_expectations(parse(before), tmp_path / "short.json")
    assert str(difference) == f"{KEY[0]} (published, mini): reproduced -> refuted"
    assert difference.to_json() == {
        "id": KEY[0], "protocol": "published", "scale": "mini", "before": "reproduced", "after": "refuted", "why": [],
    }  # fmt: skip


def test_unrecorded_and_removed_claims_are_noticed(before: Content, tmp_path: Path) -> None:
    """A verdict on a claim that is not recorded is a difference, and so is a recorded one whose claim is declared no
    more; a claim that neither side ran is none, and of a part of the claims nothing is said to be gone."""
    record(parse(before), tmp_path / "short.json")
    gone = before["claims"][0]
    every = [one for one in before["claims"] if one["id"] == gone["id"] and one["verdict"] != "not_run"]
    before["claims"] = [one for one in before["claims"] if one["id"] != gone["id"]]
    new = [report_example.claim("new", verdict="inconclusive", n=3), report_example.claim("idle", verdict="not_run")]
    before["claims"] += new
    found = check_expectations(parse(before), tmp_path / "short.json")
    assert [(one.id, one.before, one.after, one.why) for one in found] == [
        ("new", "absent", "inconclusive", ("it is not recorded",)),
        *((gone["id"], one["verdict"], "absent", ("it is declared no more",)) for one in every),
    ]
    before["provenance"]["family"] = {"claims": 99, "headlines": 9}
    assert [one.id for one in check_expectations(parse(before), tmp_path / "short.json")] == ["new"]
    (short,) = (read_record(tmp_path / "short.json"),)
    assert short.removed(set(), {("another scale", "published")}) == []


def test_against_a_whole_report_a_difference_says_why(before: Content, tmp_path: Path) -> None:
    """A recorded report knows what else changed."""
    write(parse(before), tmp_path / "report.json")
    entry(before)["verdict"] = "refuted"
    entry(before)["trend"]["text"] = "> 0.1"
    (difference,) = check_expectations(parse(before), tmp_path / "report.json")
    assert difference.why == ("trend: > 0, of interest from 0.02 -> > 0.1",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged: no JSON"),
        ('{"schema": 2, "verdicts": {}}', "schema is another value: got int 2"),
        ('{"schema": 1, "verdicts": {"a/published/mini": "true"}}', "is unknown: got str 'true'"),
        ('{"schema": 1, "verdicts": {"a/mine/mini": "refuted"}}', "a key of verdicts is not of the form"),
        ("[]", "not a dtclaims report"),
        ('{"schema": 3, "claims": []}', "schema is a version this dtclaims does not know"),
    ],
)
def test_a_bad_record_is_named(content: str, message: str, before: Content, tmp_path: Path) -> None:
    """A damaged, foreign or newer record is a report error with the file's name."""
    path = tmp_path / "expected.json"
    path.write_text(content)
    with pytest.raises(ReportError, match=message) as error:
        check_expectations(parse(before), path)
    assert str(path) in str(error.value)
    with pytest.raises(ReportError, match="cannot read"):
        read_record(tmp_path / "absent.json")


def test_recording_replaces_only_when_complete(before: Content, tmp_path: Path) -> None:
    """An invalid report leaves the recorded verdicts alone."""
    path = tmp_path / "short.json"
    record(parse(before), path)
    kept = path.read_bytes()
    with pytest.raises(ReportError, match="second verdict"):
        record(replace(parse(before), claims=parse(before).claims[:1] * 2), path)
    assert path.read_bytes() == kept


def test_equal_reports_agree(before: Content, after: Content) -> None:
    """Neither a difference nor a movement, whatever the report's own date."""
    after["provenance"]["created"] = "2027-01-01T00:00:00Z"
    assert compare(parse(before), parse(after)) == ([], [])


def test_a_claim_of_one_report_only_is_a_difference(before: Content, after: Content) -> None:
    """What is gone and what is new are told apart."""
    new = [report_example.claim("new", verdict="inconclusive", n=3), report_example.claim("idle", verdict="not_run")]
    after["claims"] = [*before["claims"][1:], *new]
    differ, moved = compare(parse(before), parse(after))
    assert [(one.id, one.before, one.after, one.why) for one in differ] == [
        ("ABS-no-context", "refuted", "absent", ("only in the first report",)),
        ("new", "absent", "inconclusive", ("only in the second report",)),
    ]
    assert moved == []


def test_a_verdict_that_changed_alone_says_so(before: Content, after: Content) -> None:
    """A difference without any cause in the reports is not explained away."""
    entry(after)["verdict"] = "inconclusive"
    ((difference,), _) = compare(parse(before), parse(after))
    assert difference.why == ("nothing else in the reports changed",)


def test_a_number_that_moved_is_no_difference(before: Content, after: Content) -> None:
    """The same verdict on other numbers is listed apart."""
    entry(after)["effect"] |= {"mean": 0.06, "per_seed": {"0": 0.048, "1": 0.063, "2": 0.07}}
    differ, (moved,) = compare(parse(before), parse(after))
    assert differ == []
    assert moved.before == moved.after == "reproduced"
    assert moved.why == (
        "values of 1 shared seeds, as of seed 2: 0.051 -> 0.07",
        "effect: 0.054 [0.037, 0.071] -> 0.060 [0.037, 0.071]",
    )


def change(path: str, value: Any) -> list[str]:
    """The causes named after one field of an entry changed."""
    old = entry(report_example.content())
    old["provenance"]["data"]["code"] = {"collect.py": "aaaa"}
    old["provenance"]["versions"] = {"torch": "2.13.0"}
    new = copy.deepcopy(old)
    *parents, name = path.split("/")
    inner: Any = new
    for parent in parents:
        inner = inner[parent]
    inner[name] = value
    return list(causes(Entry.from_json(old), Entry.from_json(new)))


@pytest.mark.parametrize(
    ("path", "value", "cause"),
    [
        ("trend/text", "> 2", "trend: > 0, of interest from 0.02 -> > 2"),
        ("trend/null", 1.0, "null: 0 -> 1"),
        ("trend/bound", 0.1, "bound: none -> 0.1"),
        ("trend/interest", 0.0200000001, "smallest effect of interest: 0.02 -> 0.0200000001"),
        ("rule", "3", "rule edition: 2 -> 3"),
        ("decided_by", ["walker2d"], "decided by: hopper -> walker2d"),
        ("size/said", "larger", "size: smaller -> larger"),
        ("statistics/looks", 2, "level looks: 1 -> 2"),
        ("switches/head", "untied", "switch head: tied -> untied"),
        ("measured", "otherwise", "what is measured: described in other words"),
        ("provenance/data/code/collect.py", "bbbb", "code data.code.collect.py: aaaa -> bbbb"),
        ("provenance/versions/torch", "2.14.0", "version versions.torch: 2.13.0 -> 2.14.0"),
        ("provenance/data/kind", "d4rl", "origin data.kind: self-collected -> d4rl"),
        ("provenance/backbone/sha256", "41ac" * 16, "origin backbone.sha256: 41ab41ab41ab… -> 41ac41ac41ac…"),
        ("runs", [report_example.run("other", "random_init", 0)], "runs: 1 of 1 on the same seeds are other runs"),
        ("parts", [{"id": "a", "verdict": "refuted"}], None),
        ("effect/low", 0.03, "effect: 0.054 [0.037, 0.071] -> 0.054 [0.030, 0.071]"),
    ],
)
def test_each_cause_is_named(path: str, value: Any, cause: str | None) -> None:
    """Trend, rule, what decided, size, level, switches, code, versions, data, runs and numbers have their phrase."""
    assert change(path, value) == ([] if cause is None else [cause])


def test_a_claim_refuted_otherwise_is_a_cause() -> None:
    """Reversed and absent are told apart, though both are refuted."""
    old = entry(report_example.content(), (KEY[0], "corrected", "mini"))
    found = causes(Entry.from_json(old), Entry.from_json({**old, "turn": "absent"}))
    # Something moved, so what must be known before the verdict is believed is said again.
    assert list(found) == ["refuted as: reversed -> absent", f"warning: {old['warnings'][0]}"]


def test_a_warning_is_told_when_it_comes_and_when_it_goes() -> None:
    """A trend that was changed after a look is a difference though nothing else moved."""
    old = entry(report_example.content(), (KEY[0], "corrected", "mini"))
    without = {**old, "warnings": []}
    told = "its bound was 0.1 when 3 of these seeds were first looked at"
    assert list(causes(Entry.from_json(without), Entry.from_json(old))) == [f"warning: {told}"]
    assert list(causes(Entry.from_json(old), Entry.from_json(without))) == [f"warning no more: {told}"]
    assert list(causes(Entry.from_json(old), Entry.from_json(old))) == []


def test_a_check_that_passes_no_more_is_a_cause() -> None:
    """So is one whose own trend is another."""
    old = entry(report_example.content(), ("S5.6.1-block1-like-random", "published", "mini"))
    new = copy.deepcopy(old)
    new["checks"][0] |= {"verdict": "reproduced", "trend": {**old["checks"][0]["trend"], "bound": 20.0}}
    assert list(causes(Entry.from_json(old), Entry.from_json(new))) == [
        "check random-fails: inconclusive -> reproduced",
        "bound of the check random-fails: 10 -> 20",
    ]


def test_other_seeds_are_named() -> None:
    """Seeds are compared as sets, of effects and runs alike."""
    found = change("effect/per_seed", {"0": 0.048, "1": 0.063, "2": 0.051, "3": 0.05, "7": 0.05})
    assert found == ["seeds: 0–2 -> 0–3, 7"]


def test_components_and_parts_are_compared_one_by_one() -> None:
    """A component's trend, values and presence, and a part's verdict, are each named."""
    old = entry(report_example.content(), ("ABS-no-context", "published", "mini"))
    new = copy.deepcopy(old)
    new["components"]["hopper"]["trend"]["text"] = "> 6"
    new["components"]["halfcheetah"] = new["components"].pop("walker2d")
    new["parts"][0]["verdict"] = "refuted"
    assert list(causes(Entry.from_json(old), Entry.from_json(new))) == [
        "trend of hopper: > 5 -> > 6",
        "component walker2d: gone",
        "component halfcheetah: new",
        "part S5.5-k1-gpt2-eq-k20: reproduced -> refuted",
    ]


def test_a_change_too_small_to_round_is_shown_in_full() -> None:
    """Two values that read the same are written out."""
    assert change("effect/per_seed", {"0": 0.048, "1": 0.063, "2": 0.0510000001}) == [
        "values of 1 shared seeds, as of seed 2: 0.051 -> 0.0510000001"
    ]


def test_many_changes_are_counted() -> None:
    """Past six fields of one kind the rest are only counted."""
    old, new = ({"switches": {f"s{index}": value for index in range(9)}} for value in "ab")
    base = entry(report_example.content())
    found = list(causes(*(Entry.from_json({**base, **part}) for part in (old, new))))
    assert found[5:] == ["switch s5: a -> b", "3 more changes of switch"]
