"""Declaring claims, and finding them."""

from pathlib import Path

import pytest

from dtclaims import Claim, Need, Paper, above, claim
from dtclaims.errors import UsageError
from dtclaims.measurements import MEASUREMENTS
from dtclaims.protocols import PROTOCOLS, SWITCHES
from dtclaims.registry import load_claims

DECLARED = {
    "section": "0",
    "quote": "q",
    "scope": "s",
    "effect": "e",
    "unit": "u",
    "paper": Paper("1"),
    "deviations": (1,),
}


def test_the_registry_holds_the_first_slice() -> None:
    """The six claims of the slice, each with a docstring, a predicate, the paper's value and known needs."""
    claims = load_claims()
    assert set(claims) == {
        "S4-gpt2-not-worse",
        "S5.1-cka-random-higher-gpt2",
        "S5.3-l2-small-gpt2",
        "S5.5-k1-gpt2-faster",
        "S5.5-k1-random-fails-hopper",
        "S5.6.2-gap-random-large",
    }
    for one in claims.values():
        assert one.doc
        assert one.paper.text
        assert {need.measurement for need in one.needs.values()} <= set(MEASUREMENTS)
        assert one.to_json()["id"] == one.id


def test_every_switch_is_obeyed_somewhere() -> None:
    """A switch of measurement is read by a measurement, one of training decides runs; none is decoration."""
    read = {name for one in MEASUREMENTS.values() for name in one.switches}
    assert read == {name for name, switch in SWITCHES.items() if switch.stage == "measurement"}
    for switch in SWITCHES.values():
        assert switch.published != switch.corrected
    for protocol in PROTOCOLS.values():
        assert set(protocol.switches) == set(SWITCHES)


def test_a_claim_returns_what_it_declares() -> None:
    """A single effect is the component `effect`; several must be exactly the declared ones."""

    @claim("X-1", needs={"a": Need("score", "random_init", 1)}, predicate=above(0.0), **DECLARED)
    def single(a: float) -> float:
        """Doc."""
        return a

    @claim("X-2", needs={"a": Need("score", "random_init", 1)}, predicate={"p": above(0.0)}, **DECLARED)
    def wrong(a: float) -> dict[str, float]:
        """Doc."""
        return {"q": a}

    assert isinstance(single, Claim)
    assert single(a=2.0) == {"effect": 2.0}
    with pytest.raises(UsageError, match="other components"):
        wrong(a=1.0)


def test_incomplete_declarations_are_refused() -> None:
    """No predicate, no docstring, units or parameters that fit nothing: refused when declared."""
    need = {"a": Need("score", "random_init", 1)}
    with pytest.raises(UsageError, match="has no predicate"):

        @claim("X", needs=need, predicate={}, **DECLARED)
        def no_predicate(a: float) -> float:
            """Doc."""
            return a

    with pytest.raises(UsageError, match="needs a unit per component"):

        @claim("X", needs=need, predicate=above(0.0), **{**DECLARED, "unit": {"other": "u"}})
        def other_unit(a: float) -> float:
            """Doc."""
            return a

    with pytest.raises(UsageError, match="has no docstring"):

        @claim("X", needs=need, predicate=above(0.0), **DECLARED)
        def no_docstring(a: float) -> float:
            return a

    with pytest.raises(UsageError, match="must take what it needs"):

        @claim("X", needs=need, predicate=above(0.0), **DECLARED)
        def other_parameter(b: float) -> float:
            """Doc."""
            return b


def test_duplicate_ids_and_empty_folders_are_refused(tmp_path: Path) -> None:
    """One id, one claim; a folder without claim files is named."""
    with pytest.raises(UsageError, match="no claims there"):
        load_claims(tmp_path)
    text = (Path(__file__).parents[2] / "claims" / "test_s4_performance.py").read_text()
    (tmp_path / "test_a.py").write_text(text)
    (tmp_path / "test_b.py").write_text(text)
    with pytest.raises(UsageError, match="declared twice"):
        load_claims(tmp_path)
