"""What the signal ops share: their shapes, and the last step from a fixed-point value to the output's integers.

Signals are int16 [1, samples, channels] (audio has one channel), images uint8 [1, height, width, channels]. An op that
computes a feature does so in int32 fixed point with a scale of its own, and then writes either that value (int16 output,
whose scale is the op's) or the model's input (int8 output, any scale and zero point): `finish`. An int8 output may be
normalized on the way: attributes `mean` (fixed-point integer) and `std` (real) make it (value - mean) / std.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Tensor, View
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Op, need, need_dtype, need_quantized
from sandgrain.graph.ops.elementwise.rescale import need_multiplier
from sandgrain.graph.quantization import per_tensor, quantize_multiplier, requantize

FINISH = kinds(mean=int, std=float)  # the normalization of an op that finishes
INT16_MIN, INT16_MAX = -(2**15), 2**15 - 1


class SignalOp(Op):
    """An op that no model file holds.

    `finishes`: it can write the model's int8 input itself, by `finish`.
    """

    reads_caller: ClassVar[bool] = True  # a second of audio is larger than the rest of the arena
    instead = "export the model without its features"
    finishes: ClassVar[bool] = False

    @abstractmethod
    def fixed_scale(self, view: View) -> float:
        """Real value of one unit of the op's own fixed point (a power of two wherever it can be)."""

    def column_scales(self, view: View) -> Sequence[float] | None:
        """The same for each index of the last axis, where they differ; None where they do not."""
        return None


def need_signal(tensor: Tensor | None) -> Tensor:
    """`tensor` when it is int16 [1, samples, channels]. Raises ModelError or UnsupportedError."""
    if tensor is None or len(tensor.shape) != 3 or tensor.shape[0] != 1:
        raise ModelError("needs a signal of shape [1, samples, channels]")
    need_dtype(tensor, "int16")
    return tensor


def need_scale(op: SignalOp, view: View) -> None:
    """The int16 output of an op from samples to samples has the op's scale where the input has one, and both the zero point 0."""
    x, out = view.input(0), view.out
    need(out.dtype == "int16", f"{out.dtype} output where int16 is needed; standardize the signal afterwards")
    same = (x.quant is None) == (out.quant is None)
    if out.quant is not None and x.quant is not None:
        same = x.quant.per_tensor and x.quant.zero_point == (0,) and out.quant == per_tensor(op.fixed_scale(view), 0)
    need(same, "the output needs the scale that follows from its input's, and both the zero point 0")


def check_finish(op: SignalOp, view: View) -> None:
    """The rules of `finish`: int16 output with the op's own scale and zero point 0, or int8 with one scale."""
    out = view.out
    if out.dtype == "int16":
        exact = out.quant is not None and out.quant.per_tensor and out.zero_point == 0 and out.scale == op.fixed_scale(view)
        need(exact, f"an int16 output must have the scale {op.fixed_scale(view)} and zero point 0")
    else:
        need_quantized(out)
        mean, std = view.attrs.get("mean", 0), view.attrs.get("std", 1.0)
        need(0.0 < std < float("inf"), f"a standard deviation of {std}")
        need(abs(mean) < 1 << 30, f"a mean of {mean} in fixed point exceeds 30 bits")
        need_multiplier(_ratio(op, view))


def _ratio(op: SignalOp, view: View) -> float:
    return float(op.fixed_scale(view) / view.attrs.get("std", 1.0) / view.out.scale)


def finish_fields(op: SignalOp, view: View) -> dict[str, int]:
    """The struct members that `sg_finish.h` needs: mean, multiplier, shift, out_zero_point. All 0 for an int16 output."""
    if view.out.dtype == "int16":
        return {"mean": 0, "multiplier": 0, "shift": 0, "out_zero_point": 0}
    multiplier, shift = quantize_multiplier(_ratio(op, view))
    mean = int(view.attrs.get("mean", 0))
    return {"mean": mean, "multiplier": multiplier, "shift": shift, "out_zero_point": view.out.zero_point}


def finish(op: SignalOp, view: View, fixed: Array) -> Array:
    """int32 fixed-point values (|value| < 2^30) to the output's dtype: saturated, by the house's rounding rule.

    The shape becomes that of `view.out`. The C is `kernels/signal/sg_finish.h`.
    """
    if view.out.dtype == "int16":
        return view.out.dtype.saturated(fixed).reshape(view.out.shape)
    fields = finish_fields(op, view)
    centred = np.asarray(fixed, np.int64) - fields["mean"]
    whole = requantize(centred, fields["multiplier"], fields["shift"]).astype(np.int64) + fields["out_zero_point"]
    return view.out.dtype.saturated(whole).reshape(view.out.shape)
