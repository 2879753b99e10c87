"""How long to train, and in what steps, by the number of windows: what is taken where a project does not say.

A step per window teaches nothing to compare and a step per hundred leaves a small set with two steps per pass: 72 windows of spoken
words in batches of 64 reached 58 %, in batches of 8 96 %. So a pass has some forty steps where the windows allow it.
"""

from __future__ import annotations

import math

STEPS = 40  # of a pass, about
LEAST_BATCH, MOST_BATCH = 8, 64
EPOCHS, MOST_EPOCHS = 60, 300
LEAST_STEPS = 1500  # of a training, where MOST_EPOCHS allow it
PATIENCE_STEPS = 300  # that training goes on, at least, without a better validation loss


def batch_of(windows: int) -> int:
    """Windows per step, a power of two: LEAST_BATCH to MOST_BATCH."""
    wanted = 2 ** round(math.log2(max(windows, 1) / STEPS)) if windows > STEPS else 1
    return int(min(max(wanted, LEAST_BATCH), MOST_BATCH))


def epochs_of(windows: int, batch: int) -> int:
    """Passes over the data at most: EPOCHS, or as many as LEAST_STEPS take, up to MOST_EPOCHS."""
    return min(max(math.ceil(LEAST_STEPS / steps_of(windows, batch)), EPOCHS), MOST_EPOCHS)


def steps_of(windows: int, batch: int) -> int:
    """Of a pass."""
    return max(math.ceil(windows / batch), 1)
