"""What maximum and minimum share: bytes are compared, so inputs and output have one scale and zero point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sandgrain.graph.ir import Array, Graph, View
from sandgrain.graph.ops.base import Draw, need, same_quant
from sandgrain.graph.ops.elementwise.broadcast import Binary
from sandgrain.graph.ops.traits import ALL_INPUTS


class Extreme(Binary):
    """maximum or minimum."""

    activates = False
    same_scale_inputs = ALL_INPUTS

    def check(self, view: View) -> None:
        super().check(view)
        alike = same_quant(view.input(0), view.out) and same_quant(view.input(1), view.out)
        need(alike, "inputs and output are quantized differently, and bytes are compared; add QUANTIZE layers")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        a, b = inputs
        assert a is not None and b is not None
        return (self.combined(a, b),)

    def sample(self, draw: Draw) -> Graph:
        graph = super().sample(draw)
        quant = graph.tensors[graph.inputs[0]].quant
        return replace(graph, tensors=tuple(replace(t, quant=quant) for t in graph.tensors))
