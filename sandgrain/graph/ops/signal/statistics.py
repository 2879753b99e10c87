"""Statistics of each channel of a signal: int16 [1, n, channels] to int16 [1, channels * statistics], channel by channel.

The columns have units of their own (`column_scales`), so the output has no quantization; `standardize` brings them to int8.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Shape, need, need_inputs
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.signal.base import SignalOp, need_signal
from sandgrain.graph.ops.signal.correlation import MAX_CHANNELS, PAIRED, UNIT, correlations, drawn, pairs_of
from sandgrain.graph.ops.signal.moments import MAX_SAMPLES, STATISTICS, check_names, statistics, units
from sandgrain.graph.quantization import per_tensor


def attributes(which: Sequence[str]) -> Attrs:
    """Attributes for statistics of these names, in this order; `moments.STATISTICS` has them all. Raises UnsupportedError."""
    check_names(which)
    return attrs(which=tuple(which))


def signal_scale(view: View) -> float:
    """Real value of one unit of the input; 1 where it has no scale."""
    quant = view.input(0).quant
    return 1.0 if quant is None else quant.scale[0]


def need_columns(view: View) -> None:
    """int16 output without quantization from a signal that is short enough."""
    need(view.out.dtype == "int16", f"{view.out.dtype} output where int16 is needed; standardize the columns afterwards")
    need(view.out.quant is None, "the columns have units of their own, so their tensor has no quantization")
    samples, quant = view.input(0).shape[1], view.input(0).quant
    need(samples <= MAX_SAMPLES, f"statistics of {samples} samples; windows of at most {MAX_SAMPLES} are supported")
    need(quant is None or (quant.per_tensor and quant.zero_point == (0,)), "the signal needs one scale and the zero point 0")


def need_pairs(view: View) -> None:
    """Not too many channels, where their correlations are asked for."""
    channels, pairs = view.input(0).shape[2], bool(view.attrs.get("correlation"))
    need(not pairs or 2 <= channels <= MAX_CHANNELS, f"correlations of {channels} channels; 2 to {MAX_CHANNELS} are supported")


def with_correlations(view: View, x: Array, columns: Sequence[Sequence[int]]) -> Array:
    """The output: the columns of each channel, one channel's after another's, and the correlations where they are asked for."""
    pairs = correlations(x[0]) if view.attrs.get("correlation") else []
    return np.array([*(v for column in columns for v in column), *pairs], np.int16).reshape(view.out.shape)


class Statistics(SignalOp):
    name = "statistics"
    summary = "mean, spread, extremes, skewness, kurtosis and crossings of each channel"
    attributes = kinds(which=[str])
    optional = PAIRED

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        channels = need_signal(inputs[0]).shape[2]
        return ((1, channels * len(attrs["which"]) + pairs_of(channels, attrs)),)

    def check(self, view: View) -> None:
        check_names(view.attrs["which"])
        need_columns(view)
        need_pairs(view)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        columns = [statistics(x[0, :, c], view.attrs["which"]) for c in range(x.shape[2])]
        return (with_correlations(view, x, columns),)

    def fixed_scale(self, view: View) -> float:
        return 1.0

    def column_scales(self, view: View) -> Sequence[float]:
        channels = view.input(0).shape[2]
        return [*units(view.attrs["which"], signal_scale(view)) * channels, *[UNIT] * pairs_of(channels, view.attrs)]

    def sample(self, draw: Draw) -> Graph:
        names = list(STATISTICS)
        chosen = tuple(names.pop(draw.integer(0, len(names) - 1)) for _ in range(draw.integer(1, len(names))))
        x, peak = (1, draw.choice((1, 2, 3, 4, 16, 17, 119)), draw.choice((1, 2, 3, 6))), draw.choice((None, 2.0**-13))
        signal = Tensor("x", x, "int16", None if peak is None else per_tensor(peak, 0))
        a = attrs(which=chosen, **drawn(draw, x[2]))
        return one_op(self.name, (signal,), (Tensor("y", self.shapes((signal,), a)[0], "int16"),), a)
