"""Pre-training on synthetic tokens (dtclaims/lab/pretrain/{chains,synthetic}.py)."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from dtclaims.errors import UsageError
from dtclaims.harness.commands.main import main
from dtclaims.lab.models import Stack, load_backbone
from dtclaims.lab.pretrain import (
    SCALES,
    SYNTHETIC_SCALES,
    Chain,
    LanguageModel,
    Scale,
    chains,
    make_chain,
    pretrain_synthetic,
)
from dtclaims.lab.pretrain.chains import ChainExamples
from dtclaims.places import read_card
from dtclaims.seeding import derive, generator
from dtclaims.tests.support.pretraining import Pretrain, Stop, check_resuming, stop_at


@pytest.fixture
def pretrain(monkeypatch: pytest.MonkeyPatch) -> Pretrain:
    """`pretrain_synthetic` at a toy scale on few states with strong preferences, on the CPU."""
    toy = Scale(2, 16, 2, 16, 6, batch=32, updates=150, learning_rate=1e-2, dropout=0.1)
    monkeypatch.setitem(SYNTHETIC_SCALES, "toy", toy)
    monkeypatch.setattr(chains, "STATES", 6)
    monkeypatch.setattr(chains, "TEMPERATURE", 0.2)
    monkeypatch.setattr(chains, "HELD_OUT_TOKENS", 2**13)

    def run(out: Path, kind: str = "markov", scale: str = "toy", **options: Any) -> dict[str, Any]:
        return pretrain_synthetic(scale, kind, out, device="cpu", **options)

    return run


def random_chain(states: int, temperature: float, seed: int) -> Chain:
    """A chain without impossible transitions."""
    weights = np.exp(np.random.default_rng(seed).random((states, states)) / temperature)
    return Chain(weights / weights.sum(1, keepdims=True))


@given(states=st.integers(2, 12), temperature=st.floats(0.3, 10.0), seed=st.integers(0, 999))
def test_entropy_rate_is_that_of_its_definition(states: int, temperature: float, seed: int) -> None:
    """Against power iteration and sums in plain Python: stationary distribution to 1e-10, entropy rate to 1e-9."""
    chain = random_chain(states, temperature, seed)
    rows = chain.transitions.tolist()
    share = [1.0 / states] * states
    for _ in range(500):
        share = [sum(share[i] * rows[i][j] for i in range(states)) for j in range(states)]
    rate = -sum(share[i] * p * math.log2(p) for i in range(states) for p in rows[i])
    np.testing.assert_allclose(chain.stationary, share, rtol=0, atol=1e-10)
    assert chain.entropy_rate == pytest.approx(rate, abs=1e-9)


def test_a_cycle_has_no_entropy() -> None:
    """Where the next state is certain the rate is 0, and draws follow the cycle: impossible states never come."""
    cycle = Chain(np.roll(np.eye(5), 1, axis=1))
    assert cycle.entropy_rate == 0.0
    tokens = cycle.draw(generator(0, "test"), 200, 9)
    assert (np.diff(tokens, axis=1) % 5 == 1).all()
    assert set(tokens[:, 0]) == set(range(5))


def test_the_chains_are_wang_et_als() -> None:
    """Rows are softmaxes of numbers from [0, 1]: no ratio in a row exceeds e; iid is log2(100)."""
    chain = make_chain("markov", 0)
    assert chain.states == 100
    np.testing.assert_allclose(chain.transitions.sum(1), 1.0, atol=1e-12)
    ratios = chain.transitions.max(1) / chain.transitions.min(1)
    assert 2.4 < ratios.min() < ratios.max() < math.e
    assert 6.57 < chain.entropy_rate < 6.60
    iid = make_chain("iid", 0)
    np.testing.assert_allclose(iid.stationary, 0.01, atol=1e-12)
    assert iid.entropy_rate == pytest.approx(math.log2(100), abs=1e-12)


def test_a_chain_is_a_function_of_kind_and_seed() -> None:
    """The same seed gives the same chain and tokens, another seed others; independent tokens need no seed."""
    assert make_chain("markov", 3).fingerprint == make_chain("markov", 3).fingerprint
    assert make_chain("markov", 3).fingerprint != make_chain("markov", 4).fingerprint
    assert make_chain("iid", 3).fingerprint == make_chain("iid", 4).fingerprint
    chain = make_chain("markov", 3)
    first, again, other = (chain.draw(generator(0, purpose), 4, 50) for purpose in ("a", "a", "b"))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize("kind", ["iid", "markov"])
def test_tokens_follow_the_chain_from_the_first_on(kind: str) -> None:
    """Counts of first tokens and of transitions are within 5 standard deviations of the chain's (chi-squared)."""
    chain = make_chain(kind, 1)
    tokens = chain.draw(generator(7, "test"), 20_000, 17)
    firsts = np.bincount(tokens[:, 0], minlength=100)
    pairs = np.bincount((tokens[:, :-1] * 100 + tokens[:, 1:]).ravel(), minlength=10_000).reshape(100, 100)
    for counts, expected, free in (
        (firsts, 20_000 * chain.stationary, 99),
        (pairs, pairs.sum(1, keepdims=True) * chain.transitions, 9900),
    ):
        chi_squared = ((counts - expected) ** 2 / expected).sum()
        assert abs(chi_squared - free) < 5 * math.sqrt(2 * free)


def test_a_network_learns_the_chain(pretrain: Pretrain, tmp_path: Path) -> None:
    """A tiny network comes within a tenth of the way from the unigram to the chain itself, and is never better."""
    bits = pretrain(tmp_path / "a")["results"]["held_out_bits_per_token"]
    assert bits["chain"] <= bits["model"] < bits["chain"] + 0.1 * (bits["unigram"] - bits["chain"])
    assert bits["unigram"] - bits["chain"] > 0.5
    assert bits["chain"] == pytest.approx(bits["entropy_rate"], abs=0.05)


def test_independent_tokens_cannot_be_learnt(pretrain: Pretrain, tmp_path: Path) -> None:
    """The card states the truth: log2(states) bits for unigram, chain and rate; the model gets near it from above."""
    results = pretrain(tmp_path / "a", kind="iid", updates=40)["results"]
    bits = results["held_out_bits_per_token"]
    assert bits["unigram"] == bits["chain"] == bits["entropy_rate"] == pytest.approx(math.log2(6), abs=1e-6)
    assert -0.002 < bits["model"] - bits["unigram"] < 0.01
    assert results["better_by"]["unigram"] == pytest.approx(bits["unigram"] - bits["model"], abs=2e-6)


def test_baselines_are_those_of_their_definitions(pretrain: Pretrain, tmp_path: Path) -> None:
    """Held-out windows are redrawn from (seed, purpose), their tokens counted one by one."""
    bits = pretrain(tmp_path / "a", updates=1, seed=5)["results"]["held_out_bits_per_token"]
    chain = make_chain("markov", 5)
    windows = chain.draw(generator(5, "markov/held_out"), 2**13 // 16, 17).tolist()
    pairs = [(a, b) for window in windows for a, b in pairwise(window)]
    unigram = -sum(math.log2(chain.stationary[b]) for _, b in pairs) / len(pairs)
    exact = -sum(math.log2(chain.transitions[a, b]) for a, b in pairs) / len(pairs)
    assert bits["unigram"] == pytest.approx(unigram, abs=1e-6)
    assert bits["chain"] == pytest.approx(exact, abs=1e-6)


def test_result_folder_is_complete(pretrain: Pretrain, tmp_path: Path) -> None:
    """GPT-2's names, no tokenizer, a verified card that says synthetic and names the command; no checkpoint."""
    points: list[dict[str, float]] = []
    card = pretrain(tmp_path / "run", seed=3, updates=10, batch=4, progress=points.append)
    folder = tmp_path / "run"
    assert {file.name for file in folder.iterdir()} == {"model.safetensors", "card.json"}
    assert read_card(folder) == card
    tensors = load_file(folder / "model.safetensors")
    assert (tensors["wte.weight"].shape, tensors["wpe.weight"].shape) == ((6, 16), (16, 16))
    assert (card["schema"], card["kind"], card["name"], card["licence"]) == (1, "backbone", "markov-toy@3", "MIT")
    assert card["config"]["kind"] == "synthetic"
    assert (card["config"]["blocks"], card["config"]["context"], card["config"]["vocabulary"]) == (2, 16, 6)
    assert card["made_with"] == (
        "dtclaims pretrain synthetic --kind markov --scale toy --out run --seed 3 --device cpu --updates 10 --batch 4"
    )
    assert "Wang" in card["origin"]["after"]
    results = card["results"]
    assert results["tokens_seen"] == 10 * 4 * 16
    assert "epochs" not in results
    assert results["held_out_curve"] == [
        {key: point[key] for key in ("update", "held_out_bits_per_token")} for point in points
    ]
    assert {"dtclaims", "python", "torch", "numpy", "scipy"} <= card["versions"].keys()


def test_the_folder_is_a_backbone(pretrain: Pretrain, tmp_path: Path) -> None:
    """`load_backbone` reads the stack alone and its provenance; the token tables stay out."""
    pretrain(tmp_path / "a", updates=1)
    backbone = load_backbone(tmp_path / "a")
    assert backbone.config.blocks == 2
    assert all(name.startswith(("h.", "ln_f.")) for name in backbone.tensors)
    assert backbone.provenance["name"] == "markov-toy"
    torch.testing.assert_close(
        backbone.tensors["h.1.mlp.c_fc.weight"], load_file(tmp_path / "a/model.safetensors")["h.1.mlp.c_fc.weight"]
    )


@pytest.mark.parametrize("update", [0, 7])
def test_a_resumed_run_ends_like_an_unbroken_one(pretrain: Pretrain, tmp_path: Path, update: int) -> None:
    """Files and curve are bit-identical, dropout included, wherever the run was cut, and whatever was drawn since."""
    check_resuming(pretrain, tmp_path, update)


def test_another_chain_is_another_run(pretrain: Pretrain, tmp_path: Path) -> None:
    """An interrupted run is not continued with another seed, which draws another chain."""
    with pytest.raises(Stop):
        pretrain(tmp_path / "cut", updates=10, progress=stop_at(0))
    with pytest.raises(UsageError, match=r"other settings: got seed=2, corpus="):
        pretrain(tmp_path / "cut", updates=10, seed=2, resume=True)


def test_a_run_is_a_function_of_kind_and_seed(pretrain: Pretrain, tmp_path: Path) -> None:
    """The same arguments give the same weights; another seed or kind gives others."""

    def weights(name: str, **options: Any) -> str:
        return str(pretrain(tmp_path / name, updates=2, **options)["files"]["model.safetensors"]["sha256"])

    first = weights("a")
    assert weights("b") == first
    assert len({first, weights("c", seed=2), weights("d", kind="iid")}) == 3


def test_the_stack_starts_where_a_language_backbone_starts(
    pretrain: Pretrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kinds of one seed share the fresh stack, which is the language job's: they differ by their data only."""
    still = Scale(2, 16, 2, 16, 6, batch=1, updates=1, learning_rate=1e-30, dropout=0.0)
    monkeypatch.setitem(SYNTHETIC_SCALES, "toy", still)
    pretrain(tmp_path / "a", seed=2)
    fresh = Stack(SYNTHETIC_SCALES["toy"].config, torch.Generator().manual_seed(derive(2, "language/weights")))
    torch.testing.assert_close(dict(load_backbone(tmp_path / "a").tensors), dict(fresh.state_dict()))


def test_half_precision_is_measured_as_it_is_stored(
    pretrain: Pretrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The card says the stored precision and what the rounded weights, read back, cost."""
    toy = Scale(1, 16, 2, 16, 6, batch=8, updates=5, learning_rate=1e-2, dropout=0.0, stored=torch.float16)
    monkeypatch.setitem(SYNTHETIC_SCALES, "toy", toy)
    stored = pretrain(tmp_path / "a")["results"]["stored"]
    tensors = load_file(tmp_path / "a/model.safetensors")
    assert stored["precision"] == "float16"
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    model = LanguageModel(toy.config, 6, 16, torch.Generator())
    tables = {name: tensors.pop(f"{name}.weight").float() for name in ("wte", "wpe")}
    model.load_state_dict({f"stack.{name}": tensor.float() for name, tensor in tensors.items()} | tables)
    examples = ChainExamples("markov", make_chain("markov", 0), 0, 16, torch.device("cpu"))
    assert stored["held_out_bits_per_token"] == pytest.approx(examples.held_out_bits(model), abs=1e-6)


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_an_output_folder_that_cannot_be_made_is_refused(
    pretrain: Pretrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    """A file is in its place, or above it: one line before anything is prepared."""
    monkeypatch.setattr(chains, "HELD_OUT_TOKENS", -1)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot make folder"):
        pretrain(tmp_path / out)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs /proc")
def test_an_output_folder_that_cannot_be_written_is_refused(
    pretrain: Pretrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its permissions say, root's too: one line before anything is prepared."""
    monkeypatch.setattr(chains, "HELD_OUT_TOKENS", -1)
    with pytest.raises(UsageError, match="cannot write to /proc/self"):
        pretrain(Path("/proc/self"))


def test_unusable_arguments_are_typed_errors(pretrain: Pretrain, tmp_path: Path) -> None:
    """Unknown kind, scale or device and counts below 1 are refused before anything is written."""
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="unknown kind of synthetic data: got 'mdp', expected one of iid, markov"):
        pretrain(out, kind="mdp")
    with pytest.raises(UsageError, match="unknown scale: got 'huge', expected one of mini, small, paper"):
        pretrain(out, scale="huge")
    with pytest.raises(UsageError, match="unknown device"):
        pretrain_synthetic("mini", "iid", out, device="tpu")
    with pytest.raises(UsageError, match="updates must be at least 1: got 0"):
        pretrain(out, updates=0)
    with pytest.raises(UsageError, match="batch must be at least 1: got -1"):
        pretrain(out, batch=-1)
    assert not out.exists()


def test_command_line(
    pretrain: Pretrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints progress, results and folder; what the card says made it makes the same file again."""
    monkeypatch.chdir(tmp_path)
    words = "pretrain synthetic --kind iid --scale toy --out a --seed 4 --device cpu --updates 3 --batch 2"
    assert main(words.split()) == 0
    printed = capsys.readouterr().out
    assert "update 3, held_out_bits_per_token" in printed
    assert printed.endswith("backbone: a\n")
    card = read_card(tmp_path / "a")
    assert card["made_with"] == f"dtclaims {words}"
    assert main(words.replace("--out a", "--out b").split()) == 0
    assert read_card(tmp_path / "b")["files"] == card["files"]
    assert main(words.replace("iid", "mdp").replace("--out a", "--out c").split()) == 2
    assert "unknown kind of synthetic data" in capsys.readouterr().err


def test_a_number_goes_where_claims_look(
    pretrain: Pretrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --out the folder is NAME@N in DTCLAIMS_HOME, of the first without a number; one that ships is refused."""
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path))
    words = "pretrain synthetic --kind markov --scale toy --device cpu --updates 1"
    assert main([*words.split(), "--seed", "2"]) == main(words.split()) == 0
    assert {folder.name for folder in (tmp_path / "backbones").iterdir()} == {"markov-toy", "markov-toy@2"}
    capsys.readouterr()
    assert main(words.replace("toy", "mini").split()) == 2
    assert "markov-mini@1 ships, and claims take that one" in capsys.readouterr().err


def test_scales_are_the_language_scales() -> None:
    """Shapes are the language backbones', so that arms differ by the weights only; an update has 65,536 tokens."""
    assert SYNTHETIC_SCALES.keys() == SCALES.keys()
    for name, scale in SYNTHETIC_SCALES.items():
        assert scale.config == SCALES[name].config
        assert scale.batch * scale.context == 65_536
