"""The published MINE: the reference's numbers, its failures, and many problems trained as one batch."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from dtclaims.errors import UsageError
from dtclaims.lab.metrics import PublishedMine, mutual_information
from dtclaims.lab.metrics.critics import Critics, Samples, initial_critics, padded
from dtclaims.lab.metrics.mine import Draws, bound, draw, estimate, fit, objective, scores
from dtclaims.places import fixture_dir
from dtclaims.seeding import generator

Golden = dict[str, NDArray[np.generic]]
CPU = torch.device("cpu")
LAYERS = (0, 2, 4, 6)
SMALL = PublishedMine(passes=4, batch=8, lr=5e-3, hidden=12)


@pytest.fixture(scope="module")
def golden() -> Golden:
    with np.load(fixture_dir() / "golden" / "mine.npz") as arrays:
        return dict(arrays)


def golden_critics(golden: Golden) -> Critics:
    weights = [torch.from_numpy(golden[f"net/{i}.weight"].T.copy())[None] for i in LAYERS]
    return Critics(weights, [torch.from_numpy(golden[f"net/{i}.bias"].copy())[None, None] for i in LAYERS])


def golden_data(golden: Golden) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(golden["x"].copy()), torch.from_numpy(golden["z"].copy())


def check_parameters(critics: Critics, golden: Golden, prefix: str) -> None:
    for number, (weight, bias) in enumerate(zip(critics.weights, critics.biases, strict=True)):
        name = f"{prefix}{2 * number + 1}"
        np.testing.assert_allclose(weight[0].detach().T, golden[f"{name}.weight"], atol=5e-4)
        np.testing.assert_allclose(bias[0, 0].detach(), golden[f"{name}.bias"], atol=5e-4)


def test_golden_minibatches(golden: Golden) -> None:
    """Scores, losses, running means, gradients and Adam's steps of three minibatches are the reference's."""
    critics = golden_critics(golden)
    x, z = golden_data(golden)
    data, running, adam = padded([x], [z]), torch.zeros(1), critics.adam(1e-2)
    for number in range(3):
        rows = torch.arange(number * 8, number * 8 + 8)[None]
        joint, marginal = scores(critics, data, rows, torch.from_numpy(golden[f"b{number}/perm"])[None])
        np.testing.assert_allclose(joint[0].detach(), golden[f"b{number}/T_joint"][:, 0], atol=2e-5)
        np.testing.assert_allclose(marginal[0].detach(), golden[f"b{number}/T_marginal"][:, 0], atol=2e-5)
        np.testing.assert_allclose(-bound(joint, marginal).item(), golden[f"b{number}/loss"], atol=2e-5)
        loss, running = objective(joint, marginal, running, 0.01)
        np.testing.assert_allclose(running, golden[f"b{number}/running_mean_after"], rtol=1e-5)
        adam.zero_grad()
        loss.sum().backward()
        for layer, (weight, bias) in enumerate(zip(critics.weights, critics.biases, strict=True)):
            name = f"b{number}/grad/{2 * layer + 1}"
            assert weight.grad is not None
            assert bias.grad is not None
            np.testing.assert_allclose(weight.grad[0].T, golden[f"{name}.weight"], rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(bias.grad[0, 0], golden[f"{name}.bias"], rtol=1e-4, atol=1e-6)
        adam.step()
        check_parameters(critics, golden, f"b{number}/param_after/")
        # Go on from the reference's weights: Adam has normalised gradients that nearly vanish, rounding and all.
        with torch.no_grad():
            for layer, (weight, bias) in enumerate(zip(critics.weights, critics.biases, strict=True)):
                name = f"b{number}/param_after/{2 * layer + 1}"
                weight[0] = torch.from_numpy(golden[f"{name}.weight"].T.copy())
                bias[0, 0] = torch.from_numpy(golden[f"{name}.bias"])
    order = torch.from_numpy(golden["final/perm"])[None]
    np.testing.assert_allclose(estimate(critics, data, order).item(), golden["final/mi"], atol=2e-5)
    joint, marginal = scores(critics, data, torch.arange(24)[None], order)
    after = objective(joint, marginal, running, 0.01)[1]
    np.testing.assert_allclose(after, golden["final/running_mean_after_mi"], rtol=1e-5)


def golden_draws(golden: Golden) -> Draws:
    shuffles, marginals = (torch.from_numpy(golden[f"opt/{kind}_perms"])[None] for kind in ("shuffle", "marginal"))
    return Draws(shuffles, marginals, torch.from_numpy(golden["opt/final_perm"])[None])


GOLDEN_RUN = PublishedMine(passes=6, batch=8, lr=5e-3, hidden=16)


def test_golden_whole_run(golden: Golden) -> None:
    """A whole optimisation with the reference's permutations ends at its weights and its estimate."""
    critics = golden_critics(golden)
    x, z = golden_data(golden)
    data, draws = padded([x], [z]), golden_draws(golden)
    running = fit(critics, data, draws, GOLDEN_RUN)
    check_parameters(critics, golden, "opt/param/")
    np.testing.assert_allclose(estimate(critics, data, draws.final).item(), golden["opt/mi"], atol=2e-5)
    final = scores(critics, data, torch.arange(24)[None], draws.final)
    np.testing.assert_allclose(objective(*final, running, 0.01)[1], golden["opt/running_mean"], rtol=1e-5)


@pytest.mark.parametrize(("case", "shift"), [("overflow", 200.0), ("underflow", -200.0)])
def test_golden_out_of_range(golden: Golden, case: str, shift: float) -> None:
    """DEV-42: overflow gives −inf in the estimate and NaN (the reference raises) in training; underflow +inf,
    a running mean of 0, and no error: 0 restarts the running mean at the next minibatch."""
    critics = golden_critics(golden)
    with torch.no_grad():
        critics.biases[-1] += shift
    x, z = golden_data(golden)
    data = padded([x], [z])
    joint, marginal = scores(critics, data, torch.arange(24)[None], torch.from_numpy(golden["final/perm"])[None])
    value = bound(joint, marginal).item()
    assert value == golden[f"{case}/mi"] == -golden[f"{case}/loss"]
    _, running = objective(joint, marginal, torch.zeros(1), 0.01)
    np.testing.assert_array_equal(running, golden[f"{case}/running_mean"])
    _, restarted = objective(joint, torch.ones_like(marginal), running, 0.01)
    assert math.isinf(restarted.item()) if case == "overflow" else restarted.item() == pytest.approx(math.e)
    fit(critics, data, golden_draws(golden), GOLDEN_RUN)
    assert math.isnan(estimate(critics, data, torch.arange(24)[None]).item()) == (case == "overflow")


class Released(torch.autograd.Function):
    """log mean exp with the reference's gradient."""

    @staticmethod
    def forward(ctx, scores, running):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(scores, running)
        return scores.exp().mean().log()

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        scores, running = ctx.saved_tensors
        return grad * scores.exp() / (running + 1e-6) / len(scores), None


def naive_estimate(x: Tensor, z: Tensor, critics: Critics, draws: Draws, how: PublishedMine) -> float:
    """One problem in float64 with torch's own modules, in the order of the reference's program."""
    layers: list[nn.Module] = []
    for weight, bias in zip(critics.weights, critics.biases, strict=True):
        linear = nn.Linear(weight.shape[1], weight.shape[2]).double()
        with torch.no_grad():
            linear.weight.copy_(weight[0].T)
            linear.bias.copy_(bias[0, 0])
        layers += [linear, nn.ReLU()]
    network = nn.Sequential(*layers[:-1])
    x, z = x.double(), z.double()
    adam, running = torch.optim.Adam(network.parameters(), lr=how.lr), torch.zeros((), dtype=torch.float64)
    for number, shuffle in enumerate(draws.shuffles[0].long()):
        for start in range(0, len(x) - how.batch + 1, how.batch):
            rows = shuffle[start : start + how.batch]
            order = draws.marginals[0, number, start // how.batch].long()
            adam.zero_grad()
            joint = network(torch.cat([x[rows], z[rows]], dim=1)).mean()
            marginal = network(torch.cat([x[rows], z[rows][order]], dim=1))[:, 0]
            now = marginal.detach().exp().mean()
            running = now if running == 0 else how.rate * now + (1 - how.rate) * running
            (Released.apply(marginal, running) - joint).backward()
            adam.step()
    with torch.no_grad():
        joint, marginal = (network(torch.cat([x, side], dim=1)) for side in (z, z[draws.final[0].long()]))
        return float(joint.mean() - marginal.exp().mean().log())


@settings(max_examples=15)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(8, 21),
    widths=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 6)), min_size=1, max_size=4),
    layers=st.integers(1, 3),
)
def test_batch_equals_naive_problems(seed: int, n: int, widths: list[tuple[int, int]], layers: int) -> None:
    """Padded problems of different widths, trained together, each equal a plain float64 program alone.

    n that 8 does not divide also shows that incomplete minibatches are dropped.
    """
    rng = generator(seed, "test/mine")
    xs, zs = ([torch.from_numpy(rng.normal(size=(n, pair[i]))).float() for pair in widths] for i in (0, 1))
    how = PublishedMine(passes=4, batch=8, lr=5e-3, hidden=12, layers=layers)

    def drawn(problems: range) -> tuple[Critics, Draws]:
        streams = [generator(seed, f"test/mine/{p}") for p in problems]
        critics = initial_critics([widths[p] for p in problems], 12, layers, streams, CPU)
        double = ([side.detach().double() for side in sides] for sides in (critics.weights, critics.biases))
        return Critics(*double), draw(n, how, streams, CPU)

    # In float64, as Adam turns the rounding of gradients that nearly vanish into steps.
    data = Samples(*(side.double() for side in padded(xs, zs)))
    critics, draws = drawn(range(len(widths)))
    fit(critics, data, draws, how)
    together = estimate(critics, data, draws.final)
    for p in range(len(widths)):
        expected = naive_estimate(xs[p], zs[p], *drawn(range(p, p + 1)), how)
        assert together[p].item() == pytest.approx(expected, abs=1e-9)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_samples_is_immaterial(seed: int) -> None:
    """Samples in another order, with permutations that name the same samples, give the same estimate.

    The estimate is not bounded below by 0, and nothing here assumes so.
    """
    rng = generator(seed, "test/mine/order")
    x, z = torch.from_numpy(rng.normal(size=(16, 2))), torch.from_numpy(rng.normal(size=(16, 3)))
    stream = [generator(seed, "test/mine/order/fit")]
    weights = initial_critics([(2, 3)], 12, 3, stream, CPU)
    draws = draw(16, SMALL, stream, CPU)
    again = Critics(*([p.detach().clone() for p in side] for side in (weights.weights, weights.biases)))
    order = torch.from_numpy(rng.permutation(16))
    place = order.argsort()
    first, second = padded([x], [z]), padded([x[order]], [z[order]])
    fit(weights, first, draws, SMALL)
    fit(again, second, draws._replace(shuffles=place[draws.shuffles.long()]), SMALL)
    # Row i of the re-ordered data is sample order[i]; its partner in the second term must be the same sample.
    final = place[draws.final[0].long()[order]][None]
    assert estimate(weights, first, draws.final).item() == pytest.approx(
        estimate(again, second, final).item(), abs=1e-3
    )


def test_initial_weights_are_those_of_torch() -> None:
    """Weights and biases lie uniformly within ±1/√inputs, whatever the problem is padded to; padding weights are 0."""
    streams = [generator(0, f"test/mine/initial/{p}") for p in (0, 1)]
    critics = initial_critics([(2, 3), (5, 60)], 400, 3, streams, CPU)
    assert [tuple(weight.shape[1:]) for weight in critics.weights] == [(65, 400), (400, 400), (400, 400), (400, 1)]
    used = torch.cat([critics.weights[0][0, :2], critics.weights[0][0, 5:8]])
    assert used.abs().max().item() == pytest.approx(5**-0.5, rel=0.01)
    assert critics.weights[0][0].count_nonzero() == used.numel() == 2000
    for weight, inputs in zip(critics.weights, (65, 400, 400), strict=False):
        for side in (weight[1], critics.biases[0][1] if inputs == 65 else weight[0]):
            assert side.abs().max().item() == pytest.approx(inputs**-0.5, rel=0.02)
        assert weight[1].std().item() == pytest.approx((3 * inputs) ** -0.5, rel=0.02)


def test_three_hidden_layers_where_the_text_says_two() -> None:
    """DEV-20: the released critic has three hidden layers, so 400 × 401 weights more than the text's two."""
    sizes = {}
    for layers in (PublishedMine().layers, 2):
        critics = initial_critics([(11, 768)], 400, layers, [generator(0, "test/mine/layers")], CPU)
        sizes[layers] = sum(parameter.numel() for parameter in critics.parameters())
    assert set(sizes) == {2, 3}
    assert sizes[3] == 780 * 400 + 2 * 401 * 400 + 401
    assert sizes[3] - sizes[2] == 401 * 400


QUICK = PublishedMine(passes=200, hidden=128, lr=1e-3)


def independent(scale: float, columns: int = 16) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = generator(0, "test/mine/independent")
    return rng.normal(size=(100, 11)), scale * rng.normal(size=(100, columns))


def test_reads_information_in_independent_data() -> None:
    """DEV-02: on independent data (true value 0) the published estimate is above 1 nat, and so is its null.

    The released size reads 4.7 nats after 2000 steps; a network a third as wide trained for 400 suffices here.
    """
    found = mutual_information(*independent(1.0), protocol="published", seed=0, settings=QUICK)
    assert found.value > 1
    assert found.nulls.item() > 1
    assert found.bounds.tolist() == [found.value]


def test_falls_with_scale_alone() -> None:
    """DEV-02: activations a hundred times as large read less, though scaling changes no information."""
    how = PublishedMine(passes=200, hidden=128, lr=1e-3, null=False)
    small, large = (
        mutual_information(*independent(scale), protocol="published", seed=0, settings=how).value
        for scale in (1.0, 100.0)
    )
    assert small - large > 0.5


@pytest.mark.parametrize("bad", [{"passes": 2}, {"batch": 1}, {"hidden": 0}, {"layers": 0}, {"rate": 0.0}])
def test_unusable_settings(bad: dict[str, int]) -> None:
    """DEV-42: fewer than three passes divide by zero in the reference; they are refused, as are empty networks."""
    with pytest.raises(UsageError, match="cannot run"):
        PublishedMine(**bad)  # type: ignore[arg-type]
