"""Which names of a piece of code are its own, and which are its module's."""

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dtclaims.closure.modules import Import, imports, is_type_checking, stored

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass
class Scope:
    """The names of a function, a class body or a comprehension."""

    of_class: bool = False
    names: set[str] = field(default_factory=set)
    imported: dict[str, list[Import]] = field(default_factory=dict)
    outer: set[str] = field(default_factory=set)
    """Declared `global`."""
    nonlocal_: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Place:
    """Where a name was found."""

    own: bool
    """It may be the code's own variable."""
    imported: tuple[Import, ...] = ()
    """What imports inside the code bind it to."""
    of_module: bool = False
    """It may be the module's."""


def find(name: str, scopes: Sequence[Scope]) -> Place:
    """Where a name that is loaded in the innermost of `scopes` comes from."""
    for depth, scope in enumerate(reversed(scopes)):
        if name in scope.outer:
            break
        if name in scope.nonlocal_ or (scope.of_class and depth):
            continue
        if name in scope.names or name in scope.imported:
            # A class body sees the module's name until it binds its own.
            return Place(name in scope.names, tuple(scope.imported.get(name, ())), scope.of_class)
    return Place(False, (), True)


def scope_of(body: Iterable[ast.AST], module: str, package: bool, *, of_class: bool = False) -> Scope:
    """The scope that a body opens. Scopes inside it keep their names, but for `:=` in comprehensions."""
    scope = Scope(of_class)
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            scope.names.add(node.name)
            waiting += node.decorator_list
        elif isinstance(node, ast.Lambda):
            pass
        elif isinstance(node, Comprehension):
            scope.names |= {one.target.id for one in ast.walk(node) if isinstance(one, ast.NamedExpr)}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for name, found in imports(node, module, package):
                scope.imported.setdefault(name, []).append(found)
        elif isinstance(node, ast.Global):
            scope.outer |= set(node.names)
        elif isinstance(node, ast.Nonlocal):
            scope.nonlocal_ |= set(node.names)
        elif isinstance(node, ast.If) and is_type_checking(node.test):
            waiting += node.orelse
        else:
            scope.names |= set(stored(node))
            waiting += ast.iter_child_nodes(node)
    scope.names -= scope.outer | scope.nonlocal_
    return scope


def parameters(arguments: ast.arguments) -> set[str]:
    """The names of a function's parameters."""
    listed = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return {one.arg for one in listed if one is not None}
