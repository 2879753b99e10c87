"""Cross-validation: the project trained and judged several times, each recording tested once by a network that did not see it.

The folds say how good the recipe is (mean, spread, worst). The firmware is then trained with the same settings on everything, so
that no figure of its own says how good it is: those of the folds do.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress
from sandgrain.base.tables import Table
from sandgrain.base.text import number, plain, tenths
from sandgrain.dataset import split, split_in_blocks
from sandgrain.dataset.records import Record
from sandgrain.dataset.windows import Run as Joined
from sandgrain.project import inspection
from sandgrain.project.build import figures
from sandgrain.project.build.samples import Samples, parts_of
from sandgrain.project.build.stages import Run
from sandgrain.project.build.store import Store
from sandgrain.project.inspection import Inspection

if TYPE_CHECKING:
    from sandgrain.project.tasks.base import Task

GROUP = "group"  # what can be left out
SHOWN = 12  # folds that the text has a row for


@dataclass(frozen=True, slots=True, eq=False)
class InFold:
    """How good a fitted model is on the test windows of a fold. `measures`: name -> value, the first one leads. `errors`: those of which less
    is better. `shares`: they are shares, which people read in percent, and no numbers in a unit of the user's.

    `chances`, float64 [n, labels], and `truth`, int64 [n]: of a classifier, else None. `own`: what the task judges the whole by.
    """

    measures: Mapping[str, float]
    chances: Array | None = None
    truth: Array | None = None
    own: Any = None
    errors: frozenset[str] = frozenset()
    shares: bool = True


@dataclass(frozen=True, slots=True)
class Fold:
    """One of them. `windows`: that were tested."""

    name: str
    windows: int
    measures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Folds:
    """All of them. `pooled`: of a classifier, over every window once. `errors`, `shares`: see `InFold`."""

    how: str
    folds: tuple[Fold, ...]
    pooled: figures.Figures | None
    errors: frozenset[str] = frozenset()
    shares: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """Of the measures."""
        return tuple(self.folds[0].measures)

    def values(self, name: str) -> list[float]:
        """A measure of each fold."""
        return [fold.measures[name] for fold in self.folds]

    def spread(self, name: str) -> float:
        """The standard deviation over the folds."""
        return statistics.stdev(self.values(name)) if len(self.folds) > 1 else 0.0

    def worst(self, name: str) -> float:
        """A measure of the fold where it is worst."""
        return max(self.values(name)) if name in self.errors else min(self.values(name))

    def shown(self, value: float) -> str:
        """A measure, for people."""
        return tenths(value) if self.shares else number(value)

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        measures = {
            name: {
                "mean": statistics.fmean(self.values(name)),
                "spread": self.spread(name),
                "worst": self.worst(name),
            }
            for name in self.names
        }
        folds = [{"name": f.name, "windows": f.windows, **f.measures} for f in self.folds]
        return {"how": self.how, "measures": measures, "folds": folds, "pooled": self.pooled.to_json() if self.pooled else None}

    def tables(self) -> list[Table]:
        """For people."""
        rows = [
            [
                name,
                self.shown(statistics.fmean(self.values(name))),
                f"{100 * self.spread(name):.1f}" if self.shares else number(self.spread(name)),
                self.shown(self.worst(name)),
            ]
            for name in self.names
        ]
        first = self.names[0]
        sign = -1 if first in self.errors else 1
        worst = sorted(self.folds, key=lambda f: (sign * f.measures[first], f.name))[:SHOWN]
        head = "fold" if len(worst) == len(self.folds) else f"{len(worst)} worst of {len(self.folds)}"
        each = [[plain(f.name, 30), f"{f.windows:,}", *(self.shown(f.measures[name]) for name in self.names)] for f in worst]
        return [
            Table([self.how, "mean", "spread", "worst"], rows, (1, 2, 3)),
            Table([head, "windows", *self.names], each, range(1, 2 + len(self.names))),
        ]


@dataclass(frozen=True, slots=True, eq=False)
class Tested:
    """A fold: its data, and what was found."""

    samples: Samples
    result: InFold


@dataclass(frozen=True, slots=True, eq=False)
class Crossed:
    """Cross-validation that was run, for the firmware that is trained after it. `trained_on`: what it is trained on, for people."""

    folds: Folds
    tested: tuple[Tested, ...]
    trained_on: str = ""

    @property
    def splits(self) -> list[Inspection]:
        """The data of each fold."""
        return [fold.samples.found for fold in self.tested]

    @property
    def items(self) -> tuple[Record | Joined, ...]:
        """What the tested windows were cut from, fold by fold; what several folds have tested (a detector's anomalies), once."""
        found = {tuple(r.key for r in parts_of(item)): item for fold in self.tested for item in fold.samples.items("test")}
        return tuple(found.values())


# --- the folds -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cut:
    """How the recordings are cut. `count`: folds, or 0 where each group is left out in turn."""

    count: int

    @property
    def how(self) -> str:
        """For people."""
        return f"{self.count} folds" if self.count else "each group left out"


def run(run: Run, task: Task[Any], cut: Cut) -> Crossed:
    """Train and judge each fold. What was made is kept: an interrupted run goes on.

    Raises UsageError where the recordings or the task allow no folds.
    """
    assigned = list(assignments(run.found, cut, run.seed))
    store = Store(run.store.folder.parent / "folds", keep=4 * len(assigned), made=run.store.made)
    made: list[Fold] = []
    tested: list[Tested] = []
    owners: list[str] = []
    of_files = True
    for k, (name, sides) in enumerate(assigned):
        found = task.data(replace(run.found, sides=sides))[0]
        samples = Samples(found, store, run.seed)
        told = replace(run, samples=samples, progress=_within(run.progress, k, len(assigned)))
        result = task.in_fold(told, task.fit(told))
        keys = samples.keys("test")
        own, of_files = figures.owners({r.key: r.group for r in found.records}, keys)
        owners += own
        tested.append(Tested(samples, result))
        made.append(Fold(name, len(keys), result.measures))
    results = [fold.result for fold in tested]
    pooled = _pooled(run, results, owners, of_files)
    return Crossed(Folds(cut.how, tuple(made), pooled, results[0].errors, results[0].shares), tuple(tested))


def on_everything(run: Run, task: Task[Any], crossed: Crossed) -> Run:
    """The run that trains the firmware: on every recording but a share that watches the training.

    Its test windows are those of all folds, one behind the other: what is proven byte for byte, and no test of how good it is.
    """
    data, records = run.project.data, _together(run.found)
    draw = split.Draw(validation=data.split.validation, seed=run.seed)
    sides = split.watched(records, draw, grouped=_grouped(run.found), weights=_weights(run.found))
    found = task.data(replace(run.found, sides=sides))[0]
    samples = Samples(found, run.store, run.seed, crossed.items)
    train, watched = samples.count("train"), samples.count("validation")
    beside = f" ({watched:,} more watch the training)" if watched else ""
    told = (
        f"trained on {train:,} windows of all recordings{beside}; how good it is, the {crossed.folds.how} say: "
        f"each window was tested by a network that had not seen it"
    )
    return replace(run, samples=samples, crossed=replace(crossed, trained_on=told))


def _pooled(run: Run, answers: list[InFold], owners: list[str], of_files: bool) -> figures.Figures | None:
    chances = [a.chances for a in answers if a.chances is not None]
    truth = [a.truth for a in answers if a.truth is not None]
    if not chances:
        return None
    labels = run.found.labels
    return figures.of_answers(np.concatenate(chances), np.concatenate(truth), labels, owners, of_files=of_files, seed=run.seed)


def _within(progress: Progress, k: int, count: int) -> Progress:
    """What a fold says of itself."""
    return lambda text, done, total: progress(f"fold {k + 1} of {count}: {text}", done, total)


def assignments(found: Inspection, cut: Cut, seed: int) -> Iterator[tuple[str, Mapping[str, str]]]:
    """(name of a fold, recording -> side). Raises UsageError."""
    data = found.loaded.project.data
    if data.split.by == "time" or any(r.part is not None for r in found.records):
        raise UsageError('folds of recordings that are split by time would train on what comes later; use by = "file" or "group"')
    together = _together(found)
    validation = data.split.validation / (1 - data.split.test)
    if not cut.count:
        own = {r.key: r.group for r in found.records}
        together = [replace(r, group=own[r.key]) for r in together]
        yield from split.leave_one_group_out(together, validation=validation, seed=seed)
        return
    draw = split.Draw(validation=validation, seed=seed)
    yield from split.folds(together, cut.count, draw, grouped=_grouped(found), weights=_weights(found))


def _together(found: Inspection) -> list[Record]:
    """The records, copies and near-copies under the hash of the first of them."""
    head = {r.key: found.all_records[h].sha256 for r, h in zip(found.all_records, found.judgement.family.tolist(), strict=True)}
    together = [replace(r, sha256=head[r.key]) for r in found.records]
    return split_in_blocks.grouped(together) if found.loaded.project.data.split.by == "block" else together


def _grouped(found: Inspection) -> bool:
    """Whether groups, or blocks, stay whole."""
    by = found.loaded.project.data.split.by
    return by == "block" or (all(r.group for r in found.records) and by != "file")


def _weights(found: Inspection) -> dict[str, int]:
    """Windows of each recording."""
    return {
        key: max(n, 1) for key, n in inspection.windows(found.records, found.loaded.project.data, found.loaded.blocks).items()
    }
