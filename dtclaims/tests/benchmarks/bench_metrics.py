"""Speed of the metrics. `nox -s bench` compares within a group; nothing here is asserted on time.

108 layers against 108, 100 windows, width 64: the size of one published heat map at a twelfth of its width.
"""

import numpy as np
import pytest
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from dtclaims.lab.metrics import cka_matrix, published_cka_matrix
from dtclaims.seeding import generator

Layers = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def networks() -> tuple[Layers, Layers]:
    """Features of two networks of 108 layers on the same 100 windows, partly related."""
    rng = generator(0, "bench/cka")
    shared: NDArray[np.float64] = rng.normal(size=(100, 64))

    def network() -> Layers:
        return {f"{i}": (shared + rng.normal(size=shared.shape)).astype(np.float32) for i in range(108)}

    return network(), network()


def transcribed_pair(x: NDArray[np.float32], y: NDArray[np.float32]) -> float:
    """The published CKA of one pair of layers, step by step as released."""

    def centred(gram: NDArray[np.float32]) -> NDArray[np.float32]:
        n = len(gram)
        np.fill_diagonal(gram, 0)
        means: NDArray[np.float64] = np.asarray(np.sum(gram, 0, dtype=np.float64) / (n - 2))
        means -= np.sum(means) / (2 * (n - 1))
        gram -= means[:, None]
        gram -= means[None, :]
        np.fill_diagonal(gram, 0)
        return gram

    k, m = centred(x @ x.T), centred(y @ y.T)
    return float(k.ravel() @ m.ravel() / (np.linalg.norm(k) * np.linalg.norm(m) + 1e-6))


def transcribed_matrix(first: Layers, second: Layers) -> NDArray[np.float64]:
    """The published double loop over layers."""
    return np.array([[transcribed_pair(x, y) for y in second.values()] for x in first.values()])


@pytest.mark.benchmark(group="CKA, 108 x 108 layers, 100 windows, width 64")
def test_published_pair_loop(benchmark: BenchmarkFixture, networks: tuple[Layers, Layers]) -> None:
    """The published loop over pairs of layers."""
    benchmark.pedantic(transcribed_matrix, args=networks, rounds=1)  # type: ignore[no-untyped-call]


@pytest.mark.benchmark(group="CKA, 108 x 108 layers, 100 windows, width 64")
def test_published_matrix(benchmark: BenchmarkFixture, networks: tuple[Layers, Layers]) -> None:
    """The same numbers in one pass."""
    values = benchmark(published_cka_matrix, *networks)
    x, y = networks[0]["3"], networks[1]["5"]
    assert values[3, 5] == pytest.approx(transcribed_pair(x, y), abs=1e-5)


@pytest.mark.benchmark(group="CKA, 108 x 108 layers, 100 windows, width 64")
def test_corrected_matrix(benchmark: BenchmarkFixture, networks: tuple[Layers, Layers]) -> None:
    """The corrected matrix: float64, unbiased, no constant in the denominator."""
    result = benchmark(cka_matrix, *networks)
    assert result.values[3, 5] == pytest.approx(transcribed_pair(networks[0]["3"], networks[1]["5"]), abs=1e-5)
