"""The house rules that no linter knows: who may import whom, and that every test says what it fixes."""

import ast
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dtclaims.places import ROOT, read_card

PACKAGE = ROOT / "dtclaims"
TESTS = sorted((PACKAGE / "tests").rglob("*.py"))
HEAVY = {
    "torch",
    "mujoco",
    "gymnasium",
    "h5py",
    "transformers",
    "safetensors",
    "tokenizers",
    "threadpoolctl",
    "huggingface_hub",
    "imageio",
    "PIL",
}
"""Packages of the extra `lab`; a harness that imports one is no light base."""
OF_SOME_TESTS = {"rocrate", "yaml", "playwright", "tensorboard", "ray", "minari", "wandb", "trackio"}
"""Packages of the extra `test`, or of none that it includes, without which most tests run."""
DOOR = "dtclaims.harness.lab"
IN_CLAIMS = {"dtclaims", "numpy", "math", "statistics", "collections", "typing", "itertools", "functools"}
MOST_IN_THE_HALL = 8


def imported(path: Path) -> set[str]:
    """What a module imports, whenever it does so: modules by their full name, and names that are taken from them.

    `from package import name` may mean the module `package.name`, so both are there.
    """
    found = set()
    package = ".".join(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # Relative: one dot is the module's own package.
            above = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (above, node.module) if part)
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and _imports_by_name(node):
            found |= {one.value for one in node.args[:1] if isinstance(one, ast.Constant)}
    return found


def _imports_by_name(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name in ("import_module", "__import__")


def below(name: str, package: str) -> bool:
    """Whether a name is a package or lies in it."""
    return name == package or name.startswith(f"{package}.")


def modules(*places: str) -> list[Path]:
    """Modules of the package, tests and stubs aside."""
    files = (file for place in places for file in sorted((PACKAGE / place).rglob("*.py")))
    return [file for file in files if "tests" not in file.relative_to(PACKAGE).parts]


def arrows(paths: list[Path], forbidden: Callable[[str], bool]) -> list[str]:
    """Imports that should not be, as `module → what`."""
    return [
        f"{path.relative_to(ROOT)} → {name}" for path in paths for name in sorted(imported(path)) if forbidden(name)
    ]


def test_the_harness_knows_no_lab() -> None:
    """No module of the harness imports the lab, or a package that only a lab needs; not even inside a function."""
    allowed = PACKAGE / "harness" / "engine" / "loggers.py"
    found = arrows(modules("harness"), lambda name: below(name, "dtclaims.lab") or name.partition(".")[0] in HEAVY)
    # TensorBoard's writer is torch's: imported when somebody asks for that logger.
    logger = f"{allowed.relative_to(ROOT)} → torch.utils.tensorboard"
    assert [one for one in found if not one.startswith(logger)] == []


def test_the_lab_knows_the_door_only() -> None:
    """Of the harness, the lab imports `dtclaims.harness.lab` and what is in it."""
    assert arrows(modules("lab"), lambda name: below(name, "dtclaims.harness") and not below(name, DOOR)) == []


def test_the_hall_stands_below_both_floors() -> None:
    """Modules beside the floors import neither, and there are few; the public face alone shows the harness."""
    hall = [path for path in sorted(PACKAGE.glob("*.py")) if path.name != "__init__.py"]
    assert len(hall) <= MOST_IN_THE_HALL, [path.name for path in hall]
    assert arrows(hall, lambda name: below(name, "dtclaims.harness") or below(name, "dtclaims.lab")) == []
    face = [PACKAGE / "__init__.py"]
    assert arrows(face, lambda name: below(name, "dtclaims.lab") or name.partition(".")[0] in HEAVY) == []


def test_statistics_and_reports_are_pure() -> None:
    """Statistics import nothing of the harness but themselves; reports read entries and import no maker of any."""
    own = ("dtclaims.harness.stats",)
    stats = arrows(
        modules("harness/stats"),
        lambda name: below(name, "dtclaims.harness") and name != "dtclaims.harness" and not name.startswith(own),
    )
    doing = ("plan", "engine", "judge.judge", "judge.builder", "study", "plugin", "commands", "store")
    report = arrows(
        modules("harness/report"), lambda name: any(below(name, f"dtclaims.harness.{one}") for one in doing)
    )
    assert [*stats, *report] == []


def test_claims_import_ours_and_arithmetic() -> None:
    """A claim is a declaration and a few lines: declared and judged where the lab's packages are not.

    What claims of one folder, or all of them, have in common is a module beside or above them.
    """
    for file in sorted((ROOT / "claims").rglob("*.py")):
        near = {one.stem for folder in (file.parent, ROOT / "claims") for one in folder.glob("*.py")}
        assert arrows([file], lambda name, near=near: name.partition(".")[0] not in IN_CLAIMS | near) == []


def test_claims_run_without_the_tests_packages() -> None:
    """The conftest that every session in a checkout loads needs no extra: `pytest claims` has `.[lab]` alone."""
    known = {*sys.stdlib_module_names, "dtclaims", "pytest"}
    assert arrows([ROOT / "conftest.py"], lambda name: name.partition(".")[0] not in known) == []


def test_no_test_imports_another() -> None:
    """What several tests share lies in `support`: any of them runs alone, and goes without the others."""
    files = [path for path in TESTS if "support" not in path.parts]
    ours = "dtclaims.tests"
    assert arrows(files, lambda name: below(name, ours) and name != ours and not below(name, f"{ours}.support")) == []


def test_a_file_of_tests_is_read_without_what_one_of_them_needs() -> None:
    """A package that only some tests use is imported by those, which are skipped with a reason where it is missing; at
    the head of a file it would be an error, and none of the file's tests would run."""
    taken = [
        f"{path.relative_to(ROOT)} → {name}"
        for path in TESTS
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
        if name.partition(".")[0] in OF_SOME_TESTS
    ]
    assert taken == []


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
