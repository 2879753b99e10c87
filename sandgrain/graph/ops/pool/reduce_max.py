"""The largest element over any axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Draw, Foreign, need, need_quantized, same_quant
from sandgrain.graph.ops.pool.reduction import OPTIONS, Reduction
from sandgrain.graph.ops.traits import FIRST_INPUT
from sandgrain.graph.quantization import Quantization


class ReduceMax(Reduction):
    name = "reduce_max"
    summary = "largest element over constant axes"
    same_scale_inputs = FIRST_INPUT
    foreign = (Foreign("REDUCE_MAX", 82, 27, OPTIONS),)

    def check(self, view: View) -> None:
        need_quantized(view.input(0), view.out)
        need(same_quant(view.input(0), view.out), "input and output are quantized differently; add a QUANTIZE layer")
        super().check(view)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        return (x.max(axis=view.attrs["axes"]).reshape(view.out.shape),)

    @staticmethod
    def folded(x: Array, axes: tuple[int, ...]) -> Array:
        return np.asarray(x.max(axis=axes), np.float32)

    def draw_output(self, draw: Draw, x: Quantization) -> Quantization:
        return x
