"""What each quantity would have read of the paper's own runs (`dtclaims.harness.lab.PublishedValues`). Needs no torch.

The numbers are those that the paper plots and prints (`plotted`); a claim's own function can so be run on them. They
are read as `published` reads ours, and a reader of the paper gets no more out of a number here than the figure shows.

To add a quantity, give it a row in one of two tables:

- `READERS`, if the paper shows it: a function of what is asked (`Asked`) and of the measurement's parameters by name,
  with the measurement's defaults. It returns what the measurement would return, in its units, or a `Noted` where a
  number stands in for another one, and raises `NotShown` with the true reason where the paper is silent. Parts of a
  mapping that the paper does not show are named in `Shown`, each with its reason. The row says of which runs the
  figure is: their K, and whether it has single replaced blocks, runs without clipping, or two seeds at once.
- `NOT_SHOWN`, if it does not: the reason, as a sentence for the report.

A quantity in neither table is not shown; a test names it, so that nobody forgets.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dtclaims.harness.lab import Need, NotShown
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.lab.paper import curves, gradients, networks
from dtclaims.lab.paper.asked import CONTEXT, MAIN, NO_CONTROL, SECOND, Noted, asked_of


@dataclass(frozen=True)
class Reader:
    """How a quantity is read, and of which runs the paper shows it."""

    read: Callable[..., Any]
    contexts: tuple[int, ...] = (CONTEXT,)
    blocks: bool = False
    """Whether it is drawn of runs with one block replaced."""
    unclipped: bool = False
    """Whether it is drawn of the image arm without gradient clipping."""
    pairs: bool = False
    """Whether it compares runs of both seeds."""


BOTH = (1, CONTEXT)

READERS: Mapping[str, Reader] = {
    "score": Reader(curves.score, BOTH, blocks=True, unclipped=True),
    "score_span": Reader(curves.score_span, BOTH, blocks=True, unclipped=True),
    "score_at": Reader(curves.score_at, BOTH, blocks=True, unclipped=True),
    "score_curve": Reader(curves.score_curve, BOTH, blocks=True, unclipped=True),
    "block_return": Reader(curves.block_return, (1,), blocks=True),
    "block_error": Reader(curves.block_error, (1,), blocks=True),
    "action_errors": Reader(curves.action_errors, BOTH, blocks=True, unclipped=True),
    "action_error_jumps": Reader(curves.action_error_jumps, BOTH, blocks=True, unclipped=True),
    "errors_and_returns": Reader(curves.errors_and_returns, BOTH, blocks=True, unclipped=True),
    "cka": Reader(networks.cka),
    "cka_profile_distance": Reader(networks.cka_profile_distance, pairs=True),
    "information_profile": Reader(networks.information_profile),
    "information_ends": Reader(networks.information_ends),
    "information_steps": Reader(networks.information_steps),
    "data_information": Reader(networks.data_information),
    "parameter_change": Reader(networks.parameter_change),
    "gradients": Reader(gradients.gradients),
    "attention_gap": Reader(networks.attention_gap, (1,)),
    "attention_gap_rest": Reader(networks.attention_gap_rest, (1,)),
}

NOT_SHOWN: Mapping[str, str] = {
    "cka_between": networks.RASTER,
    "cka_grid": networks.RASTER,
    "cka_without_change": "an argument of the text; no network was put together like this",
    "attention_change": "distances of attention are drawn, not its maps",
    "attention_distance": "of the attention distance only its change is drawn",
    "block_scale": "no scale of the blocks' weights is shown",
    "curve_span": "of the training log only returns and action errors are drawn",
    "fresh_score": "no checkpoint was evaluated afresh",
    "error_over_constant": "the error of a constant prediction is not shown",
    **dict.fromkeys(("probe_profile", "probe_ends", "probe_steps"), "no probe was published"),
}


class PaperReadings:
    """The paper's own values (`dtclaims.harness.lab.PublishedValues`)."""

    seeds: tuple[int, ...] = (MAIN, SECOND)

    def value(self, need: Need, task: str | None, seed: int) -> Any:
        """What the quantity would have read of the paper's run, under `published`.

        Args:
            need: the quantity and its condition; its own task counts before the other.
            task: the one that the claim is tested on; None for a claim that names its own or needs none.
            seed: one of the paper's.

        Returns:
            What the measurement returns. A mapping raises `NotShown` where a part is read that the paper does not show.

        Raises:
            NotShown: the paper does not show it; the text is the reason.
            FixtureError: the shipped values are absent or damaged.
        """
        found = _read(need, task, seed)
        return found.value if isinstance(found, Noted) else found

    def note(self, need: Need, task: str | None, seed: int) -> str:
        """What a reader is to be told of that value, as of one that stands in for another; empty if nothing.

        Raises:
            NotShown: the paper does not show it.
        """
        found = _read(need, task, seed)
        return found.note if isinstance(found, Noted) else ""


def _read(need: Need, task: str | None, seed: int) -> Any:
    reader = READERS.get(need.quantity)
    if reader is None:
        raise NotShown(NOT_SHOWN.get(need.quantity, f"the paper shows no {need.quantity}"))
    if seed not in PaperReadings.seeds:
        raise NotShown(f"the paper shows seeds {MAIN} and {SECOND}, not {seed}")
    condition = need.under(PROTOCOLS["published"])
    asked = asked_of(condition, need.task or task or "hopper", seed)
    if (asked.arm.startswith("block") and not reader.blocks) or (asked.next_seed and not reader.pairs):
        raise NotShown(NO_CONTROL)
    if not asked.clip and not (reader.unclipped and asked.arm == "image"):
        raise NotShown("training without clipping is shown of the image pre-trained arm, returns and errors only")
    if asked.context not in reader.contexts:
        shown = " or ".join(map(str, reader.contexts))
        raise NotShown(f"shown of runs with K={shown}, not K={asked.context}")
    parameters = condition.get("parameters", {})
    if unknown := set(parameters) - set(inspect.signature(reader.read).parameters):
        raise NotShown(f"the paper shows no {need.quantity} by {', '.join(sorted(unknown))}")
    return reader.read(asked, **parameters)
