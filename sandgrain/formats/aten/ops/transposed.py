"""Transposed convolutions over one or two axes, dense and grouped."""

from __future__ import annotations

from typing import Any

import numpy as np

from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.aten.layout import dense
from sandgrain.formats.aten.ops.base import Arguments, need, plane


def transposed(b: Builder, a: Arguments) -> Value:
    """`padding` is cut off the start; how much is cut off the end, or added there, follows from `a.shape`."""
    x, weights = a.x, a.weights("weight")
    rank = weights.ndim - 2
    need(rank in (1, 2), f"a transposed convolution over {rank} axes; use one or two")
    need(len(x.shape) == rank + 2, "an input without a batch axis; feed [1, channels, ...]")
    need(plane(a.get("dilation", 1), rank, 1) == (1, 1), "a dilated transposed convolution; use dilation 1")
    if rank == 1:
        weights = weights[:, :, None, :]
    groups, size = a.get("groups", 1), ((1,) if rank == 1 else ()) + a.shape[2:]
    bias = a.constant("bias")
    bias = np.zeros(groups * weights.shape[1], np.float32) if bias is None else bias
    order = (0, *range(2, rank + 2), 1)
    window: dict[str, Any] = {
        "stride": plane(a["stride"], rank, 1),
        "padding": plane(a["padding"], rank, 0),
        "size": size,
        "activation": "none",
    }
    if groups == 1:
        tensor, places = b.image(x)
        kernel = b.constant(weights.transpose(1, 2, 3, 0)[..., places], "weight")  # [in, out, h, w] to OHWI
        return Value(b.node("transpose_conv", (tensor, kernel, b.constant(bias, "bias")), **window), dense(a.shape, order))
    tensor = b.image(b.arrange(x, order))[0]
    height, width, channels = b.shape(tensor)[1:]
    share, parts = channels // groups, []
    for g, (rows, offset) in enumerate(zip(np.split(weights, groups), np.split(bias, groups), strict=True)):
        part = b.node(
            "strided_slice", (tensor,), start=(0, 0, 0, g * share), stride=(1, 1, 1, 1), size=(1, height, width, share), drop=()
        )
        kernel = b.constant(rows.transpose(1, 2, 3, 0), f"weight.{g}")
        parts.append(b.node("transpose_conv", (part, kernel, b.constant(offset, f"bias.{g}")), **window))
    return Value(b.node("concatenation", parts, axis=3), dense(a.shape, order))


HANDLERS = {"conv_transpose1d": transposed, "conv_transpose2d": transposed}

HINTS = {"conv_transpose3d": "use transposed convolutions over one or two axes"}
