"""Keys: what changes them, and what must not."""

import ast
import importlib.metadata
from typing import Any

import pytest

from dtclaims.addresses import differences, key_of, source_digest, versions
from dtclaims.harness.plan.planner import identity_of
from dtclaims.lab.inputs import Inputs
from dtclaims.lab.jobs import measure_job, run_job
from dtclaims.lab.measurements import MEASUREMENTS
from dtclaims.tests.support.examples import tiny_spec

DATA = {"kind": "file", "name": "mine.hdf5", "sha256": "d", "path": "somewhere"}
SHAPE = {"blocks": 2, "heads": 2, "activation": "gelu_new"}
BACKBONE = {"kind": "self-pre-trained", "name": "mine", "sha256": "b", "config": SHAPE, "path": "somewhere"}


def key(**changes: Any) -> str:
    given = {"data": DATA, "backbones": {"language": BACKBONE}, "device": "cpu", "precision": "float32", **changes}
    spec = given.pop("spec", tiny_spec())
    inputs = Inputs("hopper", given.pop("data"), given.pop("backbones"))
    return key_of(identity_of(run_job(spec, inputs, **given), ()))


def measured(quantity: str, needs: tuple[str, ...], **switches: str) -> str:
    inputs = Inputs("hopper", DATA, {})
    run = run_job(tiny_spec(), inputs, device="cpu", precision="float32")
    job = measure_job(
        MEASUREMENTS[quantity],
        (run,),
        (inputs,),
        switches=switches,
        parameters={},
        seed=0,
        task="hopper",
        scale="mini",
        device="cpu",
        precision="float32",
    )
    return key_of(identity_of(job, needs))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_measurement_of_the_data_alone_has_an_address(device: str) -> None:
    """The code that lays data out could build networks too: a plan that holds such a measurement can be made."""
    job = measure_job(
        MEASUREMENTS["data_information"],
        (),
        (Inputs("hopper", DATA, {}),),
        switches={"mi_estimator": "held_out", "seeding": "everything"},
        parameters={},
        seed=0,
        task="hopper",
        scale="small",
        device=device,
        precision="float32",
    )
    assert identity_of(job, ())["what"]["quantity"] == "data_information"


def test_equal_content_has_an_equal_address() -> None:
    """Whatever a file or folder is called and wherever it lies; an edited configuration is another network."""
    moved = {**DATA, "name": "yours.hdf5", "path": "elsewhere"}
    assert key(data=moved) == key()
    assert key(backbones={"language": {**BACKBONE, "kind": "given", "name": "yours", "path": "elsewhere"}}) == key()
    for changed in ({"activation": "relu"}, {"heads": 1}):
        assert key(backbones={"language": {**BACKBONE, "config": {**SHAPE, **changed}}}) != key()


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
    first = measured("cka", ("r",), cka_axis="unit")
    assert first == measured("cka", ("r",), cka_axis="unit")
    assert first != measured("cka", ("r",), cka_axis="token")
    assert first != measured("cka", ("s",), cka_axis="unit")
    assert first != measured("parameter_change", ("r",), cka_axis="unit")


def test_versions_are_of_the_packages_named() -> None:
    """A package that is not installed has no version; that is no error, and part of the address."""
    assert versions("numpy", "no-such-package") == {
        "numpy": importlib.metadata.version("numpy"),
        "no-such-package": None,
    }
    assert versions() == {}
