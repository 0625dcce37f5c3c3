"""What one training run is: a frozen, hashable specification (protocol §§3–6)."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from dtclaims.harness.lab import Setting
from dtclaims.lab.design.arms import get_arm


@dataclass(frozen=True)
class Budget:
    """How long and how the runs of a scale train. The paper's own is `SCALES["paper"].budget`."""

    epochs: int
    steps_per_epoch: int
    batch_size: int
    learning_rate: float
    warmup_steps: int
    evaluation_episodes: int
    weight_decay: float = 1e-4
    gradient_clip: float = 0.25
    held_out_steps: int = 10_000
    """Transitions of the held-out action error, where it is taken (DEV-12)."""
    fresh_episodes: int = 0
    """Episodes on which the best epoch's checkpoint, and the last's, are evaluated afresh; 0: none. What an epoch is
    chosen by is too high a score of it: the best of 40 means of 20 episodes reads 30 points above the late mean."""

    PAPER_EPOCHS = 40

    def epoch(self, paper_epoch: int) -> int:
        """The epoch that stands at the same share of training as an epoch of the paper's 40.

        Epoch 0 is the untrained model; every later epoch of the paper maps to 1 or more.
        """
        if paper_epoch == 0:
            return 0
        return max(1, round(paper_epoch * self.epochs / self.PAPER_EPOCHS))

    def paper_epoch(self, epoch: int) -> float:
        """The epoch of the paper's 40 that one of ours stands for: the way back."""
        return epoch * self.PAPER_EPOCHS / self.epochs

    def span(self, first: int, last: int) -> slice:
        """The part of a curve that stands for a span of the paper's epochs, both included; at least one epoch."""
        start = self.epoch(first - 1)
        return slice(start, max(self.epoch(last), start + 1))


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
    """Of a random arm: `reference` (one head, ReLU) or `matched` (the language backbone's); `own` for the others."""
    head: str
    adam_eps: float
    budget: Budget
    epochs: int
    """How many it trains, at most the budget's."""
    clip: bool = True
    """Whether gradients are clipped to the budget's norm (off in App. G.3)."""
    paired: bool = True
    """Whether arms of one seed see the same windows in the same order; the reference's do not (DEV-21)."""
    held_out: bool = False
    """Whether a tenth of the trajectories is kept out of training to measure the action error on (DEV-12)."""
    simulator: str = "v4"
    """That it is evaluated in. Before it could be chosen, it was this one."""

    @property
    def name(self) -> str:
        """A readable name, unique within a scale."""
        switches = [f"{self.architecture}-{self.head}-eps{self.adam_eps:.0e}"]
        switches += ["unpaired"] * (not self.paired) + ["heldout"] * self.held_out + ["noclip"] * (not self.clip)
        switches += [self.simulator] * (self.simulator != "v4")
        length = f"/{self.epochs}ep" if self.epochs != self.budget.epochs else ""
        return f"{self.task}/K{self.context}/{self.arm}/{'-'.join(switches)}/seed{self.seed}/{self.scale}{length}"

    @property
    def gradient_clip(self) -> float | None:
        """Norm the gradient is clipped to; None for not at all."""
        return self.budget.gradient_clip if self.clip else None

    @property
    def fresh_episodes(self) -> int:
        """Episodes of each fresh evaluation; none of block replacement, whose score nobody reads."""
        return self.budget.fresh_episodes if get_arm(self.arm).block is None else 0

    @property
    def kept_epochs(self) -> tuple[int, ...]:
        """Epochs whose checkpoints the measurements read: the paper's 1, 4, 10 and 40.

        Epoch 0 is rebuilt from the seed. Shorter runs (block replacement, no clipping) are read by their curves only.
        """
        if self.epochs < self.budget.epochs:
            return ()
        return tuple(sorted({self.budget.epoch(epoch) for epoch in (1, 4, 10, 40)}))

    def to_json(self) -> dict[str, Any]:
        """The specification as plain data."""
        return asdict(self)


REHEARSED_EPOCHS = 2
"""Of a rehearsal: one to be followed by another, as in every run but its last."""
REHEARSED_STEPS = 3
"""Updates in each. The first compiles and captures what the others repeat."""


def rehearsed(spec: RunSpec) -> RunSpec:
    """The run cut short: the same networks, batches, evaluations and files, a few updates of each epoch.

    Of its epochs too few are left for each of the paper's to have its own: several kept checkpoints become one.
    """
    budget = replace(spec.budget, epochs=min(REHEARSED_EPOCHS, spec.budget.epochs), steps_per_epoch=REHEARSED_STEPS)
    return replace(spec, budget=budget, epochs=budget.epoch(round(spec.budget.paper_epoch(spec.epochs))))


PRETRAINED_ADAM_EPS = 1e-6
RANDOM_ADAM_EPS = 1e-8

ROLES = {
    "image_pretrained": ("igpt_norm", {"layer": "image_pretrained", "native": "image_native"}),
    "random_for_image": ("random_arch", {"reference": "random_init", "matched": "random_matched_image"}),
}
"""Names in claims that mean another arm under another switch: the image arm (DEV-07), and the random arm that it is
compared with (DEV-04)."""


def arm_under(name: str, protocol: Setting) -> tuple[str, str]:
    """The arm and architecture that a name in a claim means under a protocol.

    Raises:
        UsageError: no such arm.
    """
    if name in ROLES:
        switch, arms = ROLES[name]
        name = arms[protocol[switch]]
    if name == "random_matched":
        return "random_init", "matched"
    return name, protocol["random_arch"] if get_arm(name).shape == "random" else "own"


def resolve(
    *,
    task: str,
    arm: str,
    context: int,
    seed: int,
    scale: str,
    budget: Budget,
    protocol: Setting,
    paper_epochs: int = Budget.PAPER_EPOCHS,
    clip: bool = True,
    head: str | None = None,
    adam_eps: float | None = None,
    simulator: str = "v4",
) -> RunSpec:
    """The run that `arm` means under `protocol` (DEV-03, 04, 07, 11, 12, 21).

    Raises:
        UsageError: no such arm.
    """
    name, architecture = arm_under(arm, protocol)
    if adam_eps is None:
        as_pretrained = protocol["adam_eps"] == "by_arm" and get_arm(name).loads_checkpoint
        adam_eps = PRETRAINED_ADAM_EPS if as_pretrained else RANDOM_ADAM_EPS
    return RunSpec(
        task=task,
        arm=name,
        context=context,
        seed=seed,
        scale=scale,
        architecture=architecture,
        head="untied" if get_arm(name).shape == "mlp" else head or protocol["head"],
        adam_eps=adam_eps,
        budget=budget,
        epochs=budget.epoch(paper_epochs),
        clip=clip,
        paired=protocol["seeding"] == "everything",
        held_out=protocol["action_error"] == "held_out",
        simulator=simulator,
    )
