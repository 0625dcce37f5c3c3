"""Reading a backbone folder, and every way in which a folder is none."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model, ImageGPTConfig, ImageGPTForCausalImageModeling

from dtclaims.errors import BackboneError, FixtureError
from dtclaims.lab.models import Backbone, Stack, load_backbone
from dtclaims.places import fixture_dir, sha256_file
from dtclaims.tests.support.checkpoints import GPT2 as CONFIG
from dtclaims.tests.support.checkpoints import IMAGE, stack_tensors

STATED = {"blocks": 2, "width": 8, "heads": 2, "activation": "gelu_new", "embd_dropout": 0.0, "vocabulary": 5}


def write(folder: Path, tensors: dict[str, Tensor], config: Any = STATED) -> Path:
    """A backbone folder as pre-training writes it."""
    path = folder / "model.safetensors"
    save_file(tensors | {"wte.weight": torch.ones(5, 8), "wpe.weight": torch.ones(4, 8)}, path)
    card = {
        "schema": 1,
        "kind": "backbone",
        "name": "language-test",
        "made_with": "dtclaims pretrain language",
        "licence": "MIT",
        "origin": {"corpus": "none"},
        "config": config,
        "files": {path.name: {"sha256": sha256_file(path), "bytes": path.stat().st_size}},
    }
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def test_a_backbone_is_read_with_its_provenance(tmp_path: Path) -> None:
    """The stack's tensors come back bit for bit, without token and position embeddings, with their origin."""
    tensors = stack_tensors()
    backbone = load_backbone(write(tmp_path, tensors))
    assert backbone.tensors.keys() == tensors.keys()
    assert all(torch.equal(backbone.tensors[name], tensors[name]) for name in tensors)
    assert backbone.provenance == {
        "label": "self-pre-trained",
        "name": "language-test",
        "sha256": sha256_file(tmp_path / "model.safetensors"),
        "licence": "MIT",
        "origin": {"corpus": "none"},
        "made_with": "dtclaims pretrain language",
    }


def test_fine_tuning_keeps_its_own_dropouts(tmp_path: Path) -> None:
    """The card's dropouts are those of pre-training; the backbone's configuration has the reference's (§3.2)."""
    config = load_backbone(write(tmp_path, stack_tensors())).config
    assert config == CONFIG
    assert (config.embd_dropout, config.attn_dropout, config.resid_dropout) == (0.1, 0.1, 0.2)


def test_half_precision_is_read_as_float32(tmp_path: Path) -> None:
    """Weights stored in float16 are run in float32."""
    half = {name: tensor.half() for name, tensor in stack_tensors().items()}
    backbone = load_backbone(write(tmp_path, half))
    assert {tensor.dtype for tensor in backbone.tensors.values()} == {torch.float32}


def drop_one(tensors: dict[str, Tensor]) -> None:
    """Without a tensor."""
    del tensors["h.1.mlp.c_fc.weight"]


def add_one(tensors: dict[str, Tensor]) -> None:
    """With a tensor of a deeper network."""
    tensors["h.2.ln_1.weight"] = torch.ones(8)


def transpose_one(tensors: dict[str, Tensor]) -> None:
    """With a matrix the other way round."""
    tensors["h.0.mlp.c_fc.weight"] = tensors["h.0.mlp.c_fc.weight"].t().contiguous()


def spoil_one(tensors: dict[str, Tensor]) -> None:
    """With a number that is none."""
    tensors["ln_f.weight"][3] = float("nan")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (drop_one, r"1 missing \(h\.1\.mlp\.c_fc\.weight\)"),
        (add_one, r"1 unexpected \(h\.2\.ln_1\.weight\)"),
        (transpose_one, r"1 of another size \(h\.0\.mlp\.c_fc\.weight \(32, 8\) instead of \(8, 32\)\)"),
        (spoil_one, r"1 unusable \(ln_f\.weight is not finite\)"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    tmp_path: Path, spoil: Callable[[dict[str, Tensor]], None], words: str
) -> None:
    """Missing, unexpected, misshapen and non-finite tensors are named in one error."""
    tensors = stack_tensors()
    spoil(tensors)
    with pytest.raises(BackboneError, match=words):
        load_backbone(write(tmp_path, tensors))


def test_long_lists_of_tensors_are_cut(tmp_path: Path) -> None:
    """A card of a deeper network gives three names and the number of the rest."""
    with pytest.raises(BackboneError, match=r"12 missing \(h\.2\.[^)]*, [^)]*, [^)]* and 9 more\)"):
        load_backbone(write(tmp_path, stack_tensors(), {**STATED, "blocks": 3}))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (None, "does not state the network's shape"),
        ({"blocks": 2, "width": 8}, r"card\.json describes no network .*heads"),
        ({**STATED, "heads": 3}, r"card\.json describes no network .*heads must divide the width"),
        ({**STATED, "width": "8"}, r"card\.json describes no network"),
    ],
)
def test_a_card_without_a_network_is_refused(tmp_path: Path, config: Any, words: str) -> None:
    """The card must state a possible network."""
    with pytest.raises(BackboneError, match=words):
        load_backbone(write(tmp_path, stack_tensors(), config))


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """A folder that does not exist is named."""
    with pytest.raises(BackboneError, match=r"no such backbone folder: got .*absent"):
        load_backbone(tmp_path / "absent")


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    """A folder with other files is no checkpoint, and the error says what lies there."""
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(BackboneError, match=r"the folder is no checkpoint: got .*notes\.txt"):
        load_backbone(tmp_path)


def test_weights_without_a_description_are_refused(tmp_path: Path) -> None:
    """Weights alone do not say what network they are of: a card or a configuration must lie beside them."""
    save_file(stack_tensors(), tmp_path / "model.safetensors")
    with pytest.raises(BackboneError, match=r"the folder is no checkpoint: got .*model\.safetensors"):
        load_backbone(tmp_path)


def test_a_card_does_not_vouch_for_a_pickle(tmp_path: Path) -> None:
    """Only hub checkpoints are read from pickles; pre-training writes none."""
    (write(tmp_path, stack_tensors()) / "model.safetensors").unlink()
    torch.save(stack_tensors(), tmp_path / "pytorch_model.bin")
    with pytest.raises(BackboneError, match="the folder is no checkpoint"):
        load_backbone(tmp_path)


def test_a_broken_weights_file_is_refused(tmp_path: Path) -> None:
    """A file that is no safetensors file is named, even where the card records exactly that file."""
    write(tmp_path, stack_tensors())
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"broken")
    card = json.loads((tmp_path / "card.json").read_text())
    card["files"][path.name]["sha256"] = sha256_file(path)
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(BackboneError, match="the checkpoint cannot be read"):
        load_backbone(tmp_path)


def test_weights_the_card_does_not_name_are_refused(tmp_path: Path) -> None:
    """A card must record the digest of the weights."""
    write(tmp_path, stack_tensors())
    card = json.loads((tmp_path / "card.json").read_text())
    (tmp_path / "card.json").write_text(json.dumps({**card, "files": {}}))
    with pytest.raises(BackboneError, match="the card does not vouch for the weights"):
        load_backbone(tmp_path)


def test_exchanged_weights_are_refused(tmp_path: Path) -> None:
    """Weights that are not the recorded ones fail on their digest, before anything is read."""
    write(tmp_path, stack_tensors())
    save_file({"h.0.ln_1.weight": torch.ones(8)}, tmp_path / "model.safetensors")
    with pytest.raises(FixtureError, match="is not the recorded file"):
        load_backbone(tmp_path)


def as_pickle(folder: Path) -> Path:
    """Exchange safetensors for a pickle with the same tensors, as older hub checkpoints have it."""
    path = folder / "model.safetensors"
    pickled = folder / "pytorch_model.bin"
    torch.save(load_file(path), pickled)
    path.unlink()
    return pickled


CLASSES = (
    "GPT2ForSequenceClassification",
    "GPT2ForTokenClassification",
    "GPT2ForQuestionAnswering",
    "GPT2DoubleHeadsModel",
)


@pytest.mark.parametrize("size", ["5GB", "2KB"])
@pytest.mark.parametrize("name", CLASSES)
def test_transformers_classes_with_heads_are_read(tmp_path: Path, name: str, size: str) -> None:
    """Every class of GPT-2's as transformers writes it, whole or in shards: the stack of each, without its head."""
    theirs = getattr(transformers, name)(GPT2Config(vocab_size=5, n_positions=6, n_embd=8, n_layer=2, n_head=2)).eval()
    theirs.save_pretrained(tmp_path, max_shard_size=size)
    assert (tmp_path / "model.safetensors.index.json").is_file() == (size == "2KB")
    check_same_stack(load_backbone(tmp_path), theirs.transformer)


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("kind", [GPT2Model, GPT2LMHeadModel])
def test_a_gpt2_checkpoint_is_read(tmp_path: Path, kind: Any, pickled: bool) -> None:
    """A GPT-2 folder as transformers writes it gives a stack that computes the same, wte, wpe and head left out."""
    theirs = kind(GPT2Config(vocab_size=5, n_positions=6, n_embd=8, n_layer=2, n_head=2)).eval()
    theirs.save_pretrained(tmp_path)
    # Older checkpoints also store each block's causal mask, as bytes.
    path = tmp_path / "model.safetensors"
    save_file(load_file(path) | {"h.0.attn.bias": torch.ones(1, 1, 6, 6, dtype=torch.uint8)}, path)
    path = as_pickle(tmp_path) if pickled else path
    backbone = load_backbone(tmp_path)
    assert backbone.config == CONFIG
    assert backbone.provenance["label"] == "hub"
    assert backbone.provenance["name"] == tmp_path.name
    assert backbone.provenance["sha256"] == sha256_file(path)
    check_same_stack(backbone, getattr(theirs, "transformer", theirs))


@pytest.mark.parametrize("pickled", [False, True])
def test_an_image_gpt_checkpoint_is_read(tmp_path: Path, pickled: bool) -> None:
    """An ImageGPT folder gives a stack with RMS norms and no norm bias that computes the same."""
    settings = ImageGPTConfig(vocab_size=6, n_positions=6, n_embd=8, n_layer=3, n_head=2)
    theirs = ImageGPTForCausalImageModeling(settings).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.normal_(0.5, 0.5, generator=torch.Generator().manual_seed(1))
    theirs.save_pretrained(tmp_path)
    if pickled:
        as_pickle(tmp_path)
    backbone = load_backbone(tmp_path)
    assert backbone.config == IMAGE
    assert not [name for name in backbone.tensors if "ln_" in name and name.endswith("bias")]
    check_same_stack(backbone, theirs.transformer)


def check_same_stack(backbone: Backbone, network: Any) -> None:
    """Our stack with the backbone's weights computes the transformers network's final hidden states."""
    stack = Stack(backbone.config).eval()
    stack.load_state_dict(dict(backbone.tensors))
    x = torch.randn(1, 6, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.wpe.weight.zero_()
        torch.testing.assert_close(stack(x), network(inputs_embeds=x).last_hidden_state, atol=1e-5, rtol=1e-5)


def test_safetensors_are_preferred_to_a_pickle(tmp_path: Path) -> None:
    """Where a hub checkpoint has both, the pickle is not opened."""
    hub_checkpoint(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"not opened")
    assert load_backbone(tmp_path).config == CONFIG


def hub_checkpoint(folder: Path, **stated: Any) -> Path:
    """A GPT-2 checkpoint in the hub's form."""
    config = {"model_type": "gpt2", "n_layer": 2, "n_embd": 8, "n_head": 2, "activation_function": "gelu_new"}
    (folder / "config.json").write_text(json.dumps(config | stated))
    save_file(stack_tensors(), folder / "model.safetensors")
    return folder


class Attack:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(Path(os.environ["ATTACKED_FOLDER"]) / "attacked"),))


def test_a_hostile_pickle_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pickle that would run code gives a typed error, and the code does not run."""
    monkeypatch.setenv("ATTACKED_FOLDER", str(tmp_path))
    (hub_checkpoint(tmp_path) / "model.safetensors").unlink()
    torch.save({"h.0.ln_1.weight": Attack()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(BackboneError, match="cannot be read as tensors only"):
        load_backbone(tmp_path)
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize("content", [b"", b"broken", b"\x80\x02broken", b"PK\x03\x04"])
def test_a_broken_pickle_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file that is no pickle, or half of one, is named."""
    (hub_checkpoint(tmp_path) / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(BackboneError, match=r"cannot be read as tensors only: got .*pytorch_model\.bin"):
        load_backbone(tmp_path)


@pytest.mark.parametrize("content", [[torch.ones(2)], {"h.0.ln_1.weight": 3}])
def test_a_pickle_of_other_things_is_refused(tmp_path: Path, content: Any) -> None:
    """A harmless pickle that holds no named tensors is named."""
    (hub_checkpoint(tmp_path) / "model.safetensors").unlink()
    torch.save(content, tmp_path / "pytorch_model.bin")
    with pytest.raises(BackboneError, match="holds other things than named tensors"):
        load_backbone(tmp_path)


@pytest.mark.parametrize(
    "variant", [{"scale_attn_by_inverse_layer_idx": True}, {"scale_attn_weights": False}, {"add_cross_attention": True}]
)
def test_variants_of_gpt2_are_refused(tmp_path: Path, variant: dict[str, bool]) -> None:
    """A checkpoint whose network scales attention otherwise would be run wrongly, and is refused."""
    hub_checkpoint(tmp_path, **{option: not value for option, value in variant.items()})
    assert load_backbone(tmp_path).config == CONFIG
    hub_checkpoint(tmp_path, **variant)
    with pytest.raises(BackboneError, match=f"another variant of its network: got .*{next(iter(variant))}"):
        load_backbone(tmp_path)


def test_a_layer_norm_checkpoint_is_no_image_gpt(tmp_path: Path) -> None:
    """GPT-2's tensors under ImageGPT's configuration are named: ImageGPT has no norm biases."""
    hub_checkpoint(tmp_path, model_type="imagegpt")
    with pytest.raises(BackboneError, match=r"5 unexpected \(h\.0\.ln_1\.bias"):
        load_backbone(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "the configuration cannot be read"),
        (json.dumps({"model_type": "bert"}), "only GPT-2 and ImageGPT checkpoints are read from the hub: got .*bert"),
        (json.dumps({"model_type": ["gpt2"]}), "only GPT-2 and ImageGPT checkpoints"),
        (json.dumps([1]), "only GPT-2 and ImageGPT checkpoints"),
        (json.dumps({"architectures": ["BertModel"], "n_layer": 2}), "only GPT-2 and ImageGPT checkpoints"),
        (json.dumps({"model_type": "gpt2", "n_embd": 8}), "describes no network .*heads must divide the width"),
        (json.dumps({"model_type": "gpt2", "n_layer": 3, "n_embd": 8, "n_head": 2}), r"12 missing \(h\.2\."),
        (json.dumps({"model_type": "gpt2", "n_layer": 10**9}), "describes no network: got blocks 1000000000"),
        (json.dumps({"model_type": "gpt2", "n_embd": True}), "describes no network: got width True"),
        (json.dumps({"model_type": "gpt2", "n_head": "2"}), "describes no network: got heads '2'"),
        (json.dumps({"model_type": "gpt2", "n_inner": 0}), "describes no network: got mlp_width 0"),
        ('{"model_type": "gpt2", "layer_norm_epsilon": NaN}', "describes no network: got eps nan"),
        (
            json.dumps({"model_type": "gpt2", "n_layer": 2, "num_hidden_layers": 3}),
            "contradicts itself: got .*n_layer 2",
        ),
        ("[" * 100_000, "the configuration cannot be read"),
    ],
)
def test_a_hub_configuration_of_another_network_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """A configuration that is none, is another network's or is not complete is named."""
    save_file(stack_tensors(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(BackboneError, match=words):
        load_backbone(tmp_path)


@pytest.mark.parametrize("name", ["language-mini", "image-mini"])
def test_shipped_backbones_are_read(name: str) -> None:
    """What ships is of its kind: 12 blocks with LayerNorm, or 24 with RMS norm."""
    backbone = load_backbone(fixture_dir() / "backbones" / name)
    expected = (12, "layer", "gelu_new") if name.startswith("language") else (24, "rms", "quick_gelu")
    assert (backbone.config.blocks, backbone.config.norm, backbone.config.activation) == expected
    assert backbone.provenance["label"] == "self-pre-trained"
