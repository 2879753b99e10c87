"""Softmax over the last dimension, in fixed point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.fixedpoint import exp_on_negative_values, reciprocal
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Foreign, Op, Option, Shape, need, need_inputs, need_quantized
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_quant, one_op
from sandgrain.graph.quantization import (
    INT32_MAX,
    PROBABILITIES,
    fixed_text,
    high_mul,
    quantize_multiplier,
    rounding_shift,
)

DIFF_BITS = 5  # integer bits of a scaled difference to the row's maximum
SUM_BITS = 12  # integer bits of the sum of exps
MAX_DEPTH = (1 << SUM_BITS) - 1  # so many exps of at most 1 fit the sum


def scaling(view: View) -> tuple[int, int, int]:
    """(multiplier, left shift, least difference that counts) from an int8 difference to beta * scale * difference."""
    real = float(np.float32(view.attrs["beta"])) * view.input(0).scale * (1 << (31 - DIFF_BITS))
    multiplier, left = quantize_multiplier(min(real, float(INT32_MAX)))
    radius = ((1 << DIFF_BITS) - 1) * (1 << (31 - DIFF_BITS)) / (1 << left)
    return multiplier, left, -math.floor(radius)


class Softmax(Op):
    name = "softmax"
    summary = "softmax over the last dimension"
    attributes = kinds(beta=float)
    fixed_output = PROBABILITIES
    foreign = (Foreign("SOFTMAX", 25, 9, (Option("beta", 0, "f32"),), version=2, int16=True),)

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        x = inputs[0]
        assert x is not None
        if not x.shape or x.size == 0:
            raise ModelError(f"softmax of an input of shape {x.shape}; it needs a last dimension")
        return (x.shape,)

    def check(self, view: View) -> None:
        x, out = view.input(0), view.out
        need_quantized(x, out)
        fixed = (out.scale, out.zero_point) == (PROBABILITIES.scale[0], PROBABILITIES.zero_point[0])
        need(fixed, f"an output without {fixed_text(PROBABILITIES)}; convert the model again")
        need(x.shape[-1] <= MAX_DEPTH, f"{x.shape[-1]} classes; softmax takes at most {MAX_DEPTH}")
        real = float(np.float32(view.attrs["beta"])) * x.scale * (1 << (31 - DIFF_BITS))
        need(
            math.isfinite(real) and real > 1,
            f"beta {view.attrs['beta']:.3g} with an input scale of {x.scale:.3g} is out of range",
        )

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        multiplier, left, diff_min = scaling(view)
        diff = x.astype(np.int64) - x.max(axis=-1, keepdims=True)
        counts = diff >= diff_min
        exps = exp_on_negative_values(high_mul(np.where(counts, diff, 0) << left, multiplier), DIFF_BITS)
        total = np.where(counts, rounding_shift(exps, SUM_BITS), 0).sum(axis=-1, keepdims=True, dtype=np.int64)
        scale, over_unit = reciprocal(total, SUM_BITS)
        exponent = over_unit.astype(np.int64) + 31 - 8
        # Past 31 (512 or more equal maxima) every output is below half a step: TensorFlow Lite Micro stops there.
        levels = np.where(exponent > 31, 0, rounding_shift(high_mul(scale, exps), np.minimum(exponent, 31)))
        return (view.out.dtype.saturated(np.where(counts, levels, 0) + view.out.dtype.low),)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        exps = np.exp(np.float32(view.attrs["beta"]) * (inputs[0] - inputs[0].max(axis=-1, keepdims=True)))
        return (np.asarray(exps / exps.sum(axis=-1, keepdims=True), np.float32),)

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        need_inputs(inputs, 1)
        beta = float(options["beta"])
        if not (math.isfinite(beta) and beta > 0):
            raise ModelError(f"beta {beta} must be positive")
        return Decoded(attrs(beta=beta), (0,))

    def encode(self, view: View) -> Encoded:
        return Encoded("SOFTMAX", {"beta": view.attrs["beta"]}, (0,))

    def sample(self, draw: Draw) -> Graph:
        outer = tuple(draw.integer(1, 3) for _ in range(draw.integer(0, 3)))
        depth = draw.choice((*SIZES, 33, 100, 300, 300))
        high = draw.choice((0.02, 0.2, 2.0, 40.0))
        x = activation_tensor("x", (*outer, depth), draw_quant(draw, high / 100, high))
        y = activation_tensor("y", x.shape, PROBABILITIES)
        return one_op(self.name, (x,), (y,), attrs(beta=draw.choice((1.0, 1.0, 0.5, 2.5))))
