"""A float graph that brings its scales: float tensors with the quantization that somebody else chose for them.

Readers of quantized models that compute with floats between their scales (ONNX's QDQ, PyTorch's PT2E) return such a graph;
`quantization.keep` makes the int8 graph of it. The rules refuse it at every stage, so nobody loses scales by overlooking them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sandgrain.base.arrays import Array
from sandgrain.graph.dtypes import FLOAT32
from sandgrain.graph.ir import Graph
from sandgrain.graph.quantization import Quantization


def bring_scales(graph: Graph, scales: Mapping[int, Quantization]) -> Graph:
    """`graph`, of floats, with the quantization of its tensors: tensor index -> what its int8 values will mean.

    Inputs and computed values have one scale; constants have one for each channel (`channel_scales`). Indices have none.
    """
    tensors = list(graph.tensors)
    for index, quant in scales.items():
        if tensors[index].dtype != FLOAT32:
            continue
        tensors[index] = replace(tensors[index], quant=quant)
    return replace(graph, tensors=tuple(tensors))


def channel_scales(scales: Array, axis: int) -> Quantization:
    """Symmetric, one scale for each channel along `axis`. `scales`: float32 [channels]."""
    found = tuple(float(s) for s in scales)
    return Quantization(found, (0,) * len(found), axis if len(found) > 1 else None)


def brings_scales(graph: Graph) -> bool:
    """Whether a float tensor has a scale."""
    return any(t.dtype == FLOAT32 and t.quant is not None for t in graph.tensors)


def split_scales(graph: Graph) -> tuple[Graph, dict[int, Quantization]]:
    """The graph without its scales, and the scales: what `bring_scales` was given."""
    scales = {i: t.quant for i, t in enumerate(graph.tensors) if t.dtype == FLOAT32 and t.quant is not None}
    tensors = tuple(replace(t, quant=None) if i in scales else t for i, t in enumerate(graph.tensors))
    return replace(graph, tensors=tensors), scales
