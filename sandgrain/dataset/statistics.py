"""A few numbers of each window, in numpy: enough to see whether labels can be told apart, and no features of a board."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sandgrain.base.arrays import Array

CHANNELS = 16  # of a sensor that are looked at
BANDS, SEGMENTS = 12, 6  # of sound: bands an octave apart or less, in so many pieces of the window
MOTION_BANDS = 6
SIDE = 8  # of the small picture


def of_motion(x: Array) -> Array:
    """float64 [n, d] of int16 [n, samples, channels]: level, spread, extremes, speed, crossings, power in bands of each channel."""
    values = x[:, :, :CHANNELS].astype(np.float64)
    mean = values.mean(1, keepdims=True)
    steady = values - mean
    found = [mean[:, 0], _log(steady.std(1)), values.min(1), values.max(1)]
    if values.shape[1] > 1:
        found.append(_log(np.abs(np.diff(values, axis=1)).mean(1)))
        found.append((np.diff(np.signbit(steady), axis=1) != 0).mean(1))
    if values.shape[1] >= 4 * MOTION_BANDS:
        power = np.abs(np.fft.rfft(steady, axis=1)[:, 1:]) ** 2
        edges = np.unique(np.geomspace(1, power.shape[1] + 1, MOTION_BANDS + 1).round().astype(int))
        found += [_log(power[:, a - 1 : b - 1].sum(1)) for a, b in pairwise(edges)]
    return np.concatenate(found, 1)


def of_sound(x: Array) -> Array:
    """float64 [n, d] of int16 [n, samples, 1]: the power in bands, in pieces of the window."""
    size = max(x.shape[1] // SEGMENTS, 1)
    parts = x[:, : size * (x.shape[1] // size), 0].reshape(len(x), -1, size).astype(np.float64)
    power = np.abs(np.fft.rfft(parts * np.hanning(size), axis=2)) ** 2
    edges = np.unique(np.geomspace(1, power.shape[2], BANDS + 1).round().astype(int))
    bands = [_log(power[:, :, a:b].sum(2)) for a, b in pairwise(edges)] or [_log(power.sum(2))]
    return np.concatenate(bands, 1)


def of_picture(x: Array) -> Array:
    """float64 [n, d] of uint8 [n, height, width, channels]: a small picture, and the level and spread of each channel."""
    values = x.astype(np.float64)
    rows = [part.mean(1) for part in np.array_split(values.mean(3), min(SIDE, x.shape[1]), 1)]
    small = [part.mean(2) for part in np.array_split(np.stack(rows, 1), min(SIDE, x.shape[2]), 2)]
    return np.concatenate([*small, values.mean((1, 2)), values.std((1, 2))], 1)


def _log(power: Array) -> Array:
    found: Array = np.log(power + 1.0)
    return found
