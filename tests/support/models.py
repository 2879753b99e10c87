"""Models as graphs, and int8 graphs run on this computer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sandgrain.bundle import on_host
from sandgrain.formats import sources
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.quantization import dequantize, quantize
from sandgrain.graph.scales import brings_scales
from sandgrain.quantization.keep import with_scales_kept


def graph_of(model: Any, name: str = "m") -> Graph:
    """The graph of a file or a live model: of floats, or of int8 with the scales that the model brings."""
    graph = sources.load(model, name)
    return with_scales_kept(graph) if brings_scales(graph) else graph


def int8_outputs(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    """The outputs of an int8 graph by its C, as reals: float32 [n, *shape] each. `inputs`: float32 [n, *shape]."""
    given = []
    for x, index in zip(inputs, graph.inputs, strict=True):
        tensor = graph.tensors[index]
        given.append(x if tensor.quant is None else quantize(x, tensor.quant, tensor.dtype))
    found = []
    for y, index in zip(on_host.compiled(graph).run(given), graph.outputs, strict=True):
        quant = graph.tensors[index].quant
        found.append(y if quant is None else dequantize(y, quant))
    return found
