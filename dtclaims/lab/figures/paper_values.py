"""The paper's own plotted and printed values, and what a report's figures and tables must hold to stand beside them.

`fixtures/paper/values.json` holds the values in the shape of a report's figures and tables (`judge/exhibits.py`), every
series with protocol null. `complete` puts ours beside them. Panels are matched by `title`, colours by the series'
`name`, so both must be spelt as here (R = "randomly initialised", L = "language pre-trained", I = "image pre-trained"):

======  ==========================================  =======================  ===========================================
id      panels                                      x                        series: names, style, y
======  ==========================================  =======================  ===========================================
fig1    Hopper, HalfCheetah, Walker2D               layer 0 to 107           R, L, I; line; CKA of epochs 0 and 40
fig2    Input, I(X;T) / Label, I(Y;T)               token position 0 to 58   R, L, I; line; nats, middle block
fig3    Randomly initialised / Language             parameter set, 0 to 143  the panel's one; points; L2 distance
        pre-trained / Image pre-trained             (image: 287)
fig4    as fig3                                     as fig3                  the panel's one; points; cosine
fig5    Hopper                                      0 R, 1 L, 2 I            R, L, I, one x each; points; lowest cosine
fig6    Hopper                                      0 R, 1 L, 2 I            R, L, I, one x each; box; clipped norm
fig7    Hopper                                      0 0.ln_1.weight,         I; points; share of the gradient's norm
                                                    1 0.ln_1.bias, 2 others
fig8    Hopper, HalfCheetah, Walker2D               epoch 1 to 40            "R, K=1", "L, K=1", "R, K=20", "L, K=20";
                                                                             line; mean return
fig9    Action error / Mean return                  epoch 1 to 10            R, L, "block 0" ... "block 11"; line;
                                                                             the reference's moving average
fig10   Hopper, HalfCheetah, Walker2D               block 0 to 11            R, L; box; gap, epochs 0 to 4, at K=1
table1  rows Hopper, HalfCheetah, Walker2D          -                        columns R, L, I; score at K=20
table2  same rows                                   -                        columns R, L; score at K=1
table4  same rows                                   -                        as table2, the paper's two seeds (J.5)
======  ==========================================  =======================  ===========================================

A series of ours has `protocol` "published" or "corrected" and `seed` null, with `low` and `high` for the spread between
seeds (`across_seeds`), or one series per seed. A layer or parameter set beyond the paper's count is drawn too. A panel
may be missing: the paper's then stands alone.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from statistics import fmean, median, quantiles
from typing import Any

from dtclaims.errors import FixtureError, ReportError
from dtclaims.places import fixture_dir

Figures = dict[str, dict[str, Any]]
"""By id, as in a report."""

Tables = dict[str, dict[str, Any]]
"""By id, as in a report."""


@cache
def _values() -> dict[str, dict[str, Any]]:
    path = fixture_dir() / "paper" / "values.json"
    try:
        values: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        if not all(isinstance(values[name], dict) for name in ("figures", "tables")):
            raise TypeError("figures and tables are objects")
    except (OSError, ValueError, KeyError, TypeError, ReportError) as error:
        raise FixtureError(
            f"{path} does not hold the paper's values", given=error, remedy=f"Restore it: `git checkout -- {path}`."
        ) from None
    return values


def paper_figures() -> Figures:
    """The paper's figures 1 to 10 with only the paper's own values.

    Raises:
        FixtureError: the values are absent or damaged.
    """
    return dict(_values()["figures"])


def paper_tables() -> Tables:
    """The paper's tables 1, 2 and 4 with only the paper's own values.

    Raises:
        FixtureError: the values are absent or damaged.
    """
    return dict(_values()["tables"])


def paper_series(figure: str) -> dict[str, list[dict[str, Any]]]:
    """The paper's series of one figure, by the title of their panel.

    Raises:
        ReportError: no such figure.
        FixtureError: the values are absent or damaged.
    """
    figures = paper_figures()
    if figure not in figures:
        raise ReportError("the paper's values have no such figure", given=figure, expected=", ".join(figures))
    return {panel["title"]: list(panel["series"]) for panel in figures[figure]["panels"]}


def complete(figures: Mapping[str, Any], tables: Mapping[str, Any]) -> tuple[Figures, Tables]:
    """Our figures and tables with the paper's values in them, in the paper's order; ours alone come last.

    Args:
        figures: ours by id. For an id of the paper's only `panels` with `title` and `series` are read.
        tables: ours by id. For an id of the paper's only `cells` are read.

    Raises:
        ReportError: a figure of the paper's id with a panel, or a table with a row or column, that the paper's does
            not have.
        FixtureError: the paper's values are absent or damaged.
    """
    both = {name: _with_panels(name, figure, figures.get(name)) for name, figure in paper_figures().items()}
    listed = {name: _with_cells(name, table, tables.get(name)) for name, table in paper_tables().items()}
    return {**both, **_others(figures, both)}, {**listed, **_others(tables, listed)}


def across_seeds(values: Mapping[int, Sequence[float]]) -> dict[str, list[float]]:
    """Mean, least and greatest value over the seeds at each x, as the `y`, `low` and `high` of a series.

    Where a seed has none (nan), all three are nan: an average of fewer seeds would stand for all.

    Raises:
        ReportError: no seeds, or seeds with lists of different lengths.
    """
    if not values or len({len(curve) for curve in values.values()}) > 1:
        raise ReportError(
            "seeds with different numbers of values cannot be summarised",
            given={seed: len(curve) for seed, curve in values.items()},
        )
    whole = zip(*values.values(), strict=True)
    columns = [[math.nan] if any(map(math.isnan, column)) else list(column) for column in whole]
    return {
        "y": [fmean(column) for column in columns],
        "low": [min(column) for column in columns],
        "high": [max(column) for column in columns],
    }


def box(samples: Mapping[int, Sequence[float]]) -> dict[str, list[Any]]:
    """Box plots as the paper's: quartiles by linear interpolation, whiskers to the last value within 1.5 IQR.

    Args:
        samples: x to its values.

    Returns:
        `x`, `y` (medians), `low`, `high` (quartiles), `whisker_low`, `whisker_high` and `fliers` of a series.

    Raises:
        ReportError: an x with fewer than two values.
    """
    found: dict[str, list[Any]] = {
        name: [] for name in ("x", "y", "low", "high", "whisker_low", "whisker_high", "fliers")
    }
    for x, values in samples.items():
        if len(values) < 2:
            raise ReportError(f"a box at {x} needs two values", given=len(values))
        first, _, third = quantiles(values, n=4, method="inclusive")
        reach = 1.5 * (third - first)
        within = [value for value in values if first - reach <= value <= third + reach]
        found["x"].append(x)
        found["y"].append(median(values))
        found["low"].append(first)
        found["high"].append(third)
        found["whisker_low"].append(min(within))
        found["whisker_high"].append(max(within))
        found["fliers"] += [[x, value] for value in values if not first - reach <= value <= third + reach]
    return found


def _with_panels(name: str, theirs: Mapping[str, Any], ours: Mapping[str, Any] | None) -> dict[str, Any]:
    drawn = {panel["title"]: panel["series"] for panel in (ours or {"panels": ()})["panels"]}
    _refuse(name, "panel", drawn, [panel["title"] for panel in theirs["panels"]])
    panels = [{**panel, "series": [*drawn.get(panel["title"], ()), *panel["series"]]} for panel in theirs["panels"]]
    return {**theirs, "panels": panels}


def _with_cells(name: str, theirs: Mapping[str, Any], ours: Mapping[str, Any] | None) -> dict[str, Any]:
    cells = list((ours or {"cells": ()})["cells"])
    for part in ("row", "column"):
        _refuse(name, part, [cell[part] for cell in cells], [cell[part] for cell in theirs["cells"]])
    return {**theirs, "cells": [*theirs["cells"], *cells]}


def _refuse(name: str, part: str, given: Iterable[str], known: Sequence[str]) -> None:
    unknown = [title for title in given if title not in known]
    if unknown:
        raise ReportError(
            f"the paper's {name} has no such {part}", given=unknown[0], expected=" or ".join(dict.fromkeys(known))
        )


def _others(ours: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in ours.items() if name not in known}
