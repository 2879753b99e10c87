"""Each sample measured against others of its channel: those at a recording's start, or those just before it.

The first `lead` samples give no output. From then on y = (x - mean) 1024 / deviation, rounded to nearest and saturated to int16: full
scale is REACH deviations. Mean and deviation (of the whole: divided by n) are those of the first `lead` samples or, if it `follows`, of
the `lead` samples before this one; both come from exact sums. A deviation below one count is taken as one count, so a channel that
stood still stays finite. Without `scaled`, y = x - mean in the signal's own unit, the mean rounded to nearest. The C is
`kernels/signal/sg_settle.h`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Shape, Step, need, need_inputs
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.signal.base import SignalOp, need_scale, need_signal
from sandgrain.graph.ops.signal.moments import MAX_SAMPLES
from sandgrain.graph.ops.signal.roots import bit_length, isqrt64
from sandgrain.graph.quantization import per_tensor

REACH = 32  # deviations that int16 holds
UNIT_BITS = 10  # 2^15 / REACH: of one deviation
MULTIPLIER_BITS = 30  # a multiplier has one more: 2^30 to 2^31

Int64 = npt.NDArray[np.int64]


class Settle(SignalOp):
    name = "settle"
    summary = "each sample less a mean, over a deviation: of a recording's first samples, or of those before it"
    attributes = kinds(lead=int, follows=bool, scaled=bool)

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        _, samples, channels = need_signal(inputs[0]).shape
        if not 1 <= attrs["lead"] < samples:
            raise ModelError(f"a lead of {attrs['lead']} samples leaves nothing of {samples}")
        return ((1, samples - attrs["lead"], channels),)

    def check(self, view: View) -> None:
        lead = view.attrs["lead"]
        need(lead <= MAX_SAMPLES, f"a lead of {lead} samples; {MAX_SAMPLES} at most are supported")
        need_scale(self, view)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x, a = inputs[0], view.attrs
        assert x is not None
        signal, n = x[0].astype(np.int64), a["lead"]
        now = signal[n:]
        sums, squares = (_before(v, n) if a["follows"] else v[:n].sum(axis=0, keepdims=True) for v in (signal, signal * signal))
        y = _measured(now * n - sums, n * squares - sums * sums, n) if a["scaled"] else now - ((sums + (n >> 1)) // n)
        return (view.out.dtype.saturated(y).reshape(view.out.shape),)

    def macs(self, view: View) -> int:
        return view.out.size

    def fixed_scale(self, view: View) -> float:
        """The input's: full scale stays 1, which is REACH deviations where it is scaled."""
        quant = view.input(0).quant
        return 1.0 if quant is None else quant.scale[0]

    def state_bytes(self, view: View) -> int:
        """Bytes that live from one chunk of a stream to the next; zero at its start."""
        # A count and, if it follows, a place; three words a channel; the samples before, int16, padded to whole words.
        channels, lead, follows = view.out.shape[2], view.attrs["lead"], view.attrs["follows"]
        return 4 * (1 + 3 * channels) + (4 + -(-2 * lead * channels // 4) * 4 if follows else 0)

    def step(self, view: View) -> Step:
        """`count` samples of every channel, any number; over all chunks as many come out as one call with all samples writes, and the
        same. `out` may be `in`."""
        return Step("samples", self.state_bytes(view), lead=int(view.attrs["lead"]), follows=bool(view.attrs["follows"]))

    def sample(self, draw: Draw) -> Graph:
        lead = draw.choice((1, 2, 3, 16, 50))
        shape = (1, lead + draw.choice((1, 2, 7, 33)), draw.choice((1, 2, 3, 6)))
        quant = draw.choice((None, per_tensor(2.0**-15, 0)))
        options = attrs(lead=lead, follows=draw.choice((False, True)), scaled=draw.choice((True, True, False)))
        x = Tensor("x", shape, "int16", quant)
        return one_op(self.name, (x,), (Tensor("y", self.shapes((x,), options)[0], "int16", quant),), options)


def _before(v: Int64, n: int) -> Int64:
    """The sum of the `n` values before each of v[n:], along the first axis."""
    total = np.concatenate([np.zeros_like(v[:1]), np.cumsum(v, axis=0)])
    before: Int64 = total[n:-1] - total[: -n - 1]
    return before


def _measured(apart: Int64, spread: Int64, n: int) -> Int64:
    """`apart`: n times the distance from the mean, `spread`: n^2 times the variance. Not saturated."""
    root = np.maximum(isqrt64(spread).astype(np.int64), n)  # n times the deviation
    length = bit_length(root.astype(np.uint64))
    multiplier = (np.int64(1) << (MULTIPLIER_BITS + length)) // root
    shift = MULTIPLIER_BITS - UNIT_BITS + length
    made: Int64 = (apart * multiplier + (np.int64(1) << (shift - 1))) >> shift
    return made
