"""A first look at labels before anything is trained: can a linear rule on a few simple numbers tell them apart, and would more data help?

In numpy, on a sample of the windows, in a second or two. Groups that are tested are not learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import SandgrainError, UsageError
from sandgrain.base.text import plain, tenths
from sandgrain.dataset import kinds, split
from sandgrain.dataset.names import split_key
from sandgrain.frontend.blocks.settle import Settle
from sandgrain.frontend.pipeline import Pipeline
from sandgrain.graph import interpret
from sandgrain.project import features
from sandgrain.project.inspection import Inspection
from sandgrain.project.sample import Sample, sampled

WINDOWS = 1200  # that are looked at, about
FOLDS = 5
SHRUNK = 0.1  # share of the covariance that is put on its diagonal
PARTS = (0.25, 0.5, 1.0)  # of what is learned from, for the learning curve
PAIRS = 3  # that are mixed up most
RISES, GAP, GOOD = 0.02, 0.1, 0.9  # what the learning curve says: see `_advice`


@dataclass(frozen=True, slots=True)
class Pair:
    """Windows of one label that are taken for another."""

    label: str
    said: str
    share: float  # of the windows of `label`


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen. Shares are means of the labels' recalls, so that every label counts alike."""

    windows: int  # that were looked at
    total: int
    folds: int
    whole: str  # what stayed on one side: groups, files or recordings
    told_apart: float  # on what was not learned from
    learned: float  # on what was
    chance: float  # of guessing
    curve: tuple[tuple[float, float], ...]  # (share of the `whole` that was learned from, `told_apart` then)
    pairs: tuple[Pair, ...]
    advice: str

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {**asdict(self), "curve": [list(point) for point in self.curve]}

    def lines(self) -> list[str]:
        """For people."""
        of = f"{self.windows:,} of {self.total:,} windows" if self.windows < self.total else f"{self.total:,} windows"
        by = f"{self.folds} folds, {self.whole} kept whole" if self.folds > 1 else "the sides of the split"
        told = f"a linear rule on simple statistics tells the labels apart in {tenths(self.told_apart)}"
        found = [f"{told} (guessing: {tenths(self.chance)}); {of}, {by}"]
        if self.pairs:
            pairs = (f"{plain(p.label, 20)} as {plain(p.said, 20)} {tenths(p.share)}" for p in self.pairs)
            found.append(f"mixed up: {'; '.join(pairs)}")
        return [*found, self.advice]


def look(found: Inspection) -> Look | None:
    """A look at the labels; None where there is one label, one recording, or windows of no common shape."""
    try:
        sample = sampled(found, found.records, WINDOWS)
        if sample is None or len(np.unique(sample.y)) < 2:
            return None
        folds, whole = _folds(found, sample)
    except SandgrainError:  # `sandgrain data` says what is wrong with the data in its own words
        return None
    if not folds:
        return None
    x = _cleaned(kinds.of(found.kind).statistics(_measured(found, sample.x)))
    units = _units(found, sample, whole)
    counts, learned, curve = _tested(x, sample.y, units, folds, len(sample.labels))
    told, chance = _balanced(counts), 1 / max(int((counts.sum(1) > 0).sum()), 1)
    return Look(
        windows=len(x),
        total=sample.total,
        folds=len(folds),
        whole=whole,
        told_apart=told,
        learned=learned,
        chance=chance,
        curve=curve,
        pairs=_pairs(counts, sample.labels),
        advice=_advice(told, learned, curve, whole),
    )


def _measured(found: Inspection, x: Array) -> Array:
    """Windows, each against its lead where the project says so."""
    if not any(isinstance(block, Settle) for block in found.loaded.blocks):
        return x
    made = features.pipeline_of(found)
    alone = Pipeline(made.signal, made.blocks[:1]).raw
    assert alone is not None
    return np.concatenate([interpret.run(alone, [window[np.newaxis]])[0] for window in x])


# --- what is learned from, and what is tested ------------------------------------------------------------------------------


def _folds(found: Inspection, sample: Sample) -> tuple[list[Array], str]:
    """(of each fold: which windows are tested, bool [n]; what stays whole).

    Parts of recordings that were cut by time are never mixed: what the split does not train with is tested.
    """
    records = found.records
    if any(r.part is not None for r in records):
        tested = np.array([found.sides[r.key] != "train" for r in records])[sample.records]
        return ([tested] if tested.any() and not tested.all() else []), "parts in time"
    grouped = all(r.group for r in records)
    there = [records[k] for k in np.unique(sample.records)]
    for count in range(FOLDS, 1, -1):
        try:
            cuts = list(split.folds(there, count, split.Draw(validation=0), grouped=grouped))
        except UsageError:
            continue
        sides = [np.array([cut.get(r.key) == "test" for r in records])[sample.records] for _, cut in cuts]
        return [s for s in sides if s.any() and not s.all()], "groups" if grouped else "recordings"
    return [], ""


def _units(found: Inspection, sample: Sample, whole: str) -> Array:
    """The number of the group, or else of the file, that each window is of: int64 [n]."""
    names = [r.group if whole == "groups" else split_key(r.key)[0] if r.part is not None else r.key for r in found.records]
    known = {name: k for k, name in enumerate(dict.fromkeys(names))}
    found_units: Array = np.array([known[name] for name in names], np.int64)[sample.records]
    return found_units


def _tested(
    x: Array, y: Array, units: Array, folds: Sequence[Array], labels: int
) -> tuple[Array, float, tuple[tuple[float, float], ...]]:
    """(confusion matrix of all folds, balanced accuracy on what was learned from, the learning curve)."""
    counts = {part: np.zeros((labels, labels), np.int64) for part in PARTS}
    own = np.zeros((labels, labels), np.int64)
    for tested in folds:
        train = np.flatnonzero(~tested)
        for part in PARTS:
            some = train[_first(units[train], y[train], part)]
            rule = _rule(x[some], y[some], labels)
            np.add.at(counts[part], (y[tested], _said(rule, x[tested])), 1)
        np.add.at(own, (y[train], _said(rule, x[train])), 1)
    return counts[1.0], _balanced(own), tuple((part, _balanced(c)) for part, c in counts.items())


def _first(units: Array, y: Array, part: float) -> Array:
    """Which windows are of the first share `part` of the units, and, where that leaves a label out, some of that label: bool [n]."""
    names = np.random.default_rng(0).permutation(np.unique(units))
    kept: Array = np.isin(units, names[: max(round(part * len(names)), 1)])
    for label in np.setdiff1d(y, y[kept]):
        own = np.flatnonzero(y == label)
        kept[own[: max(round(part * len(own)), 2)]] = True
    return kept


# --- the rule ----------------------------------------------------------------------------------------------------------------


def _cleaned(x: Array) -> Array:
    """Columns that vary, finite, of mean 0 and deviation 1."""
    x = np.nan_to_num(x)
    spread = x.std(0)
    x, spread = x[:, spread > 1e-9], spread[spread > 1e-9]
    found: Array = (x - x.mean(0)) / spread if x.shape[1] else np.zeros((len(x), 1))
    return found


def _rule(x: Array, y: Array, labels: int) -> tuple[Array, Array]:
    """(weights [d, labels], offsets [labels]): Fisher's linear discriminant with equal priors and a covariance that is shrunk."""
    means, there = np.zeros((labels, x.shape[1])), np.bincount(y, minlength=labels) > 0
    for label in np.flatnonzero(there):
        means[label] = x[y == label].mean(0)
    inner = x - means[y]
    covariance = inner.T @ inner / len(x)
    covariance = (1 - SHRUNK) * covariance + (SHRUNK * np.trace(covariance) / len(covariance) + 1e-6) * np.eye(len(covariance))
    weights = np.linalg.solve(covariance, means.T)
    offsets = np.where(there, -0.5 * (means * weights.T).sum(1), -np.inf)
    return weights, offsets


def _said(rule: tuple[Array, Array], x: Array) -> Array:
    found: Array = (x @ rule[0] + rule[1]).argmax(1)
    return found


def _balanced(counts: Array) -> float:
    """The mean recall of the labels that occur."""
    there = counts.sum(1) > 0
    return float((np.diag(counts)[there] / counts.sum(1)[there]).mean()) if there.any() else 0.0


# --- what it says --------------------------------------------------------------------------------------------------------------


def _pairs(counts: Array, names: Sequence[str]) -> tuple[Pair, ...]:
    """Those that are mixed up most, by the share of the label's windows."""
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    order = np.argsort(-shares, axis=None, kind="stable")[:PAIRS]
    found = (Pair(names[k // len(names)], names[k % len(names)], float(shares.flat[k])) for k in order.tolist())
    return tuple(p for p in found if p.share > 0)


def _advice(told: float, learned: float, curve: Sequence[tuple[float, float]], whole: str) -> str:
    """More data, or a larger model? By what the last doubling of the data gave, and by how much worse what is new is told."""
    half = dict(curve)[0.5]
    rise = f"{tenths(half)} with half of the {whole}, {tenths(told)} with all"
    if told >= GOOD:
        return f"simple features and a small model will do ({rise})"
    if told - half > RISES:
        return f"more {whole} would help: {rise}, and it still rises"
    if learned - told > GAP:
        return (
            f"what is new is told worse than what was learned ({tenths(told)}, {tenths(learned)}): more kinds of {whole}, or "
            "features that differ less between them, would help"
        )
    return f"more of the same would not help ({rise}): a larger model or other features would"
