"""Language pre-training end to end at toy size (dtclaims/lab/pretrain/{language,training,network,artefact}.py)."""

import math
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dtclaims.errors import DataError, FixtureError, RunFailed, StoreError, UsageError
from dtclaims.lab.models import transformer
from dtclaims.lab.pretrain import SCALES, LanguageModel, Scale, load_tokenizer, pretrain_language, read_corpus
from dtclaims.lab.pretrain.sources import DOCUMENT_BREAK
from dtclaims.lab.pretrain.training import FINAL_RATE, rate
from dtclaims.places import read_card
from dtclaims.tests.support.pretraining import Pretrain, Stop, check_resuming, stop_at

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "seven", "grey", "cats"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences in which a word mostly fixes the next one: easy for a language model, hard for a unigram."""
    draws = np.random.default_rng(0)
    documents = []
    for _ in range(120):
        place, words = int(draws.integers(len(WORDS))), []
        for _ in range(60):
            words.append(WORDS[place])
            place = int(draws.integers(len(WORDS))) if draws.random() < 0.05 else (place + 1) % len(WORDS)
        documents.append(" ".join(words))
    path = tmp_path_factory.mktemp("corpus") / "toy.txt"
    path.write_text(DOCUMENT_BREAK.join(documents))
    return path


@pytest.fixture
def pretrain(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> Pretrain:
    """`pretrain_language` at a toy scale, on the CPU."""
    toy = Scale(2, 16, 2, 16, 280, batch=16, updates=120, learning_rate=2e-2, dropout=0.1)
    monkeypatch.setitem(SCALES, "toy", toy)

    def run(out: Path, scale: str = "toy", paths: tuple[Path, ...] = (corpus,), **options: Any) -> dict[str, Any]:
        return pretrain_language(scale, list(paths), out, device="cpu", **options)

    return run


def test_pretraining_learns(pretrain: Pretrain, tmp_path: Path) -> None:
    """Held-out text costs less than half of what the token unigram, the byte unigram and the untrained network ask."""
    bits = pretrain(tmp_path / "a")["results"]["held_out_bits_per_byte"]
    assert 0 < bits["model"] < 0.5 * min(bits["token_unigram"], bits["byte_unigram"], bits["untrained_network"])
    assert bits["token_unigram"] < bits["untrained_network"]


def test_baselines_are_those_of_their_definitions(pretrain: Pretrain, corpus: Path, tmp_path: Path) -> None:
    """Unigram bits per byte, recomputed symbol by symbol from the saved tokenizer and the corpus."""
    bits = pretrain(tmp_path / "a", updates=1)["results"]["held_out_bits_per_byte"]
    tokenizer = load_tokenizer(tmp_path / "a/tokenizer.json")
    text = read_corpus([corpus])
    size = sum(len(document.text.encode()) for document in text.held_out)

    def unigram(symbols: int, train: list[int], held_out: list[int]) -> float:
        counts = Counter(train)
        return -sum(math.log2((counts[symbol] + 1) / (len(train) + symbols)) for symbol in held_out) / size

    tokens = [
        [token for document in part for token in (*tokenizer.encode(document.text).ids, 0)]
        for part in (text.train, text.held_out)
    ]
    spelt = [[byte for document in part for byte in document.text.encode()] for part in (text.train, text.held_out)]
    assert bits["token_unigram"] == pytest.approx(unigram(tokenizer.get_vocab_size(), *tokens), abs=1e-6)
    assert bits["byte_unigram"] == pytest.approx(unigram(256, *spelt), abs=1e-6)


def test_result_folder_is_complete(pretrain: Pretrain, corpus: Path, tmp_path: Path) -> None:
    """GPT-2's names in float32, a tokenizer of the card's size, a verified card with its command, and no checkpoint.

    Others may read them as they may any file of this user.
    """
    points: list[dict[str, float]] = []
    card = pretrain(tmp_path / "my run", seed=3, updates=10, batch=4, progress=points.append)
    folder = tmp_path / "my run"
    assert {file.name for file in folder.iterdir()} == {"model.safetensors", "tokenizer.json", "card.json"}
    assert read_card(folder) == card
    (usual := tmp_path / "usual").touch()
    assert {file.stat().st_mode for file in folder.iterdir()} == {usual.stat().st_mode}

    tensors = load_file(folder / "model.safetensors")
    config = SCALES["toy"].config
    expected = {name: tensor.shape for name, tensor in transformer.Stack(config).state_dict().items()}
    vocabulary = load_tokenizer(folder / "tokenizer.json").get_vocab_size()
    expected |= {"wte.weight": (vocabulary, 16), "wpe.weight": (16, 16)}
    assert {name: tensor.shape for name, tensor in tensors.items()} == expected
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}

    assert (card["schema"], card["kind"], card["name"], card["number"]) == (1, "backbone", "language-toy@3", 3)
    assert card["made_with"] == (
        f"dtclaims pretrain language --corpus {corpus} --scale toy --out 'my run' --seed 3 --device cpu "
        "--updates 10 --batch 4"
    )
    assert card["licence"].startswith("not stated")
    assert (card["config"]["context"], card["config"]["vocabulary"]) == (16, vocabulary)
    assert card["config"]["blocks"] == 2
    assert [entry["file"] for entry in card["origin"]["corpus"]] == ["toy.txt"]
    assert card["results"]["tokens_seen"] == 10 * 4 * 16
    assert card["results"]["held_out_curve"] == [
        {key: point[key] for key in ("update", "held_out_bits_per_byte")} for point in points
    ]
    assert [point["update"] for point in points] == list(range(11))
    assert points[-1]["tokens_per_second"] > 0
    assert {"dtclaims", "python", "torch", "tokenizers"} <= card["versions"].keys()


@pytest.mark.parametrize("update", [0, 7])
def test_a_resumed_run_ends_like_an_unbroken_one(pretrain: Pretrain, tmp_path: Path, update: int) -> None:
    """Weights and curve are bit-identical, dropout included, wherever the run was cut, and whatever was drawn since."""
    check_resuming(pretrain, tmp_path, update)


def test_a_run_is_a_function_of_its_seed(pretrain: Pretrain, tmp_path: Path) -> None:
    """The same seed gives the same file, another seed another, and torch's global stream is left alone.

    Seeds number checkpoints from 1, and 0, by which the first were made, is the first too.
    """
    before = torch.get_rng_state()
    first = pretrain(tmp_path / "a", updates=3)["files"]["model.safetensors"]
    assert torch.equal(torch.get_rng_state(), before)
    assert pretrain(tmp_path / "b", updates=3)["files"]["model.safetensors"] == first
    assert pretrain(tmp_path / "c", updates=3, seed=2)["files"]["model.safetensors"] != first
    zero, one = (pretrain(tmp_path / str(seed), updates=3, seed=seed) for seed in (0, 1))
    assert zero["files"]["model.safetensors"] == one["files"]["model.safetensors"] == first
    assert (zero["name"], zero["number"], zero["settings"]["seed"]) == ("language-toy", 1, 0)
    with pytest.raises(UsageError, match="a checkpoint's number counts from 1"):
        pretrain(tmp_path / "d", updates=3, seed=-1)


def test_a_finished_run_is_not_overwritten(pretrain: Pretrain, tmp_path: Path) -> None:
    """Resuming it returns its card; starting it again, or with other settings, is refused; damage is noticed."""
    card = pretrain(tmp_path / "a", updates=2)
    assert pretrain(tmp_path / "a", updates=2, resume=True) == card
    with pytest.raises(UsageError, match="already holds a finished run"):
        pretrain(tmp_path / "a", updates=2)
    with pytest.raises(UsageError, match=r"other settings: got updates=3, expected updates=2\."):
        pretrain(tmp_path / "a", updates=3, resume=True)
    (tmp_path / "a/tokenizer.json").write_text("{}")
    with pytest.raises(FixtureError, match=r"tokenizer\.json"):
        pretrain(tmp_path / "a", updates=2, resume=True)


def test_an_interrupted_run_resumes_only_under_its_settings(pretrain: Pretrain, tmp_path: Path) -> None:
    """Other settings are named; a damaged checkpoint is a StoreError; without `resume` the run starts over."""
    with pytest.raises(Stop):
        pretrain(tmp_path / "a", updates=10, progress=stop_at(5))
    with pytest.raises(UsageError, match=r"got seed=2, batch=8, expected seed=0, batch=16"):
        pretrain(tmp_path / "a", updates=10, seed=2, batch=8, resume=True)
    with pytest.raises(Stop):
        pretrain(tmp_path / "a", updates=10, seed=1, progress=stop_at(0))
    (tmp_path / "a/checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(StoreError, match=r"checkpoint\.pt"):
        pretrain(tmp_path / "a", updates=10, seed=1, resume=True)


def test_unusable_arguments_are_typed_errors(pretrain: Pretrain, tmp_path: Path) -> None:
    """Unknown scale, device, counts below 1, an absent corpus, a corpus shorter than a window; nothing is written."""
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="unknown scale: got 'huge', expected one of mini, small, paper"):
        pretrain(out, scale="huge")
    with pytest.raises(UsageError, match="unknown device"):
        pretrain_language("mini", [], out, device="tpu")
    with pytest.raises(UsageError, match="updates must be at least 1: got 0"):
        pretrain(out, updates=0)
    with pytest.raises(UsageError, match="batch must be at least 1: got 0"):
        pretrain(out, batch=0)
    with pytest.raises(DataError, match="does not exist"):
        pretrain(out, paths=(tmp_path / "nowhere",))
    assert not out.exists()
    (tmp_path / "short.txt").write_text(DOCUMENT_BREAK.join(["one", "two"]))
    with pytest.raises(DataError, match="shorter than one window"):
        pretrain(out, paths=(tmp_path / "short.txt",))


def test_divergence_ends_the_run(pretrain: Pretrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss that is not finite is a RunFailed that says when, and leaves no card."""
    monkeypatch.setitem(SCALES, "toy", Scale(1, 16, 2, 16, 280, 4, 20, learning_rate=1e30, dropout=0.0))
    with pytest.raises(RunFailed, match=r"diverged.*after 2 updates"):
        pretrain(tmp_path / "a")
    assert not (tmp_path / "a/card.json").exists()


def test_the_model_is_causal_and_tied() -> None:
    """Logits at a position ignore later tokens, and there is no output matrix beside the token embedding."""
    model = LanguageModel(SCALES["mini"].config, 30, 8, torch.Generator().manual_seed(0)).eval()
    tokens = torch.tensor([[1, 2, 3, 4, 5]])
    changed = torch.tensor([[1, 2, 3, 29, 0]])
    a, b = model(tokens), model(changed)
    assert a.shape == (1, 5, 30)
    torch.testing.assert_close(a[:, :3], b[:, :3])
    assert not torch.allclose(a[:, 3:], b[:, 3:])
    assert {name for name, _ in model.named_parameters() if not name.startswith("stack.")} == {"wte", "wpe"}


def test_the_model_is_gpt2() -> None:
    """Hugging Face's GPT-2 computes the same logits from the weights that are saved."""
    from transformers import GPT2Config, GPT2LMHeadModel

    model = LanguageModel(SCALES["mini"].config, 30, 8, torch.Generator().manual_seed(0)).eval()
    oracle: torch.nn.Module = GPT2LMHeadModel(GPT2Config(vocab_size=30, n_positions=8, n_embd=32, n_layer=12, n_head=2))
    weights = {f"transformer.{name}": tensor for name, tensor in model.backbone().items()}
    oracle.load_state_dict(weights | {"lm_head.weight": weights["transformer.wte.weight"]})
    oracle.eval()
    tokens = torch.tensor([[1, 2, 3, 4, 5, 29, 0, 7]])
    torch.testing.assert_close(model(tokens), oracle(tokens).logits, rtol=1e-4, atol=1e-5)


def test_learning_rate_rises_then_falls() -> None:
    """From 1/warm-up to 1 over the first 2 %, then down to the final share, never rising again."""
    rates = [rate(update, 1000) for update in range(1000)]
    assert rates[:20] == pytest.approx([(update + 1) / 20 for update in range(20)])
    assert all(a >= b for a, b in pairwise(rates[19:]))
    assert rates[20] == 1.0
    assert rates[-1] == pytest.approx(FINAL_RATE, abs=1e-4)
    assert rate(0, 1) == 1.0


def test_scales_are_the_papers_shape_and_smaller_ones() -> None:
    """All have GPT-2's 12 blocks; `paper` is GPT-2 small."""
    assert {scale.blocks for scale in SCALES.values()} == {12}
    paper = SCALES["paper"]
    assert (paper.width, paper.heads, paper.context, paper.vocabulary) == (768, 12, 1024, 50257)
    mini = SCALES["mini"]
    assert (mini.width, mini.heads, mini.context, mini.vocabulary) == (32, 2, 128, 1024)
