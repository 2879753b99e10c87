"""What the element-wise ops share that no file format fixes: the real function, rounded to the nearest output, as a table.

The table is computed on the host in double precision, so that an output is at most half a step from the real function of the
input's real value (halves away from zero).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import need
from sandgrain.graph.ops.table.unary import UnaryOp
from sandgrain.graph.quantization import Int64

Reals = npt.NDArray[np.float64]
FAR = 1 << 20  # outputs are cut here, far outside any integer type that activations have


class Curve(UnaryOp):
    """An element-wise op without a .tflite operator."""

    instead = "use ReLU, Hardswish or ELU to export the model"

    def evaluate(self, view: View, x: Int64) -> Int64:
        """`curve` of the values that `x` stands for, in double precision, rounded once."""
        with np.errstate(over="ignore", invalid="ignore"):
            values = view.input(0).scale * (x - view.input(0).zero_point).astype(np.float64)
            real = self.curve(values, view.attrs) / view.out.scale
        need(not np.isnan(real).any(), "scales whose values leave double precision; quantize the model again with sane ranges")
        nearest = np.copysign(np.floor(np.abs(np.clip(real, -FAR, FAR)) + 0.5), real)
        return np.asarray(nearest, np.int64) + view.out.zero_point

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        return super().real(view, [inputs[0].astype(np.float64)])
