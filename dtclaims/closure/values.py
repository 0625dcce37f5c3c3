"""Rows of tables as plain data, for addresses."""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from dtclaims.errors import UsageError

PROSE: Mapping[str, bool] = {"prose": True}
"""Metadata of a dataclass field that only speaks: `description: str = field(metadata=PROSE)`."""

Json = Any
"""What JSON can hold."""


def resolved(value: object, where: str = "value") -> Json:
    """A value as plain data: dataclasses by their fields, but for those marked as `PROSE`.

    Args:
        value: numbers, text, None, and dataclasses, mappings, sequences and sets of them.
        where: what it is called in errors.

    Raises:
        UsageError: what an address cannot hold: paths (another folder is no other result), functions, classes (their
            code is found by `code_of`), numbers that are not finite, anything else.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: resolved(getattr(value, field.name), f"{where}.{field.name}")
            for field in dataclasses.fields(value)
            if not field.metadata.get("prose")
        }
    if isinstance(value, Mapping):
        pairs = [(resolved(key, f"a key of {where}"), resolved(one, f"{where}[{key!r}]")) for key, one in value.items()]
        if all(isinstance(key, str) for key, _ in pairs):
            return dict(pairs)
        return [[key, one] for key, one in pairs]
    if isinstance(value, list | tuple):
        return [resolved(one, f"{where}[{index}]") for index, one in enumerate(value)]
    if isinstance(value, set | frozenset):
        return sorted((resolved(one, where) for one in value), key=lambda one: json.dumps(one, sort_keys=True))
    raise UsageError(
        f"{where} cannot be part of an address",
        given=f"{type(value).__name__} {value!r:.100}",
        expected="numbers, text, None, and dataclasses, mappings, sequences and sets of them",
        remedy="A path is named by its content's digest, a function by `code_of`.",
    )
