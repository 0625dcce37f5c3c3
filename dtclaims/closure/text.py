"""A definition as text that says what it does and nothing else, the same whatever Python parsed it.

Prose is left out: comments, layout, docstrings, annotations of functions, texts of errors and warnings. What is named
is written as what it is, not by the path it is imported from; that takes other modules, so it stays a `Reference` here.
"""

import ast
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from dtclaims.closure.modules import Definition, Import, imports, is_prose, is_type_checking
from dtclaims.closure.scopes import Comprehension, Function, Scope, find, parameters, scope_of

Speech = Literal["arguments", "decorator", "type"]


@dataclass(frozen=True)
class Reference:
    """A name, with the attributes read of it, that the code takes from outside."""

    chain: tuple[str, ...]
    imported: tuple[Import, ...] = ()
    """What imports inside the code bind it to; else it is the module's, or Python's."""


@dataclass(frozen=True)
class Aside:
    """Text that counts unless the reference is to what only speaks: an error, a warning, a declaration, a type."""

    reference: Reference
    tokens: "tuple[Token, ...]"
    kind: Speech


Token = str | Reference | Aside


@dataclass
class Text:
    """A definition, written."""

    tokens: tuple[Token, ...]
    bases: tuple[Reference, ...] = ()
    """Of a class."""
    hints: tuple[Reference, ...] = ()
    """What annotations of its fields, or of the constant itself, name."""
    imports: tuple[Import, ...] = ()
    """Modules that it imports when it runs."""
    computed: tuple[Reference, ...] = ()
    """Calls that look like imports by a name put together at run time."""


def written(definition: Definition, package: bool) -> Text:
    """The text of a definition.

    Args:
        definition: what is written.
        package: whether its module is a package, which relative imports start from.
    """
    writer = _Writer(definition.module, package)
    for condition in definition.conditions:
        writer.write(condition)
    node = definition.node
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    if definition.kind == "constant" and value is not None and all(isinstance(one, ast.Name) for one in targets):
        # Its name is the part's.
        writer.write(value)
        if isinstance(node, ast.AnnAssign):
            writer.annotated(node.annotation)
    else:
        writer.write(node)
    bases = [writer.reference(base) for base in node.bases] if isinstance(node, ast.ClassDef) else []
    return Text(
        tuple(_joined_up(writer.tokens)),
        tuple(base for base in bases if base is not None),
        tuple(writer.hinted),
        tuple(writer.imports),
        tuple(writer.computed),
    )


def _joined_up(tokens: list[Token]) -> Iterator[Token]:
    """The same tokens with neighbouring text made one."""
    text: list[str] = []
    for token in tokens:
        if isinstance(token, str):
            text.append(token)
            continue
        if text:
            yield "".join(text)
            text = []
        yield token
    if text:
        yield "".join(text)


@dataclass
class _Writer:
    module: str
    package: bool
    tokens: list[Token] = field(default_factory=list)
    hinted: list[Reference] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    computed: list[Reference] = field(default_factory=list)
    scopes: list[Scope] = field(default_factory=list)

    def write(self, part: object) -> None:
        """A piece of the tree: a node, a list of nodes, or a plain value."""
        if isinstance(part, ast.AST):
            writer = getattr(self, f"_write_{type(part).__name__}", None)
            if writer is None:
                self.fields(part)
            else:
                writer(part)
        elif isinstance(part, list):
            self.listed(part)
        else:
            # Not `repr`: which characters it shows as they are depends on the version's Unicode tables.
            self.tokens.append(ascii(part))

    def listed(self, parts: Sequence[object]) -> None:
        """Nodes in order, without statements that do nothing."""
        self.tokens.append("[")
        for part in parts:
            if not (isinstance(part, ast.stmt) and is_prose(part)):
                self.write(part)
                self.tokens.append(",")
        self.tokens.append("]")

    def fields(self, node: ast.AST, *without: str) -> None:
        """A node by its fields. One that is empty is left out: so are those that only other versions know."""
        self.tokens.append(f"{type(node).__name__}(")
        for name, value in sorted(ast.iter_fields(node)):
            if value is not None and value != [] and name not in (*without, "ctx", "type_comment", "type_params"):
                self.tokens.append(f"{name}=")
                self.write(value)
                self.tokens.append(",")
        self.tokens.append(")")

    @contextmanager
    def inside(self, scope: Scope) -> Iterator[None]:
        """Write in a scope of its own."""
        self.scopes.append(scope)
        yield
        self.scopes.pop()

    # Names.

    def reference(self, node: ast.AST) -> Reference | None:
        """What a name, or a chain of attributes of one, refers to outside; None for the code's own variables."""
        chain: list[str] = []
        while isinstance(node, ast.Attribute):
            chain.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return None
        place = find(node.id, self.scopes)
        if place.own and not place.imported and not place.of_module:
            return None
        return Reference((node.id, *chain), place.imported)

    def _write_Name(self, node: ast.Name) -> None:
        stores = not isinstance(node.ctx, ast.Load)
        place = find(node.id, self.scopes)
        if place.own or (stores and not self.scopes):
            self.tokens.append(f"Name({node.id})")
        if not (stores and (place.own or not self.scopes)) and (place.imported or place.of_module):
            self.tokens.append(Reference((node.id,), place.imported))

    def _write_Attribute(self, node: ast.Attribute) -> None:
        reference = self.reference(node)
        if reference is None:
            self.fields(node)
        else:
            self.tokens.append(reference)

    # Values.

    def _write_Constant(self, node: ast.Constant) -> None:
        self.tokens.append(f"Constant({node.value!a})")

    def _write_JoinedStr(self, node: ast.JoinedStr) -> None:
        self.tokens.append("JoinedStr(")
        self.listed(_joined(node.values))
        self.tokens.append(")")

    def _write_Call(self, node: ast.Call) -> None:
        self.tokens.append("Call(")
        self.write(node.func)
        reference = self.reference(node.func)
        if reference is not None and reference.chain[-1] in ("import_module", "__import__"):
            name = node.args[0] if node.args else None
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                self.tokens.append(Reference((name.value,), (Import(name.value),)))
            else:
                self.computed.append(reference)
        if reference is None:
            self.write(node.args)
            self.write(node.keywords)
        elif reference.chain[-1] == "cast" and node.args:
            self._aside(reference, "type", node.args[0])
            self.write(node.args[1:])
        else:
            self._aside(reference, "arguments", node.args, node.keywords)
        self.tokens.append(")")

    def _aside(self, reference: Reference, kind: Speech, *parts: object) -> None:
        before, self.tokens = self.tokens, []
        for part in parts:
            self.write(part)
        inside, self.tokens = self.tokens, before
        self.tokens.append(Aside(reference, tuple(_joined_up(inside)), kind))

    def _comprehension(self, node: Comprehension) -> None:
        first = node.generators[0]
        self.tokens.append(f"{type(node).__name__}(")
        self.write(first.iter)
        targets = {one.id for each in node.generators for one in ast.walk(each.target) if isinstance(one, ast.Name)}
        with self.inside(Scope(names=targets)):
            for generator in node.generators:
                self.write(generator.target)
                if generator is not first:
                    self.write(generator.iter)
                self.write(generator.ifs)
                self.write(generator.is_async)
            for name in ("elt", "key", "value"):
                if hasattr(node, name):
                    self.write(getattr(node, name))
        self.tokens.append(")")

    _write_ListComp = _write_SetComp = _write_DictComp = _write_GeneratorExp = _comprehension

    # Functions and classes.

    def _decorators(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        for decorator in node.decorator_list:
            reference = self.reference(decorator.func if isinstance(decorator, ast.Call) else decorator)
            self.tokens.append("@")
            if reference is None or self.scopes:
                self.write(decorator)
            else:
                self._aside(reference, "decorator", decorator)

    def _function(self, node: Function) -> None:
        self.tokens.append(f"{type(node).__name__}(")
        if not isinstance(node, ast.Lambda):
            self.tokens.append(node.name)
            self._decorators(node)
        arguments = node.args
        for group in ("posonlyargs", "args", "vararg", "kwonlyargs", "kwarg"):
            named = getattr(arguments, group) or []
            self.tokens.append(f"{group}={[one.arg for one in (named if isinstance(named, list) else [named])]}")
        self.write(arguments.defaults)
        self.write(arguments.kw_defaults)
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        scope = scope_of(body, self.module, self.package)
        scope.names |= parameters(arguments)
        with self.inside(scope):
            self.listed(body)
        self.tokens.append(")")

    _write_FunctionDef = _write_AsyncFunctionDef = _write_Lambda = _function

    def _write_ClassDef(self, node: ast.ClassDef) -> None:
        self.tokens.append(f"ClassDef({node.name}")
        self._decorators(node)
        self.write(node.bases)
        self.write(node.keywords)
        with self.inside(scope_of(node.body, self.module, self.package, of_class=True)):
            self.listed(node.body)
        self.tokens.append(")")

    # Statements.

    def _write_AnnAssign(self, node: ast.AnnAssign) -> None:
        if self.scopes and self.scopes[-1].of_class:
            # What a dataclass makes of a field depends on it.
            self.tokens.append("Annotated(")
            names = {part.id for part in ast.walk(node.annotation) if isinstance(part, ast.Name)}
            with self.inside(Scope(names=names)):
                self.write(node.annotation)
            self.annotated(node.annotation)
            self.write([node.target])
            self.tokens.append(")")
        if node.value is not None:
            self.fields(ast.Assign(targets=[node.target], value=node.value))

    def annotated(self, annotation: ast.expr) -> None:
        """Note what an annotation names: what is of these classes is what the field will hold."""
        found = [self.reference(part) for part in ast.walk(annotation)]
        self.hinted += [reference for reference in found if reference is not None]

    def _write_Raise(self, node: ast.Raise) -> None:
        self.tokens.append("Raise(")
        if isinstance(node.exc, ast.Call):
            self.write(node.exc.func)
        elif node.exc is not None:
            self.write(node.exc)
        self.tokens.append(")")

    def _write_Assert(self, node: ast.Assert) -> None:
        self.tokens.append("Assert(")
        self.write(node.test)
        self.tokens.append(")")

    def _write_If(self, node: ast.If) -> None:
        if is_type_checking(node.test):
            self.listed(node.orelse)
        else:
            self.fields(node)

    def _write_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        if not self.scopes:
            return
        # What is imported is written where it is used.
        self.imports += [found for _, found in imports(node, self.module, self.package)]
        if isinstance(node, ast.Import):
            self.imports += [Import(alias.name) for alias in node.names]

    _write_ImportFrom = _write_Import

    def _write_TypeAlias(self, node: ast.stmt) -> None:
        """A type, which does nothing."""


def _joined(values: list[ast.expr]) -> list[ast.expr]:
    """The parts of an f-string with neighbouring pieces of text made one; versions cut them differently."""
    joined: list[ast.expr] = []
    for value in values:
        last = joined[-1] if joined else None
        if isinstance(value, ast.Constant) and isinstance(last, ast.Constant):
            joined[-1] = ast.Constant(str(last.value) + str(value.value))
        elif not isinstance(value, ast.Constant) or value.value:
            joined.append(value)
    return joined
