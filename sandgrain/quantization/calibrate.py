"""Calibration: what range each activation takes on real inputs, and how much of it the 256 levels should cover.

The methods: `minmax` keeps everything seen; `average` smooths the extremes of batches (Jacob et al. 2017, section 3.1);
`percentile` leaves out a share of the values; `mse` takes the range with the least mean squared error of quantization;
`kl` the one whose quantized histogram diverges least from the original (Migacz, "8-bit Inference with TensorRT", 2017).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from sandgrain.base.errors import UsageError, printable
from sandgrain.graph import reals
from sandgrain.graph.ir import Array, Graph

Method = Literal["minmax", "average", "percentile", "mse", "kl"]
METHODS: tuple[Method, ...] = get_args(Method)
BINS = 2048  # of a histogram between the least and the greatest value
LEVELS = 256
PERCENT = 99.99  # of the values that `percentile` keeps on each side
MOMENTUM = 0.9  # of the moving average, a batch
AVERAGE_BATCH = 8  # samples of which `average` takes the extremes
MAX_CLIPPED = 0.001  # share of the values that `kl` may leave out: a divergence does not see how far off they end
SHRINKS = np.linspace(0.05, 1.0, 39)  # shares of each end that `mse` and `kl` try

Weights = npt.NDArray[np.float64]


class Range(NamedTuple):
    """Real values from `low` <= 0 to `high` >= 0: zero is always representable."""

    low: float
    high: float


Ranges = dict[int, Range]


@dataclass(frozen=True, slots=True)
class Calibration:
    """How ranges are found: `method` (of METHODS), `percent` for percentile, `momentum` for average."""

    method: str = "minmax"
    percent: float = PERCENT
    momentum: float = MOMENTUM

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UsageError(f"--method {printable(str(self.method))!r} is not a way to calibrate; choose {', '.join(METHODS)}")
        if not 50 < self.percent <= 100:
            raise UsageError(f"a percentile of {self.percent:g}; choose more than 50, at most 100")
        if not 0 <= self.momentum < 1:
            raise UsageError(f"a momentum of {self.momentum:g}; choose 0 to below 1")


def span(low: float, high: float) -> Range:
    """The range widened to hold zero."""
    return Range(min(float(low), 0.0), max(float(high), 0.0))


def hull(ranges: Sequence[Range]) -> Range:
    """The range that holds all of them."""
    return Range(min(r.low for r in ranges), max(r.high for r in ranges))


def calibrate(graph: Graph, inputs: Sequence[Array], how: Calibration | None = None) -> Ranges:
    """The range of every float activation of `graph`, by tensor index.

    `inputs`: float32 [n, *shape] for each graph input. Raises UsageError when there is no sample or a value is not finite.
    """
    how = how or Calibration()
    if not inputs or not len(inputs[0]):
        raise UsageError("no calibration sample; give at least 1, better 100")
    if how.method == "average":
        return _averages(graph, inputs, how.momentum)
    extremes = _extremes(graph, inputs)
    if how.method == "minmax":
        return extremes
    counts = _histograms(graph, inputs, extremes)
    choose: dict[str, Callable[[Weights, Range], Range]] = {
        "percentile": lambda count, r: percentile_range(count, r, how.percent),
        "mse": mse_range,
        "kl": kl_range,
    }
    return {index: choose[how.method](count, extremes[index]) for index, count in counts.items()}


# --- what is seen ----------------------------------------------------------------------------------------------------


def activations(graph: Graph) -> list[int]:
    """The float tensors that are given or computed, in order."""
    made = [*graph.inputs, *(t for node in graph.nodes for t in node.outputs)]
    return [t for t in made if graph.tensors[t].dtype == "float32"]


def _seen(graph: Graph, inputs: Sequence[Array], batch: int = reals.BATCH) -> Iterator[tuple[int, Array]]:
    """(tensor, values) batch after batch. Raises UsageError for a value that is not finite."""
    wanted = activations(graph)
    for values in reals.batches(graph, inputs, batch):
        for index in wanted:
            if not np.isfinite(values[index]).all():
                name = printable(graph.tensors[index].name)
                raise UsageError(f"{name} is not finite on the calibration samples; check the samples and the model")
            yield index, values[index]


def _extremes(graph: Graph, inputs: Sequence[Array]) -> Ranges:
    found: Ranges = {}
    for index, values in _seen(graph, inputs):
        found[index] = hull([found.get(index, Range(0.0, 0.0)), span(values.min(), values.max())])
    return found


def _averages(graph: Graph, inputs: Sequence[Array], momentum: float) -> Ranges:
    found: Ranges = {}
    for index, values in _seen(graph, inputs, AVERAGE_BATCH):
        now = span(values.min(), values.max())
        last = found.get(index, now)
        found[index] = Range(*(momentum * a + (1 - momentum) * b for a, b in zip(last, now, strict=True)))
    return found


def _histograms(graph: Graph, inputs: Sequence[Array], extremes: Ranges) -> dict[int, Weights]:
    """Counts of each tensor's values between its extremes, without the zeros: they are exact at any scale, and half of all
    values after a relu.
    """
    counts: dict[int, Weights] = {}
    for index, values in _seen(graph, inputs):
        low, high = extremes[index]
        if high > low:
            counts[index] = counts.get(index, np.zeros(BINS)) + np.histogram(values[values != 0], BINS, (low, high))[0]
        else:
            counts[index] = np.zeros(BINS)
    return counts


# --- ranges from a histogram -----------------------------------------------------------------------------------------


def percentile_range(counts: Weights, seen: Range, percent: float = PERCENT) -> Range:
    """`percent` of the values lie below the upper end, and as many above the lower."""
    total = counts.sum()
    if not total:
        return seen
    edges = np.linspace(seen.low, seen.high, BINS + 1)
    share = np.concatenate([[0.0], np.cumsum(counts)]) / total
    low, high = np.interp([1 - percent / 100, percent / 100], share, edges)
    return span(low, high)


def mse_range(counts: Weights, seen: Range) -> Range:
    """The range with the least mean squared error, each end searched with the other held, twice."""
    return _search(counts, seen, _squared_error)


def kl_range(counts: Weights, seen: Range) -> Range:
    """The range with the least Kullback-Leibler divergence of the histogram from its quantized self."""
    return _search(counts, seen, _divergence)


def _search(counts: Weights, seen: Range, loss: Callable[[Weights, Weights, Range], float]) -> Range:
    if not counts.sum():
        return seen
    width = (seen.high - seen.low) / BINS
    centres: Weights = seen.low + (np.arange(BINS, dtype=np.float64) + 0.5) * width
    best = seen
    for _ in range(2):
        best = min((Range(best.low, float(seen.high * s)) for s in SHRINKS), key=lambda r: loss(counts, centres, r))
        best = min((Range(float(seen.low * s), best.high) for s in SHRINKS), key=lambda r: loss(counts, centres, r))
    return best


def _squared_error(counts: Weights, centres: Weights, r: Range) -> float:
    step = (r.high - r.low) / (LEVELS - 1)
    if step <= 0:
        return float((counts * centres**2).sum())
    clipped = np.clip(centres, r.low, r.high)
    # Inside the range a value is off by step^2 / 12 on average; the centres alone would alias with the levels.
    inside = counts[(centres >= r.low) & (centres <= r.high)].sum()
    return float((counts * (centres - clipped) ** 2).sum() + inside * step**2 / 12)


def _divergence(counts: Weights, centres: Weights, r: Range) -> float:
    """KL(P || Q): P the histogram with what lies outside moved to its ends, Q the same bins after quantization.

    Few samples scatter over the bins of one level, which alone gives (bins - levels) / 2n (half of chi squared's mean): that
    is taken off, or ranges would shrink until each level is one bin.
    """
    kept = (centres >= r.low) & (centres <= r.high)
    if kept.sum() < LEVELS or counts[~kept].sum() > MAX_CLIPPED * counts.sum():
        return np.inf
    first, last = int(np.argmax(kept)), len(kept) - int(np.argmax(kept[::-1]))
    inside = counts[first:last]
    p = inside.copy()
    p[0] += counts[:first].sum()
    p[-1] += counts[last:].sum()
    level = np.arange(len(inside)) * LEVELS // len(inside)
    filled = inside > 0
    mass = np.bincount(level, inside, LEVELS)
    bins = np.bincount(level, filled, LEVELS)
    q = np.where(filled, (mass / np.maximum(bins, 1))[level], 0.0)
    chance = (filled.sum() - (bins > 0).sum()) / (2 * counts.sum())
    p, q = p / p.sum(), q / max(q.sum(), 1e-12)
    used = p > 0
    return float((p[used] * np.log(p[used] / np.maximum(q[used], 1e-12))).sum() - chance)
