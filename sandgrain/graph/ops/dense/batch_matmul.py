"""Matrix products over a batch: x [..., rows, depth] times y [..., depth, columns], either one transposed on request.

The dimensions before the last two are the batch; they broadcast as in numpy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Foreign, Op, Option, Shape, need, need_inputs, need_quantized
from sandgrain.graph.ops.conv.weights import exact_matmul
from sandgrain.graph.ops.real_math import aligned
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_point, draw_quant, one_op
from sandgrain.graph.quantization import INT32_MAX, per_tensor, quantize_multiplier, requantize

MAX_RANK = 5
MAX_DEPTH = INT32_MAX // ACTIVATION.span**2  # products of two values less their zero points


def multiplier_of(view: View) -> tuple[int, int]:
    """(multiplier, shift) of x_scale * y_scale / out_scale, in double precision throughout."""
    return quantize_multiplier(view.input(0).scale * view.input(1).scale / view.out.scale)


def matrix(shape: Shape, swapped: bool) -> tuple[int, int]:
    """(rows, columns) of the last two dimensions."""
    return (shape[-1], shape[-2]) if swapped else (shape[-2], shape[-1])


class BatchMatMul(Op):
    name = "batch_matmul"
    summary = "matrix products over a batch, with broadcasting"
    attributes = kinds(adj_x=bool, adj_y=bool)
    foreign = (
        Foreign(
            "BATCH_MATMUL",
            126,
            101,
            (Option("adj_x", 0, "bool", False), Option("adj_y", 1, "bool", False)),
            version=2,
            int16=True,
        ),
    )

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 2)
        assert inputs[0] is not None and inputs[1] is not None
        x, y = inputs[0].shape, inputs[1].shape
        if not (2 <= len(x) <= MAX_RANK and 2 <= len(y) <= MAX_RANK):
            raise ModelError(f"inputs {x} and {y} must have 2 to {MAX_RANK} dimensions")
        rows, depth = matrix(x, attrs["adj_x"])
        other, columns = matrix(y, attrs["adj_y"])
        if depth != other:
            raise ModelError(f"matrices of {rows} by {depth} and {other} by {columns} cannot be multiplied")
        rank = max(len(x), len(y))
        pairs = zip((1,) * (rank - len(x)) + x[:-2], (1,) * (rank - len(y)) + y[:-2], strict=True)
        batch = []
        for a, b in pairs:
            if a != b and 1 not in (a, b):
                raise ModelError(f"batches of {x} and {y} do not broadcast")
            batch.append(a if b == 1 else b)
        return ((*batch, rows, columns),)

    def check(self, view: View) -> None:
        x, y = view.input(0), view.input(1)
        need_quantized(x, y, view.out)
        need(all(d > 0 for t in (x, y) for d in t.shape), "an empty matrix; remove the layer")
        depth = matrix(x.shape, view.attrs["adj_x"])[1]
        need(depth <= MAX_DEPTH, f"sums of {depth} products can exceed 32 bits; at most {MAX_DEPTH}")
        need(
            multiplier_of(view)[1] <= 30,
            "the output scale is far below the product of the input scales; quantize the model again",
        )

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x, y = inputs[0], inputs[1]
        assert x is not None and y is not None
        left = x.astype(np.int16) - view.input(0).zero_point
        right = y.astype(np.int16) - view.input(1).zero_point
        left = left.swapaxes(-1, -2) if view.attrs["adj_x"] else left
        right = right.swapaxes(-1, -2) if view.attrs["adj_y"] else right
        scaled = requantize(exact_matmul(left, right), *multiplier_of(view)).astype(np.int64)
        return (view.out.dtype.saturated(scaled + view.out.zero_point),)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        x, y = aligned(view, inputs)
        x = x.swapaxes(-1, -2) if view.attrs["adj_x"] else x
        y = y.swapaxes(-1, -2) if view.attrs["adj_y"] else y
        return (np.matmul(x, y),)

    def macs(self, view: View) -> int:
        return view.out.size * matrix(view.input(0).shape, view.attrs["adj_x"])[1]

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        need_inputs(inputs, 2)
        return Decoded(attrs(adj_x=bool(options["adj_x"]), adj_y=bool(options["adj_y"])), (0, 1))

    def encode(self, view: View) -> Encoded:
        return Encoded("BATCH_MATMUL", {"adj_x": view.attrs["adj_x"], "adj_y": view.attrs["adj_y"]}, (0, 1))

    def sample(self, draw: Draw) -> Graph:
        rows, depth, columns = draw.choice(SIZES), draw.choice(SIZES), draw.choice(SIZES)
        batch = tuple(draw.integer(1, 3) for _ in range(draw.integer(0, 3)))
        adj_x, adj_y = draw.choice((True, False)), draw.choice((True, False))

        def lead() -> Shape:
            """The batch with some dimensions broadcast, and some of the first ones left out."""
            kept = tuple(draw.choice((n, n, n, 1)) for n in batch)
            return kept[draw.integer(0, len(batch)) if draw.choice((True, False, False)) else 0 :]

        x_lead, y_lead = lead(), lead()
        x = activation_tensor("x", (*x_lead, *((depth, rows) if adj_x else (rows, depth))), draw_quant(draw))
        y_shape = (*y_lead, *((columns, depth) if adj_y else (depth, columns)))
        data = draw.array(y_shape, ACTIVATION.low, ACTIVATION.high) if draw.choice((True, False, False)) else None
        y = Tensor("y", y_shape, ACTIVATION, draw_quant(draw), data)
        spread = x.scale * y.scale * 70 * 70 * depth**0.5
        a = attrs(adj_x=adj_x, adj_y=adj_y)
        out = activation_tensor("z", self.shapes((x, y), a)[0], per_tensor(draw.real(0.2, 4.0) * spread / 100, draw_point(draw)))
        return one_op(self.name, (x, y), (out,), a)
