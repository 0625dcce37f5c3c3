"""A module's top level, parsed: what its names are bound to, and what importing it does besides."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from dtclaims.errors import UsageError

Kind = Literal["function", "class", "constant", "statements"]


@dataclass(frozen=True)
class Import:
    """A name that an import binds: an attribute of a module, or the module itself."""

    module: str
    """Absolute."""
    name: str | None = None
    optional: bool = False
    """Whether it stands in a `try`, and may fail."""


@dataclass(frozen=True, eq=False)
class Definition:
    """A statement at the top level of a module that binds a name, or (`statements`) that has another effect."""

    module: str
    name: str
    kind: Kind
    node: ast.stmt
    conditions: tuple[ast.expr, ...] = ()
    """Of the `if` statements around it."""

    @property
    def label(self) -> str:
        """What it is: `function update`. Where it lies is no part of it."""
        return "statements" if self.kind == "statements" else f"{self.kind} {self.name}"


@dataclass(eq=False)
class Module:
    """What a module's text says."""

    name: str
    package: bool
    """Whether it is the `__init__` of a package, or a folder without one."""
    bindings: dict[str, list[Import | Definition]] = field(default_factory=dict)
    promised: dict[str, list[Import | Definition]] = field(default_factory=dict)
    """Imported for type checkers only: what a lazy front answers with, and no dependency otherwise."""
    stars: list[str] = field(default_factory=list)
    """Modules that all names are imported from."""
    statements: list[Definition] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    """All that importing it imports."""
    registered: list[str] = field(default_factory=list)
    """Modules imported under names that it never uses: for what importing them does."""


@lru_cache(maxsize=256)
def parsed(text: str, name: str, package: bool) -> Module:
    """The module of that text.

    Raises:
        UsageError: the text is no Python.
    """
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise UsageError(f"the module {name} is no Python", given=error) from None
    module = Module(name, package)
    _Reader(module, (), False, module.bindings).read(tree.body)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    module.registered = [] if package else [one for one in module.registered if one.partition(".")[0] not in used]
    return module


@dataclass
class _Reader:
    """Reads statements of a module's top level, nested ones with what stands around them."""

    module: Module
    conditions: tuple[ast.expr, ...]
    optional: bool
    names: dict[str, list[Import | Definition]]

    def read(self, body: Sequence[ast.stmt]) -> None:
        for node in body:
            self._read(node)

    def _within(self, body: Sequence[ast.stmt], *conditions: ast.expr, optional: bool = False) -> None:
        inner = _Reader(self.module, (*self.conditions, *conditions), self.optional or optional, self.names)
        inner.read(body)

    def _read(self, node: ast.stmt) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._define(node.name, "function", node)
        elif isinstance(node, ast.ClassDef):
            self._define(node.name, "class", node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self._import(node)
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            self._assign(node)
        elif isinstance(node, ast.If):
            self._branch(node)
        elif isinstance(node, ast.Try | ast.TryStar):
            self._within(node.body, optional=True)
            for body in (*(handler.body for handler in node.handlers), node.orelse, node.finalbody):
                self._within(body)
        elif isinstance(node, ast.With):
            self._within(node.body, *(item.context_expr for item in node.items), optional=True)
        elif not is_prose(node):
            self._effect(node)

    def _define(self, name: str, kind: Kind, node: ast.stmt) -> None:
        if name != "__all__":
            self._bind(name, Definition(self.module.name, name, kind, node, self.conditions))

    def _bind(self, name: str, what: Import | Definition) -> None:
        self.names.setdefault(name, []).append(what)

    def _import(self, node: ast.Import | ast.ImportFrom) -> None:
        typing_only = self.names is self.module.promised
        for name, found in imports(node, self.module.name, self.module.package, self.optional):
            if not typing_only:
                self.module.imports.append(found)
            if name == "*":
                self.module.stars += [] if typing_only else [found.module]
                continue
            if isinstance(node, ast.Import) and not typing_only:
                # `import a.b` binds `a`, and imports `a.b`.
                self.module.imports += [Import(alias.name) for alias in node.names]
                self.module.registered += [alias.name for alias in node.names if not alias.asname]
            self._bind(name, found)
            if self.conditions:
                # Which of several imports is done is part of what the name is.
                self._define(name, "constant", ast.copy_location(ast.Pass(), node))

    def _assign(self, node: ast.Assign | ast.AugAssign | ast.AnnAssign) -> None:
        if isinstance(node, ast.AnnAssign) and node.value is None:
            return
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for name in {name for target in targets for name in stored(target)}:
            self._define(name, "constant", node)
        if any(not isinstance(one, ast.Name) for target in targets for one in unpacked(target)):
            self._effect(node)

    def _branch(self, node: ast.If) -> None:
        if _compares_name(node.test):
            return
        if is_type_checking(node.test):
            _Reader(self.module, (), False, self.module.promised).read(node.body)
            self._within(node.orelse)
        else:
            self._within(node.body, node.test)
            self._within(node.orelse, node.test)

    def _effect(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Expr) and "__all__" in {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}:
            return
        if isinstance(node, ast.Delete) and all(isinstance(target, ast.Name) for target in node.targets):
            return
        if type(node).__name__ == "TypeAlias":
            return
        for part in ast.walk(node):
            if isinstance(part, ast.Import | ast.ImportFrom):
                self._import(part)
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self._define(part.name, "constant", node)
            for name in stored(part):
                self._define(name, "constant", node)
        self.module.statements.append(Definition(self.module.name, "", "statements", node, self.conditions))


def imports(
    node: ast.Import | ast.ImportFrom, module: str, package: bool, optional: bool = False
) -> Iterator[tuple[str, Import]]:
    """The names that an import statement binds, and to what.

    Args:
        node: the statement.
        module: that it stands in.
        package: whether that is a package, which relative imports start from.
        optional: whether the import may fail.
    """
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, Import(_absolute(node, module, package), alias.name, optional)
        elif alias.asname:
            yield alias.asname, Import(alias.name, None, optional)
        else:
            top = alias.name.partition(".")[0]
            yield top, Import(top, None, optional)


def _absolute(node: ast.ImportFrom, module: str, package: bool) -> str:
    if not node.level:
        return node.module or ""
    parents = module.split(".")
    parents = parents[: len(parents) - node.level + package]
    return ".".join([*parents, node.module] if node.module else parents)


def is_prose(node: ast.stmt) -> bool:
    """Docstrings, `pass`, `...`: statements that do nothing."""
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def is_type_checking(test: ast.expr) -> bool:
    """`TYPE_CHECKING`, by whatever name `typing` has."""
    return "TYPE_CHECKING" in (getattr(test, "id", None), getattr(test, "attr", None))


def _compares_name(test: ast.expr) -> bool:
    """`if __name__ == "__main__"`: not done on import."""
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def unpacked(target: ast.expr) -> Iterable[ast.expr]:
    """The single targets that an assignment's target is made of."""
    if isinstance(target, ast.Tuple | ast.List):
        return [one for element in target.elts for one in unpacked(element)]
    return unpacked(target.value) if isinstance(target, ast.Starred) else [target]


def stored(node: ast.AST) -> list[str]:
    """Names that a node binds by itself."""
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return [node.id]
    if isinstance(node, ast.Tuple | ast.List | ast.Starred) and isinstance(node.ctx, ast.Store):
        return [one.id for one in unpacked(node) if isinstance(one, ast.Name)]
    if isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
        return [node.name] if node.name else []
    return [node.rest] if isinstance(node, ast.MatchMapping) and node.rest else []
