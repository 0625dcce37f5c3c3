"""The code of a job: what it depends on is found, what it does not depend on changes nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dtclaims.closure import Sources, code_of
from dtclaims.errors import UsageError
from dtclaims.places import ROOT
from dtclaims.tests.support.programs import Files, parts_of

LOSS = "dtclaims.lab.train.objective:action_loss"


def main(text: str, **more: str) -> Files:
    """A program of `main.py` and other modules."""
    return {"main.py": text, **{f"{name}.py": other for name, other in more.items()}}


COUNTS = {
    "a lazily imported function": (
        main("def job(x):\n    from other import f\n    return f(x)\n", other="def f(x):\n    return x + 1\n"),
        "x + 1",
    ),
    "a function passed by name": (
        main("def job(x):\n    return map(double, x)\ndef double(x):\n    return 2 * x\n"),
        "2 * x",
    ),
    "a method of a base class": (
        main(
            "from other import Base\nclass Sub(Base):\n    pass\ndef job():\n    return Sub().f()\n",
            other="class Base:\n    def f(self):\n        return 41\n",
        ),
        "41",
    ),
    "a constant computed from another": (
        main("A = 3\nB = A * A\ndef job():\n    return B\n"),
        "A = 3",
    ),
    "a decorated function's decorator": (
        main(
            "def twice(f):\n    return lambda x: 2 * f(x)\n@twice\ndef job(x):\n    return x\n",
        ),
        "2 * f",
    ),
    "what a decorator is given": (
        main(
            "def times(n):\n    return lambda f: lambda x: n * f(x)\n@times(5)\ndef job(x):\n    return x\n",
        ),
        "(5)",
    ),
    "a default of a parameter": (main("N = 7\ndef job(x=N):\n    return x\n"), "7"),
    "a star import": (main("from other import *\ndef job():\n    return f()\n", other="def f():\n    return 8\n"), "8"),
    "a chain of attributes": (
        main("import other as o\ndef job():\n    return o.Box.size\n", other="class Box:\n    size = 9\n"),
        "9",
    ),
    "a name under another name": (
        main("from other import f as g\ndef job():\n    return g()\n", other="def f():\n    return 10\n"),
        "10",
    ),
    "all branches of an import that may fail": (
        main(
            "try:\n    from fast import f\nexcept ImportError:\n    def f():\n        return 11\ndef job():\n"
            "    return f()\n"
        ),
        "11",
    ),
    "the condition of a definition": (
        main("import sys\nif sys.maxsize > 12:\n    A = 1\nelse:\n    A = 2\ndef job():\n    return A\n"),
        "12",
    ),
    "a global of a function": (
        main("COUNT = 13\ndef job():\n    global COUNT\n    COUNT += 1\n    return COUNT\n"),
        "13",
    ),
    "a statement that does something on import": (
        main("import other\nimport torch\ntorch.set_num_threads(14)\ndef job():\n    return 0\n", other=""),
        "14",
    ),
    "a statement of a module that is imported on the way": (
        main("import other\ndef job():\n    return 0\n", other="import torch\ntorch.backends.x = 15\n"),
        "15",
    ),
    "a constant that is added to": (main("A = [1]\nA += [16]\ndef job():\n    return A\n"), "16"),
    "an annotation of a field": (
        main(
            "from dataclasses import dataclass\n@dataclass\nclass Box:\n    size: int = 1\n"
            "def job():\n    return Box()\n"
        ),
        "int",
    ),
    "a class that a field holds": (
        main(
            "from dataclasses import dataclass\nclass Inner:\n    def f(self):\n        return 17\n@dataclass\n"
            "class Box:\n    inner: Inner\ndef job(x):\n    return Box(x).inner.f()\n"
        ),
        "17",
    ),
    "a module as a value": (
        main("import other\ndef job(name):\n    return getattr(other, name)()\n", other="def f():\n    return 18\n"),
        "18",
    ),
    "what another package's name means": (
        main("import numpy as np\ndef job(x):\n    return np.abs(x)\n"),
        "numpy",
    ),
    "a class inside a comprehension": (
        main("def f(x):\n    return x - 19\ndef job(xs):\n    return [f(x) for x in xs if x]\n"),
        "19",
    ),
    "a nested function's free name": (
        main("A = 20\ndef job():\n    def inner():\n        return A\n    return inner\n"),
        "20",
    ),
    "a class body's name of its module": (
        main("size = 21\nclass Box:\n    size = size\ndef job():\n    return Box.size\n"),
        "21",
    ),
    "a text that is no docstring": (main("def job():\n    return 'text 22'\n"), "22"),
    "an import by a literal name": (
        main(
            "import importlib\ndef job():\n    return importlib.import_module('other').f()\n",
            other="def f():\n    return 23\n",
        ),
        "23",
    ),
    "a relative import in a package": (
        {
            "main.py": "from pack import f\ndef job():\n    return f()\n",
            "pack/__init__.py": "from .inner import f\n",
            "pack/inner.py": "from . import base\ndef f():\n    return base.g()\n",
            "pack/base.py": "def g():\n    return 24\n",
        },
        "24",
    ),
    "a lazy front with a stub": (
        {
            "main.py": "from pack import f\ndef job():\n    return f()\n",
            "pack/__init__.py": "import lazy_loader\n"
            "__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)\n",
            "pack/__init__.pyi": "from .inner import f\n",
            "pack/inner.py": "def f():\n    return 25\n",
        },
        "25",
    ),
    "a lazy front of its own making": (
        {
            "main.py": "import pack\ndef job():\n    return pack.f()\n",
            "pack/__init__.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pack.inner import f\n"
            "else:\n    def __getattr__(name):\n        from pack import inner\n        return getattr(inner, name)\n",
            "pack/inner.py": "def f():\n    return 26\n",
        },
        "26",
    ),
    "a front that nobody promises anything of": (
        {
            "main.py": "import pack\ndef job():\n    return pack.f()\n",
            "pack/__init__.py": "def __getattr__(name):\n    from pack import inner\n    return getattr(inner, name)\n",
            "pack/inner.py": "def f():\n    return 27\n",
        },
        "27",
    ),
}


def changed(files: Files, old: str, new: str) -> Files:
    """The same program with a piece of text exchanged, which must be in it."""
    assert any(old in text for text in files.values())
    return {name: text.replace(old, new) for name, text in files.items()}


@pytest.mark.parametrize("kind", COUNTS)
def test_what_a_job_depends_on_is_found(tmp_path: Path, kind: str) -> None:
    """Changing what the job uses, however it gets at it, changes its parts."""
    files, piece = COUNTS[kind]
    new = {"int": "float", "numpy": "torch"}.get(piece, piece.translate(str.maketrans("0123456789", "1234567890")))
    assert parts_of(tmp_path, files) != parts_of(tmp_path, changed(files, piece, new))


PLAIN = '''
import warnings
from typing import TYPE_CHECKING, cast
from errors import Wrong
if TYPE_CHECKING:
    from other import Unused
Alias = dict[str, int]
def job(x: "Alias") -> int:
    """Says."""
    y: int = x + 1
    if y > 3:
        raise Wrong(f"too large: {x}", text(x))
    assert y, "must not be zero"
    warnings.warn("beware", stacklevel=2)
    error = Wrong("later")
    return cast(int, y)
def text(x):
    return str(x)
def unused():
    return 1
if __name__ == "__main__":
    print(job(1))
'''
ERRORS = '''
class Wrong(ValueError):
    """Says."""
    def __init__(self, problem, more=""):
        super().__init__(problem + more)
'''
SAME = {
    "a docstring": ('"""Says."""', '"""Says more."""'),
    "a comment": ("    y: int", "    # why\n    y: int"),
    "layout": ("x + 1", "(x +\n         1)"),
    "an annotation of a parameter": ('x: "Alias"', "x"),
    "an annotation of what is returned": (" -> int", " -> float"),
    "an annotation of a variable": ("y: int = x", "y = x"),
    "the text of an error": ("too large", "too big"),
    "what an error calls": ("str(x)", "repr(x)"),
    "how an error is put together": ("problem + more", "more + problem"),
    "an error that is not raised yet": ("later", "soon"),
    "the text of an assertion": ("must not be zero", "is zero"),
    "the text of a warning": ('"beware"', '"take care"'),
    "a cast": ("cast(int,", "cast(float,"),
    "what types are imported": ("import Unused", "import Other"),
    "an alias of a type": ("dict[str, int]", "dict[str, float]"),
    "a function that is not used": ("return 1", "return 2"),
    "what a script does": ("print(job(1))", "print(job(2))"),
}


@pytest.mark.parametrize("kind", SAME)
def test_prose_and_other_code_change_nothing(tmp_path: Path, kind: str) -> None:
    """Comments, docstrings, annotations, what errors and warnings say, and code that the job does not use."""
    files = main(PLAIN, errors=ERRORS)
    assert parts_of(tmp_path, files) == parts_of(tmp_path, changed(files, *SAME[kind]))


def test_which_error_is_raised_counts(tmp_path: Path) -> None:
    """A class of errors enters by its name and its bases: code may catch it."""
    files = main(PLAIN, errors=ERRORS)
    parts = parts_of(tmp_path, files)
    assert parts != parts_of(tmp_path, changed(files, "(ValueError)", "(KeyError)"))
    assert parts != parts_of(tmp_path, changed(files, "raise Wrong(", "raise ValueError("))


def test_where_code_lies_changes_nothing(tmp_path: Path) -> None:
    """Modules renamed or moved, definitions in another order, imports written another way: the same parts."""
    here = main(
        "from other import f\nA = 1\ndef g():\n    return A\ndef job():\n    return f() + g()\n",
        other="def f():\n    return 2\n",
    )
    there = {
        "main.py": "import deep.elsewhere as e\nfrom deep import moved\ndef job():\n    return e.f() + moved.g()\n",
        "deep/elsewhere.py": "def f():\n    return 2\n",
        "deep/moved.py": "def g():\n    return A\n\n\nA = 1\n",
    }
    assert parts_of(tmp_path, here) == parts_of(tmp_path, there)


def test_parts_are_named_by_what_they_are(tmp_path: Path) -> None:
    """Whoever asks why a key changed reads names of functions, classes and constants."""
    files = main("A = 1\nclass Box:\n    size = A\ndef job():\n    return Box()\n")
    assert list(parts_of(tmp_path, files)) == ["class Box", "constant A", "function job"]


def test_parts_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """Two functions of one name that change places give other parts, though both are still there."""
    files = main(
        "import one, two\ndef job():\n    return one.f() - two.f()\n",
        one="def f():\n    return 1\n",
        two="def f():\n    return 2\n",
    )
    swapped = {**files, "one.py": files["two.py"], "two.py": files["one.py"]}
    assert list(parts_of(tmp_path, files)) == list(parts_of(tmp_path, swapped)) == ["function f", "function job"]
    assert parts_of(tmp_path, files) != parts_of(tmp_path, swapped)


TABLES = {
    "main.py": """
        from dtclaims.choice import Choice, rows
        from made import Row
        STEPS = Choice(cpu="plain:step", cuda="fast:step")
        ROWS: dict[str, Row] = rows({one.name: one for one in (Row("a", 1), *more())})
        def more():
            return [Row("b", 2)]
        def job(device, row):
            return STEPS[device](ROWS[row].double)
    """,
    "made.py": """
        from dataclasses import dataclass
        @dataclass
        class Row:
            name: str
            size: int
            @property
            def double(self):
                return 2 * self.size
    """,
    "plain.py": "def step(x):\n    return x + 1\n",
    "fast.py": "def step(x):\n    return x + 10\n",
}


def test_a_choice_is_followed_where_it_is_chosen(tmp_path: Path) -> None:
    """A constant of the CUDA path is no part of a CPU run, and the other way round."""
    faster = changed(TABLES, "x + 10", "x + 11")
    for chosen, same in (("cpu", True), ("cuda", False), (("cpu", "cuda"), False)):
        options = {"chosen": {"STEPS": chosen}, "rows": ("ROWS",)}
        one, other = parts_of(tmp_path, TABLES, **options), parts_of(tmp_path, faster, **options)
        assert (one == other) is same, chosen


def test_rows_enter_as_values_and_their_classes_as_code(tmp_path: Path) -> None:
    """A new row changes nothing; what the class of the rows computes does."""
    options = {"chosen": {"STEPS": "cpu"}, "rows": ("ROWS",)}
    parts = parts_of(tmp_path, TABLES, **options)
    assert parts == parts_of(tmp_path, changed(TABLES, 'Row("a", 1)', 'Row("a", 1), Row("c", 3)'), **options)
    assert parts == parts_of(tmp_path, changed(TABLES, 'Row("b", 2)', 'Row("b", 3)'), **options)
    assert parts != parts_of(tmp_path, changed(TABLES, "2 * self", "3 * self"), **options)


BROKEN = {
    "a table of code of which nothing is chosen": (TABLES, {"rows": ("ROWS",)}, "function job chooses from STEPS"),
    "a table of data that is not named": (TABLES, {"chosen": {"STEPS": "cpu"}}, "function job reads the table ROWS"),
    "a choice that is not offered": (TABLES, {"chosen": {"STEPS": "tpu"}, "rows": ("ROWS",)}, "'tpu', expected cpu"),
    "a choice that is not literal": (
        main("from dtclaims.choice import Choice\nX = 'plain:f'\nT = Choice(a=X)\ndef job():\n    return T\n"),
        {"chosen": {"T": "a"}},
        "entries of T must be literal",
    ),
    "a name that is not there": (main("from other import f\ndef job():\n    f()\n", other=""), {}, "f of other"),
    "a module that is not there": (
        {"main.py": "from pack.gone import f\ndef job():\n    f()\n", "pack/__init__.py": ""},
        {},
        "pack.gone",
    ),
    "an import by a computed name": (
        main("from importlib import import_module\ndef job(name):\n    return import_module(name)\n"),
        {},
        "function job imports by a name",
    ),
    "a lazy front without a stub": (
        {
            "main.py": "from pack import f\ndef job():\n    f()\n",
            "pack/__init__.py": "import lazy_loader\n__getattr__, _, __all__ = lazy_loader.attach(__name__, ['f'])\n",
        },
        {},
        "f of pack",
    ),
    "an entry that is not there": (main("def other():\n    pass\n"), {}, "job of main"),
    "no Python": (main("def job(:\n"), {}, "main is no Python"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_nothing_is_left_out_silently(tmp_path: Path, kind: str) -> None:
    """Code that cannot be followed, and a table that the job does not speak of, are errors that say where."""
    files, options, says = BROKEN[kind]
    with pytest.raises(UsageError, match=says):
        parts_of(tmp_path, files, **options)


@pytest.mark.parametrize("entry", ["dtclaims.lab.train.loop", "gone.py:job", ":job", "no_such_package_here.x:job"])
def test_entries_that_are_none(entry: str) -> None:
    """An entry of another form, or of a place that is not there, is refused."""
    with pytest.raises(UsageError):
        code_of(entry)


def test_a_table_that_is_not_met_may_be_named(tmp_path: Path) -> None:
    """A lab may name all its tables for all its jobs."""
    files = main("def job():\n    return 1\n")
    assert parts_of(tmp_path, files, chosen={"STEPS": "cpu"}, rows=("ROWS",)) == parts_of(tmp_path, files)


def test_what_declares_a_quantity_is_no_part_of_it(tmp_path: Path) -> None:
    """The harness's decorators, a lab of functions and the claims beside it change nothing in a quantity."""
    text = '''
        from dtclaims import FunctionLab, claim
        LAB = FunctionLab("mine")
        @LAB.quantity(packages=("numpy",))
        def job(seed):
            """Counts."""
            return seed + 1
        @claim("A", quote="Says.")
        def test_claim(job):
            return job
    '''
    parts = parts_of(tmp_path, main(text))
    assert list(parts) == ["function job"]
    assert parts == parts_of(tmp_path, changed(main(text), "Says.", "Says more."))
    assert parts == parts_of(tmp_path, changed(main(text), '("numpy",)', '("numpy", "scipy")'))
    assert parts == parts_of(tmp_path, changed(main(text), '"mine"', '"yours"'))
    assert parts != parts_of(tmp_path, changed(main(text), "seed + 1", "seed + 2"))


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    """The parts are those of the files as they are now, in one process too."""
    file = tmp_path / "main.py"
    file.write_text("def job():\n    return 1\n")
    before = code_of(f"{file}:job")
    assert code_of(f"{file}:job") == before
    file.write_text("def job():\n    return 2 + 0\n")
    assert code_of(f"{file}:job") != before


def test_sources_stand_in_for_files() -> None:
    """The code of a job under an edit that is in no file."""
    text = (ROOT / "dtclaims" / "lab" / "train" / "objective.py").read_text()
    assert code_of(LOSS, sources=Sources({"dtclaims.lab.train.objective": text})) == code_of(LOSS)
    edited = Sources({"dtclaims.lab.train.objective": text.replace("0.99", "0.98")})
    assert code_of(LOSS, sources=edited).parts != code_of(LOSS).parts


PRINTED = """
import glob, sys
sys.path.insert(0, ".")
import dtclaims.closure.modules as modules, dtclaims.closure.text as text, hashlib
whole = hashlib.sha256()
for path in sorted(glob.glob("dtclaims/lab/**/*.py", recursive=True)):
    module = modules.parsed(open(path, encoding="utf-8").read(), path, False)
    for found in [*module.bindings.values(), module.statements]:
        for one in found:
            if isinstance(one, modules.Definition):
                whole.update(repr(text.written(one, False)).encode())
print(whole.hexdigest())
"""


def pythons(version: str) -> list[Path]:
    """Where a version of Python is installed."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return [path for path in root.glob(f"versions/{version}.*/bin/python") if path.is_file()]


@pytest.mark.parametrize(
    "version",
    [pytest.param(one, marks=pytest.mark.skipif(not pythons(one), reason="not installed")) for one in ("3.12", "3.13")],
)
def test_all_versions_of_python_read_the_same(version: str) -> None:
    """Every definition of the lab is written alike by the parsers of other versions and of this one."""

    def digest(python: str) -> str:
        # Bare: only the standard library, to show that no more is needed.
        bare = {"PYTHONPATH": "", "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        ran = subprocess.run(
            [python, "-S", "-c", STUBBED + PRINTED], cwd=ROOT, env=bare, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert digest(str(pythons(version)[0])) == digest(sys.executable)


STUBBED = """
import sys, types
# The package's own front loads what is not installed there.
package = types.ModuleType("dtclaims")
package.__path__ = ["dtclaims"]
sys.modules["dtclaims"] = package
"""
