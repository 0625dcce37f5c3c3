"""Change of parameters (§5.3, App. F, J.3; protocol §7.3), and the scale they start at (DEV-13)."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from dtclaims.lab.measurements.bench import Bench, Measurement, table


def parameter_change(bench: Bench, switches: Mapping[str, str]) -> dict[str, Any]:
    """How far the blocks' parameters moved, tensor by tensor (§5.3; DEV-19).

    Returns:
        distance: ‖Δθ‖ under `published`, ‖Δθ‖ / ‖θ0‖ under `corrected`.
        cosine: the mean over all tensors (0 for one that starts at 0), or `weight_cosine`.
        relative: ‖Δθ‖ / ‖θ0‖.
        rms: ‖Δθ‖ / √coordinates.
        all_cosine: mean over all tensors, 0 for one that starts at 0.
        weight_cosine: mean over the weight tensors that start elsewhere.
        names, sizes, l2, starts, cosines: by tensor; ‖Δθ‖, ‖θ0‖ and the cosine, None for one that is 0 on a side.
    """
    from dtclaims.lab.metrics import parameter_similarity
    from dtclaims.lab.models.displacement import block_parameters

    before, after = (block_parameters(bench.state(epoch)) for epoch in (0, 40))
    similarity = parameter_similarity(before, after)
    published = switches["cos_tensors"] == "all"
    weights = np.array([name.endswith("weight") for name in similarity.names])
    weight_cosine = float(np.nanmean(similarity.cosine[weights]))
    return {
        "distance": similarity.total_l2 if published else similarity.relative_displacement,
        "cosine": similarity.mean_published_cosine if published else weight_cosine,
        "relative": similarity.relative_displacement,
        "rms": similarity.rms_displacement,
        "all_cosine": similarity.mean_published_cosine,
        "weight_cosine": weight_cosine,
        "names": list(similarity.names),
        "sizes": similarity.sizes.astype(int).tolist(),
        "l2": similarity.l2.tolist(),
        "starts": similarity.initial_norm.tolist(),
        "cosines": [float(value) if np.isfinite(value) else None for value in similarity.cosine],
    }


def block_scale(bench: Bench, switches: Mapping[str, str]) -> list[float]:
    """Root mean square of the weight matrices of each block before fine-tuning (DEV-13)."""
    squares: dict[int, list[tuple[float, int]]] = {}
    for name, tensor in bench.state(0).items():
        if tensor.ndim == 2 and (found := re.search(r"\bh\.(\d+)\.", name)) is not None:
            squares.setdefault(int(found[1]), []).append((float(tensor.double().square().sum()), tensor.numel()))
    return [
        (sum(square for square, _ in tensors) / sum(count for _, count in tensors)) ** 0.5
        for _, tensors in sorted(squares.items())
    ]


MEASUREMENTS = table(
    Measurement(
        "parameter_change",
        ("cos_tensors",),
        {
            "published": "Parameters of the blocks before and after fine-tuning: L2 distance (root sum of squares) and "
            "mean cosine per tensor, 0 for a tensor that starts at 0.",
            "corrected": "Parameters of the blocks before and after fine-tuning: L2 distance over initial norm, and "
            "mean cosine of the weight tensors that do not start at 0.",
        },
        from_networks=parameter_change,
    ),
    Measurement(
        "block_scale",
        (),
        dict.fromkeys(
            ("published", "corrected"), "Root mean square of the weight matrices of each block before fine-tuning."
        ),
        from_networks=block_scale,
    ),
)
