"""Declaring claims, and finding them."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from dtclaims import Claim, Need, Paper, above, check, claim, composite
from dtclaims.errors import UsageError
from dtclaims.harness.declare.registry import load_claims, parts_of
from dtclaims.harness.lab import By, Wish
from dtclaims.lab import LAB
from dtclaims.lab.design.arms import ARMS
from dtclaims.lab.design.spec import arm_under
from dtclaims.lab.design.switches import PROTOCOLS, SWITCHES
from dtclaims.lab.measurements import MEASUREMENTS
from dtclaims.places import ROOT, fixture_dir

DECLARED = {
    "section": "0",
    "quote": "q",
    "scope": "s",
    "effect": "e",
    "unit": "u",
    "paper": Paper("1"),
    "deviations": (1,),
}


SESSION = LAB.session(Wish("full", LAB.tasks, False, {}))
INVENTORY: dict[str, dict[str, Any]] = json.loads((fixture_dir() / "paper" / "inventory.json").read_text())["claims"]


def test_every_finding_of_the_inventory_is_a_claim() -> None:
    """128 rows, no more and no fewer; headlines, sentences and audit items as the inventory has them."""
    claims = load_claims()
    assert set(claims) == set(INVENTORY)
    for name, row in INVENTORY.items():
        one = claims[name]
        assert one.headline == row["headline"], name
        if row["quote"] is not None:
            assert one.quote == row["quote"], name
        assert {f"DEV-{number:02d}" for number in row["deviations"]} <= set(one.deviations), name


def test_every_claim_can_be_planned() -> None:
    """Each form names known measurements, arms and parts; every effect has words, a unit and a paper's value."""
    for one in load_claims().values():
        parts_of(one)
        assert one.paper.text
        assert one.to_json()["id"] == one.id
        for form in filter(None, (one.form, *one.corrections.values())):
            assert form.doc
            for need in form.needs.values():
                assert need.quantity in MEASUREMENTS, one.id
                SESSION.check(need, SESSION.scale)
                for arm in filter(None, (need.condition.get("arm"), need.condition.get("versus"))):
                    for protocol in PROTOCOLS.values():
                        assert arm_under(arm, protocol)[0] in ARMS, one.id
        assert set(one.corrections) <= set(SWITCHES)


def test_every_switch_is_obeyed_somewhere() -> None:
    """A switch of measurement is read by a measurement or a claim, one of training decides runs; none is decoration."""
    read = {name for one in MEASUREMENTS.values() for name in one.switches}
    for one in load_claims().values():
        forms = filter(None, (one.form, *one.corrections.values()))
        conditions = [value for form in forms for need in form.needs.values() for value in need.condition.values()]
        read |= {value.switch for value in conditions if isinstance(value, By)} | set(one.corrections)
    measured = {name for name, switch in SWITCHES.items() if switch.stage in ("measurement", "both")}
    assert measured <= read
    assert {name for name, switch in SWITCHES.items() if switch.stage == "training"} == {
        "head",
        "random_arch",
        "adam_eps",
        "igpt_norm",
    }
    for switch in SWITCHES.values():
        assert switch.published != switch.corrected
    for protocol in PROTOCOLS.values():
        assert set(protocol.switches) == set(SWITCHES)


def test_a_claim_returns_what_it_declares() -> None:
    """A single effect is the part `effect`; several must be exactly the declared ones."""

    @claim("X-1", needs={"a": Need("score", arm="random_init", context=1)}, trend=above(0.0), **DECLARED)
    def single(a: float) -> float:
        """Doc."""
        return a

    @claim("X-2", needs={"a": Need("score", arm="random_init", context=1)}, trend={"p": above(0.0)}, **DECLARED)
    def wrong(a: float) -> dict[str, float]:
        """Doc."""
        return {"q": a}

    assert isinstance(single, Claim)
    assert single.form is not None
    assert single.form(a=2.0) == {"effect": 2.0}
    assert wrong.form is not None
    with pytest.raises(UsageError, match="other parts"):
        wrong.form(a=1.0)


def test_incomplete_declarations_are_refused() -> None:
    """No trend, no docstring, units or parameters that fit nothing: refused when declared."""
    need = {"a": Need("score", arm="random_init", context=1)}
    with pytest.raises(UsageError, match="has no trend"):

        @claim("X", needs=need, trend={}, **DECLARED)
        def no_trend(a: float) -> float:
            """Doc."""
            return a

    with pytest.raises(UsageError, match="needs a unit per part"):

        @claim("X", needs=need, trend=above(0.0), **{**DECLARED, "unit": {"other": "u"}})
        def other_unit(a: float) -> float:
            """Doc."""
            return a

    with pytest.raises(UsageError, match="has no docstring"):

        @claim("X", needs=need, trend=above(0.0), **DECLARED)
        def no_docstring(a: float) -> float:
            return a

    with pytest.raises(UsageError, match="must take what it needs"):

        @claim("X", needs=need, trend=above(0.0), **DECLARED)
        def other_parameter(b: float) -> float:
            """Doc."""
            return b


def test_duplicate_ids_and_empty_folders_are_refused(tmp_path: Path) -> None:
    """One id, one claim, and both places are named where there are two; a folder without claim files is named."""
    with pytest.raises(UsageError, match="no claims there"):
        load_claims(tmp_path)
    text = (ROOT / "claims" / "test_s4_performance.py").read_text()
    (tmp_path / "test_a.py").write_text(text)
    (tmp_path / "test_b.py").write_text(text)
    with pytest.raises(UsageError, match=r"declared twice: got S4-\S+ at \S+test_a\.py:(\d+) and \S+test_b\.py:\1\. "):
        load_claims(tmp_path)


def test_a_folder_that_may_not_be_read_is_not_called_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its claims may be there: the system's reason is said."""

    def forbidden(folder: Path) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    monkeypatch.setattr(os, "listdir", forbidden)
    with pytest.raises(UsageError, match=r"may not be read: got .*: Permission denied"):
        load_claims(tmp_path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import no_such_package", "cannot be imported: got No module named 'no_such_package'"),
        ("\n\nundefined", "cannot be imported: got NameError: name 'undefined' is not defined"),
        ("import sys\nsys.exit(4)", "cannot be imported: got SystemExit: 4"),
        ("import pytest\npytest.importorskip('no_such_package')", "cannot be imported: got Skipped: could not import"),
        ("def", "cannot be read as Python: got invalid syntax"),
    ],
)
def test_a_file_that_cannot_be_imported_is_one_error(tmp_path: Path, text: str, told: str) -> None:
    """Whatever ends the import: what it said, the file and the line."""
    file = tmp_path / "test_a.py"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_claims(tmp_path)
    assert f"{file} {told}" in str(caught.value)
    assert f"({file}, line {len(text.splitlines())})" in str(caught.value)


@pytest.mark.parametrize("ends", [SystemExit(1), pytest.skip.Exception("no"), pytest.fail.Exception("no")])
def test_a_function_ends_nothing_but_itself(ends: BaseException) -> None:
    """`sys.exit`, pytest's `skip` and `fail` in a claim's function or check are errors of it; Ctrl-C is none."""

    def ended(a: float) -> float:
        """Doc."""
        raise ends

    need = {"a": Need("score", arm="random_init", task="hopper")}
    form = claim("X", needs=need, trend=above(0.0), **DECLARED)(ended).form
    assert form is not None
    for called in (form, check("c", needs=need, trend=above(0.0), unit="u")(ended)):
        with pytest.raises(UsageError, match=f"ended gave no number: got {type(ends).__name__}"):
            called(a=1.0)
    ends = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        form(a=1.0)


def test_tasks_are_named_once() -> None:
    """A claim names its tasks, or each of its needs does: never both, never neither."""
    for tasks, need in (
        (("hopper",), Need("score", arm="random_init", task="hopper")),
        ((), Need("score", arm="random_init")),
    ):
        with pytest.raises(UsageError, match="names its tasks"):

            @claim("X", needs={"a": need}, trend=above(0.0), tasks=tasks, **DECLARED)
            def unclear(a: float) -> float:
                """Doc."""
                return a


def test_parts_have_to_exist_and_never_lead_back(tmp_path: Path) -> None:
    """A composite of nothing, of an unknown claim or of itself is refused."""
    with pytest.raises(UsageError, match="has no parts"):
        composite("X", section="0", quote="q", scope="s", paper=Paper("1"), parts=())
    declare = (
        "from dtclaims import Paper, composite\n"
        "a = composite('A', section='0', quote='q', scope='s', paper=Paper('1'), parts=('{}',))\n"
        "b = composite('B', section='0', quote='q', scope='s', paper=Paper('1'), parts=('A',))\n"
    )
    for folder, part, message in (("x", "C", "do not exist"), ("y", "B", "made of itself")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "test_a.py").write_text(declare.format(part))
        with pytest.raises(UsageError, match=message):
            parts_of(load_claims(tmp_path / folder)["A"])


@pytest.mark.parametrize(
    ("slip", "said"),
    [
        ({"id": " "}, "a claim's id says nothing"),
        ({"id": 7}, "a claim's id is no text"),
        ({"id": "\ud800"}, "not valid Unicode text"),
        ({"section": 3}, "section of claim X"),
        ({"scope": None}, "scope of claim X"),
        ({"effect": 3}, "effect of claim X"),
        ({"unit": {"effect": 1}}, "unit of effect of claim X"),
        ({"headline": "yes"}, "headline of claim X"),
        ({"tasks": "hopper"}, "tasks of claim X"),
        ({"parts": "Y-1"}, "parts of claim X"),
        ({"protocols": "corrected"}, "protocols of claim X"),
        ({"protocols": ("fixed",)}, "claim X has a protocol that there is not"),
        ({"checks": (3,)}, "checks of claim X"),
        ({"any_of": "effect"}, "any_of of claim X"),
        ({"trend": {"effect": "above"}}, "claim X has a trend that is none"),
    ],
)
def test_a_slip_in_a_declaration_is_named_where_it_is_declared(slip: dict[str, Any], said: str) -> None:
    """A forgotten comma or quote is one usage error on import: not letters taken for names, nor a report that is
    refused when everything has been measured."""
    whole = {**DECLARED, "id": "X", "needs": {"a": Need("q")}, "trend": above(0.0), **slip}
    with pytest.raises(UsageError, match=said):
        claim(whole.pop("id"), **whole)(_given)


def _given(a: float) -> float:
    """What was given."""
    return a


@pytest.mark.parametrize("numbers", [3.0, "3", ("3",), (float("nan"),), {"hopper": 3.0}, (None,)])
def test_numbers_of_the_paper_are_finite_and_several(numbers: Any) -> None:
    """A size is compared with numbers: `(300.0)` without its comma, a text or NaN is refused where it is declared."""
    with pytest.raises(UsageError, match=r"\(300\.0,\)"):
        Paper("p", numbers)
