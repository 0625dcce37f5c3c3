"""The house rules that no linter knows: who may import whom, and that every test says what it fixes."""

import ast
from pathlib import Path

import pytest

from dtclaims.places import ROOT, read_card

PACKAGE = ROOT / "dtclaims"
TESTS = sorted((PACKAGE / "tests").rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Packages of ours that a module imports, whenever it does so."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("dtclaims."):
            found.add(node.module.split(".")[1])
    return found


@pytest.mark.parametrize(
    ("package", "may_not"),
    [
        ("stats", {"report", "runs", "train", "models", "data", "metrics", "claim", "study"}),
        ("report", {"stats", "runs", "train", "models", "data", "metrics", "claim", "study", "judging"}),
        ("metrics", {"report", "stats", "runs", "train", "pretrain", "claim", "study", "judging"}),
        ("models", {"report", "stats", "runs", "train", "metrics", "pretrain", "claim", "study", "judging"}),
        ("data", {"report", "stats", "runs", "train", "models", "metrics", "pretrain", "claim", "study", "judging"}),
        ("train", {"report", "stats", "metrics", "pretrain", "claim", "study", "judging"}),
        ("pretrain", {"report", "stats", "runs", "train", "metrics", "data", "claim", "study", "judging"}),
    ],
)
def test_no_package_imports_one_to_its_right(package: str, may_not: set[str]) -> None:
    """Data only moves from claims to the report: the arrows of the architecture hold in the code."""
    for path in (PACKAGE / package).rglob("*.py"):
        assert not imports(path) & may_not, f"{path.relative_to(ROOT)} imports {imports(path) & may_not}"


def test_every_test_states_what_it_fixes() -> None:
    """Each test function has a docstring: it is the specification."""
    silent = [
        f"{path.relative_to(ROOT)}::{node.name}"
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert silent == []


@pytest.mark.parametrize("card", sorted((ROOT / "fixtures").rglob("card.json")), ids=lambda path: path.parent.name)
def test_every_fixture_is_the_one_its_card_records(card: Path) -> None:
    """Hashes match, and the card says how to remake it, under which licence, with which versions."""
    content = read_card(card.parent)
    assert content["made_with"].startswith("dtclaims ")
    assert content["licence"]
    assert content["versions"]
    assert content["results"]


def test_the_language_backbone_is_better_than_its_baselines() -> None:
    """What ships as language-pre-trained has learned language: well below unigrams and the untrained network."""
    bits = read_card(ROOT / "fixtures" / "backbones" / "language-mini")["results"]["held_out_bits_per_byte"]
    assert bits["model"] < 0.6 * min(bits["token_unigram"], bits["byte_unigram"], bits["untrained_network"])


def test_the_hopper_policy_is_at_d4rls_medium_level() -> None:
    """Its stochastic policy's mean return is within 15 % of hopper-medium-v2's 1422."""
    results = read_card(ROOT / "fixtures" / "policies" / "hopper-medium")["results"]
    assert abs(results["stochastic_policy"]["mean"] / 1422.06 - 1) < 0.15
