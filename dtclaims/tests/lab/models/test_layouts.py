"""Checkpoints in every layout that people have them in read back to the same weights, or are refused by name."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor
from transformers import GPT2Config, ImageGPTConfig

from dtclaims.errors import BackboneError
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.inputs import Unavailable, find_backbone
from dtclaims.lab.models import Stack, StackConfig, load_backbone
from dtclaims.lab.models.descriptions import HUB_DEFAULTS, HUB_FIELDS, OTHER_WORDS, expected_sizes, hub_config
from dtclaims.lab.models.layouts import WEIGHTS, own_names
from dtclaims.tests.support.checkpoints import GPT2, IMAGE, STATED, hub_checkpoint, stack_tensors, write_weights

MINI = SCALES["mini"]

BESIDE = {
    "wte.weight": torch.ones(5, 8),
    "wpe.weight": torch.ones(4, 8),
    "h.0.attn.bias": torch.ones(1, 1, 4, 4, dtype=torch.uint8),
    "h.1.attn.masked_bias": torch.tensor(-1e4),
}
"""What a GPT-2 checkpoint has within its stack and we leave out."""

HEADED = {
    "lm_head.weight": torch.ones(5, 8),
    "score.weight": torch.ones(2, 8),
    "classifier.weight": torch.ones(2, 8),
    "classifier.bias": torch.full((2,), float("nan")),
    "multiple_choice_head.summary.weight": torch.ones(1, 8),
    "qa_outputs.bias": torch.ones(2),
    "v_head.summary.weight": torch.ones(1, 8),
}
"""Heads of transformers' and TRL's classes, beside `transformer.`."""

WRAPPERS = ("", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module.")

LAYOUTS = st.fixed_dictionaries(
    {
        "image": st.booleans(),
        "pickled": st.booleans(),
        "shards": st.integers(1, 4),
        "outside": st.sampled_from(WRAPPERS),
        "inner": st.sampled_from(["", "transformer.", "transformer._orig_mod."]),
        "heads": st.sets(st.sampled_from(sorted(HEADED))),
        "beside": st.sets(st.sampled_from(sorted(BESIDE))),
        "dtype": st.sampled_from([torch.float32, torch.float64]),
        "words": st.booleans(),
        "silent": st.booleans(),
    }
)


@settings(max_examples=60)
@given(LAYOUTS)
def test_every_layout_reads_back_to_the_same_weights(
    tmp_path_factory: pytest.TempPathFactory, layout: dict[str, Any]
) -> None:
    """One file or shards, safetensors or pickles, any prefixes, heads, masks and embeddings, the configuration in
    either words and silent where the default holds: the same tensors to the bit, and one identity while planning."""
    folder = tmp_path_factory.mktemp("checkpoint")
    config = IMAGE if layout["image"] else GPT2
    tensors = stack_tensors(config)
    inside = tensors | {name: BESIDE[name] for name in layout["beside"]}
    stored = {
        f"{layout['outside']}{layout['inner']}{name}": one.to(layout["dtype"]) if one.is_floating_point() else one
        for name, one in inside.items()
    } | {f"{layout['outside']}{name}": HEADED[name] for name in layout["heads"]}
    write_weights(folder, stored, pickled=layout["pickled"], shards=layout["shards"])
    stated = dict(STATED[config.norm])
    if layout["silent"]:
        del stated["activation_function"], stated["model_type"]
        stated["architectures"] = ["ImageGPTModel" if layout["image"] else "GPT2LMHeadModel"]
    if layout["words"]:
        stated = {next((ours for ours, means in OTHER_WORDS.items() if means == w), w): v for w, v in stated.items()}
    (folder / "config.json").write_text(json.dumps(stated))
    backbone = load_backbone(folder)
    assert backbone.config == config
    assert backbone.tensors.keys() == tensors.keys()
    assert all(torch.equal(backbone.tensors[name], tensors[name]) for name in tensors)
    found = find_backbone("image" if layout["image"] else "language", MINI, str(folder))
    assert isinstance(found, dict)
    assert found["sha256"] == backbone.provenance["sha256"]
    assert StackConfig(**found["config"]) == config


@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("mlp_width", [None, 20])
def test_expected_sizes_are_the_stacks(norm: Any, mlp_width: int | None) -> None:
    """What is expected without torch is what a stack has, in its order."""
    config = StackConfig(blocks=3, width=8, heads=2, activation="relu", mlp_width=mlp_width, norm=norm)
    with torch.device("meta"):
        sizes = {name: tuple(one.shape) for name, one in Stack(config).state_dict().items()}
    assert list(expected_sizes(asdict(config)).items()) == list(sizes.items())


@pytest.mark.parametrize(("kind", "theirs"), [("gpt2", GPT2Config), ("imagegpt", ImageGPTConfig)])
def test_defaults_are_transformers(tmp_path: Path, kind: str, theirs: Any) -> None:
    """Where config.json is silent, the network is the one that transformers would build; so are the other words."""
    made = theirs()
    assert dict(HUB_DEFAULTS[kind]) == {name: getattr(made, name) for name in HUB_FIELDS}
    assert all(getattr(made, ours) == getattr(made, means) for ours, means in OTHER_WORDS.items())
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    expected = {ours: getattr(made, name) for name, ours in HUB_FIELDS.items()}
    assert {name: value for name, value in hub_config(tmp_path).items() if name != "norm"} == expected


def test_a_tensor_of_a_stack_is_never_a_head() -> None:
    """`lm_head` within a block, or an embedding in one, is unexpected, not left out."""
    names = ["h.0.lm_head.weight", "h.0.wte.weight", "my_lm_head.weight", "h.0.attn.bias.weight", "h.x.attn.bias"]
    assert list(own_names(names, "x")) == names


# --- what does not fit ------------------------------------------------------------------------------


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("shards", [1, 3])
def test_what_is_missing_or_in_excess_is_named_before_anything_is_trained(
    tmp_path: Path, pickled: bool, shards: int
) -> None:
    """While planning and while reading, in every layout."""
    tensors = stack_tensors()
    del tensors["h.1.mlp.c_fc.weight"]
    tensors["adapter.weight"] = torch.ones(2)
    hub_checkpoint(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    write_weights(tmp_path, tensors, pickled=pickled, shards=shards)
    for read in (load_backbone, lambda folder: find_backbone("language", MINI, str(folder))):
        with pytest.raises(BackboneError) as caught:
            read(tmp_path)
        assert "1 missing (h.1.mlp.c_fc.weight); 1 unexpected (adapter.weight)" in str(caught.value)
        assert "expected the 26 tensors of 2 blocks of width 8" in str(caught.value)


@pytest.mark.parametrize("pickled", [False, True])
def test_two_names_for_one_tensor_are_refused(tmp_path: Path, pickled: bool) -> None:
    """Which of two is meant cannot be known."""
    hub_checkpoint(tmp_path)
    write_weights(tmp_path, stack_tensors() | {"module.transformer.ln_f.bias": torch.zeros(8)}, pickled=pickled)
    if pickled:
        (tmp_path / "model.safetensors").unlink()
    for read in (load_backbone, lambda folder: find_backbone("language", MINI, str(folder))):
        with pytest.raises(BackboneError, match=r"twice under different prefixes: got .*ln_f\.bias and module\."):
            read(tmp_path)


Spoil = Callable[[Path], Any]


def altered(index: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    stated = json.loads(index.read_text())
    change(stated)
    index.write_text(json.dumps(stated))


SPOILT: dict[str, tuple[Spoil, str]] = {
    "a shard is missing": (
        lambda index: index.with_name("model-00002-of-00003.safetensors").unlink(),
        r"shards of the checkpoint are missing: got .*without model-00002-of-00003\.safetensors",
    ),
    "a shard is another's": (
        lambda index: save_file(
            {"h.0.ln_1.weight": torch.ones(8)}, index.with_name("model-00002-of-00003.safetensors")
        ),
        r"do not hold what their index lists.*missing \(.* of model-00002.*; 1 not in the index \(h\.0\.ln_1",
    ),
    "a shard is cut short": (
        lambda index: cut(index.with_name("model-00003-of-00003.safetensors")),
        r"cannot be read: got .*model-00003-of-00003\.safetensors.*Is the download complete",
    ),
    "a tensor is not listed": (
        lambda index: altered(index, lambda stated: stated["weight_map"].pop("ln_f.weight")),
        r"1 not in the index \(ln_f\.weight of model-",
    ),
    "no map": (lambda index: index.write_text('{"metadata": {}}'), "index of the shards is none.*`weight_map`"),
    "an empty map": (lambda index: index.write_text('{"weight_map": {}}'), "index of the shards is none"),
    "no JSON": (lambda index: index.write_text("<html>"), "index of the shards cannot be read"),
    "out of the folder": (
        lambda index: altered(index, lambda stated: stated["weight_map"].update(a="../../etc/model.safetensors")),
        "index of the shards is none",
    ),
    "a pickle among them": (
        lambda index: altered(index, lambda stated: stated["weight_map"].update(a="evil.bin")),
        r"index of the shards is none: .*\.safetensors files beside it",
    ),
    "no names": (
        lambda index: altered(index, lambda stated: stated["weight_map"].update(a=["x"])),
        "index of the shards is none",
    ),
}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


@pytest.mark.parametrize("case", SPOILT)
def test_shards_that_are_not_what_the_index_says(tmp_path: Path, case: str) -> None:
    """One error names the file or the tensors, while planning and while reading."""
    spoil, message = SPOILT[case]
    hub_checkpoint(tmp_path, shards=3)
    spoil(tmp_path / "model.safetensors.index.json")
    for read in (load_backbone, lambda folder: find_backbone("language", MINI, str(folder))):
        with pytest.raises(BackboneError, match=message):
            read(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_git_lfs_pointer_is_called_one(tmp_path: Path, name: str) -> None:
    """A clone without LFS has a few lines in place of the weights: refused while planning, with what fetches them."""
    hub_checkpoint(tmp_path, pickled=name.endswith("bin"))
    (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 548105171\n")
    for read in (load_backbone, lambda folder: find_backbone("language", MINI, str(folder))):
        with pytest.raises(BackboneError, match=r"a Git LFS pointer.*git lfs pull"):
            read(tmp_path)


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("kept", [0, 3, 1000])
def test_half_a_download_is_refused_while_planning(tmp_path: Path, kept: int, pickled: bool) -> None:
    """A file that was cut short costs no training."""
    path = write_weights(hub_checkpoint(tmp_path), stack_tensors(), pickled=pickled)
    path.write_bytes(path.read_bytes()[:kept])
    if pickled:
        (tmp_path / "model.safetensors").unlink()
    with pytest.raises(BackboneError, match=f"cannot be read.*: got .*{path.name}"):
        find_backbone("language", MINI, str(tmp_path))


def test_kinds_are_not_exchanged(tmp_path: Path) -> None:
    """An ImageGPT for --language-model and a GPT-2 for --image-model are refused while planning, of any origin."""
    hub_checkpoint(tmp_path / "image", IMAGE)
    hub_checkpoint(tmp_path / "gpt2", GPT2)
    for source, folder, said in (
        ("language", tmp_path / "image", "RMS norm, as ImageGPT is, expected a network with LayerNorm"),
        ("image", tmp_path / "gpt2", "LayerNorm, as GPT-2 is, expected a network with RMS norm"),
    ):
        with pytest.raises(BackboneError, match=f"the {source} backbone is another kind of network: got .*{said}"):
            find_backbone(source, MINI, str(folder))
    with pytest.raises(BackboneError, match="exchanged"):
        find_backbone("image", MINI, "language-mini")


@pytest.mark.parametrize("dtype", [torch.int8, torch.float8_e4m3fn, torch.bool])
@pytest.mark.parametrize("pickled", [False, True])
def test_weights_that_are_no_plain_numbers_are_refused(tmp_path: Path, dtype: torch.dtype, pickled: bool) -> None:
    """Quantised weights mean nothing without their scales."""
    tensors = stack_tensors() | {"h.0.mlp.c_fc.weight": torch.ones(8, 32).to(dtype)}
    (hub_checkpoint(tmp_path) / "model.safetensors").unlink()
    write_weights(tmp_path, tensors, pickled=pickled)
    for read in (load_backbone, lambda folder: find_backbone("language", MINI, str(folder))):
        with pytest.raises(BackboneError, match=r"1 unusable \(h\.0\.mlp\.c_fc\.weight is stored as"):
            read(tmp_path)


def huge() -> Tensor:
    """A tensor of 10^18 numbers that takes the memory of one."""
    return torch.ones(1).expand(10**9, 10**9)


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("ln_f.weight", huge(), "1 of another size"),
        ("ln_f.weight", torch.ones(8, device="meta"), "on meta"),
        ("ln_f.weight", torch.ones(8).to_sparse(), "torch.sparse_coo"),
        ("ln_f.weight", torch.full((8,), 1e300, dtype=torch.float64), "is not finite"),
        ("ln_f.weight", torch.ones(8, dtype=torch.complex64), "is stored as torch.complex64"),
        ("extra", huge(), "1 unexpected"),
        (7, torch.ones(8), "names that are no text"),
    ],
)
def test_hostile_tensors_in_a_pickle_are_refused(tmp_path: Path, name: Any, tensor: Tensor, words: str) -> None:
    """Shapes, kinds and names that a pickle can hold and no network has; none is converted before it is looked at."""
    (hub_checkpoint(tmp_path) / "model.safetensors").unlink()
    torch.save(stack_tensors() | {name: tensor}, tmp_path / "pytorch_model.bin")
    with pytest.raises(BackboneError, match=words):
        load_backbone(tmp_path)


def test_a_head_may_hold_anything(tmp_path: Path) -> None:
    """What is left out by name is not looked at: neither its numbers nor its size."""
    (hub_checkpoint(tmp_path) / "model.safetensors").unlink()
    torch.save(stack_tensors() | {"lm_head.weight": huge()}, tmp_path / "pytorch_model.bin")
    assert load_backbone(tmp_path).config == GPT2


@settings(max_examples=40)
@given(st.data())
def test_damaged_files_raise_one_kind_of_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Wherever bytes of a checkpoint are changed: other numbers, or a BackboneError, never another error."""
    folder = hub_checkpoint(tmp_path_factory.mktemp("damaged"), pickled=data.draw(st.booleans()))
    path = folder / data.draw(st.sampled_from(["config.json", next(n for n in WEIGHTS if (folder / n).is_file())]))
    content = bytearray(path.read_bytes())
    # Its beginning describes the rest.
    start = data.draw(st.integers(0, min(len(content), 4000) - 1))
    new = data.draw(st.binary(min_size=1, max_size=8))
    path.write_bytes(content[:start] + new + content[start + len(new) :])
    with contextlib.suppress(BackboneError):
        assert load_backbone(folder).tensors.keys() == stack_tensors().keys()


def test_a_broken_checkpoint_of_the_scale_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the hub's cache has under the paper's own name cannot be used: the runs are not run, with the reason."""
    monkeypatch.setattr("dtclaims.lab.models.hub.hub_folder", lambda *_, **__: tmp_path)
    path = hub_checkpoint(tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    found = find_backbone("language", SCALES["paper"])
    assert isinstance(found, Unavailable)
    assert "cannot be read" in found.reason
    assert str(path) in found.reason


def test_a_look_while_planning_needs_no_torch(tmp_path: Path) -> None:
    """Planning with checkpoints in safetensors does not wait for torch; shards of them neither."""
    hub_checkpoint(tmp_path, shards=2)
    code = """
import sys
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.inputs import find_backbone
assert find_backbone("language", SCALES["mini"], sys.argv[1])["kind"] == "given"
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False).returncode == 0
