"""Gradient norms and gradient confusion (paper §5.4, App. G.2, J.4; protocol §7.4).

Both protocols differentiate the loss of each window alone and keep the parameters of the Transformer blocks:

- `published`: gradients clipped to 0.25 over **all** parameters, factor min(1, 0.25 / (norm + 1e-6)), then measured
  over the blocks only (DEV-06); cosines with 1e-6 added to their denominator (DEV-42);
- `corrected`: unclipped gradients, nothing added, the norm over all parameters, and how often and how strongly they
  would be clipped.

`dropout` has no default, because the reference's answer depends on the arm: a stack read by `from_pretrained` is left
in eval mode, a random one in train mode (DEV-05). So `published` takes dropout=False for pre-trained arms and True
for random ones, with new masks for every sample; `corrected` takes False for all, or, as a second form, True for
all, with the same masks for every sample. Give the same windows to every model (DEV-22), at several epochs: epoch 1 of
the paper is in the warm-up (DEV-27).
"""

from typing import get_args

import numpy as np
import torch
from torch import nn

from dtclaims.errors import MeasurementError, UsageError
from dtclaims.harness.lab import ProtocolName
from dtclaims.lab.data.windows import Batch
from dtclaims.lab.metrics.gradient_inputs import (
    Loss,
    block_checked,
    check_finite,
    check_windows,
    checked_loss,
    dropout_set,
    is_block,
)
from dtclaims.lab.metrics.gradient_readings import (
    PUBLISHED_EPSILON,
    GradientConfusion,
    GradientNorms,
    GradientShares,
    check_not_zero,
    clip_factor,
)
from dtclaims.lab.metrics.gradient_samples import CHUNK, Masks, sample_sums
from dtclaims.seeding import derive


def gradient_norms(
    model: nn.Module,
    batch: Batch,
    loss: Loss,
    *,
    protocol: ProtocolName,
    dropout: bool,
    seed: int = 0,
    chunk: int = CHUNK,
) -> GradientNorms:
    """Norms of the gradients of each window's own loss (M-GRN; 100 windows in the paper).

    Args:
        model: on the batch's device, float32 or float64; its modes are put back afterwards.
        batch: n windows.
        loss: scalar loss of a model on a batch; it is called with one window at a time, inside `torch.func.vmap`.
        protocol: which reading `values` gives, and whose dropout masks (see the module).
        dropout: see the module.
        seed: of the dropout masks.
        chunk: samples differentiated at once; changes speed and memory, not results.

    Raises:
        MeasurementError: no window, no parameter in blocks, a loss that is no scalar, NaN or infinite gradients.
        UndefinedMeasurement: a window of padding only.
        UsageError: no such protocol, or a chunk below 1.
    """
    masks = _masks(protocol, dropout, chunk)
    sums = sample_sums(model, batch, loss, gram=False, masks=masks, seed=seed, chunk=chunk)
    return GradientNorms(protocol, sums.names, sums.squared.cpu().numpy())


def gradient_confusion(
    model: nn.Module,
    batch: Batch,
    loss: Loss,
    *,
    protocol: ProtocolName,
    dropout: bool,
    seed: int = 0,
    chunk: int = CHUNK,
) -> GradientConfusion:
    """Cosines between the gradients of each window's own loss over the blocks (M-GRC; 50 windows in the paper).

    A sample whose gradient is 0 has published cosines 0; corrected, none.

    Args:
        model: as in `gradient_norms`.
        batch: n windows, at least 2; `corrected` wants 200.
        loss: as in `gradient_norms`.
        protocol: see the module.
        dropout: see the module.
        seed: of the dropout masks.
        chunk: samples differentiated at once; changes speed and memory, not results.

    Raises:
        MeasurementError: as `gradient_norms`, or fewer than 2 windows.
        UndefinedMeasurement: a window of padding only; corrected: a sample whose gradient is 0.
        UsageError: as `gradient_norms`.
    """
    return norms_and_confusion(model, batch, loss, protocol=protocol, dropout=dropout, seed=seed, chunk=chunk)[1]


def norms_and_confusion(
    model: nn.Module,
    batch: Batch,
    loss: Loss,
    *,
    protocol: ProtocolName,
    dropout: bool,
    seed: int = 0,
    chunk: int = CHUNK,
) -> tuple[GradientNorms, GradientConfusion]:
    """`gradient_norms` and `gradient_confusion` of the same windows, which differentiates them once.

    Raises:
        MeasurementError, UndefinedMeasurement, UsageError: as `gradient_confusion`.
    """
    masks = _masks(protocol, dropout, chunk)
    if len(batch.mask) < 2:
        raise MeasurementError("confusion is between samples", given=f"{len(batch.mask)} windows", expected="2 or more")
    sums = sample_sums(model, batch, loss, gram=True, masks=masks, seed=seed, chunk=chunk)
    assert sums.gram is not None
    gram, squared = sums.gram.cpu().numpy(), sums.squared.cpu().numpy()
    norm = np.sqrt(np.diag(gram))
    if protocol == "published":
        factor = clip_factor(np.sqrt(squared.sum(axis=1)))
        norm = norm * factor
        cosine = gram * np.outer(factor, factor) / (np.outer(norm, norm) + PUBLISHED_EPSILON)
    else:
        check_not_zero(norm, "the cosine of a gradient that is 0 is 0/0")
        cosine = gram / np.outer(norm, norm)
    return GradientNorms(protocol, sums.names, squared), GradientConfusion(protocol, cosine)


def gradient_shares(
    model: nn.Module, batch: Batch, loss: Loss, *, protocol: ProtocolName, dropout: bool, seed: int = 0
) -> GradientShares:
    """How the gradient of the loss on the whole batch divides among the blocks' tensors (M-GRP; 100 windows).

    The paper shows it for the image-pre-trained model only; `corrected` wants all models (DEV-34).

    Args:
        model: as in `gradient_norms`.
        batch: n windows.
        loss: scalar loss of a model on a batch; called once.
        protocol: see the module.
        dropout: see the module; every window has masks of its own under either protocol.
        seed: of the dropout masks.

    Raises:
        MeasurementError: as `gradient_norms`.
        UndefinedMeasurement: a window of padding only.
        UsageError: no such protocol.
    """
    _masks(protocol, dropout, 1)
    check_windows(batch)
    parameters = block_checked(model)
    with dropout_set(model, dropout, derive(seed, "dropout")), torch.enable_grad():
        value = checked_loss(loss(model, batch))
        gradients = torch.autograd.grad(value, list(parameters.values()), materialize_grads=True)
    norms = torch.stack([torch.linalg.vector_norm(g, dtype=torch.float64) for g in gradients])
    check_finite(norms[None], tuple(parameters))
    norm = norms.cpu().numpy()
    if protocol == "published":
        norm = norm * clip_factor(np.array([np.linalg.norm(norm)]))
    inside = [is_block(name) for name in parameters]
    return GradientShares(protocol, tuple(filter(is_block, parameters)), norm[inside])


def _masks(protocol: str, dropout: bool, chunk: int) -> Masks:
    if protocol not in get_args(ProtocolName):
        raise UsageError("unknown protocol", given=repr(protocol), expected="'published' or 'corrected'")
    if chunk < 1:
        raise UsageError("a chunk holds at least one sample", given=chunk)
    if not dropout:
        return "off"
    return "independent" if protocol == "published" else "common"
