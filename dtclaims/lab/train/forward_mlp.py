"""The forward of a training step of several MLPs: their own function, uncompiled."""

from dataclasses import dataclass

from torch import Tensor

from dtclaims.lab.data.windows import Batch
from dtclaims.lab.models.behaviour_cloning import BehaviourCloning
from dtclaims.lab.models.keyed_dropout import keyed
from dtclaims.lab.train.networks import Networks
from dtclaims.lab.train.objective import imitation_error


@dataclass(frozen=True)
class MlpForward:
    """Of MLPs; see `Forward`. Compiling or not makes no difference: the few kernels are captured as they are."""

    compiling: bool

    def parts(self, networks: Networks) -> int:
        """One for all layers."""
        return 1

    def __call__(self, networks: Networks, batch: Batch, keys: Tensor, *, half: bool) -> tuple[Tensor, Tensor]:
        """See `Forward`; there are no blocks to compute in bfloat16."""
        given = (batch.states, batch.actions, batch.returns_to_go, batch.timesteps, batch.mask, keys[:, 0])
        losses, saturated = networks.ask(error, networks.template, *given)
        return losses, saturated


def error(
    model: BehaviourCloning,
    states: Tensor,
    actions: Tensor,
    returns_to_go: Tensor,
    timesteps: Tensor,
    mask: Tensor,
    key: Tensor,
) -> tuple[Tensor, Tensor]:
    """Loss and share of saturated predictions of one network."""
    predicted = model(states, actions, returns_to_go, timesteps, mask, drop=keyed(key))
    return imitation_error(predicted, actions, mask)
