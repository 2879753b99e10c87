"""What the weighted ops share (conv_2d, depthwise_conv_2d, fully_connected): checks, multipliers, integer sums."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.graph.dtypes import WEIGHT, WEIGHTS
from sandgrain.graph.ir import Array, Tensor, View
from sandgrain.graph.ops.base import Draw, i8, need, need_dtype, need_quantized
from sandgrain.graph.ops.samples import draw_point
from sandgrain.graph.quantization import (
    INT32_MAX,
    Int32,
    Quantization,
    activation_range,
    per_tensor,
    quantize_multiplier,
    requantize,
)


def check_weights(view: View, channel_axis: int) -> None:
    """Input and output int8 per tensor; weights constant int8, symmetric, per tensor or along `channel_axis`; int32 bias.

    Also proves that no accumulator can overflow: |bias| + sum of |w| * max|x - zero_point| stays below 2^31.
    """
    weights = view.input(1)
    need_quantized(view.input(0), view.out)
    need_dtype(weights, *WEIGHTS)
    need(weights.data is not None, "weights are computed at run time; make them a constant")
    quant = weights.quant
    if quant is None:
        raise UnsupportedError(f"weights without a scale; quantize the model to {WEIGHT} (full integer)")
    need(not any(quant.zero_point), "weights with a zero point other than 0; quantize weights symmetrically")
    channels = weights.shape[channel_axis]
    if not quant.per_tensor and (quant.axis != channel_axis or len(quant.scale) != channels):
        raise ModelError(f"{len(quant.scale)} weight scales along axis {quant.axis}, {channels} channels along {channel_axis}")
    bias = view.optional(2)
    if bias is not None:
        need_dtype(bias, "int32")
        need(bias.data is not None, "the bias is computed at run time; make it a constant")
        if bias.size != channels:
            raise ModelError(f"{bias.size} biases for {channels} output channels")
    need(
        int(reach_of(view, channel_axis).max(initial=0)) <= INT32_MAX,
        "an accumulator can exceed 32 bits; the bias or the layer is too large",
    )


def reach_of(view: View, channel_axis: int) -> npt.NDArray[np.int64]:
    """int64 [channels]: no accumulator is further from 0, and nor is any of its parts: |bias| + sum of |w| * max|x - zero_point|."""
    weights = view.const(1).astype(np.int64)
    axes = tuple(a for a in range(weights.ndim) if a != channel_axis % weights.ndim)
    found: npt.NDArray[np.int64] = np.abs(weights).sum(axis=axes) * view.input(0).dtype.span
    return found + np.abs(bias_of(view, len(found)).astype(np.int64))


def bias_of(view: View, channels: int) -> Int32:
    """The int32 bias, zeros when there is none."""
    bias = view.optional(2)
    return np.zeros(channels, np.int32) if bias is None else view.const(2).reshape(-1).astype(np.int32)


def channel_multipliers(view: View, channels: int) -> tuple[Int32, Array]:
    """Per output channel (multiplier, shift) of input_scale * weight_scale / output_scale, in double precision."""
    weight_scales = np.asarray(view.input(1).quant.scale, np.float64)  # type: ignore[union-attr]
    real = view.input(0).scale * weight_scales / view.out.scale
    pairs = [quantize_multiplier(float(r)) for r in np.broadcast_to(real, (channels,))]
    return np.array([m for m, _ in pairs], np.int32), i8([s for _, s in pairs])


def finish(view: View, acc: npt.NDArray[np.int64], multiplier: Int32, shift: Array) -> Array:
    """Accumulators [..., channels] to the output's type: requantize, add the zero point, clamp to the fused activation."""
    low, high = clamp_of(view)
    return np.clip(requantize(acc, multiplier, shift) + view.out.zero_point, low, high).astype(view.out.dtype.numpy)


def clamp_of(view: View) -> tuple[int, int]:
    """The node's output clamp: its fused activation's range, narrowed by `clamp` when a pass has fused one."""
    quant = view.out.quant
    assert quant is not None
    low, high = activation_range(view.attrs["activation"], quant, view.out.dtype)
    fused = view.attrs.get("clamp")
    return (low, high) if fused is None else (max(low, fused[0]), min(high, fused[1]))


def exact_matmul(a: Array, b: Array) -> npt.NDArray[np.int64]:
    """Integer a @ b through float64 BLAS: exact while every sum stays below 2^53, which 32-bit accumulators do."""
    return np.rint(a.astype(np.float64) @ b.astype(np.float64)).astype(np.int64)


def draw_weights(
    draw: Draw, shape: tuple[int, ...], channel_axis: int, input_quant: Quantization
) -> tuple[Tensor, Tensor, Quantization]:
    """(weights, bias, a fitting output quantization): per tensor or per channel, symmetric."""
    channels = shape[channel_axis]
    per_channel = draw.choice((True, False))
    scales = tuple(float(np.float32(draw.real(0.001, 0.05))) for _ in range(channels if per_channel and channels > 1 else 1))
    axis = channel_axis % len(shape) if len(scales) > 1 else None
    weights = Tensor(
        "weights", shape, WEIGHT, Quantization(scales, (0,) * len(scales), axis), draw.array(shape, -WEIGHT.reach, WEIGHT.reach)
    )
    terms = weights.size // max(channels, 1)
    # The bias scale must be the product of the others (TensorFlow Lite requires it); float32 as in a file.
    bias_scales = tuple(float(np.float32(np.float32(input_quant.scale[0]) * np.float32(s))) for s in scales)
    bias_quant = Quantization(bias_scales, (0,) * len(scales), 0 if len(scales) > 1 else None)
    bias = Tensor("bias", (channels,), "int32", bias_quant, draw.array((channels,), -20000, 20000, "int32"))
    spread = max(scales) * input_quant.scale[0] * 100 * 60 * max(terms, 1) ** 0.5
    out = per_tensor(draw.real(0.2, 4.0) * spread / 100, draw_point(draw))
    return weights, bias, out
