"""Figures of a classifier from its outputs, in numpy."""

from __future__ import annotations

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.train import scores


def accuracy(outputs: Array, labels: Array) -> float:
    """The share of rows whose largest output is the label's."""
    return float(np.mean(outputs.argmax(1) == labels))


def confusion(outputs: Array, labels: Array) -> Array:
    """int64 [classes, classes]: how often a true label (row) was called another (column)."""
    found = np.zeros((outputs.shape[1], outputs.shape[1]), np.int64)
    np.add.at(found, (labels, outputs.argmax(1)), 1)
    return found


def macro_f1(counts: Array) -> float:
    """The mean over classes of 2 precision recall / (precision + recall); a class that never occurs counts 0."""
    right = np.diag(counts).astype(float)
    total = counts.sum(0) + counts.sum(1)
    return float(np.mean(np.divide(2 * right, total, out=np.zeros_like(right), where=total > 0)))


def roc_auc(probabilities: Array, labels: Array) -> float | None:
    """The mean over classes of the area under the ROC curve, each class against all others; None where no class has both sides."""
    found = []
    for k in range(probabilities.shape[1]):
        own = labels == k
        if own.any() and not own.all():
            found.append(scores.auc(probabilities[~own, k], probabilities[own, k]))
    return float(np.mean(found)) if found else None


def probabilities(outputs: Array, *, already: bool) -> Array:
    """float64 [n, classes] that add up to 1. `already`: the outputs are probabilities, up to their rounding; else logits."""
    x = outputs.astype(np.float64)
    x = np.maximum(x, 1e-6) if already else np.exp(x - x.max(1, keepdims=True))
    found: Array = x / x.sum(1, keepdims=True)
    return found


def losses(chances: Array, labels: Array) -> Array:
    """Cross-entropy of each row, float64 [n]."""
    found: Array = -np.log(np.maximum(chances[np.arange(len(labels)), labels], 1e-12))
    return found


def calibration(chances: Array, labels: Array, bins: int = 10) -> float:
    """How far the probability of what is said is from the share that is right, on average over the rows: 0 to 1, 0 is perfect.

    The expected calibration error over bins of equal width (Guo et al., "On Calibration of Modern Neural Networks", 2017).
    `chances`: float64 [n, classes] that add up to 1.
    """
    sure, right = chances.max(1), chances.argmax(1) == labels
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = np.bincount(place, sure, bins) - np.bincount(place, right, bins)  # a bin's sums: its size drops out
    return float(np.abs(gaps).sum() / max(len(labels), 1))


def poisson_bound(count: int, confidence: float = 0.95) -> float:
    """The expected count that a Poisson count of at most `count` would be this unlikely for: 3.0 where nothing was counted.

    One-sided and exact (Garwood 1936): the mean with P(at most `count`) = 1 - confidence.
    """
    from scipy.stats import chi2

    return float(chi2.ppf(confidence, 2 * (count + 1)) / 2)
