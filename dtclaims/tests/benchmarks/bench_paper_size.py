"""Speed and memory of the metrics at the paper's size, beside the reference's way on the same device.

    pytest dtclaims/tests/benchmarks/bench_paper_size.py -o python_files="bench_*.py" -m gpu
    python -m dtclaims.tests.benchmarks.bench_paper_size          # the same without pytest; --small runs on any device

Each row is the median of three runs after one that warms up (of the long ones, a single run after a short warm-up),
with the inputs on the device, and the most memory allocated meanwhile, inputs included. The reference's way is
transcribed in PyTorch and runs in the same process on the same device: one pair, one fit, one window after another.
Where it would take minutes, a part of it is run and the whole is reckoned from that; the row says which part.
"""

import argparse
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from itertools import islice, product
from statistics import median

import numpy as np
import pytest
import torch
from torch import Tensor

from dtclaims.lab.data.windows import Batch
from dtclaims.lab.metrics import (
    HeldOutMine,
    PublishedMine,
    causal_attention_distance,
    cka_matrix,
    fused_attention_distance,
    gradient_confusion,
    mutual_informations,
    published_cka_matrix,
)
from dtclaims.lab.models import DecisionTransformer, StackConfig
from dtclaims.tests.support.transcribed import loss, transcribed, transcribed_fit

POINTS = {
    "ln_1": 1,
    "attn.c_attn": 3,
    "attn.c_proj": 1,
    "attn.resid_dropout": 1,
    "ln_2": 1,
    "mlp.c_fc": 4,
    "mlp.c_proj": 1,
    "mlp.act": 4,
    "mlp.dropout": 1,
}
"""The paper's layers of a block: how many times wider than the stack each is."""


@dataclass(frozen=True)
class Size:
    """What is measured."""

    blocks: int = 12
    width: int = 768
    cka_windows: int = 1000
    cka_pairs: int = 200
    """Pairs of layers that the reference's way is timed on."""
    gradient_windows: tuple[int, ...] = (50, 200)
    """Of the paper, and of the corrected protocol."""
    attention_windows: int = 100
    mine_blocks: int = 3
    mine_tokens: int = 59
    mine_windows: int = 100
    passes: int = 1000
    passes_by_reference: int = 100
    """Of one fit by the reference's way."""
    heldout_windows: int = 5000
    heldout_steps: int = 600


SMALL = Size(
    blocks=2,
    width=24,
    cka_windows=20,
    cka_pairs=5,
    gradient_windows=(4, 6),
    attention_windows=4,
    mine_blocks=1,
    mine_tokens=4,
    passes=3,
    passes_by_reference=3,
    heldout_windows=60,
    heldout_steps=3,
)


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    goal: str
    seconds: float
    gib: float | None
    reference_seconds: float | None = None
    reference_part: str = ""
    """What of the reference's way was run."""

    def __str__(self) -> str:
        memory = "–" if self.gib is None else f"{self.gib:.1f} GiB"
        theirs = ratio = part = "–"
        if self.reference_seconds is not None:
            theirs, ratio = f"{figure(self.reference_seconds)} s", figure(self.reference_seconds / self.seconds)
            part = self.reference_part
        cells = (self.what, f"{figure(self.seconds)} s", self.goal, memory, theirs, ratio, part)
        return "| " + " | ".join(cells) + " |"


HEADER = """
| measurement | ours | goal | peak memory | reference's way | ratio | of which run |
|---|---|---|---|---|---|---|"""


def figure(value: float) -> str:
    """Two significant digits, without an exponent where it is large."""
    return f"{value:.2g}" if value < 100 else f"{value:.0f}"


def timed(call: Callable[[], object], device: torch.device, runs: int = 3) -> tuple[float, float | None]:
    """Median seconds of `runs` (after one more, if several), and the most GiB allocated."""
    seconds = []
    for _ in range(runs + (runs > 1)):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
        start = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    peak = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else None
    return median(seconds[1:] or seconds), peak


class Normal:
    """Normal numbers on a device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.generator = torch.Generator(device).manual_seed(0)

    def __call__(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator, device=self.device)


def cka(size: Size, device: torch.device) -> Iterator[Row]:
    """All layers of one network with all of another; real widths, float32 as captured."""
    normal = Normal(device)
    shared = normal(size.cka_windows, 4 * size.width)
    widths = {f"h.{block}.{point}": POINTS[point] * size.width for block in range(size.blocks) for point in POINTS}
    points = list(widths)

    def network(columns: int | None = None) -> dict[str, Tensor]:
        chosen = {name: columns or width for name, width in widths.items()}
        return {name: shared[:, :width] + normal(size.cka_windows, width) for name, width in chosen.items()}

    forms = (
        (f"corrected: last token, {size.width} to {4 * size.width} columns, float64", cka_matrix, network(), network()),
        ("published: one unit, 60 columns, float32", published_cka_matrix, network(60), network(60)),
    )
    for form, ours, first, second in forms:
        seconds, peak = timed(lambda ours=ours, a=first, b=second: ours(a, b), device)  # type: ignore[misc]
        # Spread over the matrix, so that layers of all widths are among them.
        stride = max(1, len(points) ** 2 // size.cka_pairs)
        some = list(islice(product(points, points), 0, None, stride))

        def reference(some: object = some, a: object = first, b: object = second) -> list[float]:
            return [transcribed_cka(a[one], b[other]) for one, other in some]  # type: ignore[index, attr-defined]

        theirs = timed(reference, device)[0] * len(points) ** 2 / len(some)
        part = f"{len(some)} of {len(points) ** 2} pairs"
        what = f"CKA, {len(points)} × {len(points)} layers, n = {size.cka_windows}, {form}"
        yield Row(what, "1 s", seconds, peak, theirs, part)


def transcribed_cka(x: Tensor, y: Tensor) -> float:
    """The published CKA of one pair of layers, step by step."""

    def centred(gram: Tensor) -> Tensor:
        n = len(gram)
        gram.fill_diagonal_(0)
        means = gram.sum(dim=0, dtype=torch.float64) / (n - 2)
        means -= means.sum() / (2 * (n - 1))
        gram -= means[:, None]
        gram -= means[None, :]
        return gram.fill_diagonal_(0)

    k, m = centred(x @ x.T), centred(y @ y.T)
    return float(k.ravel() @ m.ravel() / (k.norm() * m.norm() + 1e-6))


def attention(size: Size, device: torch.device) -> Iterator[Row]:
    """Distances of all windows in all blocks; one block after another, as in the paper."""
    normal = Normal(device)
    n, heads = size.attention_windows, 12
    pairs = [(normal(n, 60, size.width), normal(n, 60, size.width)) for _ in range(size.blocks)]
    mask = torch.ones(n, 60, dtype=torch.bool, device=device)
    what = f"attention distance, {n} windows × {size.blocks} blocks"

    def published() -> list[object]:
        return [fused_attention_distance(query, key) for query, key in pairs]

    def corrected() -> list[object]:
        return [causal_attention_distance(query, key, heads, mask) for query, key in pairs]

    def reference() -> list[list[float]]:
        return [[transcribed_distance(q, k) for q, k in zip(query, key, strict=True)] for query, key in pairs]

    np.testing.assert_allclose(published()[0], reference()[0], rtol=1e-4)
    theirs = timed(reference, device)[0]
    yield Row(f"{what}, published", "1 s", *timed(published, device), theirs, "all")
    yield Row(f"{what}, corrected", "1 s", *timed(corrected, device))


def transcribed_distance(query: Tensor, key: Tensor) -> float:
    """The published distance of one window."""
    tokens, width = query.shape
    weights = torch.softmax(query @ key.T / width**0.5, dim=-1).tril()
    position = torch.arange(tokens, device=query.device)
    return float((weights * (position[:, None] - position[None, :]).abs()).mean())


def gradients(size: Size, device: torch.device) -> Iterator[Row]:
    """Confusion of 50 windows under both protocols' modes, and of the 200 that the corrected one asks for."""
    normal = Normal(device)
    few, many = size.gradient_windows
    steps = torch.arange(20, device=device).expand(many, 20)
    full = torch.ones(many, 20, dtype=torch.bool, device=device)
    batch = Batch(normal(many, 20, 11), torch.tanh(normal(many, 20, 3)), normal(many, 20, 1), steps, full)
    fewer = Batch(*(getattr(batch, field.name)[:few] for field in fields(batch)))
    model = DecisionTransformer(StackConfig(size.blocks, size.width, 12, "gelu_new"), 11, 3).to(device)
    millions = sum(p.numel() for p in model.transformer.h.parameters()) / 1e6
    what = f"gradient confusion, {size.blocks} × {size.width} ({millions:.1f} M)"
    forms: tuple[tuple[str, Batch, bool, str], ...] = (
        ("published", fewer, False, "pre-trained arms, dropout off"),
        ("published", fewer, True, "random arms, dropout on"),
        ("corrected", fewer, False, "dropout off"),
        ("corrected", batch, False, "dropout off"),
    )
    for protocol, windows, dropout, form in forms:

        def ours(protocol=protocol, windows=windows, dropout=dropout):  # type: ignore[no-untyped-def]
            return gradient_confusion(model, windows, loss, protocol=protocol, dropout=dropout)

        seconds, peak = timed(ours, device)
        theirs = None
        if protocol == "published":
            model.train(dropout)
            theirs = timed(lambda: transcribed(model, fewer), device, runs=1)[0]
            if not dropout:
                np.testing.assert_allclose(ours().cosine, transcribed(model, fewer), rtol=0, atol=2e-3)
        n = len(windows.mask)
        goal = "2 s, 20 GiB" if n == few else "–"
        yield Row(f"{what}, n = {n}, {protocol}: {form}", goal, seconds, peak, theirs, "all")


def mine_pairs(size: Size, windows: int, normal: Normal) -> dict[str, tuple[Tensor, Tensor]]:
    """One model's: each token with the last state's activation, each token's activation with the last action."""
    tokens = [normal(windows, (1, 11, 3)[t % 3]) for t in range(size.mine_tokens)]
    action = normal(windows, 3)
    pairs = {}
    for block in range(size.mine_blocks):
        outputs = [0.3 * normal(windows, size.width) for _ in tokens]
        pairs |= {f"{block}/X/{t}": (token, outputs[-1]) for t, token in enumerate(tokens)}
        pairs |= {f"{block}/Y/{t}": (action, output) for t, output in enumerate(outputs)}
    return pairs


def mutual_information(size: Size, device: torch.device) -> Iterator[Row]:
    """One model's estimates, published and corrected."""
    normal = Normal(device)
    pairs = mine_pairs(size, size.mine_windows, normal)
    x, z = next(iter(pairs.values()))

    def published(passes: int) -> object:
        settings = PublishedMine(passes=passes, null=False)
        return mutual_informations(pairs, protocol="published", seed=0, settings=settings)

    def reference() -> float:
        with torch.autograd.set_detect_anomaly(True):
            return transcribed_fit(x, z, passes=size.passes_by_reference)

    reference()
    theirs = timed(reference, device, runs=1)[0] * len(pairs) * size.passes / size.passes_by_reference
    part = f"{2 * size.passes_by_reference} steps of 1 fit"
    published(3)
    seconds, peak = timed(lambda: published(size.passes), device, runs=1)
    what = f"mutual information, {len(pairs)} pairs, {size.width} wide"
    how = f"published, {2 * size.passes} steps of 50 (the null, if wanted, doubles it)"
    yield Row(f"{what}, {how}", "15 s", seconds, peak, theirs, part)
    del pairs
    windows = size.heldout_windows
    pairs = mine_pairs(size, windows, normal)

    def corrected() -> object:
        settings = HeldOutMine(seeds=1, least=windows, steps=size.heldout_steps)
        return mutual_informations(pairs, protocol="corrected", seed=0, settings=settings)

    seconds, peak = timed(corrected, device, runs=1)
    yield Row(f"{what}, corrected, {windows} windows, 1 of its 3 seeds", "–", seconds, peak)


MEASUREMENTS = (attention, cka, gradients, mutual_information)


def show(size: Size, device: torch.device, measurements: tuple[Callable[..., Iterator[Row]], ...]) -> list[Row]:
    """Print each row when it is there."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU"
    print(f"\n{name}, torch {torch.__version__}, {time.strftime('%Y-%m-%d', time.gmtime())}\n{HEADER}", flush=True)
    rows = []
    for measurement in measurements:
        for row in measurement(size, device):
            print(row, flush=True)
            rows.append(row)
        if device.type == "cuda":
            torch.cuda.empty_cache()
    return rows


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
@pytest.mark.parametrize("measurement", MEASUREMENTS, ids=lambda measurement: measurement.__name__)
def test_paper_size(measurement: Callable[..., Iterator[Row]], capsys: pytest.CaptureFixture[str]) -> None:
    """Prints the table; that the loops and ours give the same numbers is asserted, time is not."""
    with capsys.disabled():
        rows = show(Size(), torch.device("cuda"), (measurement,))
    assert rows


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
def test_small_size() -> None:
    """The same at a size that any device does in seconds: that the benchmark runs."""
    rows = show(SMALL, torch.device("cpu"), MEASUREMENTS)
    assert [row.reference_seconds is None for row in rows].count(False) == 6
    assert all(row.seconds > 0 for row in rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a size that takes seconds on a CPU")
    parser.add_argument("--only", help="one of " + ", ".join(one.__name__ for one in MEASUREMENTS))
    given = parser.parse_args()
    show(
        SMALL if given.small else Size(),
        torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        tuple(one for one in MEASUREMENTS if given.only in (None, one.__name__)),
    )
