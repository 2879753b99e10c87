"""Element-wise difference with broadcasting."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Foreign, Option
from sandgrain.graph.ops.conv import windows as win
from sandgrain.graph.ops.elementwise.add_sub import LEFT_SHIFT, Ratios, Sum


class Sub(Sum):
    name = "sub"
    summary = "element-wise difference with broadcasting and a fused activation"
    foreign = (Foreign("SUB", 41, 28, (Option(win.ACTIVATION_OPTION, 0, "i8"),), version=2, int16=True),)
    sign = -1
    max_rank = 5

    @staticmethod
    def combined(a: Array, b: Array) -> Array:
        result: Array = a - b
        return result

    def ratios(self, view: View) -> Ratios:
        # TensorFlow Lite Micro computes these in single precision for SUB, in double for ADD.
        a, b = np.float32(view.input(0).scale), np.float32(view.input(1).scale)
        twice = np.float32(2) * max(a, b)
        return Ratios(
            float(a / twice), float(b / twice), float(twice / (np.float32(1 << LEFT_SHIFT) * np.float32(view.out.scale)))
        )
