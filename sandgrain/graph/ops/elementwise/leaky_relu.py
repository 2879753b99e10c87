"""x where x >= 0, alpha * x elsewhere; each side has its own multiplier to the output's scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sandgrain.graph.ir import Array, Attrs, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Foreign, Option, need
from sandgrain.graph.ops.table.unary import UnaryOp, rescale, split_multiplier
from sandgrain.graph.quantization import Int64


def _evaluate(view: View, x: Int64) -> Array:
    # TFLM forms both ratios in single precision, left to right.
    scale, out_scale = np.float32(view.input(0).scale), np.float32(view.out.scale)
    with np.errstate(over="ignore", invalid="ignore"):
        identity = split_multiplier(float(scale / out_scale))
        alpha = split_multiplier(float(scale * np.float32(view.attrs["alpha"]) / out_scale))
    centred = x - view.input(0).zero_point
    return np.where(centred >= 0, rescale(centred, identity), rescale(centred, alpha)) + view.out.zero_point


class LeakyRelu(UnaryOp):
    name = "leaky_relu"
    summary = "x where x >= 0, alpha * x elsewhere"
    attributes = kinds(alpha=float)
    foreign = (Foreign("LEAKY_RELU", 98, 75, (Option("alpha", 0, "f32", 0.0),), version=2, int16=True),)
    evaluate = staticmethod(_evaluate)

    def passes_factors(self, view: View, channels: int) -> bool:
        return True

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = np.where(x >= 0, x, np.float32(options["alpha"]) * x)
        return result

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        decoded = super().decode(name, options, inputs, outputs)
        alpha = float(options["alpha"])
        need(bool(np.isfinite(alpha)), "alpha is not a finite number; set it between -1 and 1")
        return Decoded(attrs(alpha=alpha), decoded.inputs)

    def encode(self, view: View) -> Encoded:
        return Encoded("LEAKY_RELU", {"alpha": view.attrs["alpha"]})

    def draw_attrs(self, draw: Draw) -> Attrs:
        alpha = draw.choice((0.0, 0.01, 0.1, 0.2, 1.0, draw.real(0.0, 2.0), draw.real(-1.0, 0.0)))
        return attrs(alpha=float(np.float32(alpha)))
