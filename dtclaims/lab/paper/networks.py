"""Readings of trained networks: CKA, information, parameters and attention."""

import math
import re
from statistics import fmean
from typing import Any

from dtclaims.harness.lab import NotShown
from dtclaims.lab.measurements.attention import EXCEPTED, UNIFORM_DISTANCE
from dtclaims.lab.paper.asked import MAIN, NO_CONTROL, SECOND, Asked, Noted, Shown
from dtclaims.lab.paper.plotted import all_plotted, plotted

WIDTHS = {"random": 768, "language": 768, "image": 512}


# --- representations (fig. 1, 23-27) ----------------------------------------------------------------------------------

COPIES = "the image arm's curves are copies of one another (DEV-18)"
RASTER = "shown as a raster heat map only, which cannot be read"


def cka(asked: Asked) -> Any:
    """Profiles by token. Figures give no floor: the estimate is unbiased, and chance is 0."""
    tokens = {
        token: plotted("cka", asked.seed, asked.task, token, asked.arm, absent="not drawn")
        for token in ("state", "action", "return_to_go")
    }
    layers = all_plotted()["layers"]
    if asked.arm == "image":
        # 216 layers in pairs of neighbours, named as our measurement names them.
        deep = [re.sub(r"^h\.\d+", f"h.{block}", layer) for block in range(24) for layer in layers[:9]]
        layers = [f"{one} + {other}" for one, other in zip(deep[::2], deep[1::2], strict=True)]
    hidden = ("null", "regressed", "regressed_null", "retention", "permutation_sd", "windows", "trajectories")
    value = Shown({"layers": layers, "floor": 0.0, **tokens}, dict.fromkeys(hidden, NO_CONTROL))
    return Noted(value, COPIES) if asked.arm == "image" else value


def cka_profile_distance(asked: Asked) -> float:
    """Mean distance of both seeds' profiles, state token."""
    if not asked.next_seed:
        raise NotShown(NO_CONTROL)
    one, other = (plotted("cka", seed, asked.task, "state", asked.arm, absent="not drawn") for seed in (MAIN, SECOND))
    return fmean(abs(a - b) for a, b in zip(one, other, strict=True))


# --- information (fig. 2, 17, 22, 44-46) ------------------------------------------------------------------------------

HOPPER_ONLY = "mutual information is drawn for Hopper only, of blocks other than the middle one for seed 666 only"


def profile(asked: Asked, place: str) -> dict[str, Any]:
    """Estimates by token at one block, None where the figure has none."""
    found = plotted("information", asked.seed, asked.task, place, asked.arm, absent=HOPPER_ONLY)
    return {"tokens": list(range(len(found["x"]))), "lost": 0.0, "evaluable": True, **found}


def information_profile(asked: Asked) -> dict[str, Any]:
    """The middle block's."""
    return profile(asked, "middle")


def information_ends(asked: Asked) -> dict[str, Any]:
    """The first and the last block's."""
    return {end: profile(asked, end) for end in ("first", "last")}


def information_steps(asked: Asked) -> dict[str, Any]:
    """Means over steps, by block; of the image arm by pairs of blocks."""
    found = plotted("information_steps", asked.seed, asked.task, asked.arm, absent=HOPPER_ONLY)
    return {"lost": 0.0, "evaluable": True, **found}


def data_information(asked: Asked) -> Noted:
    """The medians of the boxes."""
    found = plotted("data_information", asked.seed, asked.task, absent="drawn for seed 666 only")
    medians = {kind: [box["median"]] for kind, box in found.items()}
    return Noted({"lost": 0.0, "evaluable": True, **medians}, "the box's median stands in for the 20 steps")


# --- parameters (fig. 3, 4, 47-56) ------------------------------------------------------------------------------------

NO_NORMS = "norms at epoch 0 are not shown"
NO_RELATIVE = (
    "not shown; if each weight tensor moved at right angles to itself, figures 3 and 4 give 0.12 to 0.13 for the "
    "language arm and less than 0.03 for the image arm"
)


def parameter_change(asked: Asked) -> Shown:
    """By tensor and over all; a tensor that starts at 0 is drawn with the cosine 0."""
    found = plotted("parameters", asked.seed, asked.task, asked.arm, absent="not drawn")
    l2, cosines, tensors = found["l2"], found["cosines"], all_plotted()["tensors"]
    width, blocks = WIDTHS[asked.arm], len(l2) // len(tensors)
    names = [f"h.{block}.{tensor}" for block in range(blocks) for tensor in tensors]
    sizes = [_size(tensor, width) for tensor in tensors] * blocks
    distance = math.hypot(*l2)
    return Shown(
        {
            "distance": distance,
            "rms": distance / sum(sizes) ** 0.5,
            "cosine": fmean(cosines),
            "all_cosine": fmean(cosines),
            "weight_cosine": fmean(c for c, name in zip(cosines, names, strict=True) if name.endswith("weight")),
            "names": names,
            "sizes": sizes,
            "l2": l2,
            "cosines": cosines,
        },
        {"relative": NO_RELATIVE, "starts": NO_NORMS},
    )


def _size(tensor: str, width: int) -> int:
    """Coordinates of a tensor of GPT-2's block."""
    module, kind = tensor.rsplit(".", 1)
    wide = {"attn.c_attn": 3, "mlp.c_fc": 4}.get(module, 1) * width
    if kind == "bias" or module.startswith("ln_"):
        return wide
    return wide * width * (4 if module == "mlp.c_proj" else 1)


# --- attention (fig. 10, 74-77) ---------------------------------------------------------------------------------------

EPOCHS_OF_GAPS = "gaps are drawn at epochs 1, 4, 10 and 40 for seed 666, at epoch 4 only for seed 42"


def attention_gap(asked: Asked, *, epoch: int = 4) -> list[float]:
    """Medians by block."""
    found = plotted("attention_gap", asked.seed, asked.task, epoch, asked.arm, absent=EPOCHS_OF_GAPS)
    return [float(gap) for gap in found]


def attention_gap_rest(asked: Asked, *, epoch: int = 4) -> float:
    """Mean over the blocks that the paper does not except, over the distance of uniform attention."""
    gaps = attention_gap(asked, epoch=epoch)
    return fmean(gap for block, gap in enumerate(gaps) if block not in EXCEPTED[asked.task]) / UNIFORM_DISTANCE
