"""Behaviour of `dtclaims.harness.report.listed`: what many verdicts share is shown once."""

from dtclaims.harness.judge.exhibits import Table
from dtclaims.harness.report import listed
from dtclaims.tests.support.report_example import claim, document, run, table


def test_a_shared_run_is_listed_once_and_made_once() -> None:
    """Runs are known by key; the verdict that had the run made counts, later ones found it in the store."""
    first = claim("a", runs=[run("k", "gpt2", 0, cached=False), run("l", "gpt2", 1)])
    second = claim("b", runs=[run("k", "gpt2", 0), run("k", "gpt2", 0)])
    found = listed.runs(document(claims=[first, second]))
    assert [(item.run.key, item.used, item.run.cached) for item in found] == [("k", 2, False), ("l", 1, True)]
    assert first["runs"][0] == run("k", "gpt2", 0, cached=False)


def test_records_that_entries_share_are_one() -> None:
    """Equal records, in whatever order, are shown once, the most used first; empty ones not at all."""
    records = [{"x": 1, "y": 2}, {}, {"x": 3}, {"y": 2, "x": 1}]
    claims = [claim(f"c{index}", provenance=record) for index, record in enumerate([{"x": 3}, *records, *records])]
    found = listed.shared(document(claims=claims), "provenance")
    assert [(one.anchor, one.content, one.used) for one in found.values()] == [
        ("provenance-1", {"x": 1, "y": 2}, 4),
        ("provenance-2", {"x": 3}, 3),
    ]
    assert found[listed.fingerprint({"y": 2, "x": 1})].anchor == "provenance-1"


def test_a_table_has_a_line_for_each_source_that_has_values() -> None:
    """The paper first, then the protocols that were judged; a column without a value is a dash."""
    found = listed.table(Table.from_json(table()))
    assert found.columns == ["random", "language"]
    (row,) = found.rows
    assert row.lines == [("paper", ["67.7 ± 3.0", "−0.24"]), ("published", ["65.1 [60.2, 70.0], n=5", "–"])]


def test_what_runs_were_made_of_is_told_in_words() -> None:
    """Simulator, data and weights by name and kind; digests, numbers and code are left to the provenance."""
    made = {
        "device": "cpu",
        "versions": {"numpy": "2"},
        "data": {"hopper": {"kind": "collected", "seed": 0, "sha256": "9f", "simulator": {"mujoco": "3.3.7"}}},
        "weights_used": {"w": {"name": "language", "kind": "own"}},
    }
    assert listed.made_of(document(claims=[claim("a", provenance=made)])) == [
        ("Simulator", "mujoco 3.3.7"),
        ("Data", "hopper (collected)"),
        ("Weights used", "language (own)"),
    ]
