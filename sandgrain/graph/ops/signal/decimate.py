"""Every M-th sample of a signal after an anti-alias filter: symmetric FIR taps in Q15, exact sums, one rounding.

Output k is the filter's value when sample k M + M - 1 has come: round(sum of tap j * x[k M + M - 1 - j] / 2^15). Samples
before the first are 0, so the first (taps - 1) / M outputs fade in, and the signal is (taps - 1) / 2 samples late.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.base.errors import ModelError, UsageError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Shape, Step, need, need_inputs
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.signal.base import INT16_MAX, INT16_MIN, SignalOp, need_signal
from sandgrain.graph.ops.signal.filters import lowpass_taps, need_unit_of_input
from sandgrain.graph.quantization import per_tensor

MAX_FACTOR = 64
MAX_TAPS = 2047
MAX_SUM = 65535  # of |taps|: times 2^15 and with the half of the rounding, a sum stays below 2^31
Q15 = 15


def attributes(factor: int, per_phase: int = 20, attenuation: float = 60.0) -> Attrs:
    """Attributes that keep every `factor`-th sample, with `factor` * `per_phase` + 1 taps and `attenuation` dB of what
    would fold back. More taps leave more of the new band: see `filters.lowpass_taps`. Raises UsageError."""
    if not 2 <= factor <= MAX_FACTOR:
        raise UsageError(f"decimation by {factor} is not offered; choose 2 to {MAX_FACTOR}")
    taps = lowpass_taps(factor, per_phase, attenuation)
    if len(taps) > MAX_TAPS:
        raise UsageError(
            f"{len(taps)} taps are too many, {MAX_TAPS} at most; ask for fewer a kept sample or decimate in two steps"
        )
    return attrs(factor=factor, half=taps[: len(taps) // 2 + 1])


def all_taps(half: Sequence[int]) -> tuple[int, ...]:
    """All 2 n - 1 taps from the first n, the middle one last."""
    return (*half, *half[-2::-1])


def history_of(view: View) -> int:
    """Samples of a channel before the newest that an output reads."""
    return 2 * (len(view.attrs["half"]) - 1)


class Decimate(SignalOp):
    name = "decimate"
    summary = "every M-th sample after an anti-alias filter"
    attributes = kinds(factor=int, half=[int])

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        x = need_signal(inputs[0])
        factor = attrs["factor"]
        if not 1 <= factor <= x.shape[1]:
            raise ModelError(f"decimation by {factor} leaves nothing of {x.shape[1]} samples")
        return ((1, x.shape[1] // factor, x.shape[2]),)

    def check(self, view: View) -> None:
        need_unit_of_input(view)
        half = view.attrs["half"]
        need(1 <= view.attrs["factor"] <= MAX_FACTOR, f"decimation by {view.attrs['factor']}; 1 to {MAX_FACTOR} are supported")
        need(1 <= len(half) <= (MAX_TAPS + 1) // 2, f"{2 * len(half) - 1} filter taps; 1 to {MAX_TAPS} are supported")
        need(all(INT16_MIN <= t <= INT16_MAX for t in half), "a filter tap outside 16 bits; make them with decimate.attributes")
        total = sum(abs(t) for t in all_taps(half))
        need(total <= MAX_SUM, f"filter taps whose magnitudes sum to {total} can overflow; scale them to {MAX_SUM} at most")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        taps, factor = np.array(all_taps(view.attrs["half"]), np.int64), view.attrs["factor"]
        late = np.concatenate([np.zeros((len(taps) - 1, x.shape[2]), np.int64), x[0].astype(np.int64)])
        windows = np.lib.stride_tricks.sliding_window_view(late, len(taps), axis=0)[factor - 1 :: factor]
        total = (windows @ taps + (1 << (Q15 - 1))) >> Q15
        return (view.out.dtype.saturated(total).reshape(view.out.shape),)

    def macs(self, view: View) -> int:
        return (history_of(view) + 1) * view.out.size

    def fixed_scale(self, view: View) -> float:
        quant = view.input(0).quant
        return 1.0 if quant is None else quant.scale[0]

    def state_bytes(self, view: View) -> int:
        """Bytes that live from one chunk of a stream to the next; zero at its start."""
        # int16: how many samples came since the last output, and a delay line; padded to whole words.
        return -(-(2 + 2 * history_of(view) * view.input(0).shape[2]) // 4) * 4

    def step(self, view: View) -> Step:
        """`count` samples of every channel, any number; over all chunks as many come out as one call with all samples writes, and the
        same. `out` must not overlap `in`."""
        return Step("samples", self.state_bytes(view), int(view.attrs["factor"]))

    def sample(self, draw: Draw) -> Graph:
        factor = draw.choice((2, 3, 4, 5))
        if draw.choice((True, False)):
            a = attributes(factor, draw.choice((8, 12, 20)), draw.choice((40.0, 60.0)))
        else:  # any taps that cannot overflow: even a sum of magnitudes at the limit
            count = draw.choice((1, 2, 3, 9))
            extreme = (INT16_MAX, *(0 for _ in range(count - 1)))
            drawn = tuple(int(v) for v in draw.array((count,), -32767 // count, 32767 // count, "int16"))
            a = attrs(factor=draw.choice((1, factor)), half=draw.choice((extreme, drawn)))
        quant = draw.choice((None, per_tensor(2.0**-15, 0)))
        x = Tensor("x", (1, draw.choice((5, 7, 16, 60, 121)), draw.choice((1, 2, 3, 6))), "int16", quant)
        return one_op(self.name, (x,), (Tensor("y", self.shapes((x,), a)[0], "int16", quant),), a)
