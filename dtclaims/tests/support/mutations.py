"""Mutations: small edits of code, and the functions that a job really executes, to edit."""

import ast
import builtins
import copy
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

from dtclaims import errors
from dtclaims.closure import Code, Sources, code_of
from dtclaims.places import ROOT

PACKAGE = ROOT / "dtclaims"
NO_JOB = ("dtclaims.choice", "dtclaims.closure", "dtclaims.errors", "dtclaims.harness", "dtclaims.tests")
"""What is no part of any job: the harness, what finds code, what errors say, and the tests' own callbacks."""

Function = ast.FunctionDef | ast.AsyncFunctionDef

ERRORS = {
    name
    for names in (vars(builtins), vars(errors))
    for name, one in names.items()
    if isinstance(one, type) and issubclass(one, BaseException)
}


@dataclass(frozen=True)
class Job:
    """A job whose code is to be found."""

    name: str
    prepare: Callable[[Path], Callable[[], object]]
    """Lay it out in an empty folder; what is returned does it."""
    entries: tuple[str, ...]
    chosen: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    rows: Collection[str] = ()
    foreign: tuple[str, ...] = ()
    """Modules and packages of ours, or `module:name`, that it does not depend on."""

    def code(self, texts: Mapping[str, str] | None = None) -> Code:
        """The job's code, with other texts for some modules."""
        sources = None if texts is None else Sources(texts)
        return code_of(*self.entries, chosen=self.chosen, rows=self.rows, sources=sources)


@dataclass(frozen=True)
class Place:
    """A function of ours: `dtclaims.lab.train.loop`, `Trainer.run_epoch`."""

    module: str
    name: str


@dataclass(frozen=True, eq=False)
class Mutant:
    """One edit of one module."""

    place: Place
    site: ast.AST
    """What is edited."""
    edited: ast.AST

    @property
    def text(self) -> str:
        """Of the whole module, edited."""
        return _replaced(source(self.place.module), self.site, self.edited)

    def __str__(self) -> str:
        line = getattr(self.site, "lineno", 0)
        return f"{self.place.module}:{line} {ast.unparse(self.site):.60} -> {ast.unparse(self.edited):.60}"


# What is executed.


def executed(execute: Callable[[], object]) -> set[Place]:
    """The functions of ours that a call runs, in any of its threads.

    What the harness runs for a job does not count, nor what imports run.
    """
    seen: set[tuple[str, int]] = set()
    beside = threading.local()

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event not in ("call", "return") or not code.co_filename.startswith(str(PACKAGE)):
            return
        if code.co_name == "<module>" or code.co_filename.startswith(str(PACKAGE / "harness")):
            beside.depth = getattr(beside, "depth", 0) + (1 if event == "call" else -1)
        elif event == "call" and not getattr(beside, "depth", 0):
            seen.add((code.co_filename, code.co_firstlineno))

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        execute()
    finally:
        sys.setprofile(before)
        threading.setprofile(None)  # type: ignore[arg-type]
    places = set()
    for file, line in seen:
        module = ".".join(Path(file).relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        name = next((one for one, node in functions(module).items() if _holds(node, line)), None)
        if name is not None and not within(module, NO_JOB):
            places.add(Place(module, name))
    return places


def within(module: str, packages: Collection[str]) -> bool:
    """Whether a module is one of some modules, or lies in one of some packages."""
    return any(module == one or module.startswith(f"{one}.") for one in packages)


def _holds(node: Function, line: int) -> bool:
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return first <= line <= (node.end_lineno or first)


# What there is to edit.


@lru_cache(maxsize=512)
def source(module: str) -> str:
    """The text of a module of ours."""
    path = ROOT.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return file.read_text(encoding="utf-8")


@lru_cache(maxsize=512)
def functions(module: str) -> Mapping[str, Function]:
    """Functions and methods of a module by name; what is nested in them is part of them."""
    found: dict[str, Function] = {}

    def look(body: Sequence[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, Function):
                # Overloads and the two halves of a property share a name.
                found[f"{prefix}{node.name}" if f"{prefix}{node.name}" not in found else f"{prefix}{node.name}@"] = node
            elif isinstance(node, ast.ClassDef):
                look(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.If | ast.Try | ast.With):
                look([one for one in ast.walk(node) if isinstance(one, Function)], prefix)

    look(ast.parse(source(module)).body, "")
    return found


def modules(packages: Collection[str]) -> list[str]:
    """The modules of some packages."""
    found = []
    for package in packages:
        path = ROOT.joinpath(*package.split("."))
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
        found += [".".join(one.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for one in files]
    return found


SWAPPED: dict[type[ast.AST], ast.AST] = {
    ast.Lt: ast.GtE(),
    ast.LtE: ast.Gt(),
    ast.Gt: ast.LtE(),
    ast.GtE: ast.Lt(),
    ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(),
    ast.Is: ast.IsNot(),
    ast.IsNot: ast.Is(),
    ast.In: ast.NotIn(),
    ast.NotIn: ast.In(),
    ast.Add: ast.Sub(),
    ast.Sub: ast.Add(),
    ast.Mult: ast.Div(),
    ast.Div: ast.Mult(),
    ast.FloorDiv: ast.Div(),
    ast.Mod: ast.FloorDiv(),
    ast.Pow: ast.Mult(),
    ast.MatMult: ast.Mult(),
    ast.BitOr: ast.BitAnd(),
    ast.BitAnd: ast.BitOr(),
    ast.BitXor: ast.BitOr(),
    ast.LShift: ast.RShift(),
    ast.RShift: ast.LShift(),
    ast.And: ast.Or(),
    ast.Or: ast.And(),
    ast.USub: ast.UAdd(),
    ast.UAdd: ast.USub(),
}


def mutants(module: str, name: str, node: ast.AST | None = None) -> Iterator[Mutant]:
    """Every edit of a function that may change what it computes: one constant or one operator each.

    Args:
        module: that it stands in.
        name: of the function.
        node: what is edited, where that is not the function of that name.
    """
    for site in _sites(functions(module)[name] if node is None else node, prose=False):
        for edited in _edits(site):
            yield Mutant(Place(module, name), site, edited)


def prose_mutants(module: str, name: str) -> Iterator[Mutant]:
    """Edits of a function that change nothing it computes: of texts of errors, docstrings, annotations."""
    node = functions(module)[name]
    for site in _sites(node, prose=True):
        for edited in _edits(site):
            yield Mutant(Place(module, name), site, edited)
    for argument in ast.walk(node):
        if isinstance(argument, ast.arg) and argument.annotation is not None:
            yield Mutant(Place(module, name), argument.annotation, ast.Name("object"))


def _edits(site: ast.AST) -> Iterator[ast.AST]:
    if isinstance(site, ast.Constant):
        value = site.value
        if isinstance(value, bool):
            yield ast.Constant(not value)
        elif isinstance(value, int | float | complex):
            yield ast.Constant(value + 1)
        elif isinstance(value, str | bytes):
            yield ast.Constant(value + (b"x" if isinstance(value, bytes) else "x"))
        elif value is None:
            yield ast.Constant(0)
    elif isinstance(site, ast.JoinedStr):
        yield ast.JoinedStr([*site.values, ast.Constant("x")])
    elif isinstance(site, ast.Compare):
        for index, operator in enumerate(site.ops):
            edited = copy.deepcopy(site)
            edited.ops[index] = SWAPPED[type(operator)]  # type: ignore[call-overload]
            yield edited
    elif isinstance(site, ast.UnaryOp) and isinstance(site.op, ast.Not):
        yield site.operand
    elif isinstance(site, ast.BinOp | ast.BoolOp | ast.AugAssign | ast.UnaryOp) and type(site.op) in SWAPPED:
        edited = copy.deepcopy(site)
        edited.op = SWAPPED[type(site.op)]  # type: ignore[assignment]
        yield edited


def _sites(node: ast.AST, *, prose: bool, inside: bool = False) -> Iterator[ast.AST]:
    """Nodes to edit: those in prose, or all others. `inside` says that the node is in prose already."""
    if inside == prose:
        yield node
    for child, of_prose in _children(node):
        yield from _sites(child, prose=prose, inside=inside or of_prose)


def _children(node: ast.AST) -> Iterator[tuple[ast.AST, bool]]:
    """The nodes that can be edited below one, and whether they are prose."""
    if isinstance(node, ast.JoinedStr):
        # Before 3.12, nodes within an f-string do not know where they are.
        return
    if isinstance(node, ast.Raise):
        if isinstance(node.exc, ast.Call):
            yield node.exc.func, False
            yield from ((one, True) for one in _given(node.exc))
        return
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and name not in ("annotation", "returns", "ctx", "decorator_list"):
                yield child, _is_prose(node, name, child)


def _is_prose(node: ast.AST, name: str, child: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(child, ast.Constant):
        return True
    if isinstance(node, ast.Assert) and name == "msg":
        return True
    if not isinstance(node, ast.Call) or name == "func":
        return False
    called = ast.unparse(node.func)
    if called == "cast":
        return child is node.args[0]
    return called == "warnings.warn" or called.rpartition(".")[2] in ERRORS


def _given(call: ast.Call) -> list[ast.AST]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _replaced(text: str, site: Any, edited: ast.AST) -> str:
    """A text with the piece that a node stands for written anew."""
    lines = text.encode().split(b"\n")
    new = ast.unparse(ast.fix_missing_locations(copy.deepcopy(edited))).encode()
    if isinstance(edited, ast.expr) and not isinstance(edited, ast.Constant | ast.Name):
        new = b"(" + new + b")"
    before = lines[site.lineno - 1][: site.col_offset]
    after = lines[site.end_lineno - 1][site.end_col_offset :]
    return b"\n".join([*lines[: site.lineno - 1], before + new + after, *lines[site.end_lineno :]]).decode()


def table_mutants(module: str, name: str) -> Iterator[Mutant]:
    """Edits of the constants that a table at the top of a module is made of, functions it calls aside."""
    for node in ast.parse(source(module)).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if [getattr(one, "id", None) for one in targets] == [name]:
            value = node.value  # type: ignore[attr-defined]
            yield from mutants(module, name, value)
