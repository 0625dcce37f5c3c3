"""Mutual information of data and activations, in nats (paper §5.2, App. E, J.2, H.2; protocol §7.2).

`published` is MINE read on its own training samples (`mine`); `corrected` is MINE read on held-out windows above the
reading of permuted pairs (`mine_heldout`; DEV-02, 20, 23). What x and z are is the
caller's choice: the paper's z is the MLP branch of a block, the corrected one the residual stream after it (DEV-24),
and both models of a comparison must be read on the same windows (DEV-22).

Every pair has random streams of its own, named by the seed and the pair's name: its estimate does not depend on which
other pairs are fitted beside it, apart from rounding.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dtclaims.errors import MeasurementError, UndefinedMeasurement, UsageError
from dtclaims.harness.lab import ProtocolName
from dtclaims.lab.metrics.estimates import MutualInformation, above_chance, found
from dtclaims.lab.metrics.heldout import Split, scaled, split
from dtclaims.lab.metrics.inputs import Array, Floats, as_tensor, check_same_samples
from dtclaims.lab.metrics.mine import PublishedMine, published_estimates
from dtclaims.lab.metrics.mine_heldout import HeldOutMine, held_out_estimates, permuted_pairs
from dtclaims.seeding import generator

Pairs = Mapping[str, tuple[Array, Array]]
Settings = PublishedMine | HeldOutMine

CHUNK = {"cpu": 16}
OTHER_CHUNK = 512
"""Networks trained at once: a CPU's cache gains nothing from more; 512 of the published size take about 7 GiB."""


def mutual_information(
    x: Array,
    z: Array,
    *,
    protocol: ProtocolName,
    seed: int,
    settings: Settings | None = None,
    groups: Array | None = None,
    mask: Array | None = None,
) -> MutualInformation:
    """I(x; z) of n paired samples x (n, dx) and z (n, dz): `mutual_informations` of one pair.

    Raises:
        UndefinedMeasurement: corrected, and x or z is constant.
        MeasurementError, UsageError: as `mutual_informations`.
    """
    pairs = {"": (x, z)}
    result = mutual_informations(pairs, protocol=protocol, seed=seed, settings=settings, groups=groups, mask=mask)[""]
    if result.status == "undefined":
        raise UndefinedMeasurement("mutual information with a constant is not estimated", expected="x and z that vary")
    return result


def mutual_informations(
    pairs: Pairs,
    *,
    protocol: ProtocolName,
    seed: int,
    settings: Settings | None = None,
    groups: Array | None = None,
    mask: Array | None = None,
    chunk: int | None = None,
) -> dict[str, MutualInformation]:
    """I(x; z) of every named pair x (n, dx) and z (n, dz), widths its own, fitted side by side.

    Args:
        pairs: by name, all with the same n samples on one device. Arrays that are the same object are scaled once.
        protocol: which estimator.
        seed: of all random draws, together with the pair's name.
        settings: `PublishedMine` or `HeldOutMine`, as the protocol asks; None for its defaults.
        groups: corrected only: (n,) trajectory of each window; windows of one are never split.
        mask: corrected only: (n, K), non-zero at real steps; padded windows are refused (DEV-23). The published
            estimator reads padding (state 0, action −10) as data.
        chunk: networks trained at once; None for a size that suits the device.

    Raises:
        MeasurementError: no pair, not (n, width), unequal n, NaN or infinity, too few samples, padded windows.
        UsageError: no such protocol, settings of the other one, or a chunk below 1.
    """
    if protocol not in ("published", "corrected"):
        raise UsageError("unknown protocol", given=repr(protocol), expected="'published' or 'corrected'")
    settings = settings or (PublishedMine() if protocol == "published" else HeldOutMine())
    if isinstance(settings, PublishedMine) != (protocol == "published"):
        raise UsageError("settings of the other protocol", given=type(settings).__name__, expected=f"{protocol} ones")
    n, device = _checked(pairs)
    chunk = chunk if chunk is not None else CHUNK.get(device, OTHER_CHUNK)
    if chunk < 1:
        raise UsageError("networks are trained at least one at a time", given=chunk)
    if isinstance(settings, PublishedMine):
        return _published(pairs, n, seed, settings, chunk)
    _check_windows(n, settings.least, mask)
    return _corrected(pairs, n, seed, settings, groups, chunk)


def _checked(pairs: Pairs) -> tuple[int, str]:
    """The common number of samples and the type of device, after looking at every array once."""
    columns: dict[int, tuple[str, Tensor]] = {}
    for name, (x, z) in pairs.items():
        for side, values in (("x", x), ("z", z)):
            if id(values) not in columns:
                label = f"{side} of {name}" if name else side
                # Length and device are all that is compared: a column of its own does not hold the array in memory.
                columns[id(values)] = (label, as_tensor(values, label, ndim=2, keep_single=True)[:, :1].clone())
    if not columns:
        raise MeasurementError("there is no pair to measure")
    check_same_samples(columns.values())
    first = next(iter(columns.values()))[1]
    return len(first), first.device.type


def _check_windows(n: int, least: int, mask: Array | None) -> None:
    if n < least:
        raise MeasurementError(
            "too few windows to hold some out",
            given=n,
            expected=f"at least {least}",
            remedy="Take more windows, or accept a noisier test reading with HeldOutMine(least=...).",
        )
    if mask is not None:
        real = as_tensor(mask, "mask", ndim=2)
        padded = int((real == 0).any(dim=1).sum())
        if len(real) != n or padded:
            raise MeasurementError(
                "the corrected estimate takes full windows only (DEV-23)",
                given=f"{padded} padded windows in a mask of {len(real)}",
                expected=f"{n} windows without padding",
            )


def _published(pairs: Pairs, n: int, seed: int, settings: PublishedMine, chunk: int) -> dict[str, MutualInformation]:
    if n < settings.batch:
        raise MeasurementError("too few samples for one minibatch", given=n, expected=f"at least {settings.batch}")
    fits, nulls = [], []
    for name, (x, z) in pairs.items():
        left, right = _single(x), _single(z)
        fits.append(_Fit(f"{name}/pairs", left, right))
        if settings.null:
            order = generator(seed, f"mutual-information/{name}/null").permutation(n)
            nulls.append(_Fit(f"{name}/permuted", left, right[torch.from_numpy(order)]))

    def estimate(part: Sequence[_Fit]) -> Floats:
        streams = [generator(seed, f"mutual-information/{fit.name}") for fit in part]
        return published_estimates([fit.x for fit in part], [fit.z for fit in part], settings, streams)

    bounds, null = _in_chunks(estimate, fits, chunk), _in_chunks(estimate, nulls, chunk)
    return {
        name: found(bounds[i], bounds[i : i + 1], null[i : i + 1] if settings.null else null)
        for i, name in enumerate(pairs)
    }


def _corrected(
    pairs: Pairs, n: int, seed: int, settings: HeldOutMine, groups: Array | None, chunk: int
) -> dict[str, MutualInformation]:
    bounds: dict[str, list[float]] = {name: [] for name in pairs}
    nulls: dict[str, list[float]] = {name: [] for name in pairs}
    for number in range(settings.seeds):
        purpose = f"mutual-information/{number}"
        parts = split(n, generator(seed, f"{purpose}/split"), groups=groups)
        side = _Scaler(torch.from_numpy(parts.train), settings.components)
        fits = []
        for name, (x, z) in pairs.items():
            left, right = side(x), side(z)
            if left is not None and right is not None:
                permuted = permuted_pairs(right, parts, generator(seed, f"{purpose}/{name}/null"))
                fits += [_Fit(name, left, right), _Fit(name, left, permuted)]

        def estimate(part: Sequence[_Fit], purpose: str = purpose, parts: Split = parts) -> Floats:
            # A pair and its permuted form start from the same weights, and all see the same minibatches.
            streams = [generator(seed, f"{purpose}/{fit.name}/weights") for fit in part]
            shared = generator(seed, f"{purpose}/minibatches")
            xs, zs = [fit.x for fit in part], [fit.z for fit in part]
            return held_out_estimates(xs, zs, parts, settings, streams, shared)

        read = _in_chunks(estimate, fits, chunk)
        for fit, bound, null in zip(fits[::2], read[::2], read[1::2], strict=True):
            bounds[fit.name].append(bound)
            nulls[fit.name].append(null)
    return {name: above_chance(np.array(bounds[name]), np.array(nulls[name]), settings.seeds) for name in pairs}


class _Fit(NamedTuple):
    name: str
    x: Tensor
    z: Tensor


class _Scaler:
    """Scaled features of each array, None if constant; once for each object, as many pairs share an activation."""

    def __init__(self, train: Tensor, components: int | None) -> None:
        self.train, self.components = train, components
        self.done: dict[int, Tensor | None] = {}

    def __call__(self, values: Array) -> Tensor | None:
        if id(values) not in self.done:
            try:
                tensor = as_tensor(values, "x or z", ndim=2)
                self.done[id(values)] = scaled(tensor, self.train, self.components, "x or z").float()
            except UndefinedMeasurement:
                self.done[id(values)] = None
        return self.done[id(values)]


def _single(values: Array) -> Tensor:
    return as_tensor(values, "x or z", ndim=2, keep_single=True).float()


def _in_chunks(estimate: Callable[[Sequence[_Fit]], Floats], fits: Sequence[_Fit], chunk: int) -> Floats:
    parts = [estimate(fits[start : start + chunk]) for start in range(0, len(fits), chunk)]
    return np.concatenate([np.empty(0), *parts])
