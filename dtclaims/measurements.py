"""The measurements that claims name: how stored runs are read under each protocol (protocol §7).

A measurement is defined by the switches it obeys. Those that need the networks run once, in a worker,
and their values are stored; those that read curves are computed when asked. Importing this module does
not import torch: judging stored results must not need it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dtclaims.data.scores import score_reference
from dtclaims.data.tasks import get_task
from dtclaims.runs.spec import Budget
from dtclaims.runs.store import StoredRun
from dtclaims.seeding import derive, generator

if TYPE_CHECKING:
    import torch

    from dtclaims.data.trajectories import Trajectories
    from dtclaims.data.windows import Batch
    from dtclaims.models import Backbone, DecisionTransformer

ANALYSIS_CONTEXT = 20
"""Analyses show every model K = 20 windows, whatever it was trained with (protocol §7)."""
PUBLISHED_WINDOWS = 100
CORRECTED_WINDOWS = 1000
"""The audit asks for at least 1000 full windows (DEV-01)."""
CHUNK = 100


@dataclass(frozen=True)
class Bench:
    """A stored run laid out for measuring: its data, its networks, the device."""

    run: StoredRun
    data: "Trajectories"
    backbone: "Backbone"
    device: str

    @property
    def spec(self) -> Mapping[str, Any]:
        """The run's specification as stored."""
        spec: Mapping[str, Any] = self.run.identity["spec"]
        return spec

    @property
    def budget(self) -> Budget:
        """The run's budget."""
        return Budget(**self.spec["budget"])

    def network(self, paper_epoch: int) -> "DecisionTransformer":
        """The run's model at the epoch that stands for one of the paper's, in eval mode."""
        model = self._build(self.spec["arm"], self.spec["architecture"], self.spec["seed"])
        model.load_state_dict(self.run.checkpoint(self.budget.epoch(paper_epoch)))
        return model.to(self.device).eval()

    def random_network(self, purpose: str) -> "DecisionTransformer":
        """A fresh random network of the run's own configuration, in eval mode."""
        seed = derive(self.spec["seed"], purpose)
        return self._build("random_init", self.spec["architecture"], seed).to(self.device).eval()

    def _build(self, arm: str, architecture: str, seed: int) -> "DecisionTransformer":
        from dtclaims.models import build_model

        return build_model(
            arm,
            task=self.data.task,
            head=self.spec["head"],
            architecture=architecture,
            backbone=self.backbone,
            seed=seed,
        )

    def windows(self, *, paired: bool) -> "list[Batch]":
        """Analysis windows in chunks.

        Published: 100 windows, padded ones included, the same for every training seed (DEV-21, DEV-23).
        Paired: 1000 full windows, drawn per seed and shared by its arms (DEV-22).
        """
        from dtclaims.data.windows import WindowSampler

        sampler = WindowSampler(self.data, ANALYSIS_CONTEXT, self.device)
        stream = generator(self.spec["seed"] if paired else 0, "analysis")
        starts = sampler.draw(CORRECTED_WINDOWS if paired else PUBLISHED_WINDOWS, stream, full=paired)
        return [sampler.gather(starts[i : i + CHUNK]) for i in range(0, len(starts), CHUNK)]


@dataclass(frozen=True)
class Measurement:
    """One way to read a run. Exactly one of `from_networks` and `from_curves` is set."""

    name: str
    switches: tuple[str, ...]
    """The switches it obeys; their values are part of its key."""
    says: Mapping[str, str]
    """Protocol → what is measured, in one sentence for the report."""
    from_networks: Callable[[Bench, Mapping[str, str]], Any] | None = None
    from_curves: Callable[[StoredRun, Mapping[str, str]], Any] | None = None


# --- curves ---------------------------------------------------------------------------------------


def _scores(run: StoredRun, switches: Mapping[str, str]) -> npt.NDArray[np.float64]:
    """Normalised score of every epoch (DEV-29)."""
    from dtclaims.metrics.curves import normalized_score

    task = get_task(run.identity["spec"]["task"])
    reference = score_reference(task, switches["score_refs"])
    return np.asarray(normalized_score(np.asarray(run.result["curves"]["return_mean"]), reference))


def score(run: StoredRun, switches: Mapping[str, str]) -> float:
    """One normalised score per run: the best epoch, or the mean of the last quarter (DEV-10)."""
    scores = _scores(run, switches)
    if switches["selection"] == "best":
        return float(scores.max())
    return float(scores[-max(1, len(scores) // 4) :].mean())


def early_score(run: StoredRun, switches: Mapping[str, str]) -> float:
    """Mean normalised score over the first quarter of training (the paper's epochs 1–10)."""
    budget = Budget(**run.identity["spec"]["budget"])
    return float(_scores(run, switches)[: budget.epoch(10)].mean())


# --- networks -------------------------------------------------------------------------------------


def cka(bench: Bench, switches: Mapping[str, str]) -> dict[str, float]:
    """CKA of every layer before against after fine-tuning, at the state token (§5.1; DEV-01)."""
    from dtclaims.metrics import layerwise_cka
    from dtclaims.models import DISTINCT_POINTS, PUBLISHED_POINTS, RESIDUAL_POINTS

    if switches["cka_axis"] == "unit":
        windows = bench.windows(paired=False)
        pre, post = (
            _activations(bench.network(e), windows, PUBLISHED_POINTS, "reference", last_step=False) for e in (0, 40)
        )
        return layerwise_cka(pre, post, token="state", axis="unit")
    windows = bench.windows(paired=True)
    points = (*DISTINCT_POINTS, *RESIDUAL_POINTS)

    def between(one: "DecisionTransformer", other: "DecisionTransformer") -> dict[str, float]:
        pre, post = (_activations(model, windows, points, "boolean", last_step=True) for model in (one, other))
        return layerwise_cka(pre, post, token="state", axis="token")

    raw = between(bench.network(0), bench.network(40))
    # Two unrelated networks see the same inputs, so their raw CKA is far from 0: that is the zero point.
    zero = between(bench.random_network("cka/zero/a"), bench.random_network("cka/zero/b"))
    rescaled = {layer: (raw[layer] - zero[layer]) / (1 - zero[layer]) for layer in raw}
    # A layer whose activations are constant has no CKA; it is left out, as the audit asks (DEV-33).
    return {layer: value for layer, value in rescaled.items() if np.isfinite(value)}


def _activations(
    model: "DecisionTransformer", windows: "list[Batch]", points: tuple[str, ...], attention: Any, *, last_step: bool
) -> "dict[str, torch.Tensor]":
    """Activations by layer over all windows, (n, 3K, width); (n, 3, width) where the last step is enough."""
    import torch

    from dtclaims.models import capture

    parts: dict[str, list[torch.Tensor]] = {}
    for batch in windows:
        for layer, value in capture(model, batch, points=points, attention=attention).items():
            # Three tokens of a thousand windows instead of sixty: what makes this fit a laptop.
            parts.setdefault(layer, []).append(value[:, -3:].clone() if last_step else value)
    return {layer: torch.cat(values) for layer, values in parts.items()}


def displacement(bench: Bench, switches: Mapping[str, str]) -> float:
    """How far the blocks' parameters moved: summed L2, or relative to where they started (§5.3; DEV-19)."""
    from dtclaims.metrics import parameter_similarity

    before, after = (_block_parameters(bench.run.checkpoint(bench.budget.epoch(e))) for e in (0, 40))
    similarity = parameter_similarity(before, after)
    return similarity.total_l2 if switches["cos_tensors"] == "all" else similarity.relative_displacement


def _block_parameters(state: "Mapping[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    return {name: tensor for name, tensor in state.items() if ".h." in f".{name}"}


def attention_gap(bench: Bench, switches: Mapping[str, str]) -> list[float]:
    """Median change of the attention distance per block, epoch 0 to 4 (§5.6.2; DEV-08)."""
    from dtclaims.metrics import attention_gap as gap
    from dtclaims.metrics import relative_gap

    fused = switches["att_dist"] == "fused"
    windows = bench.windows(paired=not fused)
    before, after = (_attention_distances(bench.network(epoch), windows, fused) for epoch in (0, 4))
    change = gap if fused else relative_gap
    return [float(np.median(change(late, early))) for late, early in zip(after, before, strict=True)]


def _attention_distances(model: "DecisionTransformer", windows: "list[Batch]", fused: bool) -> npt.NDArray[np.float64]:
    """Attention distance of every block and window, shape (blocks, n)."""
    from dtclaims.metrics import causal_attention_distance, fused_attention_distance
    from dtclaims.models import capture

    columns = []
    for batch in windows:
        projected = capture(model, batch, points=("attn.c_attn",), attention="reference" if fused else "boolean")
        mask = batch.mask.repeat_interleave(3, dim=1)
        rows = []
        for block in range(model.config.blocks):
            query, key, _ = projected[f"h.{block}.attn.c_attn"].chunk(3, dim=-1)
            if fused:
                rows.append(fused_attention_distance(query, key))
            else:
                rows.append(causal_attention_distance(query, key, model.config.heads, mask))
        columns.append(np.stack(rows))
    return np.concatenate(columns, axis=1)


MEASUREMENTS: dict[str, Measurement] = {
    one.name: one
    for one in (
        Measurement(
            "score",
            ("selection", "score_refs"),
            {
                "published": "Best normalised score over all epochs (chosen on the number it reports), "
                "scored with mean dataset returns.",
                "corrected": "Mean normalised score over the last quarter of epochs, scored with D4RL's constants.",
            },
            from_curves=score,
        ),
        Measurement(
            "early_score",
            ("score_refs",),
            {
                "published": "Mean normalised score over the first quarter of epochs, scored with "
                "mean dataset returns.",
                "corrected": "Mean normalised score over the first quarter of epochs, scored with D4RL's constants.",
            },
            from_curves=early_score,
        ),
        Measurement(
            "cka",
            ("cka_axis",),
            {
                "published": "Unbiased linear CKA of one hidden unit over the 60 token positions, before against "
                "after fine-tuning, 9 points per block, 100 windows.",
                "corrected": "Unbiased linear CKA of the full width at the last state token, 1000 full windows, "
                "distinct points and residual stream, rescaled so that two independent random networks are 0 and "
                "identity is 1.",
            },
            from_networks=cka,
        ),
        Measurement(
            "displacement",
            ("cos_tensors",),
            {
                "published": "L2 distance of the blocks' parameters, before to after fine-tuning "
                "(root sum of squares).",
                "corrected": "RMS displacement of the blocks' parameters over their RMS initial value.",
            },
            from_networks=displacement,
        ),
        Measurement(
            "attention_gap",
            ("att_dist",),
            {
                "published": "Median over 100 windows of the change in fused-head attention distance, cut after the "
                "softmax, from epoch 0 to 4 of 40, K=1 runs shown K=20 windows.",
                "corrected": "Median over 1000 full windows of the relative change in causal per-head attention "
                "distance, from epoch 0 to 4 of 40, K=20 runs.",
            },
            from_networks=attention_gap,
        ),
    )
}
