"""What one Transformer computes on a CPU: its own functions, less what no loss or action depends on (see `forward`)."""

from torch import Tensor

from dtclaims.lab.data.windows import Batch
from dtclaims.lab.models.decision_transformer import STATES, DecisionTransformer
from dtclaims.lab.models.hand_block import HandStack
from dtclaims.lab.train.alignment import left_aligned
from dtclaims.lab.train.objective import imitation_error


class StackAlone:
    """See `Alone`. The last action token comes after the last state token and is not run."""

    def __init__(self, model: DecisionTransformer) -> None:
        self.model, self.blocks = model, HandStack(model.transformer)

    def error(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """See `Alone.error`."""
        model = self.model
        # Causal attention then hides the padding.
        states, actions, returns_to_go, timesteps, mask = left_aligned(
            batch.states, batch.actions, batch.returns_to_go, batch.timesteps, batch.mask
        )
        x = model.transformer.dropped(model.embed(states, actions, returns_to_go, timesteps)[:, :-1])
        x = self.blocks(x, STATES, training=model.training)
        return imitation_error(model.act(model.transformer.ln_f(x)), actions, mask)

    def actions(self, states: Tensor, actions: Tensor, returns_to_go: Tensor, timesteps: Tensor) -> Tensor:
        """See `Alone.actions`."""
        model = self.model
        x = model.embed(states, actions, returns_to_go, timesteps)[:, :-1]
        x = self.blocks(x, slice(x.shape[1] - 1, x.shape[1]))
        return model.act(model.transformer.ln_f(x[:, 0]))
