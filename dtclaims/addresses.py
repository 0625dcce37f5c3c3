"""Content addresses: what a result depends on, hashed.

Two results share a key exactly when nothing that can change the numbers differs.
"""

import ast
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any


def source_digest(tree: ast.Module) -> str:
    """A digest of parsed code; docstrings are taken out of the tree, comments and layout are not in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:]
    return hashlib.sha256(_written(tree).encode()).hexdigest()[:16]


def _written(part: object) -> str:
    """A piece of a syntax tree as text, the same whatever Python (3.11 or later) parsed and writes it.

    `ast.dump` names fields that only newer versions know, and leaves out empty ones in some versions and not in others.
    """
    if isinstance(part, ast.JoinedStr):
        part = ast.JoinedStr(_joined(part.values))
    if isinstance(part, ast.Constant):
        return f"Constant({_written(part.value)})"
    if isinstance(part, ast.AST):
        # What is not there is left out: a field that a version does not know then looks like one that is empty.
        fields = {name: value for name, value in ast.iter_fields(part) if value is not None and value != []}
        return f"{type(part).__name__}({', '.join(f'{name}={_written(fields[name])}' for name in sorted(fields))})"
    if isinstance(part, list):
        return f"[{', '.join(map(_written, part))}]"
    # Not `repr`: which characters it shows as they are depends on the version's Unicode tables.
    return ascii(part)


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


def versions(*packages: str) -> dict[str, str | None]:
    """Versions of packages that a result depends on, read without importing them; None for one that is not here."""
    return {name: _version(name) for name in packages}


@lru_cache(maxsize=64)
def _version(package: str) -> str | None:
    # Every planned job asks; reading a package's metadata takes milliseconds.
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def key_of(identity: Mapping[str, Any]) -> str:
    """The content address: 20 hex digits of the SHA-256 of the canonical JSON."""
    return digest_of(identity)[:20]


def digest_of(content: Any) -> str:
    """SHA-256 of the canonical JSON of plain data, as 64 hex digits."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any], path: str = "") -> list[tuple[str, Any, Any]]:
    """Fields in which two identities differ: (dotted name, ours, theirs), absent values as None."""
    found: list[tuple[str, Any, Any]] = []
    for name in sorted({*ours, *theirs}):
        mine, other = ours.get(name), theirs.get(name)
        where = f"{path}{name}"
        if isinstance(mine, Mapping) and isinstance(other, Mapping):
            found += differences(mine, other, f"{where}.")
        elif mine != other:
            found.append((where, mine, other))
    return found
