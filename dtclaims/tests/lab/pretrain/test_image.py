"""Image pre-training end to end at toy size (dtclaims/lab/pretrain/{image,examples,job,network}.py)."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from dtclaims.errors import DataError, RunFailed, UsageError
from dtclaims.lab.models import load_backbone
from dtclaims.lab.pretrain import IMAGE_SCALES, SCALES, ImageModel, Scale, image, pretrain_image, read_photographs
from dtclaims.lab.pretrain.bits import previous_bits
from dtclaims.lab.pretrain.examples import TileExamples
from dtclaims.lab.pretrain.image import tiles_of
from dtclaims.lab.pretrain.palette import nearest_colours
from dtclaims.places import read_card
from dtclaims.seeding import generator
from dtclaims.tests.support.pretraining import Pretrain, Stop, check_resuming, stop_at

SIDE = 4


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of six colours that mostly follow each other in a cycle from left to right, each row from its own."""
    draws = np.random.default_rng(0)
    colours = draws.integers(0, 256, (6, 3))
    folder = tmp_path_factory.mktemp("images")
    for number in range(30):
        steps = np.where(draws.random((20, 24)) < 0.03, draws.integers(0, 6, (20, 24)), 1)
        steps[:, 0] = draws.integers(0, 6, 20)
        pixels = colours[steps.cumsum(1) % 6].astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture
def pretrain(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> Pretrain:
    """`pretrain_image` at a toy scale, on the CPU."""
    toy = Scale(
        2,
        16,
        2,
        SIDE**2,
        8,
        batch=16,
        updates=150,
        learning_rate=1e-2,
        dropout=0.1,
        activation="quick_gelu",
        norm="rms",
    )
    monkeypatch.setitem(IMAGE_SCALES, "toy", toy)

    def run(out: Path, scale: str = "toy", paths: tuple[Path, ...] = (corpus,), **options: Any) -> dict[str, Any]:
        return pretrain_image(scale, list(paths), out, device="cpu", **options)

    return run


def saved_tiles(folder: Path, corpus: Path) -> tuple[np.ndarray, np.ndarray, int]:
    """Training and held-out tiles as numbers of the saved palette's colours, and how many colours there are."""
    palette = np.array(json.loads((folder / "palette.json").read_text())["clusters"], dtype=np.uint8)
    photographs = read_photographs([corpus], SIDE)
    train, held_out = (
        nearest_colours(tiles_of(side, SIDE), palette) for side in (photographs.train, photographs.held_out)
    )
    return train, held_out, len(palette)


def test_pretraining_learns(pretrain: Pretrain, tmp_path: Path) -> None:
    """Pixels of held-out pictures cost less than 0.8 of what the colours' histogram and the untrained network ask."""
    bits = pretrain(tmp_path / "a")["results"]["held_out_bits_per_pixel"]
    assert 0 < bits["model"] < 0.8 * min(bits["colour_unigram"], bits["untrained_network"])
    assert 0 < bits["previous_pixel"] < bits["colour_unigram"]


def test_baselines_are_those_of_their_definitions(pretrain: Pretrain, corpus: Path, tmp_path: Path) -> None:
    """Unigram and previous-pixel bits, recomputed pixel by pixel from the saved palette and the pictures."""
    bits = pretrain(tmp_path / "a", updates=1)["results"]["held_out_bits_per_pixel"]
    train, held_out, colours = saved_tiles(tmp_path / "a", corpus)
    counts = Counter(train.ravel().tolist())
    pairs = Counter(pair for tile in train.tolist() for pair in zip([colours, *tile], tile, strict=False))
    firsts = Counter(before for tile in train.tolist() for before in (colours, *tile[:-1]))

    def unigram(colour: int) -> float:
        return (counts[colour] + 1) / (train.size + colours)

    flat = held_out.ravel().tolist()
    assert bits["colour_unigram"] == pytest.approx(-sum(math.log2(unigram(c)) for c in flat) / len(flat), abs=1e-6)
    previous = -sum(
        math.log2((pairs[before, colour] + 16 * unigram(colour)) / (firsts[before] + 16))
        for tile in held_out.tolist()
        for before, colour in zip([colours, *tile], tile, strict=False)
    )
    assert bits["previous_pixel"] == pytest.approx(previous / len(flat), abs=1e-6)


def test_result_folder_is_complete(pretrain: Pretrain, corpus: Path, tmp_path: Path) -> None:
    """ImageGPT's names in float32, a palette of the card's size, a verified card with its command, no checkpoint."""
    points: list[dict[str, float]] = []
    card = pretrain(tmp_path / "run", seed=3, updates=10, batch=4, progress=points.append)
    folder = tmp_path / "run"
    assert {file.name for file in folder.iterdir()} == {"model.safetensors", "palette.json", "card.json"}
    assert read_card(folder) == card
    _, held_out, colours = saved_tiles(folder, corpus)
    assert colours == 6

    tensors = load_file(folder / "model.safetensors")
    assert tensors["wte.weight"].shape == (colours + 1, 16)
    assert tensors["wpe.weight"].shape == (SIDE**2, 16)
    assert tensors["lm_head.weight"].shape == (colours, 16)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert not [name for name in tensors if name.endswith(("ln_1.bias", "ln_2.bias", "ln_f.bias"))]

    assert (card["schema"], card["kind"], card["name"]) == (1, "backbone", "image-toy@3")
    assert card["made_with"] == (
        f"dtclaims pretrain image --corpus {corpus} --scale toy --out run --seed 3 --device cpu --updates 10 --batch 4"
    )
    assert card["licence"].startswith("not stated")
    assert (card["config"]["context"], card["config"]["vocabulary"]) == (SIDE**2, colours + 1)
    assert (card["config"]["norm"], card["config"]["activation"]) == ("rms", "quick_gelu")
    (entry,) = card["origin"]["corpus"]
    assert entry["licence"] == "not recorded"
    assert len(entry["files"]) == 30
    assert card["origin"]["held_out"] == {
        "photographs": len(read_photographs([corpus], SIDE).held_out),
        "tiles": len(held_out),
        "tokens": held_out.size,
    }
    assert card["results"]["tokens_seen"] == 10 * 4 * SIDE**2
    assert [point["update"] for point in points] == list(range(11))
    assert card["results"]["held_out_curve"] == [
        {key: point[key] for key in ("update", "held_out_bits_per_pixel")} for point in points
    ]
    assert {"dtclaims", "python", "torch", "pillow", "scipy"} <= card["versions"].keys()


def test_the_folder_is_a_backbone(pretrain: Pretrain, tmp_path: Path) -> None:
    """`load_backbone` reads the stack, with the native norm, and labels it."""
    pretrain(tmp_path / "a", updates=1)
    backbone = load_backbone(tmp_path / "a")
    assert (backbone.config.norm, backbone.config.activation, backbone.config.blocks) == ("rms", "quick_gelu", 2)
    assert backbone.provenance["label"] == "self-pre-trained"
    torch.testing.assert_close(
        backbone.tensors["h.1.mlp.c_fc.weight"], load_file(tmp_path / "a/model.safetensors")["h.1.mlp.c_fc.weight"]
    )


@pytest.mark.parametrize("update", [0, 7])
def test_a_resumed_run_ends_like_an_unbroken_one(pretrain: Pretrain, tmp_path: Path, update: int) -> None:
    """Files and curve are bit-identical, dropout included, wherever the run was cut, and whatever was drawn since."""
    check_resuming(pretrain, tmp_path, update)


def test_a_run_is_a_function_of_its_seed(pretrain: Pretrain, tmp_path: Path) -> None:
    """The same seed gives the same weights, another seed others."""
    first = pretrain(tmp_path / "a", updates=2)["files"]["model.safetensors"]
    assert pretrain(tmp_path / "b", updates=2)["files"]["model.safetensors"] == first
    assert pretrain(tmp_path / "c", updates=2, seed=2)["files"]["model.safetensors"] != first


def test_another_corpus_is_another_run(pretrain: Pretrain, corpus: Path, tmp_path: Path) -> None:
    """An interrupted run is not continued on other pictures."""
    with pytest.raises(Stop):
        pretrain(tmp_path / "a", updates=10, progress=stop_at(5))
    some = tuple(sorted(corpus.glob("*.png"))[:20])
    with pytest.raises(UsageError, match=r"other settings: got corpus="):
        pretrain(tmp_path / "a", paths=some, updates=10, resume=True)


def test_unusable_arguments_are_typed_errors(pretrain: Pretrain, tmp_path: Path) -> None:
    """Unknown scale, device, counts below 1, an absent corpus, a folder without images; nothing is written."""
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="unknown scale: got 'huge', expected one of mini, small, paper"):
        pretrain(out, scale="huge")
    with pytest.raises(UsageError, match="unknown device"):
        pretrain_image("mini", [], out, device="tpu")
    with pytest.raises(UsageError, match="updates must be at least 1: got 0"):
        pretrain(out, updates=0)
    with pytest.raises(UsageError, match="batch must be at least 1: got 0"):
        pretrain(out, batch=0)
    with pytest.raises(DataError, match="does not exist"):
        pretrain(out, paths=(tmp_path / "nowhere",))
    with pytest.raises(DataError, match="too few images"):
        pretrain(out, paths=(tmp_path,))
    assert not out.exists()


def test_divergence_ends_the_run(pretrain: Pretrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss that is not finite is a RunFailed that says when, and leaves no card."""
    monkeypatch.setitem(IMAGE_SCALES, "toy", Scale(1, 16, 2, 16, 8, 4, 20, learning_rate=1e30, dropout=0.0))
    with pytest.raises(RunFailed, match=r"diverged.*after 2 updates"):
        pretrain(tmp_path / "a")
    assert not (tmp_path / "a/card.json").exists()


def test_measured_tiles_are_limited_and_spread(
    pretrain: Pretrain, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of too many held-out tiles every n-th is measured: fewer than twice the limit, from all photographs."""
    pretrain(tmp_path / "a", updates=1)
    train, tiles, colours = saved_tiles(tmp_path / "a", corpus)
    limit = tiles.size // 3
    monkeypatch.setattr(image, "HELD_OUT_PIXELS", limit)
    card = pretrain(tmp_path / "b", updates=1)
    assert card["origin"]["held_out"]["tokens"] == tiles[::3].size < 2 * limit
    assert card["results"]["measured"].startswith(f"bits of all {tiles[::3].size} pixels")
    previous = previous_bits(train, tiles[::3], colours) / tiles[::3].size
    assert card["results"]["held_out_bits_per_pixel"]["previous_pixel"] == pytest.approx(previous, abs=1e-6)


def test_batches_are_tiles_or_their_mirror_images() -> None:
    """Inputs are the start token and all pixels but the last; about half of the tiles are mirrored left to right."""
    tiles = np.arange(40 * 9, dtype=np.int16).reshape(40, 9) % 11
    examples = TileExamples(tiles, tiles[:1], 11, torch.device("cpu"))
    inputs, targets = examples.batch(generator(0, "test"), 500)
    assert (inputs[:, 0] == 11).all()
    assert torch.equal(inputs[:, 1:], targets[:, :-1])
    plain = {tuple(tile) for tile in tiles.tolist()}
    mirrored = {tuple(tile) for tile in tiles.reshape(40, 3, 3)[:, :, ::-1].reshape(40, 9).tolist()}
    rows = [tuple(row) for row in targets.tolist()]
    assert all(row in plain | mirrored for row in rows)
    share = sum(row in plain for row in rows) / 500
    assert abs(share - 0.5) < 5 * 0.5 / 500**0.5
    assert targets.dtype == torch.int64


def test_the_model_is_imagegpt() -> None:
    """Hugging Face's ImageGPT computes the same logits from the weights that are saved, in float64 to 1e-8."""
    from transformers import ImageGPTConfig, ImageGPTForCausalImageModeling

    draws = torch.Generator().manual_seed(0)
    # Heads of 4, a square: transformers up to 5.17 divides ImageGPT's logits by the integer part of the root.
    config = Scale(3, 16, 4, 16, 20, 1, 1, 1.0, 0.0, activation="quick_gelu", norm="rms").config
    model = ImageModel(config, 20, 16, draws).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # Fresh norms are 1 and biases 0, which would hide that they are read.
            parameter.add_(torch.empty_like(parameter).normal_(0.0, 0.3, generator=draws) * (0.1 + ("ln" in name)))
    oracle: torch.nn.Module = ImageGPTForCausalImageModeling(
        ImageGPTConfig(vocab_size=21, n_positions=16, n_embd=16, n_layer=3, n_head=4)
    ).double()
    weights = model.backbone(torch.float64)
    head = {"lm_head.weight": weights.pop("lm_head.weight")}
    oracle.load_state_dict({f"transformer.{name}": tensor for name, tensor in weights.items()} | head)
    oracle.eval()
    tokens = torch.randint(0, 21, (3, 16), generator=draws)
    tokens[:, 0] = 20
    with torch.no_grad():
        ours, theirs = model(tokens), oracle(tokens).logits
    assert ours.std() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-8)


def test_the_model_is_causal_and_untied() -> None:
    """Logits at a position ignore later pixels; the start token is never predicted; the head is its own."""
    model = ImageModel(IMAGE_SCALES["mini"].config, 30, 8, torch.Generator().manual_seed(0)).eval()
    tokens = torch.tensor([[30, 2, 3, 4, 5]])
    changed = torch.tensor([[30, 2, 3, 29, 0]])
    a, b = model(tokens), model(changed)
    assert a.shape == (1, 5, 30)
    torch.testing.assert_close(a[:, :3], b[:, :3])
    assert not torch.allclose(a[:, 3:], b[:, 3:])
    others = {name for name, _ in model.named_parameters() if not name.startswith("stack.")}
    assert others == {"wte", "wpe", "lm_head"}


def test_scales_are_the_papers_shape_and_smaller_ones() -> None:
    """All have iGPT's 24 blocks, twice the language scale's; `paper` is iGPT-S; heads are as wide as there."""
    for name, scale in IMAGE_SCALES.items():
        assert scale.blocks == 2 * SCALES[name].blocks == 24
        assert (scale.activation, scale.norm, scale.vocabulary) == ("quick_gelu", "rms", 512)
        assert math.isqrt(scale.context) ** 2 == scale.context
    paper = IMAGE_SCALES["paper"]
    assert (paper.width, paper.heads, paper.context) == (512, 8, 1024)
    for name, scale in IMAGE_SCALES.items():
        assert scale.width // scale.heads == SCALES[name].width // SCALES[name].heads
        assert scale.width <= SCALES[name].width
