"""Any sampled sensor: int16 [samples, channels]."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset import fingerprint, pictures, statistics
from sandgrain.dataset.kinds.base import Kind

STILL = 33  # largest less smallest value of every channel, 0.1 % of full scale
FAST = 400  # Hz: from here on it is vibration


class Motion(Kind):
    """See the head of this file."""

    name: ClassVar[str] = "motion"
    expected: ClassVar[str] = "a table or recording of samples"
    near: ClassVar[float] = 0.9996
    silent_rule: ClassVar[str] = "every channel within 0.1 % of full scale"
    channels_alike: ClassVar[bool] = True
    guesses_rate: ClassVar[bool] = True
    # A fifth for watching cost 20 points on 51 runs of a fan, 1.3 on 133 recordings of exercises, and nothing was gained on 617 falls.
    watched_from: ClassVar[int] = 1000
    variation: ClassVar[tuple[str, str, str]] = (
        "scaling",
        "factor = [0.9, 1.1]",
        "stronger or weaker; rotation, jitter and speed are others",
    )

    def outline(self, samples: Array, rate: float) -> Array:
        """See `Kind.outline`."""
        return fingerprint.of_channels(samples)

    def statistics(self, windows: Array) -> Array:
        """See `Kind.statistics`."""
        return statistics.of_motion(windows)

    def is_silent(self, samples: Array, rate: float) -> bool:
        """Whether every channel hardly moves."""
        low, high = samples.min(axis=0).astype(np.int64), samples.max(axis=0).astype(np.int64)
        return bool((high - low < STILL).all())

    def draw(self, samples: Array, rate: float) -> str:
        """Each channel as a line."""
        return pictures.curves(samples)

    def first_block(self, rate: float, shape: tuple[int, ...], whole: bool) -> list[str]:
        """The samples themselves where a window is a gesture, whose order matters; numbers about it where it is a piece of a state that
        lasts: they train in a minute on little data. On exercises and yoga they were 1 to 15 points better than other features of the
        block, on a fan at new speeds 10 points worse than bands, peaks and shape: `sandgrain build --auto` compares."""
        lines = ["[[features]]"]
        if whole and rate < FAST:
            return [*lines, 'block = "raw"  # the samples themselves; "statistics" and "vibration" need less of the model']
        lines.append('block = "vibration"')
        if rate >= FAST:
            return lines
        return [
            *lines,
            "peaks = 0",
            'which = ["mean", "std", "min", "max"]  # beside the bands: how it lies, how far it swings; sandgrain build --auto compares',
        ]

    def first_model(self, rate: float, shape: tuple[int, ...], whole: bool) -> str:
        """See `Kind.first_model`."""
        return "cnn1d" if whole and rate < FAST else "mlp"

    def rate_lines(self, rate: float, resample: bool, guess: float) -> list[str]:
        """See `Kind.rate_lines`."""
        lines = [f"rate = {rate:g}  # Hz" if rate else f"rate = {guess:g}  # Hz; a guess, for the files do not say: set it right"]
        return [*lines, "resample = true  # times are not even: rows are put on a grid of this rate"] if resample else lines


KIND = Motion()
