"""Keys: what changes them, and what must not."""

import ast
import importlib.metadata

import pytest

from dtclaims.addresses import differences, key_of, source_digest, versions
from dtclaims.lab.identity import measurement_identity, run_identity
from dtclaims.tests.support.examples import tiny_spec

DATA = {"kind": "file", "sha256": "d"}
BACKBONE = {"kind": "self-pre-trained", "sha256": "b"}


def key(**changes: object) -> str:
    options = {
        "data": DATA,
        "backbones": {"language": BACKBONE},
        "device": "cpu",
        "precision": "float32",
        **changes,
    }
    spec = options.pop("spec", tiny_spec())
    return key_of(run_identity(spec, **options))  # type: ignore[arg-type]


def test_every_input_of_a_run_changes_its_key() -> None:
    """Seed, arm, context, switches, length, data, backbone, device, precision: each gives another key."""
    keys = [
        key(),
        key(spec=tiny_spec(seed=1)),
        key(spec=tiny_spec("language_pretrained")),
        key(spec=tiny_spec(context=1)),
        key(spec=tiny_spec(head="tied")),
        key(spec=tiny_spec(adam_eps=1e-6)),
        key(data={**DATA, "sha256": "other"}),
        key(backbones={"language": {**BACKBONE, "sha256": "other"}}),
        key(device="cuda"),
        key(precision="bfloat16"),
        key(spec=tiny_spec(epochs=2)),
        key(spec=tiny_spec(clip=False)),
        key(spec=tiny_spec(held_out=True)),
        key(spec=tiny_spec(paired=False)),
    ]
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]


CODE = r'''
"""Doc."""
@decorated
class C(B, metaclass=M):
    """Doc."""
    x: int = 0

    async def f(self, a, /, b: str | None = None, *c, d=1.5, **e) -> None:
        """Doc."""
        match a:
            case {"k": 1, **rest} | [None, *_]:
                return
        try:
            await b
        except* E:
            raise
        return {**e, "\u00e9\U0001fae8": b"\xff"}, c[1:, ::2], ..., (n := -1), lambda: u"u" "v"


s = f"{{{x!r:>{w}.2f}}}" "tail" f'{y=} {z:%Y}' f"" rf"\d{n}"
'''


def with_field(node: ast.AST, name: str) -> None:
    """Give a node a field that is empty, or take it away."""
    kind = type(node)
    others = tuple(one for one in kind._fields if one != name)
    fields = others if name in kind._fields else (*others, name)
    node.__class__ = type(kind.__name__, (kind,), {"_fields": fields})
    setattr(node, name, [])


def test_keys_do_not_depend_on_the_version_of_python() -> None:
    """Equal code has one digest, whatever fields a version's trees have and however it cuts the text of f-strings.

    The digest of the sample is the same under 3.11, 3.12 and 3.13.
    """
    assert source_digest(ast.parse(CODE)) == "9c3897c8da3f2af2"
    tree = ast.parse(CODE)
    for node in list(ast.walk(tree)):
        if isinstance(node, ast.ClassDef | ast.AsyncFunctionDef):
            with_field(node, "type_params")
        elif isinstance(node, ast.JoinedStr):
            texts = [one for one in node.values if isinstance(one, ast.Constant)]
            for text in texts:
                at = node.values.index(text)
                node.values[at : at + 1] = [ast.Constant(piece) for piece in ("", *text.value)]
    assert ast.dump(tree) != ast.dump(ast.parse(CODE))
    assert source_digest(tree) == "9c3897c8da3f2af2"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("f'a{b}'", "f'a{c}'"),
        ("f'a{b}'", "f'{b}a'"),
        ("f'{a!r}'", "f'{a!s}'"),
        ("None", "'None'"),
        ("1", "1.0"),
        ("a[b]", "a[b,]"),
        ("{**a}", "{None: a}"),
        ("b'a'", "'a'"),
        ("def f(*, a): 0", "def f(a): 0"),
    ],
)
def test_other_code_has_another_digest(one: str, other: str) -> None:
    """What little two pieces of code differ in is in their digests."""
    assert source_digest(ast.parse(one)) != source_digest(ast.parse(other))


def test_differences_name_the_fields() -> None:
    """`explain` rests on this: dotted names, both values, absent as None."""
    ours = {"a": 1, "spec": {"seed": 0, "head": "tied"}}
    theirs = {"a": 1, "spec": {"seed": 1, "head": "tied"}, "b": 2}
    assert differences(ours, theirs) == [("b", None, 2), ("spec.seed", 0, 1)]
    assert differences(ours, ours) == []


def test_measurements_are_keyed_by_run_and_switches() -> None:
    """Protocols that agree on a measurement's switches share it; another run or value does not."""
    first = key_of(measurement_identity("cka", ["r"], {"cka_axis": "unit"}))
    assert first == key_of(measurement_identity("cka", ["r"], {"cka_axis": "unit"}))
    assert first != key_of(measurement_identity("cka", ["r"], {"cka_axis": "token"}))
    assert first != key_of(measurement_identity("cka", ["s"], {"cka_axis": "unit"}))


def test_versions_are_of_the_packages_named() -> None:
    """A package that is not installed has no version; that is no error, and part of the address."""
    assert versions("numpy", "no-such-package") == {
        "numpy": importlib.metadata.version("numpy"),
        "no-such-package": None,
    }
    assert versions() == {}
