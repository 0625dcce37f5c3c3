"""How much arithmetic an update is, for the benchmark of training."""

import math

from dtclaims.lab.models import DecisionTransformer
from dtclaims.lab.models.transformer import Conv1D


def step_operations(model: DecisionTransformer, batch_size: int, context: int) -> float:
    """Floating-point operations of one update, counted as a whole training step: 6 per weight and token.

    6 · B · T · (weights of the blocks) for the matrix products, forward and backward, and 12 · B · T² · width per
    block for attention, with T = 3K tokens; embeddings, norms, softmax and the optimiser are not counted.
    """
    tokens = 3 * context
    weights = sum(math.prod(one.weight.shape) for one in model.transformer.modules() if isinstance(one, Conv1D))
    attention = 12 * tokens * model.config.width * model.config.blocks
    return float(batch_size * tokens * (6 * weights + attention))
