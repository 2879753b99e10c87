"""ROC and precision-recall curves of a classifier, each label against all others, with the point where it works."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.train import scores

POINTS = 64  # of a curve that are kept


@dataclass(frozen=True, slots=True)
class Curves:
    """One label, by the probability that the int8 network gives it. Shares are of 0 to 1.

    `roc`: (share of other windows that are taken for it, share of its windows that are found). `precision_recall`: (share that is
    found, share of what is called so that is right). `at`: (false positives, recall, precision) where the largest output decides;
    the precision is None where it never is.
    """

    label: str
    auc: float
    average_precision: float  # the area under the second curve, in steps
    roc: tuple[tuple[float, float], ...]
    precision_recall: tuple[tuple[float, float], ...]
    at: tuple[float, float, float | None]

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {
            "auc": self.auc,
            "average_precision": self.average_precision,
            "roc": [list(point) for point in self.roc],
            "precision_recall": [list(point) for point in self.precision_recall],
            "at": {"false_positives": self.at[0], "recall": self.at[1], "precision": self.at[2]},
        }


def of_labels(chances: Array, truth: Array, names: Sequence[str]) -> tuple[Curves, ...]:
    """Of each label that some windows have and others have not. `chances`: float64 [n, labels]; `truth`: int64 [n]."""
    said = chances.argmax(1)
    found = []
    for k, name in enumerate(names):
        own = truth == k
        if own.any() and not own.all():
            found.append(_of(chances[:, k], own, said == k, name))
    return tuple(found)


def _of(chance: Array, own: Array, said: Array, name: str) -> Curves:
    fpr, tpr = scores.roc(chance[~own], chance[own])
    hits, wrong = tpr * own.sum(), fpr * (~own).sum()
    called = hits + wrong
    precision = np.divide(hits, called, out=np.ones_like(hits), where=called > 0)
    area = float(np.sum(np.diff(tpr) * precision[1:]))  # the step of each threshold counts its own precision
    right = float((said & own).sum())
    at = (float((said & ~own).sum() / (~own).sum()), right / float(own.sum()), right / float(said.sum()) if said.any() else None)
    return Curves(name, scores.auc(chance[~own], chance[own]), area, _thinned(fpr, tpr), _thinned(tpr[1:], precision[1:]), at)


def _thinned(x: Array, y: Array) -> tuple[tuple[float, float], ...]:
    """At most POINTS of a curve: evenly spaced along it, its two ends among them."""
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    wanted = np.linspace(0, length[-1], POINTS)
    kept = np.unique(np.concatenate([[0, len(x) - 1], np.searchsorted(length, wanted).clip(0, len(x) - 1)]))
    return tuple((float(x[k]), float(y[k])) for k in kept)
