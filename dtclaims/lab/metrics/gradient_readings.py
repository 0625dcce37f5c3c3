"""What is read off gradients: norms, cosines and shares, as published and corrected (protocol §7.4)."""

from dataclasses import dataclass

import numpy as np

from dtclaims.errors import UndefinedMeasurement
from dtclaims.harness.lab import ProtocolName
from dtclaims.lab.metrics.gradient_inputs import is_block
from dtclaims.lab.metrics.inputs import Floats

CLIP_BOUND = 0.25
"""Largest norm over all parameters that training lets through (protocol §4)."""

PUBLISHED_EPSILON = 1e-6
"""Added to the norm in the clip factor, and to the product of norms in the published cosine."""


@dataclass(frozen=True, eq=False)
class GradientNorms:
    """Norms of n samples' gradients, before clipping unless stated."""

    protocol: ProtocolName
    names: tuple[str, ...]
    """All parameters of the model."""
    squared: Floats
    """(n, parameters): squared norm of each sample's gradient in each tensor."""

    @property
    def total(self) -> Floats:
        """‖g‖ over all parameters, (n,)."""
        return _root(self.squared)

    @property
    def clip_factor(self) -> Floats:
        """min(1, 0.25 / (‖g‖ + 1e-6)), (n,): what clipping multiplies each gradient with."""
        return clip_factor(self.total)

    @property
    def blocks(self) -> Floats:
        """‖g‖ over the blocks only, (n,)."""
        return _root(self.squared[:, [is_block(name) for name in self.names]])

    @property
    def values(self) -> Floats:
        """What the protocol calls the norm of a sample's gradient, (n,).

        Published: the clipped gradient's norm over the blocks. Where every sample is clipped it is 0.25 times the
        square root of the blocks' share of ‖g‖², whatever ‖g‖ is (DEV-06). Corrected: `total`.
        """
        return self.clip_factor * self.blocks if self.protocol == "published" else self.total

    @property
    def share_clipped(self) -> float:
        """Share of samples with ‖g‖ above the bound."""
        return float((self.total > CLIP_BOUND).mean())

    @property
    def clip_factor_mean(self) -> float:
        """Mean of `clip_factor`: 1 if nothing is clipped."""
        return float(self.clip_factor.mean())

    @property
    def clip_factor_variation(self) -> float:
        """Coefficient of variation of `clip_factor` (population std / mean): how unequally samples are scaled."""
        return float(self.clip_factor.std() / self.clip_factor.mean())

    @property
    def squared_shares(self) -> Floats:
        """Each tensor's share of each sample's ‖g‖², (n, parameters); rows sum to 1, so layers are sums of columns.

        Raises:
            UndefinedMeasurement: a sample whose gradient is 0.
        """
        check_not_zero(self.squared.sum(axis=1), "a share of a gradient that is 0 is 0/0")
        shares: Floats = self.squared / self.squared.sum(axis=1, keepdims=True)
        return shares


@dataclass(frozen=True, eq=False)
class GradientConfusion:
    """Cosines between the block gradients of n samples."""

    protocol: ProtocolName
    cosine: Floats
    """(n, n), symmetric; published: the clipped gradients', with 1e-6 in the denominator, so below 1 with oneself."""

    @property
    def pairs(self) -> Floats:
        """Cosines of distinct samples, each pair once, (n (n − 1) / 2,)."""
        return self.cosine[np.triu_indices(len(self.cosine), k=1)]

    @property
    def minimum(self) -> float:
        """Smallest cosine; published: over all ordered pairs, samples with themselves included.

        An extreme value: it falls as n grows, so compare at one n only (DEV-22).
        """
        return float((self.cosine if self.protocol == "published" else self.pairs).min())

    @property
    def percentile_1(self) -> float:
        """First percentile of `pairs`: stays where it is as n grows; wants at least 200 samples (DEV-22)."""
        return float(np.percentile(self.pairs, 1))

    @property
    def mean(self) -> float:
        """Mean of `pairs`."""
        return float(self.pairs.mean())


@dataclass(frozen=True, eq=False)
class GradientShares:
    """How one gradient, that of the loss on a whole batch, divides among the blocks' tensors."""

    protocol: ProtocolName
    names: tuple[str, ...]
    """The blocks' tensors."""
    norm: Floats
    """(tensors,): norm in each; published: after clipping over all parameters."""

    @property
    def share(self) -> Floats:
        """(tensors,), sums to 1. Published: norm / Σ norms; corrected: norm² / Σ norms² (DEV-34).

        Only squares add up: the published share of a layer depends on into how many tensors it is cut.

        Raises:
            UndefinedMeasurement: the gradient is 0 in all blocks.
        """
        parts = self.norm if self.protocol == "published" else np.square(self.norm)
        check_not_zero(parts.sum(keepdims=True), "a share of a gradient that is 0 is 0/0")
        shares: Floats = parts / parts.sum()
        return shares


def clip_factor(norm: Floats) -> Floats:
    """What clipping to 0.25 multiplies gradients of these norms with."""
    return np.minimum(1.0, CLIP_BOUND / (norm + PUBLISHED_EPSILON))


def check_not_zero(sizes: Floats, problem: str) -> None:
    """Raise if one of `sizes` is 0.

    Raises:
        UndefinedMeasurement: it is; `problem` says of what.
    """
    if not sizes.all():
        raise UndefinedMeasurement(
            problem,
            given=f"{int((sizes == 0).sum())} of {len(sizes)} gradients that are 0",
            expected="gradients that are not 0",
            remedy="Leave these windows out and report how many they are.",
        )


def _root(squared: Floats) -> Floats:
    """Root of the sum over tensors, (n,)."""
    norm: Floats = np.sqrt(squared.sum(axis=1))
    return norm
