"""Registrations: everything that claims declare, sealed before the runs (`dtclaims register`).

    {"kind": "dtclaims-registration", "schema": 1,
     "paper": {...}, "claims": [{what a claim declares, "code" of its functions, what that names "beside" them,
                                  "size": the paper's values}, ...],
     "rule": edition, "alpha", "seeds", "looks", "scale", "tasks", "protocols", "options": the lab's own,
     "dtclaims": version, "commit", "created": UTC,
     "digest": SHA-256 of the canonical JSON of all else}

The seal says that the file is as it was written, not when: a date is as good as the place where the file was published
before the runs, such as a commit, OSF, or a time stamp on the file. Nothing in a file is ever executed.
"""

import ast
import copy
import datetime
import inspect
import json
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dtclaims
from dtclaims.addresses import digest_of, source_digest
from dtclaims.errors import ReportError, StoreError, UsageError
from dtclaims.files import parse_json, plain_text, reading, write_json
from dtclaims.harness import schema
from dtclaims.harness.commit import commit_of
from dtclaims.harness.declare.claim import Claim, Form
from dtclaims.harness.declare.papers import read_publication
from dtclaims.harness.judge.calibration import drawn_effects
from dtclaims.harness.judge.document import Registration
from dtclaims.harness.lab import Lab, protocols_of
from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.settings import Settings
from dtclaims.harness.stats.editions import TODAY
from dtclaims.harness.store.store import MadeAt
from dtclaims.harness.times import PATTERN, now
from dtclaims.places import ROOT

KIND = "dtclaims-registration"
SCHEMA = 1
REMEDY = "Restore it from where it was published; a registration is never mended."
PROSE = frozenset(("paper_value", "deviations", "scope", "section", "size"))
"""Fields of a claim's declaration that no verdict comes from: they may be put better after the seal."""
PROSE_OF_FORM = frozenset(("effect", "measured"))
"""The same of a form."""
LARGEST = 64 * 2**20
"""Bytes of a file that is read at all."""

_TEXTS = {"type": "array", "items": {"type": "string"}}
_NUMBERS = {"type": "array", "items": {"type": "integer", "minimum": 0}}
_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "kind": {"const": KIND},
    "schema": {"const": SCHEMA},
    "paper": {"type": "object"},
    "claims": {
        "type": "array",
        "items": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string", "pattern": r"\S"}}},
    },
    "rule": {"type": "string"},
    "alpha": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5},
    "seeds": _NUMBERS,
    "looks": {"type": ["array", "null"], "items": {"type": "integer", "minimum": 3}},
    "scale": {"type": "string"},
    "tasks": _TEXTS,
    "protocols": _TEXTS,
    "options": {"type": "object", "additionalProperties": {"type": "string"}},
    "dtclaims": {"type": "string"},
    "commit": {"type": ["string", "null"]},
    "created": {
        "type": "string",
        "pattern": PATTERN,
    },
    "digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
}
FORM = {"type": "object", "additionalProperties": False, "required": list(_FIELDS), "properties": _FIELDS}
"""What a file has to look like."""


@dataclass(frozen=True)
class Sealed:
    """A registration that is as it was sealed."""

    path: Path
    content: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of what it declares."""
        return str(self.content["digest"])

    @property
    def created(self) -> str:
        """When it says that it was sealed: ISO 8601, UTC."""
        return str(self.content["created"])

    @property
    def claims(self) -> list[str]:
        """Ids of the claims that it declares."""
        return [one["id"] for one in self.content["claims"]]

    def differing(self, claims: Iterable[Claim], lab: Lab) -> list[str]:
        """Ids of claims that are declared otherwise today, or that it does not declare.

        Args:
            claims: of today.
            lab: theirs.
        """
        sealed = {one["id"]: _stated(one) for one in self.content["claims"]}
        today = {one.id: _stated(_plain(declared(one, lab))) for one in claims}
        for name, stated in today.items():
            if "beside" not in sealed.get(name, stated):
                # A seal of before says nothing of it.
                del stated["beside"]
        return [name for name, stated in today.items() if sealed.get(name) != stated]

    def undeclared(self, claims: Iterable[Claim]) -> list[str]:
        """Ids of claims that it declares and that there are not."""
        known = {one.id for one in claims}
        return [name for name in self.claims if name not in known]

    def otherwise(self, settings: Settings) -> list[str]:
        """Names of choices that a session made otherwise.

        It may judge fewer protocols, and at a declared look the first so many seeds.
        """
        sealed, chosen = self.content, _choices(settings)
        moved = [
            name for name in ("rule", "alpha", "looks", "scale", "tasks", "options") if sealed[name] != chosen[name]
        ]
        first = [sealed["seeds"][:size] for size in sealed["looks"] or ()]
        if chosen["seeds"] not in [sealed["seeds"], *first]:
            moved.append("seeds")
        if not set(chosen["protocols"]) <= set(sealed["protocols"]):
            moved.append("protocols")
        return moved

    def departures(self, claims: Iterable[Claim], settings: Settings) -> tuple[str, ...]:
        """Names of choices that a session made otherwise, and of claims that are declared otherwise."""
        return (*self.otherwise(settings), *self.differing(claims, settings.lab))

    def of_session(self, claims: Iterable[Claim], settings: Settings, before_first_run: bool | None) -> Registration:
        """What a report says of it.

        Args:
            claims: that were judged.
            settings: of the session.
            before_first_run: as `before` tells.
        """
        differs = self.departures(claims, settings)
        return Registration(self.digest, self.created, before_first_run, not differs, differs)

    def before(self, ends: Sequence[MadeAt]) -> bool | None:
        """Whether it was sealed before the first of some results was there; None where that is not known.

        Args:
            ends: when each result was made.
        """
        sealed = _time(self.created)
        if any(_time(one.at) < sealed for one in ends):
            # Even a time that is too late, as a copy's, shows that a result was there.
            return False
        return True if ends and all(one.recorded for one in ends) else None


def sealed_now(claims: Sequence[Claim], settings: Settings) -> dict[str, Any]:
    """The sealed declaration of some claims and of the session that is to judge them, as of now."""
    publication = read_publication(claims[0].file.parent)
    content = {
        "kind": KIND,
        "schema": SCHEMA,
        "paper": publication.to_json(),
        "claims": [declared(one, settings.lab) for one in claims],
        **_choices(settings),
        "dtclaims": dtclaims.__version__,
        "commit": commit_of(ROOT),
        "created": now(),
    }
    return {**content, "digest": digest_of(content)}


def declared(claim: Claim, lab: Lab) -> dict[str, Any]:
    """What a claim declares, with digests of its functions and the paper's values of its effect, as plain data."""
    forms = {"test": claim.form, **claim.corrections}
    cell = Cell(claim, protocols_of(lab.switches)["published"], next(iter(lab.scales.values())), lab, lab.tasks)
    size: dict[str, dict[str, float | None]] = {}
    for one in drawn_effects(cell):
        size.setdefault(cell.named(one.part, one.task), {})[str(one.seed)] = one.effect
    return {
        **claim.to_json(),
        "code": {name: _code(form) for name, form in forms.items() if form is not None},
        "beside": {name: _beside(form, claim.file.parent) for name, form in forms.items() if form is not None},
        "size": size,
    }


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a registration where nothing is.

    Raises:
        StoreError: something is there, or it cannot be written.
    """
    if path.exists():
        raise StoreError("a registration is never overwritten", given=str(path), remedy="Name another file.")
    write_json(path, content)


def read(path: Path) -> Sealed:
    """A registration, checked against its seal.

    Raises:
        UsageError: no such file.
        NotPermitted: one that may not be read; it may be sound.
        StoreError: one that is damaged or of another kind, or one that is not as it was sealed.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes")
        content = parse_json(plain_text(path))
        schema.check_json(content, "")
        schema.check(content, FORM, FORM, "")
        _time(content["created"])
    except FileNotFoundError:
        raise UsageError(
            "no such registration", given=path, remedy="`dtclaims register --out FILE.json` makes one."
        ) from None
    except PermissionError:
        with reading(path):
            raise
    except (OSError, ValueError, RecursionError, ReportError) as error:
        raise StoreError(
            f"{path} is no registration", given=error, expected="what `dtclaims register` writes", remedy=REMEDY
        ) from None
    found = digest_of({name: value for name, value in content.items() if name != "digest"})
    if found != content["digest"]:
        raise StoreError(
            f"{path} is not as it was sealed", given=f"digest {found}", expected=content["digest"], remedy=REMEDY
        )
    return Sealed(path, content)


def _choices(settings: Settings) -> dict[str, Any]:
    return {
        "rule": TODAY.version,
        "alpha": settings.alpha,
        "seeds": list(settings.seeds),
        "looks": None if settings.looks is None else list(settings.looks),
        "scale": settings.scale.name,
        "tasks": list(settings.tasks),
        "protocols": [one.name for one in settings.protocols],
        # Where data and weights lie says nothing elsewhere.
        "options": {name: Path(given).name for name, given in settings.options.items()},
    }


def _functions(form: Form) -> dict[str, Any]:
    return {"effect": form.function, **{f"check {one.name}": one.function for one in form.checks}}


def _code(form: Form) -> dict[str, str]:
    return {name: source_digest(_declared_code(function)) for name, function in _functions(form).items()}


def _declared_code(function: Any) -> ast.Module:
    """A function's code; its decorators are what is declared, and stand there."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    (made,) = tree.body
    if isinstance(made, ast.FunctionDef):
        made.decorator_list = []
    return tree


def _beside(form: Form, folder: Path) -> dict[str, list[str]]:
    """What a form's functions name beside the claim, and what that names: digests of functions, classes and modules of
    the folder, and of plain values, by name.

    Other packages are versions, and the lab's code is in the address of every result.
    """
    waiting = [(one, _declared_code(one)) for one in _functions(form).values()]
    found: dict[str, set[str]] = {}
    seen: list[Any] = []
    while waiting:
        one, tree = waiting.pop()
        space = dict(one.__globals__ if inspect.isfunction(one) else vars(sys.modules.get(one.__module__, object)))
        space |= inspect.getclosurevars(one).nonlocals if inspect.isfunction(one) else {}
        for word in sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} & space.keys()):
            # Behind a cache, or another decorator that says what it wraps.
            value = inspect.unwrap(space[word]) if callable(space[word]) else space[word]
            if not (inspect.isfunction(value) or inspect.isclass(value) or inspect.ismodule(value)):
                label, digest = f"{Path(inspect.getfile(one)).stem}.{word}", _digest_of_value(value, folder)
                found.setdefault(label, set()).update([] if digest is None else [digest])
                continue
            file = _file_of(value)
            if file is None or not file.is_relative_to(folder.resolve()) or any(value is known for known in seen):
                continue
            seen.append(value)
            code = _code_beside(value)
            label = file.stem if inspect.ismodule(value) else f"{file.stem}.{value.__qualname__}"
            if not inspect.ismodule(value):
                waiting.append((value, code))
            # The tree is changed by its digest.
            found.setdefault(label, set()).add(source_digest(copy.deepcopy(code)))
    return {label: sorted(digests) for label, digests in found.items() if digests}


def _file_of(thing: Any) -> Path | None:
    try:
        return Path(inspect.getfile(thing)).resolve()
    except (TypeError, OSError):
        # Built in.
        return None


def _code_beside(thing: Any) -> ast.Module:
    try:
        text = textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError):
        # Made by a call, as a named tuple is.
        text = ""
    try:
        return ast.parse(text)
    except SyntaxError:
        # A piece of a statement, as a lambda in a call may be.
        return ast.parse(f"text = {text!r}")


def _digest_of_value(value: object, folder: Path) -> str | None:
    """Of plain data, wherever the folder lies; of other objects nothing can be said that is the same tomorrow."""
    if isinstance(value, str):
        value = value.replace(str(folder), ".")
    try:
        return digest_of(sorted(value) if isinstance(value, set | frozenset | range) else value)[:16]
    except (TypeError, ValueError):
        return None


def _stated(claim: Mapping[str, Any]) -> dict[str, Any]:
    """A claim's declaration without its prose."""
    kept = {name: value for name, value in claim.items() if name not in PROSE}
    corrections = claim.get("corrections")
    if isinstance(corrections, Mapping):
        kept["corrections"] = {switch: _stated_form(form) for switch, form in corrections.items()}
    return {**kept, "test": _stated_form(claim.get("test"))}


def _stated_form(form: Any) -> Any:
    if not isinstance(form, Mapping):
        return form
    return _without_reasons({name: value for name, value in form.items() if name not in PROSE_OF_FORM})


def _without_reasons(content: Any) -> Any:
    """Without the reasons of trends and the descriptions of checks."""
    if isinstance(content, list):
        return [_without_reasons(value) for value in content]
    if not isinstance(content, Mapping):
        return content
    reason = {"why"} if "kind" in content else {"measured"} if "trend" in content else set()
    return {name: _without_reasons(value) for name, value in content.items() if name not in reason}


def _plain(content: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(json.dumps(content))


def _time(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)
