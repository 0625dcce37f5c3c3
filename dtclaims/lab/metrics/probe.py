"""Linear probes: how well data are predicted from activations of the full width, on held-out trajectories (DEV-02).

With both scaled on the training part, a ridge regression per penalty λ, for m training samples:

    W = argmin ‖Y − XW‖² / m + λ‖W‖² = (XᵀX / m + λI)⁻¹ XᵀY / m

λ is the best on the validation part, and on the test part

    R² = 1 − Σ (y − xW)² / Σ y²

over samples and target columns, each in units of its training variance and counted from its training mean. 1: predicted
exactly; 0: no better than the training mean; below: worse. Of a jointly normal column that is at least −½ log(1 − R²)
nats.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dtclaims.errors import MeasurementError, UsageError
from dtclaims.lab.metrics.estimates import Status
from dtclaims.lab.metrics.heldout import Split, split, standardised
from dtclaims.lab.metrics.inputs import Array, Floats, as_tensor, check_same_samples
from dtclaims.seeding import generator

PENALTIES = tuple(10.0**power for power in range(-6, 4))
"""λ tried; features have variance 1."""

LEAST = 20
"""Samples below which the test part would hold fewer than four."""

CHUNK = 2**26
"""Numbers of activations that are regressed on at once (512 MiB)."""


class Probe(NamedTuple):
    """How well one set of targets is read from one set of activations."""

    value: float
    """Mean held-out R² over splits; NaN if the activations or the targets are constant in one."""
    r2: Floats
    """(splits,): the R² of each."""
    columns: Floats
    """(d,): mean R² over splits of each target column alone; NaN for a constant one."""
    penalties: Floats
    """(splits,): the λ chosen."""

    @property
    def spread(self) -> float:
        """Standard deviation (ddof 1) over splits; NaN with one."""
        return float(self.r2.std(ddof=1)) if len(self.r2) > 1 else math.nan

    @property
    def status(self) -> Status:
        """As of an estimate of information, for `evaluable`."""
        return "finite" if math.isfinite(self.value) else "undefined"


class _Task(NamedTuple):
    """One activation and all that is to be read from it, side by side."""

    activations: Array
    label: str
    names: list[str]
    targets: Tensor
    """(n, columns of all)."""
    owner: Tensor
    """(columns,): place in `names`."""


def probes(
    pairs: Mapping[str, tuple[Array, Array]], *, seed: int, groups: Array | None = None, splits: int = 3
) -> dict[str, Probe]:
    """How well each pair's data (n, d) are read from its activations (n, width), in the module's formula.

    Activations that are the same object are factorised once, others of one width side by side. The splits are the same
    for all pairs and for every model with these groups, so two models are compared on the same held-out windows.

    Args:
        pairs: by name, data and activations, all with the same n samples on one device, as `mutual_informations` takes
            them.
        seed: of the splits.
        groups: (n,) trajectory of each window; windows of one are never split.
        splits: random splits 60/20/20 into training, validation and test part, whose R² are averaged.

    Raises:
        MeasurementError: no pair, not (n, width), unequal n, NaN or infinity, fewer than 20 samples or 5 groups.
        UsageError: no split.
    """
    if not pairs:
        raise MeasurementError("there is no pair to measure")
    if splits < 1:
        raise UsageError("a probe is read on at least one split", given=splits)
    tasks = _tasks(pairs)
    first = tasks[0].targets
    if len(first) < LEAST:
        raise MeasurementError("too few samples to hold some out", given=len(first), expected=f"at least {LEAST}")
    parts = [split(len(first), generator(seed, f"probe/{number}/split"), groups=groups) for number in range(splits)]
    found: dict[str, Probe] = {}
    for side_by_side in _alike(tasks, len(first)):
        found |= _read(side_by_side, parts)
    return {name: found[name] for name in pairs}


def _tasks(pairs: Mapping[str, tuple[Array, Array]]) -> list[_Task]:
    by_object: dict[int, list[str]] = {}
    for name, (_, activations) in pairs.items():
        by_object.setdefault(id(activations), []).append(name)
    seen: dict[int, Tensor] = {}
    tasks = []
    for names in by_object.values():
        activations = pairs[names[0]][1]
        for name in names:
            data = pairs[name][0]
            if id(data) not in seen:
                seen[id(data)] = as_tensor(data, _label("data", name), ndim=2)
        targets = [seen[id(pairs[name][0])] for name in names]
        # Only length and device are compared here: each activation is looked at again when its turn comes.
        shown = as_tensor(activations, _label("activations", names[0]), ndim=2, keep_single=True)[:, :1]
        labels = [_label("data", name) for name in names]
        check_same_samples([(_label("activations", names[0]), shown), *zip(labels, targets, strict=True)])
        owner = torch.tensor([place for place, one in enumerate(targets) for _ in range(one.shape[1])])
        tasks.append(
            _Task(activations, _label("activations", names[0]), names, torch.cat(targets, 1), owner.to(shown.device))
        )
    check_same_samples([(task.label, task.targets) for task in tasks])
    return tasks


def _label(side: str, name: str) -> str:
    return f"{side} of {name}" if name else side


def _alike(tasks: Sequence[_Task], n: int) -> list[list[_Task]]:
    """Tasks of one shape, as many together as fit `CHUNK`."""
    by_shape: dict[tuple[int, int], list[_Task]] = {}
    for task in tasks:
        by_shape.setdefault((task.activations.shape[1], task.targets.shape[1]), []).append(task)
    together = []
    for (width, columns), alike in by_shape.items():
        size = max(1, CHUNK // (n * (width + columns)))
        together += [alike[start : start + size] for start in range(0, len(alike), size)]
    return together


def _read(tasks: Sequence[_Task], parts: Sequence[Split]) -> dict[str, Probe]:
    x = torch.stack([as_tensor(task.activations, task.label, ndim=2) for task in tasks])
    y = torch.stack([task.targets for task in tasks])
    read = [_on_split(tasks, x, y, part) for part in parts]
    found = {}
    for number, task in enumerate(tasks):
        for place, name in enumerate(task.names):
            own = (task.owner == place).cpu().numpy()
            r2, penalties = (
                np.array([one[kind][number, place] for one in read], dtype=np.float64) for kind in ("r2", "penalty")
            )
            columns = np.mean([one["columns"][number, own] for one in read], axis=0)
            found[name] = Probe(float(r2.mean()), r2, columns, penalties)
    return found


class _Products(NamedTuple):
    """All that squared errors on some rows depend on, whatever the weights: ten penalties read the rows once."""

    gram: Tensor
    """XᵀX (tasks, width, width)."""
    cross: Tensor
    """XᵀY (tasks, width, columns)."""
    squares: Tensor
    """Σ y² (tasks, columns)."""

    def missed(self, weights: Tensor) -> Tensor:
        """Σ (y − xW)² by column, of weights (tasks, width, columns)."""
        explained = weights * (2 * self.cross - self.gram @ weights)
        # Of an exact prediction rounding is left, of either sign.
        return (self.squares - explained.sum(dim=1)).clamp(min=0)


def _products(x: Tensor, y: Tensor, rows: Tensor) -> _Products:
    x, y = x[:, rows], y[:, rows]
    return _Products(x.mT @ x, x.mT @ y, y.square().sum(dim=1))


def _on_split(tasks: Sequence[_Task], x: Tensor, y: Tensor, parts: Split) -> dict[str, Floats]:
    """R² and λ (tasks, most names of one), and R² by column (tasks, columns), of tasks x (tasks, n, width) and y."""
    train, validation, test = (torch.from_numpy(part).to(x.device) for part in parts)
    x, seen = _standardised(x, train)
    y, _ = _standardised(y, train)
    of_train, of_validation, of_test = (_products(x, y, rows) for rows in (train, validation, test))
    gram, cross = of_train.gram / len(train), of_train.cross / len(train)
    most = max(len(task.names) for task in tasks)
    owners = torch.stack([torch.nn.functional.one_hot(task.owner, most).double() for task in tasks])

    def by_name(columns: Tensor) -> Tensor:
        return (columns[:, None] @ owners)[:, 0]

    errors = []
    identity = torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    for penalty in PENALTIES:
        weights = torch.cholesky_solve(cross, torch.linalg.cholesky(gram + penalty * identity))
        errors.append((of_validation.missed(weights), of_test.missed(weights)))
    held_out = torch.stack([error for _, error in errors])
    best = torch.stack([by_name(error) for error, _ in errors]).argmin(dim=0)
    chosen = held_out.gather(0, torch.stack([row[task.owner] for row, task in zip(best, tasks, strict=True)])[None])[0]
    total = of_test.squares
    defined = seen.any(dim=1, keepdim=True)
    # A constant target has an error of 0 of 0, and a constant activation predicts nothing: neither is an R² of 0.
    columns = (1 - chosen / total).where((total > 0) & defined, math.nan)
    r2 = (1 - by_name(chosen) / by_name(total)).where((by_name(total) > 0) & defined, math.nan)
    penalties = torch.tensor(PENALTIES, dtype=torch.float64)[best.cpu()]
    return {"r2": r2.cpu().numpy(), "penalty": penalties.numpy(), "columns": columns.cpu().numpy()}


def _standardised(values: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    scaled, varying = zip(*(standardised(one, train) for one in values), strict=True)
    return torch.stack(scaled), torch.stack(varying)
