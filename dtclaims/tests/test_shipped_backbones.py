"""The language backbones that ship: real GPT-2 checkpoints that have learned English."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel

from dtclaims.fixtures import ROOT, read_card
from dtclaims.models import Stack, load_backbone
from dtclaims.pretrain.tokenizer import load_tokenizer

FOLDERS = sorted((ROOT / "fixtures" / "backbones").glob("language-*"))


def as_hugging_face(folder: Path) -> GPT2LMHeadModel:
    """The shipped tensors in transformers' own GPT-2, which is not our code."""
    config = read_card(folder)["config"]
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=config["vocabulary"],
            n_positions=config["context"],
            n_embd=config["width"],
            n_layer=config["blocks"],
            n_head=config["heads"],
            activation_function=config["activation"],
            layer_norm_epsilon=config["eps"],
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    tensors = {
        f"transformer.{name}": tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()
    }
    missing, unexpected = model.load_state_dict(tensors, strict=False)
    assert missing == ["lm_head.weight"]
    assert unexpected == []
    model.tie_weights()
    return model.eval()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_it_predicts_english_it_was_not_trained_on(folder: Path) -> None:
    """In transformers' GPT-2, the weights spend bits less on a token of our own prose than a fresh network."""
    model = as_hugging_face(folder)
    # Prose only: the corpus held no tables of ours.
    text = " ".join(line for line in (ROOT / "README.md").read_text().splitlines() if line[:1].isalpha())
    tokens = torch.tensor(load_tokenizer(folder / "tokenizer.json").encode(text).ids)[: model.config.n_positions * 4]
    windows = tokens[: len(tokens) // 64 * 64].view(-1, 64)

    def bits_per_token(network: GPT2LMHeadModel) -> float:
        with torch.no_grad():
            return float(network(windows, labels=windows).loss) / math.log(2)

    fresh = GPT2LMHeadModel(model.config).eval()
    assert bits_per_token(model) < bits_per_token(fresh) - 1.5


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_the_stack_is_what_the_language_model_computed(folder: Path) -> None:
    """Our stack gives transformers' final hidden states on the same input embeddings."""
    backbone = load_backbone(folder)
    theirs = as_hugging_face(folder).transformer
    ours = Stack(backbone.config)
    ours.load_state_dict(dict(backbone.tensors))
    tokens = torch.arange(40).view(2, 20)
    embedded = theirs.wte(tokens) + theirs.wpe(torch.arange(20))
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(embedded), theirs(tokens).last_hidden_state, atol=1e-4, rtol=1e-4)
