"""How far a model's numbers are from the true ones: of all test windows, of each group, and beside what one number for all would give.

Everything is counted over all test windows, by the numbers that the int8 C gives on this computer. The emulated board is proven to
give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.text import number, plain
from sandgrain.project.build.figures import BY_GROUPS, DRAWS, FEW

BLOCKS = 20  # of windows in a row that stand for groups where there are too few of those
LEAST_BLOCK = 5  # windows of one
APART = 0.1  # share of the error by which float and int8 may differ without a note
COARSE = 0.25  # a step of the output above this share of the error gets a note


@dataclass(frozen=True, slots=True)
class OfGroup:
    """The test windows of one speaker, subject or device (or of one file where no group is known). `bias`: the mean error."""

    name: str
    windows: int
    mae: float
    bias: float


@dataclass(frozen=True, slots=True)
class Overall:
    """Of all test windows, in the unit of the numbers. Errors are what was said less what is true."""

    windows: int
    mae: float  # mean absolute error
    interval: tuple[float, float]  # of it, 95 %
    over: str  # what the interval was drawn over, for people
    rmse: float  # root of the mean squared error
    r2: float | None  # 1 - squared errors / squared distances from the mean of the test; None where all are the same
    bias: float  # the mean error
    p95: float  # 95 % of the errors are at most so large
    baseline: float  # mean absolute error of always saying `median`
    median: float  # of the training windows
    better: tuple[float, float]  # by how much the model's error is smaller than the baseline's, 95 %


@dataclass(frozen=True, slots=True)
class Errors:
    """All of it. `groups`: the worst first."""

    overall: Overall
    groups: tuple[OfGroup, ...]
    of_files: bool  # `groups` are files, for no group is known

    @property
    def worst_group(self) -> OfGroup | None:
        """The group that is answered worst, of those with at least FEW windows, where there is more than one."""
        large = [g for g in self.groups if g.windows >= FEW]
        return large[0] if len(large) > 1 else None

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        o = self.overall
        return {
            "mae": o.mae,
            "mae_interval": list(o.interval),
            "interval_over": o.over,
            "rmse": o.rmse,
            "r2": o.r2,
            "bias": o.bias,
            "error_p95": o.p95,
            "baseline": {"says": o.median, "mae": o.baseline, "better_by": list(o.better)},
            "per_file" if self.of_files else "per_group": [asdict(g) for g in self.groups],
        }


@dataclass(frozen=True, slots=True, eq=False)
class Owners:
    """Whose each test window is: n names ("" for nobody's), and whether these are files."""

    names: Sequence[str]
    of_files: bool


def of_numbers(said: Array, truth: Array, median: Array, owners: Owners, seed: int) -> Errors:
    """Errors of the numbers `said` against `truth`, both float64 [n]. `median`: of the windows that trained each, float64 [n]."""
    off, without = said - truth, np.abs(median - truth)
    size = np.abs(off)
    members, over = _clusters(owners, len(truth))
    interval, better = _intervals(size, without, members, seed)
    spread = float(((truth - truth.mean()) ** 2).sum())
    overall = Overall(
        windows=len(truth),
        mae=float(size.mean()),
        interval=interval,
        over=over,
        rmse=float(np.sqrt((off**2).mean())),
        r2=1 - float((off**2).sum()) / spread if spread else None,
        bias=float(off.mean()),
        p95=float(np.quantile(size, 0.95)),
        baseline=float(without.mean()),
        median=float(np.median(median)),
        better=better,
    )
    return Errors(overall, _groups(off, owners.names), owners.of_files)


def _groups(off: Array, names: Sequence[str]) -> tuple[OfGroup, ...]:
    own = np.asarray(names, dtype=str)
    found = []
    for name in sorted(set(names) - {""}):
        errors = off[own == name]
        found.append(OfGroup(name, len(errors), float(np.abs(errors).mean()), float(errors.mean())))
    return tuple(sorted(found, key=lambda g: (-g.mae, g.name)))


def _clusters(owners: Owners, count: int) -> tuple[Array, str]:
    """(number of the cluster of each window, what they are for people): groups, files, or blocks of windows in a row.

    Windows near each other resemble one another, so intervals are drawn over what may be alike, never over windows.
    """
    names, members = np.unique(np.asarray(owners.names, dtype=str), return_inverse=True)
    if BY_GROUPS <= len(names) < count:
        return members, f"{len(names):,} {'files' if owners.of_files else 'groups'}"
    blocks = max(min(BLOCKS, count // LEAST_BLOCK), 1)
    return np.arange(count) * blocks // count, f"{blocks} blocks of windows in a row"


def _intervals(size: Array, without: Array, members: Array, seed: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """(of the mean of `size`, of how much larger that of `without` is): percentiles of DRAWS draws of whole clusters, 95 %."""
    count = np.bincount(members)
    model, plain_ = np.bincount(members, size), np.bincount(members, without)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(count), size=(DRAWS, len(count)))
    windows = count[drawn].sum(1)
    mae, base = model[drawn].sum(1) / windows, plain_[drawn].sum(1) / windows
    low, high = np.percentile(mae, [2.5, 97.5])
    less, more = np.percentile(base - mae, [2.5, 97.5])
    return (float(low), float(high)), (float(less), float(more))


def notes(found: Errors, mae_float: float, step: float, unit: str) -> tuple[str, ...]:
    """One line for each thing that a mean error hides. `step`: of the output, in the unit of the numbers."""
    return tuple(_notes(found, mae_float, step, f" {plain(unit, 12)}" if unit else ""))


def _notes(found: Errors, mae_float: float, step: float, unit: str) -> Iterator[str]:
    o = found.overall
    always = f"always saying {number(o.median)}{unit}, the median of the training windows, gives {number(o.baseline)}{unit}"
    if o.mae >= o.baseline:
        yield f"a mean error of {number(o.mae)}{unit} is no better than a constant: {always}"
    elif o.better[0] <= 0:
        yield f"it is not shown to be better than a constant: {always}; by {o.over} the gain may be none"
    worst = found.worst_group
    if worst is not None and worst.mae >= o.baseline > o.mae:
        yield f"{plain(worst.name, 40)} has a mean error of {number(worst.mae)}{unit}: {always}"
    if abs(mae_float - o.mae) > APART * max(mae_float, o.mae):
        yield (
            f"int8 has a mean error of {number(o.mae)}{unit} and float {number(mae_float)}{unit}: they are not the same model; "
            "[train] qat = true with more epochs brings them together"
        )
    if step > COARSE * o.mae:
        yield f"a step of the output is {number(step)}{unit}, and the mean error is {number(o.mae)}{unit}"
