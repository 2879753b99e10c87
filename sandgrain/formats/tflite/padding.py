"""Padding that .tflite's SAME and VALID cannot say, as layers of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sandgrain.graph.dtypes import INT8
from sandgrain.graph.ir import Graph, Node, Tensor, View, attrs, with_nodes
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.conv.transpose_conv import named_paddings
from sandgrain.graph.ops.conv.windows import explicit_padding, kernel_of
from sandgrain.graph.ops.traits import PadValue

NONE = (0, 0, 0, 0)
LEAST: dict[str, float] = {"int8": INT8.low, "int16": -(2**15), "float32": float(np.finfo(np.float32).min)}


def spelled_out(graph: Graph) -> Graph:
    """before: y = conv_2d(x, padding (1, 1, 1, 1), stride 2)      after: p = pad(x); y = conv_2d(p)

    Exact: what is put around x is its zero point, or for a max pool the least value. Where SAME says it, nothing is changed.
    """
    tensors, nodes = list(graph.tensors), list[Node]()
    for node in graph.nodes:
        view = graph.view(node)
        if node.op == "transpose_conv" and tuple(node.attrs["padding"]) not in named_paddings(view):
            nodes += _cropped(graph, node, tensors)
            continue
        pad_value = OPS[node.op].pad_value
        if pad_value is None or _has_a_code(view):
            nodes.append(node)
            continue
        x = view.input(0)
        top, bottom, left, right = node.attrs["padding"]
        n, height, width, channels = x.shape
        inputs = [node.inputs[0]]
        value: float = x.zero_point if x.dtype == "int8" else 0
        if pad_value is PadValue.LEAST:
            value = LEAST[x.dtype.name]
            inputs.append(len(tensors))
            tensors.append(Tensor(f"{node.name}.least", (1,), x.dtype, x.quant, np.full(1, value, x.dtype.numpy)))
        padded = len(tensors)
        tensors.append(
            replace(x, name=f"{node.name}.padded", shape=(n, height + top + bottom, width + left + right, channels), data=None)
        )
        sides = ((0, 0), (top, bottom), (left, right), (0, 0))
        nodes.append(Node("pad", f"{node.name}.pad", tuple(inputs), (padded,), attrs(paddings=sides, value=value)))
        nodes.append(replace(node, inputs=(padded, *node.inputs[1:]), attrs=attrs(**{**node.attrs, "padding": NONE})))
    return with_nodes(replace(graph, tensors=tuple(tensors)), nodes)


def _cropped(graph: Graph, node: Node, tensors: list[Tensor]) -> tuple[Node, Node]:
    """before: y = transpose_conv(x, padding (1, 1))      after: t = transpose_conv(x); y = strided_slice(t), what was cut off"""
    (top, left), (height, width), y = node.attrs["padding"], node.attrs["size"], graph.view(node).out
    whole = len(tensors)
    tensors.append(replace(y, name=f"{node.name}.whole", shape=(y.shape[0], top + height, left + width, y.shape[3])))
    values = {**node.attrs, "padding": (0, 0), "size": (top + height, left + width)}
    cut = attrs(start=(0, top, left, 0), stride=(1, 1, 1, 1), size=y.shape, drop=())
    return (
        replace(node, outputs=(whole,), attrs=attrs(**values)),
        Node("strided_slice", f"{node.name}.crop", (whole,), node.outputs, cut),
    )


def _has_a_code(view: View) -> bool:
    values = view.attrs
    size, dilation = view.input(0).shape[1:3], values.get("dilation", (1, 1))
    sides = tuple(values["padding"])
    return sides == NONE or sides == explicit_padding(0, size, kernel_of(view), values["stride"], dilation)
