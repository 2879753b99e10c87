"""Element-wise sum with broadcasting."""

from __future__ import annotations

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Foreign, Option
from sandgrain.graph.ops.conv import windows as win
from sandgrain.graph.ops.elementwise.add_sub import LEFT_SHIFT, Ratios, Sum


class Add(Sum):
    name = "add"
    summary = "element-wise sum with broadcasting and a fused activation"
    foreign = (Foreign("ADD", 0, 11, (Option(win.ACTIVATION_OPTION, 0, "i8"),), version=2, int16=True),)
    sign = 1
    max_rank = 5

    @staticmethod
    def combined(a: Array, b: Array) -> Array:
        result: Array = a + b
        return result

    def ratios(self, view: View) -> Ratios:
        a, b = view.input(0).scale, view.input(1).scale
        twice = 2 * max(a, b)
        return Ratios(a / twice, b / twice, twice / ((1 << LEFT_SHIFT) * view.out.scale))
