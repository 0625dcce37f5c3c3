"""What several MLPs compute at once: their own functions, uncompiled."""

from dataclasses import dataclass

from torch import Tensor

from dtclaims.lab.data.windows import Batch
from dtclaims.lab.models.behaviour_cloning import BehaviourCloning
from dtclaims.lab.models.keyed_dropout import keyed
from dtclaims.lab.train.networks import Networks
from dtclaims.lab.train.objective import imitation_error


@dataclass(frozen=True)
class MlpForward:
    """Of MLPs; see `Forward`. Their few kernels are run as they are."""

    steps: int = 0

    def parts(self, networks: Networks) -> int:
        """One for all layers."""
        return 1

    def errors(self, networks: Networks, batch: Batch, keys: Tensor, *, half: bool) -> tuple[Tensor, Tensor]:
        """See `Forward.errors`; there are no blocks to compute in bfloat16."""
        given = (batch.states, batch.actions, batch.returns_to_go, batch.timesteps, batch.mask, keys[:, 0])
        losses, saturated = networks.ask(error, networks.template, *given)
        return losses, saturated

    def actions(
        self,
        networks: Networks,
        states: Tensor,
        actions: Tensor,
        returns_to_go: Tensor,
        timesteps: Tensor,
        step: Tensor,
        *,
        half: bool,
    ) -> Tensor:
        """See `Forward.actions`."""
        given = (states, actions, returns_to_go)
        found: Tensor = networks.ask(actions_at, networks.template, *given, shared=(timesteps, step))
        return found


def actions_at(
    model: BehaviourCloning, states: Tensor, actions: Tensor, returns_to_go: Tensor, timesteps: Tensor, step: Tensor
) -> Tensor:
    """One network's."""
    return model.actions_at(step, states, actions, returns_to_go, timesteps)


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
