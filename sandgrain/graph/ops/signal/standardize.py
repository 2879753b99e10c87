"""Raw windows or feature columns to the model's input: int16 [..., C] to int8, each of C columns with a mean and a factor.

q = clamp(zero_point + requantize(256 x - offset, multiplier, shift)): the mean has 8 bits below the column's unit, since a
count of 3.4 +- 1.2 would suffer from a mean of 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sandgrain.base.errors import ModelError, UsageError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Shape, need, need_dtype, need_inputs, need_quantized
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_quant, one_op
from sandgrain.graph.ops.signal.base import SignalOp
from sandgrain.graph.quantization import Quantization, quantize_multiplier, requantize

FRACTION = 8  # bits of the offset below the column's unit
MAX_OFFSET = 1 << 24  # |256 x - offset| < 2^25, which leaves room for a left shift by MAX_SHIFT
MAX_SHIFT = 5


def attributes(mean: npt.ArrayLike, std: npt.ArrayLike, in_scale: npt.ArrayLike, out_quant: Quantization) -> Attrs:
    """Attributes that make column c (x * in_scale[c] - mean[c]) / std[c], as `out_quant` quantizes it.

    `mean`, `std` and `in_scale` (real value of one unit) are as long as the last axis, or one value for all of it. A
    mean that no int16 column has is taken as the nearest that is near enough. Raises UsageError for a deviation or scale that
    is not positive.
    """
    columns = np.broadcast_arrays(*(np.atleast_1d(np.asarray(v, np.float64)) for v in (mean, std, in_scale)))
    offset, multiplier, shift = [], [], []
    for m, s, unit in zip(*(c.tolist() for c in columns), strict=True):
        if not (math.isfinite(m) and 0 < s < math.inf and 0 < unit < math.inf):
            raise UsageError(f"mean {m:g}, deviation {s:g} and unit {unit:g} standardize nothing; give finite, positive ones")
        ratio = min(unit / s / out_quant.scale[0] / 2**FRACTION, 2.0 ** (MAX_SHIFT - 1))  # beyond, one unit saturates anyway
        pair = quantize_multiplier(ratio)
        offset.append(int(np.clip(round(m / unit * 2**FRACTION), -MAX_OFFSET, MAX_OFFSET)))
        multiplier.append(pair[0])
        shift.append(pair[1])
    return attrs(offset=tuple(offset), multiplier=tuple(multiplier), shift=tuple(shift))


class Standardize(SignalOp):
    name = "standardize"
    summary = "minus the mean, divided by the deviation, per column, to int8"
    attributes = kinds(multiplier=[int], offset=[int], shift=[int])

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        x = inputs[0]
        assert x is not None
        counts = {len(attrs[name]) for name in ("offset", "multiplier", "shift")}
        if len(counts) != 1 or not x.shape or not counts <= {1, x.shape[-1]}:
            raise ModelError(f"standardizes {max(counts)} columns of a tensor of shape {list(x.shape)}")
        return (x.shape,)

    def check(self, view: View) -> None:
        need_dtype(view.input(0), "int16")
        need_quantized(view.out)
        a = view.attrs
        need(all(abs(v) <= MAX_OFFSET for v in a["offset"]), f"an offset beyond {MAX_OFFSET}, which no int16 column needs")
        need(all(0 <= v < 2**31 for v in a["multiplier"]), "a multiplier that is negative or beyond 31 bits")
        need(all(-31 <= v <= MAX_SHIFT for v in a["shift"]), f"a shift outside -31 to {MAX_SHIFT}")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x, a = inputs[0], view.attrs
        assert x is not None
        centred = (x.astype(np.int64) << FRACTION) - np.array(a["offset"], np.int64)
        level = requantize(centred, np.array(a["multiplier"]), np.array(a["shift"])).astype(np.int64) + view.out.zero_point
        return (view.out.dtype.saturated(level),)

    def macs(self, view: View) -> int:
        return view.out.size

    def fixed_scale(self, view: View) -> float:
        return view.out.scale

    def sample(self, draw: Draw) -> Graph:
        shape = tuple(draw.choice(SIZES[:9]) for _ in range(draw.integer(1, 4)))
        columns = draw.choice((1, shape[-1]))
        quant = draw_quant(draw)
        if draw.choice((True, False)):
            mean = [draw.real(-40000, 40000) for _ in range(columns)]
            std = [10 ** draw.real(-3, 5) for _ in range(columns)]
            a = attributes(mean, std, 1.0, quant)
        else:
            a = attrs(
                offset=tuple(draw.integer(-MAX_OFFSET, MAX_OFFSET) for _ in range(columns)),
                multiplier=tuple(draw.integer(0, 2**31 - 1) for _ in range(columns)),
                shift=tuple(draw.integer(-31, MAX_SHIFT) for _ in range(columns)),
            )
        return one_op(self.name, (Tensor("x", shape, "int16"),), (activation_tensor("y", shape, quant),), a)
