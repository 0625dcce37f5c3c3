"""What one training run is: a frozen, hashable specification (protocol §§3–6)."""

from dataclasses import asdict, dataclass
from typing import Any

from dtclaims.protocols import Protocol


@dataclass(frozen=True)
class Budget:
    """How long and how a run trains. The paper's own is `SCALES["paper"].budget`."""

    epochs: int
    steps_per_epoch: int
    batch_size: int
    learning_rate: float
    warmup_steps: int
    evaluation_episodes: int
    weight_decay: float = 1e-4
    gradient_clip: float = 0.25

    PAPER_EPOCHS = 40

    def epoch(self, paper_epoch: int) -> int:
        """The epoch that stands at the same share of training as an epoch of the paper's 40.

        Epoch 0 is the untrained model; every later epoch of the paper maps to 1 or more.
        """
        if paper_epoch == 0:
            return 0
        return max(1, round(paper_epoch * self.epochs / self.PAPER_EPOCHS))


@dataclass(frozen=True)
class RunSpec:
    """One arm × task × context × seed under the switches that act on training.

    Protocols that resolve to equal specifications share the run.
    """

    task: str
    arm: str
    context: int
    """K, in environment steps."""
    seed: int
    scale: str
    architecture: str
    """`reference` (one head, ReLU) or `matched` (the backbone's own); always `matched` for pre-trained arms."""
    head: str
    adam_eps: float
    budget: Budget

    @property
    def name(self) -> str:
        """A readable name, unique within a scale."""
        return (
            f"{self.task}/K{self.context}/{self.arm}/{self.architecture}-{self.head}-eps{self.adam_eps:.0e}"
            f"/seed{self.seed}/{self.scale}"
        )

    @property
    def kept_epochs(self) -> tuple[int, ...]:
        """Epochs whose checkpoints the measurements read: the paper's 0, 1, 4, 10 and 40."""
        return tuple(sorted({self.budget.epoch(epoch) for epoch in (0, 1, 4, 10, 40)}))

    def to_json(self) -> dict[str, Any]:
        """The specification as plain data."""
        return asdict(self)


PRETRAINED_ADAM_EPS = 1e-6
RANDOM_ADAM_EPS = 1e-8


def resolve(
    *, task: str, arm: str, pretrained: bool, context: int, seed: int, scale: str, budget: Budget, protocol: Protocol
) -> RunSpec:
    """The run that `arm` means under `protocol` (DEV-03, DEV-04, DEV-11)."""
    eps_by_arm = PRETRAINED_ADAM_EPS if pretrained else RANDOM_ADAM_EPS
    return RunSpec(
        task=task,
        arm=arm,
        context=context,
        seed=seed,
        scale=scale,
        architecture="matched" if pretrained else protocol["random_arch"],
        head=protocol["head"],
        adam_eps=eps_by_arm if protocol["adam_eps"] == "by_arm" else RANDOM_ADAM_EPS,
        budget=budget,
    )
