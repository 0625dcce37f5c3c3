"""How write-ups show this paper's runs: curves in words, names of variants, kinds of cost. Needs no torch."""

from collections.abc import Mapping, Sequence
from typing import Any

from dtclaims.harness.lab import Curve, Ran, RunViews, Stored
from dtclaims.lab.data.simulators import V4
from dtclaims.lab.design.arms import ARMS
from dtclaims.lab.design.checkpoints import base_in, numbered
from dtclaims.lab.design.kinds import COLUMNS, kind_of

LEVEL = "constant_error"

UNPAIRED = "Runs of one seed share no data order where the arm or K differs (DEV-21), so pairing buys little there."


def _score(run: Stored) -> list[float]:
    """Mean return, normalised with D4RL's constants (DEV-29).

    Raises:
        MeasurementError: returns that cannot be scored.
    """
    from dtclaims.lab.measurements.curves import scores

    found: list[float] = scores(run, {"score_refs": "d4rl"}).tolist()
    return found


def _word(field: str, spec: Mapping[str, Any]) -> str:
    """One field in words; nothing where it is the usual value or says nothing about the arm."""
    value = spec.get(field)
    match field:
        case "arm" | "task" | "scale":
            return str(value)
        case "architecture":
            return "" if value == "own" else str(value)
        case "head":
            # The MLP has no embedding that its head could be tied to.
            return "" if spec["arm"] == "mlp" else f"head {str(value).replace('_', ' ')}"
        case "adam_eps":
            return f"Adam eps {value:g}".replace("e-0", "e-")
        case "context":
            return f"K={value}"
        case "clip":
            return "" if value else "not clipped"
        case "paired":
            return "" if value else "unpaired data"
        case "held_out":
            return "a tenth held out" if value else ""
        case "simulator":
            # Runs of before there was a choice do not say.
            return "" if value in (None, V4) else f"in {value}"
        case "epochs":
            return f"{value} epochs"
        case _:
            written = str(value).lower() if isinstance(value, bool) else str(value)
            return f"{field.removeprefix('budget.').replace('_', ' ')} {written}"


def _unpaired(specs: Sequence[Mapping[str, Any]]) -> str:
    # What the draws of an unpaired run depend on besides the seed: see `Trainer`.
    orders = {None if one["paired"] else (one["arm"], one["context"]) for one in specs}
    return UNPAIRED if len(orders) > 1 else ""


def _checkpoints(run: Ran) -> dict[str, str]:
    """The checkpoints of this project's own pre-training that a run starts from: numbers of one recipe are draws."""
    return {
        f"backbones.{base_in(source)}.sha256": numbered(str(one["name"]))
        for source, one in run.provenance.get("backbones", {}).items()
        if one.get("kind") == "self-pre-trained" and one.get("name")
    }


VIEWS = RunViews(
    curves={
        "score": Curve(
            "normalised score (0: random policy, 100: expert, D4RL's constants)", computed=("return_mean", _score)
        ),
        "return_mean": Curve("mean return of the evaluation episodes (sum of rewards)"),
        "return_std": Curve("standard deviation of the evaluation episodes' returns (sum of rewards)"),
        "length_mean": Curve("mean length of the evaluation episodes (steps)"),
        "action_error": Curve(
            "action error on the epoch's last batch (mean squared error; actions lie in −1 to 1)", level=LEVEL
        ),
        "held_out_error": Curve(
            "action error on held-out trajectories (mean squared error; actions lie in −1 to 1)", level=LEVEL
        ),
        "loss_mean": Curve("mean training loss of the epoch (mean squared error of actions)", level=LEVEL),
        "gradient_norm": Curve("mean norm of the gradient before clipping (L2, all parameters)"),
        "clipped": Curve("share of updates whose gradient was clipped (0 to 1)", share=True),
        "saturated": Curve("share of predicted action coordinates beyond ±0.99 (0 to 1)", share=True),
    },
    levels={LEVEL: "best constant prediction"},
    subject="arm",
    fields=("task", "scale", "arm", "architecture", "head", "adam_eps", "context"),
    orders={"arm": tuple(ARMS)},
    word=_word,
    titled={"task": "", "scale": "scale ", "context": "K="},
    updates="budget.steps_per_epoch",
    drawn=_checkpoints,
    unit="checkpoint",
    unpaired=_unpaired,
    columns=COLUMNS,
    kind=kind_of,
)
