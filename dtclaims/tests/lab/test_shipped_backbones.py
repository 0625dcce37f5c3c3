"""The backbones that ship: GPT-2 checkpoints that have learned English, or a chain; what all cards must say."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel

from dtclaims.lab.pretrain import make_chain
from dtclaims.lab.pretrain.tokenizer import load_tokenizer
from dtclaims.places import ROOT, read_card
from dtclaims.seeding import generator
from dtclaims.tests.support.pretraining import check_stack

BACKBONES = ROOT / "fixtures" / "backbones"
FOLDERS = sorted(BACKBONES.glob("language-*"))
SYNTHETIC = sorted([*BACKBONES.glob("iid-*"), *BACKBONES.glob("markov-*")])
ALL = sorted(path.parent for path in BACKBONES.glob("*/card.json"))


def held_out(card: dict[str, Any]) -> tuple[str, dict[str, float]]:
    """The card's held-out figures and what they are called."""
    name = next(key for key in card["results"] if key.startswith("held_out_bits_per_"))
    return name, card["results"][name]


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


@pytest.mark.parametrize("folder", [*FOLDERS, *SYNTHETIC], ids=lambda path: path.name)
def test_the_stack_is_what_the_language_model_computed(folder: Path) -> None:
    """Our stack gives transformers' final hidden states on the same input embeddings."""
    check_stack(folder, as_hugging_face(folder).transformer)


@pytest.mark.parametrize("folder", SYNTHETIC, ids=lambda path: path.name)
def test_it_predicts_its_chain_as_well_as_the_card_says(folder: Path) -> None:
    """In transformers' GPT-2, held-out windows cost as much more than under the chain itself as the card says."""
    card = read_card(folder)
    kind, seed, context = folder.name.split("-")[0], card["settings"]["seed"], card["config"]["context"]
    chain = make_chain(kind, seed)
    # The last bit of exp differs between processors, and so does a Markov chain's fingerprint; its entropy is its own.
    assert kind == "markov" or chain.fingerprint == card["origin"]["fingerprint"]
    assert chain.entropy_rate == pytest.approx(card["origin"]["entropy_rate"], rel=1e-13)
    windows = chain.draw(generator(seed, f"{kind}/held_out"), 2**18 // context, context + 1)[: 2**13 // context]
    exact = -np.log2(chain.transitions[windows[:, :-1], windows[:, 1:]])
    tokens = torch.from_numpy(windows.copy())
    with torch.no_grad():
        logits = as_hugging_face(folder)(tokens[:, :-1]).logits
    costs = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    excess = costs.numpy() / math.log(2) - exact.ravel()
    bits = held_out(card)[1]
    error = 5 * excess.std() / math.sqrt(excess.size)
    assert abs(excess.mean() - (bits["model"] - bits["chain"])) < error < 0.02


def test_every_source_ships_at_mini_and_small() -> None:
    """The arms of the mini and small scales find their backbones, all together in 25 MB."""
    names = {f"{source}-{scale}" for source in ("language", "image", "iid", "markov") for scale in ("mini", "small")}
    assert {folder.name for folder in ALL} == names
    assert sum(file.stat().st_size for folder in ALL for file in folder.iterdir()) < 25e6


@pytest.mark.parametrize("folder", ALL, ids=lambda path: path.name)
def test_the_card_says_by_how_much_it_is_better(folder: Path) -> None:
    """Margins follow from the figures and are positive but for what nothing can beat; storing costs under 1e-5."""
    card = read_card(folder)
    name, bits = held_out(card)
    better = card["results"]["better_by"]
    assert better == pytest.approx({key: bits[key] - bits["model"] for key in bits if key != "model"}, abs=2e-6)
    truths = {"chain", "entropy_rate"} | ({"unigram"} if folder.name.startswith("iid") else set())
    assert all(better[key] > 0.009 for key in better.keys() - truths)
    assert all(-0.02 < better[key] <= 0 for key in better.keys() & truths)
    assert card["results"]["stored"][name] == pytest.approx(bits["model"], abs=1e-5)


@pytest.mark.parametrize("folder", ALL, ids=lambda path: path.name)
def test_the_card_says_what_kind_of_data_it_saw(folder: Path) -> None:
    """A stack that never saw a language says so, and the command in the card is of that kind."""
    card = read_card(folder)
    kind = {"iid": "synthetic", "markov": "synthetic"}.get(source := folder.name.split("-")[0], source)
    assert card["config"]["kind"] == kind
    assert card["made_with"].startswith(f"dtclaims pretrain {kind} ")
    assert card["name"] == folder.name


@pytest.mark.parametrize("folder", ALL, ids=lambda path: path.name)
def test_the_documentation_gives_the_cards_figures(folder: Path) -> None:
    """The row of docs/pretraining.md has the updates and the held-out figure of the card."""
    rows = (ROOT / "dtclaims" / "docs" / "pretraining.md").read_text().splitlines()
    (row,) = [row for row in rows if row.startswith(f"| `{folder.name}`")]
    card = read_card(folder)
    cells = [cell.strip() for cell in row.split("|")]
    assert f"{card['results']['updates']:,}" in cells
    assert f"{held_out(card)[1]['model']:.4f}" in cells
