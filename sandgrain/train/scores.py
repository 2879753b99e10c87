"""How well anomaly scores tell faulty from normal, and the threshold that normal data alone give. Larger scores are stranger."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError


@dataclass(frozen=True, slots=True)
class Rates:
    """At one threshold: the share of normal samples above it, and the share of faulty ones that are (0 to 1)."""

    false_alarms: float
    found: float


def auc(normal: npt.ArrayLike, faulty: npt.ArrayLike) -> float:
    """Area under the ROC curve: how often a faulty sample scores above a normal one, ties as halves (Mann and Whitney, 1947).

    Raises UsageError where one of the two has no sample or a score is not a number.
    """
    low, high = _scores(normal, "normal"), _scores(faulty, "faulty")
    below, up_to = np.searchsorted(low, high, "left"), np.searchsorted(low, high, "right")
    return float((below + up_to).sum() / (2 * len(low) * len(high)))


def pauc(normal: npt.ArrayLike, faulty: npt.ArrayLike, max_fpr: float = 0.1) -> float:
    """Area under the ROC curve up to a false positive rate, scaled so that guessing gives 0.5 and the best possible 1.

    The scaling is D. K. McClish's ("Analyzing a portion of the ROC curve", 1989), which the DCASE challenges use.
    """
    if not 0 < max_fpr <= 1:
        raise UsageError(f"a false positive rate of {max_fpr:g}; choose above 0, up to 1")
    fpr, tpr = roc(normal, faulty)
    stop = int(np.searchsorted(fpr, max_fpr, "right"))
    last = float(np.interp(max_fpr, fpr[stop - 1 : stop + 1], tpr[stop - 1 : stop + 1]))
    x, y = np.append(fpr[:stop], max_fpr), np.append(tpr[:stop], last)
    area = float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))
    least = max_fpr**2 / 2
    return 0.5 * (1 + (area - least) / (max_fpr - least))


def roc(normal: npt.ArrayLike, faulty: npt.ArrayLike) -> tuple[Array, Array]:
    """(false positive rates, true positive rates), float64 from (0, 0) to (1, 1), one point a distinct score."""
    low, high = _scores(normal, "normal"), _scores(faulty, "faulty")
    levels = np.unique(np.concatenate([low, high]))[::-1]
    fpr = 1 - np.searchsorted(low, levels, "left") / len(low)
    tpr = 1 - np.searchsorted(high, levels, "left") / len(high)
    return np.append(0.0, fpr), np.append(0.0, tpr)


def threshold(normal: npt.ArrayLike, false_alarms: float = 0.01) -> int:
    """The least whole number that at most a share `false_alarms` of these scores exceeds; an alarm is a score above it.

    `normal`: integer scores of normal samples that the model was not fitted to. With fewer than 1 / `false_alarms` of them
    it is their largest score. Raises UsageError for a share outside [0, 1) and for no scores.
    """
    if not 0 <= false_alarms < 1:
        raise UsageError(f"a share of {false_alarms:g} false alarms; choose from 0 to below 1")
    scores = _scores(normal, "normal")
    above = int(false_alarms * len(scores) + 1e-9)  # so many may lie above; 0.01 * 300 is a little less than 3
    return int(np.ceil(scores[len(scores) - 1 - above]))


def rates(normal: npt.ArrayLike, faulty: npt.ArrayLike, limit: float) -> Rates:
    """The share of either kind above `limit`."""
    return Rates(float((_scores(normal, "normal") > limit).mean()), float((_scores(faulty, "faulty") > limit).mean()))


def _scores(values: npt.ArrayLike, what: str) -> Array:
    """float64, sorted."""
    scores = np.sort(np.asarray(values, np.float64).reshape(-1))
    if not len(scores) or np.isnan(scores).any():
        raise UsageError(f"no score of a {what} sample, or one that is not a number; give at least one")
    return scores
