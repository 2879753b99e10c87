"""What a bundle said over the time of a recording, thin enough to be drawn, beside what is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset.tracks import Stretch

POINTS = 1200  # of a recording, at most


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Of one recording. `times`: float64 [n] seconds. `values`: float64 [n], the largest score near each, or numbers of labels.

    `truth`: stretches that are marked. `limit`: a value above it is an alarm; None where values are numbers of labels. `decided`:
    (seconds, label) of each decision.
    """

    name: str
    seconds: float
    times: Array
    values: Array
    truth: tuple[Stretch, ...]
    limit: float | None = None
    decided: tuple[tuple[float, str], ...] = ()
    names: tuple[str, ...] = ()  # of the numbers
    true: Array | None = None  # float64 [n]: where values are what a model is to give, what is true; NaN where nobody says it

    @classmethod
    def thinned(
        cls, name: str, seconds: float, times: Array, values: Array, truth: Sequence[Stretch], limit: float | None = None
    ) -> Trace:
        """At most POINTS of them: of scores the largest of each stretch of time, so that no peak is lost, of labels the first."""
        if len(times) > POINTS:
            edges = np.linspace(0, len(times), POINTS + 1).astype(int)[:-1]
            times, values = times[edges], values[edges] if limit is None else np.maximum.reduceat(values, edges)
        return cls(name, seconds, times, values, tuple(truth), limit)
