"""First-party code as one program: where its modules lie, and what a name in one of them means."""

import ast
import builtins
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from weakref import WeakKeyDictionary

from dtclaims.closure.modules import Definition, Import, Module, parsed
from dtclaims.closure.text import Aside, Reference, Text, Token, written
from dtclaims.errors import UsageError

PACKAGE = Path(__file__).resolve().parent.parent
HARNESS = f"{PACKAGE.name}.harness"
"""What declares and runs jobs, and computes nothing in them."""
TABLES = f"{PACKAGE.name}.choice"
INSTALLED = {"site-packages", "dist-packages"}

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Leaf:
    """What a name means where first-party code ends: another package's, or Python's own."""

    name: str


@dataclass(frozen=True)
class Whole:
    """A module of ours, as a value."""

    module: str


Thing = Definition | Whole | Leaf


@dataclass(eq=False)
class Part:
    """A definition with its names resolved."""

    definition: Definition
    text: str
    """What it does; what it refers to is named by label."""
    targets: tuple[Definition, ...]
    """What it refers to, in order."""
    hints: tuple[Definition, ...]
    """Classes that its annotations name."""
    imports: tuple[str, ...]
    """Modules of ours that it imports when it runs."""


class Program:
    """The modules that code in one place can import.

    Args:
        folder: where other packages than dtclaims are looked for; None for the import path.
        texts: by module, what stands in place of its file.
    """

    def __init__(self, folder: Path | None, texts: Mapping[str, str]) -> None:
        self.folder = folder
        self._texts = texts
        self._modules: dict[str, Module | None] = {}
        self._tops: dict[str, Path | None] = {PACKAGE.name: PACKAGE.parent}
        self._parts: dict[Definition, Part] = {}
        self._found: dict[tuple[str, str], tuple[Thing, ...] | None] = {}
        self._stamps: dict[Path, Stamp] = {}
        self._errors: dict[Definition, bool] = {}

    def is_current(self) -> bool:
        """Whether the files are as they were when they were read."""
        return all(_stamp(path) == stamp for path, stamp in self._stamps.items())

    # Modules.

    def add_package(self, module: str) -> None:
        """Take a package on the import path for first-party.

        Raises:
            UsageError: it is not there, or not Python.
        """
        top = module.partition(".")[0]
        if self.owns(top):
            return
        found = importlib.util.find_spec(top)
        if found is None or found.origin is None or not found.origin.endswith(".py"):
            raise UsageError("no such package to take code from", given=repr(top))
        origin = Path(found.origin)
        self._tops[top] = (origin.parent if origin.name == "__init__.py" else origin).parent

    def owns(self, module: str) -> bool:
        """Whether a module is first-party."""
        top = module.partition(".")[0]
        if top not in self._tops:
            self._tops[top] = self.folder if self.folder is not None and _file(self.folder, top) is not None else None
        return self._tops[top] is not None

    def module(self, name: str) -> Module | None:
        """A first-party module, parsed; None for one that is not there."""
        if name not in self._modules:
            self._modules[name] = self._read(name)
        return self._modules[name]

    def _read(self, name: str) -> Module | None:
        if not self.owns(name):
            return None
        folder = self._tops[name.partition(".")[0]]
        assert folder is not None
        path = _file(folder, name)
        if path is None and name not in self._texts:
            return None
        if path is not None and path.is_dir():
            return Module(name, package=True)
        package = path is not None and path.name == "__init__.py"
        text = self._texts[name] if name in self._texts else self._text(path)
        module = parsed(text, name, package)
        stub = None if path is None else path.with_suffix(".pyi")
        if stub is None or "__getattr__" not in module.bindings or not stub.is_file():
            return module
        promised = parsed(self._text(stub), name, package).bindings
        return Module(**{**vars(module), "promised": {**module.promised, **promised}})

    def _text(self, path: Path | None) -> str:
        assert path is not None
        self._stamps[path] = stamp = _stamp(path)
        return _content(path, stamp)

    # Names.

    def lookup(self, module: str, name: str, *, optional: bool = False) -> tuple[Thing, ...]:
        """What an attribute of a first-party module is: several things where several statements bind it.

        Raises:
            UsageError: nothing binds it, or a lazy front that cannot be seen through.
        """
        if (module, name) not in self._found:
            # A name that is being looked up, and is met again, leads nowhere new.
            self._found[module, name] = ()
            self._found[module, name] = self._lookup(module, name)
        found = self._found[module, name]
        if found is not None:
            return found
        if optional or (name.startswith("__") and name.endswith("__")):
            return (Leaf(name),)
        raise UsageError(
            f"code uses {name} of {module}, which cannot be found",
            expected="a definition, an import, or the stub of a lazy front that names it",
        )

    def _lookup(self, module: str, name: str) -> tuple[Thing, ...] | None:
        read = self.module(module)
        if read is None:
            return None
        if name in read.bindings:
            return self._things(read.bindings[name])
        for star in read.stars:
            if self.owns(star):
                starred = self._lookup(star, name)
                if starred is not None:
                    return starred
        if read.package and self.module(f"{module}.{name}") is not None:
            return (Whole(f"{module}.{name}"),)
        if "__getattr__" in read.bindings:
            if name in read.promised:
                return self._things(read.promised[name])
            front = [one for one in read.bindings["__getattr__"] if isinstance(one, Definition)]
            if any(one.kind == "function" for one in front):
                return tuple(front)
        foreign = [star for star in read.stars if not self.owns(star)]
        return (Leaf(f"{' or '.join(foreign)}.{name}"),) if foreign else None

    def _things(self, bound: Iterable[Import | Definition]) -> tuple[Thing, ...]:
        return tuple(thing for one in bound for thing in (self.imported(one) if isinstance(one, Import) else (one,)))

    def imported(self, one: Import) -> tuple[Thing, ...]:
        """What an import binds its name to."""
        if not self.owns(one.module):
            return (Leaf(one.module if one.name is None else f"{one.module}.{one.name}"),)
        if self.module(one.module) is None:
            if one.optional:
                return (Leaf(one.name or one.module),)
            raise UsageError("code imports a module that cannot be found", given=one.module)
        return (Whole(one.module),) if one.name is None else self.lookup(one.module, one.name, optional=one.optional)

    def resolve(self, module: str, reference: Reference) -> tuple[str, tuple[Thing, ...]]:
        """What a reference in a module means: its label, the same wherever things lie, and the things."""
        first, *attributes = reference.chain
        things: tuple[Thing, ...]
        if reference.imported:
            things = self._things(reference.imported)
        else:
            read = self.module(module)
            assert read is not None
            known = first in read.bindings or read.stars
            things = self.lookup(module, first, optional=True) if known else (Leaf(first),)
        labels, ends = set(), []
        for thing in things:
            for label, end in self._along(thing, tuple(attributes)):
                labels.add(label)
                ends.append(end)
        return "|".join(sorted(labels)), tuple(ends)

    def _along(self, thing: Thing, attributes: tuple[str, ...]) -> list[tuple[str, Thing]]:
        rest = "".join(f".{attribute}" for attribute in attributes)
        if isinstance(thing, Definition):
            return [(thing.label + rest, thing)]
        if isinstance(thing, Leaf):
            return [(thing.name + rest, Leaf(thing.name + rest))]
        if not attributes:
            return [("module", thing)]
        found = self.lookup(thing.module, attributes[0])
        return [end for one in found for end in self._along(one, attributes[1:])]

    # Parts.

    def part(self, definition: Definition) -> Part:
        """A definition with its names resolved.

        Raises:
            UsageError: it imports by a name that is put together at run time.
        """
        if definition not in self._parts:
            self._parts[definition] = self._resolved(definition)
        return self._parts[definition]

    def _resolved(self, definition: Definition) -> Part:
        module = definition.module
        text = self.text(definition)
        for reference in text.computed:
            label, _ = self.resolve(module, reference)
            if label in ("importlib.import_module", "__import__"):
                raise UsageError(
                    f"{definition.label} imports by a name that is put together at run time",
                    given=module,
                    remedy="Name what it may import in a `dtclaims.choice.Choice`.",
                )
        targets: list[Definition] = []
        tokens: Iterable[Token] = text.tokens
        if self.is_error(definition):
            # What an error says, and how it says it, changes no number.
            tokens = (f"error {definition.name} ", *text.bases)
        pieces = list(self._pieces(module, tokens, targets))
        ours = {one.module for one in text.imports if self.owns(one.module)}
        foreign = {f"import {one.module}.{one.name or ''}" for one in text.imports if not self.owns(one.module)}
        hints = [thing for hint in text.hints for thing in self.resolve(module, hint)[1]]
        return Part(
            definition,
            "".join([*pieces, *sorted(foreign)]),
            tuple(targets),
            tuple(one for one in hints if isinstance(one, Definition) and one.kind == "class"),
            tuple(sorted(ours)),
        )

    def text(self, definition: Definition) -> Text:
        """A definition as text, its names as references."""
        module = self.module(definition.module)
        assert module is not None
        return _written(definition, module.package)

    def _pieces(self, module: str, tokens: Iterable[Token], targets: list[Definition]) -> Iterable[str]:
        for token in tokens:
            if isinstance(token, str):
                yield token
            elif isinstance(token, Reference):
                label, things = self.resolve(module, token)
                yield f"<{label}>"
                for thing in things:
                    targets += self.definitions(thing)
            elif not self._only_speaks(module, token):
                yield from self._pieces(module, token.tokens, targets)

    def definitions(self, thing: Thing) -> list[Definition]:
        """The definitions that a thing stands for: of a module as a value, all."""
        if isinstance(thing, Definition):
            return [thing]
        module = self.module(thing.module) if isinstance(thing, Whole) else None
        bound = [] if module is None else [one for found in module.bindings.values() for one in found]
        return [one for one in bound if isinstance(one, Definition)]

    def _only_speaks(self, module: str, aside: Aside) -> bool:
        label, things = self.resolve(module, aside.reference)
        if aside.kind == "type":
            return label == "typing.cast"
        if aside.kind == "decorator":
            return any(
                isinstance(one, Definition) and (in_harness(one.module) or self._made_by_harness(one)) for one in things
            )
        return bool(things) and all(
            self.is_error(one) if isinstance(one, Definition) else isinstance(one, Leaf) and _speaks(one.name)
            for one in things
        )

    def is_error(self, definition: Definition) -> bool:
        """Whether it is a class of exceptions."""
        if definition.kind != "class":
            return False
        if definition not in self._errors:
            self._errors[definition] = False
            bases = [
                thing for base in self.text(definition).bases for thing in self.resolve(definition.module, base)[1]
            ]
            self._errors[definition] = any(
                self.is_error(one) if isinstance(one, Definition) else isinstance(one, Leaf) and _is_error(one.name)
                for one in bases
            )
        return self._errors[definition]

    def _made_by_harness(self, definition: Definition) -> bool:
        """Whether a name is bound to what the harness made of a call, such as a lab of functions."""
        value = getattr(definition.node, "value", None)
        if definition.kind != "constant" or not isinstance(value, ast.Call):
            return False
        calls = [token for token in self.text(definition).tokens[1:2] if isinstance(token, Reference)]
        made = [thing for call in calls for thing in self.resolve(definition.module, call)[1]]
        return any(isinstance(one, Definition) and in_harness(one.module) for one in made)

    def table(self, definition: Definition) -> tuple[str, ast.Call] | None:
        """`Choice` or `rows`, and the call, if that is what a name is bound to."""
        value = getattr(definition.node, "value", None)
        if definition.kind != "constant" or not isinstance(value, ast.Call):
            return None
        calls = [token for token in self.text(definition).tokens[1:2] if isinstance(token, Reference)]
        made = [thing for call in calls for thing in self.resolve(definition.module, call)[1]]
        names = [one.name for one in made if isinstance(one, Definition) and one.module == TABLES]
        return (names[0], value) if names else None


def in_harness(module: str) -> bool:
    """Whether a module is the harness's, or the front that offers it."""
    return module in (HARNESS, PACKAGE.name) or module.startswith(f"{HARNESS}.")


def _is_error(name: str) -> bool:
    known = getattr(builtins, name, None)
    if isinstance(known, type):
        return issubclass(known, BaseException)
    return "." in name and name.endswith(("Error", "Exception", "Warning"))


def _speaks(name: str) -> bool:
    return name == "warnings.warn" or _is_error(name)


def _file(folder: Path, module: str) -> Path | None:
    """Where a module lies: its file, or the folder of a package without `__init__`."""
    path = folder.joinpath(*module.split("."))
    for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
        if file.is_file():
            return file
    return path if path.is_dir() and any(path.glob("*.py")) else None


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return 0, -1
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=1024)
def _content(path: Path, stamp: Stamp) -> str:
    return path.read_text(encoding="utf-8")


_TEXTS: WeakKeyDictionary[Definition, Text] = WeakKeyDictionary()


def _written(definition: Definition, package: bool) -> Text:
    if definition not in _TEXTS:
        _TEXTS[definition] = written(definition, package)
    return _TEXTS[definition]
