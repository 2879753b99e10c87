"""Layer normalization over the last axis (Ba et al. 2016): y = (x - mean) / sqrt(variance + eps) * gamma + beta.

Inputs: x [..., depth]; gamma and beta [depth]. In integers, with x's own levels q (its zero point cancels):

    s = sum q        v = depth * sum q^2 - s^2 + eps'        d = depth * q - s        n = d / sqrt(v)
    y = n * gamma + beta

eps' = eps * depth^2 / scale^2. v has 10 fraction bits, which eps' is rounded to; it is at least their unit. 1 / sqrt(v) comes
from three Newton steps on its leading 31 bits, at most 2^-23 off (tested). n is int16 with `fraction_bits`, as many as sqrt(depth - 1), its greatest value,
leaves; gamma is int16, beta int32 of unit n's times gamma's; the sum is rescaled to the output by the house rule. An output is
thus at most 0.6 steps from that of the real function of the same input (tested). TensorFlow Lite has no such operator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Op, Shape, i32, need, need_dtype, need_inputs, need_quantized
from sandgrain.graph.ops.elementwise.rescale import need_multiplier
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_point, draw_quant, one_op
from sandgrain.graph.quantization import (
    INT32_MAX,
    Int32,
    Int64,
    Quantization,
    high_mul,
    per_tensor,
    quantize_multiplier,
    requantize,
)

MAX_DEPTH = 4096  # d < 2^20, v < 2^39
EPS_BITS = 10  # fraction bits of v: it may be as small as depth - 1
MAX_EPS = 1 << 50
MAX_BETA = 1 << 30  # beside a product of two 16-bit values
# 2.1327 - 1.2187 a is at most 8.7 % from 1 / sqrt(a) for a in 1/4 .. 1; 29 fraction bits.
START, SLOPE = round(2.1327 * 2**29), round(1.2187 * 2**29)


def fraction_bits(depth: int) -> int:
    """Of n: |n| <= sqrt(depth - 1) fits 16 bits."""
    return 14 - (max(1, depth - 1).bit_length() - 1) // 2


def guard(view: View) -> int:
    """eps', with EPS_BITS fraction bits."""
    real = 2.0**EPS_BITS * float(view.attrs["eps"]) * float(view.out.shape[-1]) ** 2 / view.input(0).scale ** 2
    return round(min(real, 2.0 * MAX_EPS))


def reciprocal_root(v: Int64) -> tuple[Int32, Int64]:
    """(r, k): 1 / sqrt(v) ~= r * 2^(-30 - k) for 1 <= v < 2^52, 2^30 <= r < 2^31."""
    half = (np.frexp(v.astype(np.float64))[1].astype(np.int64) + 1) // 2  # v = a * 2^(2 half), 1/4 <= a < 1
    left = 31 - 2 * half
    a = np.where(left >= 0, v << np.maximum(left, 0), v >> np.maximum(-left, 0))
    y = START - high_mul(a, SLOPE).astype(np.int64)
    for _ in range(3):
        error = (1 << 27) - high_mul(high_mul(y, y), a).astype(np.int64)
        y = y + high_mul(y, error).astype(np.int64) * 8
    return np.clip(2 * y, 1 << 30, INT32_MAX).astype(np.int32), half


def multiplier_of(view: View) -> tuple[int, int]:
    """(multiplier, shift) from n * gamma to the output."""
    return quantize_multiplier(2.0 ** -fraction_bits(view.out.shape[-1]) * view.input(1).scale / view.out.scale)


class LayerNorm(Op):
    name = "layer_norm"
    attributes = kinds(eps=float)
    instead = "use batch norm to export the model"
    summary = "layer normalization over the last axis"
    normalizes = True

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 3)
        x = inputs[0]
        assert x is not None
        if not x.shape or not 1 <= x.shape[-1] <= MAX_DEPTH:
            raise ModelError(f"an input of shape {list(x.shape)}; it must end in an axis of 1 to {MAX_DEPTH}")
        for tensor in inputs[1:]:
            if tensor is None or tensor.shape != x.shape[-1:]:
                raise ModelError(f"gamma or beta of shape {list(tensor.shape) if tensor else None}; both must be {[x.shape[-1]]}")
        return (x.shape,)

    def check(self, view: View) -> None:
        gamma, beta, eps = view.input(1), view.input(2), view.attrs["eps"]
        need_quantized(view.input(0), view.out)
        need_dtype(gamma, "int16")
        need_dtype(beta, "int32")
        need(gamma.data is not None and beta.data is not None, "gamma or beta is computed at run time; make it a constant")
        if gamma.quant is None or not gamma.quant.per_tensor or any(gamma.quant.zero_point):
            raise UnsupportedError("gamma without one scale, or with a zero point; quantize it symmetrically")
        need(math.isfinite(eps) and eps >= 0 and guard(view) <= MAX_EPS, f"an eps of {eps:.3g} is far above the input's squares")
        need(int(np.abs(view.const(2).astype(np.int64)).max()) <= MAX_BETA, "beta is far above gamma; quantize the model again")
        need_multiplier(2.0 ** -fraction_bits(view.out.shape[-1]) * gamma.scale / view.out.scale)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        assert inputs[0] is not None
        depth = view.out.shape[-1]
        q = inputs[0].astype(np.int64)
        total = q.sum(axis=-1, keepdims=True)
        variance = depth * (q * q).sum(axis=-1, keepdims=True) - total * total
        root, half = reciprocal_root(np.maximum((variance << EPS_BITS) + guard(view), 1))
        shift = fraction_bits(depth) + 1 - (half - EPS_BITS // 2)
        n = np.clip(requantize(depth * q - total, root, shift).astype(np.int64), -(2**15), 2**15 - 1)
        acc = n * view.const(1).astype(np.int64) + view.const(2)
        y = requantize(acc, *multiplier_of(view)).astype(np.int64) + view.out.zero_point
        return (view.out.dtype.saturated(y),)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        x = inputs[0].astype(np.float64)
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred**2).mean(axis=-1, keepdims=True) + view.attrs["eps"]
        normal = centred / np.sqrt(np.maximum(variance, np.finfo(np.float64).tiny))
        return ((normal * view.const(1) + view.const(2)).astype(np.float32),)

    def sample(self, draw: Draw) -> Graph:
        depth = draw.choice((*SIZES, 33, 64, 100))
        outer = tuple(draw.integer(1, 3) for _ in range(draw.integer(0, 3)))
        x = activation_tensor("x", (*outer, depth), draw_quant(draw))
        gamma_scale = float(np.float32(draw.choice((1e-4, 3e-5, 6e-6))))
        unit = 2.0 ** -fraction_bits(depth) * gamma_scale
        gamma = Tensor("gamma", (depth,), "int16", per_tensor(gamma_scale, 0), draw.array((depth,), -32767, 32767, "int16"))
        reach = min(int(1 / unit), MAX_BETA)
        beta = Tensor(
            "beta",
            (depth,),
            "int32",
            Quantization((float(np.float32(unit)),), (0,)),
            i32(draw.array((depth,), -reach, reach, "int32")),
        )
        y = activation_tensor("y", x.shape, per_tensor(draw.real(0.005, 0.05), draw_point(draw)))
        return one_op(self.name, (x, gamma, beta), (y,), attrs(eps=draw.choice((1e-5, 1e-5, 0.0, 0.1))))
