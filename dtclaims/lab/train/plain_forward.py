"""`action_loss` of a Transformer on a CPU: the model's own function, less what no loss depends on (see `forward`)."""

from torch import Tensor

from dtclaims.lab.data.windows import Batch
from dtclaims.lab.models.decision_transformer import STATES, DecisionTransformer
from dtclaims.lab.models.hand_block import HandStack
from dtclaims.lab.train.alignment import left_aligned
from dtclaims.lab.train.objective import imitation_error


class StackError:
    """From a batch to loss and share of saturated predictions.

    Args:
        model: whose parameters may change in place, and have a `grad` where gradients are wanted.
    """

    def __init__(self, model: DecisionTransformer) -> None:
        self.model, self.blocks = model, HandStack(model.transformer)

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """See `action_loss`."""
        model = self.model
        # Causal attention then hides the padding.
        states, actions, returns_to_go, timesteps, mask = left_aligned(
            batch.states, batch.actions, batch.returns_to_go, batch.timesteps, batch.mask
        )
        # The last action token comes after the last state token.
        x = model.transformer.dropped(model.embed(states, actions, returns_to_go, timesteps)[:, :-1])
        x = self.blocks(x, STATES, training=model.training)
        return imitation_error(model.act(model.transformer.ln_f(x)), actions, mask)
