"""Whether the rows of a table are samples of their own, such as features that somebody made before, or moments of a signal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.project.file.column import Column

# What features are called, and what the axes of sensors are called.
MADE = re.compile(
    r"mfccs?|mean|avg|median|std|stdev|var|variance|rms|min|max|range|iqr|skew(ness)?|kurt(osis)?|entropy|energy|zcr|centroid|rolloff|"
    r"bandwidth|flux|coeff?s?|feat(ure)?s?|area|perimeter|length|width|height|ratio|count|pca?|band|peak|quantile|percentile",
    re.IGNORECASE,
)
WORDS = (
    "x y z ax ay az gx gy gz mx my mz acc accel accelerometer gyr gyro gyroscope mag magnetometer temp temperature ch channel adc raw "
    "sensor current voltage"
)
SENSED = frozenset(WORDS.split())
HALF = 0.5
APART = 0.85  # of the step between rows that are drawn: from here on neighbours are as far apart as any two rows of a label
LEAST = 30  # rows
COLUMNS = 3  # of rows that do not follow each other, at least


def rows_are_samples(channels: Sequence[Column], label: Column) -> str:
    """Why each row is taken for a sample of its own, or "". The channels are those of a table with labels and without a time."""
    if len(channels) < 2:
        return ""
    named = [c.name for c in channels if any(MADE.fullmatch(w) for w in c.words)]
    sensed = [c.name for c in channels if SENSED & {*c.words, c.name.strip().lower()}]
    if len(named) > HALF * len(channels) and len(named) > len(sensed):
        return f"for its columns are called as features are ({named[0]})"
    if sensed or len(channels) < COLUMNS or len(channels[0].cells) < LEAST:
        return ""
    runs = np.concatenate([[0], np.cumsum([a != b for a, b in pairwise(label.cells)])])
    shares = [share for c in channels if c.share == 1 and (share := _apart(c.flat, runs)) is not None]
    if len(shares) >= COLUMNS and float(np.median(shares)) > APART:
        return "for a row is as far from the next one as from any other"
    return ""


def _apart(values: Array, runs: Array) -> float | None:
    """The mean step from row to row of a label, of that between rows that are drawn; None where nothing changes."""
    means = np.bincount(runs, values) / np.bincount(runs)
    distance, same = float(np.abs(values - means[runs]).mean()), np.diff(runs) == 0
    if not distance > 0 or not same.any():
        return None
    return float(np.abs(np.diff(values))[same].mean()) / distance / float(np.sqrt(2))
