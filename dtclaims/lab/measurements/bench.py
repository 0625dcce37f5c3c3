"""What a measurement is, and the bench that lays a stored run out for it.

Importing this package does not import torch: judging stored results must not need it.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from dtclaims.harness.lab import Stored
from dtclaims.lab.design.spec import Budget
from dtclaims.lab.results import budget_of, checkpoint, spec_of
from dtclaims.seeding import derive, generator

if TYPE_CHECKING:
    import torch

    from dtclaims.lab.data.trajectories import Trajectories
    from dtclaims.lab.data.windows import Batch
    from dtclaims.lab.models import Backbone, DecisionTransformer

ANALYSIS_CONTEXT = 20
"""Analyses show every model K = 20 windows, whatever it was trained with (protocol §7)."""
PUBLISHED_WINDOWS = 100
CORRECTED_WINDOWS = 1000
"""The audit asks for at least 1000 full windows (DEV-01)."""
CHUNK = 100
"""Windows that go through a network at once."""

ALL_SCALES = ("mini", "small", "full", "paper")
BEYOND_MINI = ALL_SCALES[1:]


# A worker takes many measurements of runs on the same data, one after the other.
@lru_cache(maxsize=2)
def _sampler(data: "Trajectories", device: str) -> Any:
    from dtclaims.lab.data.windows import WindowSampler

    return WindowSampler(data, ANALYSIS_CONTEXT, device)


@dataclass(frozen=True)
class Bench:
    """A stored run laid out for measuring: its data, its networks, the device. Without a run, the data alone."""

    run: Stored | None
    all_data: "Trajectories"
    backbones: "Mapping[str, Backbone]"
    device: str
    seed: int
    """Of the claim's effect; the run's own, but for the second of a pair from the next seed."""
    other: "Bench | None" = None
    """The run it is compared with."""

    @property
    def stored(self) -> Stored:
        """The run."""
        assert self.run is not None
        return self.run

    @cached_property
    def spec(self) -> Mapping[str, Any]:
        """The run's specification as stored."""
        return asdict(spec_of(self.stored.identity))

    @property
    def budget(self) -> Budget:
        """The budget of the run's scale."""
        return budget_of(self.stored)

    @cached_property
    def data(self) -> "Trajectories":
        """The trajectories the run was trained on; all of them without a run."""
        if self.run is None or not self.spec["held_out"]:
            return self.all_data
        from dtclaims.lab.data.split import split_trajectories

        # The trainer's own split: it normalised with the statistics of this part (DEV-12).
        return split_trajectories(self.all_data, seed=self.spec["seed"], min_steps=self.budget.held_out_steps)[0]

    def state(self, paper_epoch: int) -> "dict[str, torch.Tensor]":
        """The run's parameters at the epoch that stands for one of the paper's, on the CPU; epoch 0 is rebuilt."""
        if paper_epoch == 0:
            initial = self._build(self.spec["arm"], self.spec["architecture"], self.spec["seed"])
            return {name: tensor.detach() for name, tensor in initial.state_dict().items()}
        return checkpoint(self.stored, self.budget.epoch(paper_epoch))

    def network(self, paper_epoch: int) -> "DecisionTransformer":
        """The run's model at the epoch that stands for one of the paper's, in eval mode."""
        model = self._build(self.spec["arm"], self.spec["architecture"], self.spec["seed"])
        if paper_epoch != 0:
            model.load_state_dict(self.state(paper_epoch))
        return model.to(self.device).eval()

    def random_network(self, purpose: str) -> "DecisionTransformer":
        """A fresh random network of the run's own configuration, in eval mode."""
        from dtclaims.lab.design.arms import get_arm

        seed = derive(self.spec["seed"], purpose)
        image = get_arm(self.spec["arm"]).shape.startswith("image")
        arm, architecture = ("random_matched_image", "own") if image else ("random_init", self.spec["architecture"])
        if not image and architecture == "own":
            architecture = "matched"
        return self._build(arm, architecture, seed).to(self.device).eval()

    def _build(self, arm: str, architecture: str, seed: int) -> "DecisionTransformer":
        from dtclaims.lab.models import DecisionTransformer, build_model

        model = build_model(
            arm,
            task=self.data.task,
            head=self.spec["head"],
            architecture=architecture,
            backbones=self.backbones,
            seed=seed,
        )
        assert isinstance(model, DecisionTransformer)
        return model

    def starts(self, count: int, *, full: bool, per_seed: bool, purpose: str = "analysis") -> "Any":
        """Window starts for `gather`: full windows only or padded ones too (DEV-23); per seed or the same for all."""
        stream = generator(self.seed if per_seed else 0, purpose)
        return self.sampler.draw(count, stream, full=full)

    @cached_property
    def sampler(self) -> Any:
        """The window sampler of the run's training data at K = 20."""
        return _sampler(self.data, self.device)

    def windows(
        self, count: int, *, full: bool, per_seed: bool, purpose: str = "analysis", chunk: int = CHUNK
    ) -> "list[Batch]":
        """Analysis windows in chunks.

        Args:
            count: how many.
            full: only windows without padding (DEV-23).
            per_seed: drawn per training seed, or the same for every seed (DEV-21). Arms share them either way.
            purpose: names the stream; another purpose gives other windows (DEV-22).
            chunk: windows per batch.
        """
        return self._gathered(self.starts(count, full=full, per_seed=per_seed, purpose=purpose), chunk)

    def separate_windows(self, count: int, *, per_seed: bool) -> "list[Batch]":
        """As `windows`, full ones and one of a trajectory: of all trajectories, if those are fewer than `count`."""
        stream = generator(self.seed if per_seed else 0, "analysis/separate")
        return self._gathered(self.sampler.draw_separate(count, stream), CHUNK)

    def _gathered(self, starts: "Any", chunk: int) -> "list[Batch]":
        return [self.sampler.gather(starts[i : i + chunk]) for i in range(0, len(starts), chunk)]


def per_seed(switches: Mapping[str, str]) -> bool:
    """Whether analysis windows are drawn per training seed (DEV-21)."""
    return switches["seeding"] == "everything"


@dataclass(frozen=True)
class Measurement:
    """One way to read a run. Exactly one of `from_networks` and `from_curves` is set; neither for an `Experiment`."""

    name: str
    switches: tuple[str, ...]
    """The switches it obeys; their values are part of its key."""
    says: Mapping[str, str]
    """Protocol → what is measured, in one sentence for the report."""
    from_networks: Callable[..., Any] | None = None
    """(bench, switches, **parameters) to plain JSON data. Runs once, in a worker; the value is stored."""
    from_curves: Callable[..., Any] | None = None
    """(stored run, switches, **parameters) to plain data. Runs whenever asked, without torch."""
    scales: tuple[str, ...] = ALL_SCALES
    """Where it is offered; some cost more than a laptop has."""
    remade: Mapping[str, str] = field(default_factory=dict)
    """Switch → value under which what it returns was made anew under its old name: values that were recorded before
    are of another quantity, and no evidence for this one."""

    def is_remade(self, switches: Mapping[str, str]) -> bool:
        """Whether its values under these switches are not those of before."""
        return any(switches.get(name) == value for name, value in self.remade.items())


def table(*measurements: Measurement) -> dict[str, Measurement]:
    """Measurements by name."""
    return {one.name: one for one in measurements}
