"""Linear layers and matrix products."""

from __future__ import annotations

import math

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.formats.aten.builder import WINDOW, Builder, Value
from sandgrain.formats.aten.layout import dense, place
from sandgrain.formats.aten.ops.base import Arguments, Result, need


def linear(b: Builder, x: Value, weights: Array, bias: Array | None) -> Value:
    """x [..., n] times weights [units, n] plus bias. The order in which x lies along n goes into the weights."""
    last, units = len(x.shape) - 1, len(weights)
    bias = np.zeros(units, np.float32) if bias is None else bias
    others = sorted(range(last), key=lambda axis: place(x.layout, axis))
    x = b.arrange(x, (*others, last), free=(last,))
    depth, rows = x.shape[last], math.prod(x.shape[:last])
    kernel, offset = weights[:, x.layout.indices(last)], b.constant(bias, "bias")
    if rows == 1:
        tensor, weight = b.view(x.tensor, (1, depth)), b.constant(kernel, "weight")
        out = b.node("fully_connected", (tensor, weight, offset), activation="none", keep_num_dims=False)
    else:  # a convolution of one tap: every row by itself, and a scale for each unit once it is int8
        shape = b.shape(x.tensor)
        grid = shape if len(shape) == 4 and shape[3] == depth else (1, 1, rows, depth)
        weight = b.constant(kernel.reshape(units, 1, 1, depth), "weight")
        out = b.node("conv_2d", (b.view(x.tensor, grid), weight, offset), **WINDOW)
    return Value(out, dense((*x.shape[:last], units), (*others, last)))


def _linear(b: Builder, a: Arguments) -> Value:
    weights = a.weights("weight")
    return linear(b, a.x, weights, a.constant("bias"))


def _addmm(b: Builder, a: Arguments) -> Value:
    x, weights, bias = a["mat1"], a.weights("mat2"), a.weights("self")
    need(isinstance(x, Value) and a["beta"] == 1 and a["alpha"] == 1, "addmm with constants alpha or beta; use nn.Linear")
    return linear(b, x, weights.T, bias)


def matmul(b: Builder, x: Value, y: Value) -> Value:
    """Matrix products over a batch, from the order in which each lies where that is a transposed matrix."""
    shapes = []
    tensors, swapped = [], []
    rank = max(len(x.shape), len(y.shape))
    for value in (x, y):
        value = b.reshape(value, (1,) * (rank - len(value.shape)) + value.shape)
        flip = value.layout.ordered((*range(rank - 2), rank - 1, rank - 2))
        swap = value.layout.memory == flip and value.layout.memory != value.layout.ordered(range(rank))
        value = b.moved(value, flip) if swap else b.plain(value)
        shapes.append(value.shape)
        stored = (*value.shape[:-2], value.shape[-1], value.shape[-2]) if swap else value.shape
        tensors.append(b.view(value.tensor, stored))
        swapped.append(swap)
    batch = np.broadcast_shapes(shapes[0][:-2], shapes[1][:-2])
    out = b.node("batch_matmul", tensors, adj_x=swapped[0], adj_y=swapped[1])
    return Value(out, dense((*batch, shapes[0][-2], shapes[1][-1])))


def _matmul(b: Builder, a: Arguments) -> Result:
    x, y = (a["self"], a.get("other", a.get("mat2")))
    if isinstance(x, Value) and isinstance(y, Value):
        need(len(x.shape) >= 2 and len(y.shape) >= 2, "a product with a vector; use matrices")
        return matmul(b, x, y)
    if isinstance(x, Value) and y.ndim == 2:
        return linear(b, x, np.asarray(y, np.float32).T, None)
    need(not isinstance(x, Value) and y is not None and x.ndim == 2 and len(y.shape) == 2, "a constant batch of matrices")
    return _transposed(linear(b, _transposed(y), np.asarray(x, np.float32), None))


def _transposed(value: Value) -> Value:
    return Value(value.tensor, value.layout.permuted((1, 0)))


def _attention(b: Builder, a: Arguments) -> Value:
    """softmax(q k^T scale) v, the scale inside the softmax."""
    q, k, v = a["query"], a["key"], a["value"]
    need(all(isinstance(t, Value) for t in (q, k, v)), "attention over constants; compute query, key and value from the input")
    need(a.get("attn_mask") is None and not a.get("is_causal"), "masked attention; leave the mask out")
    need(not a.get("enable_gqa"), "grouped-query attention; use as many key heads as query heads")
    scale = a.get("scale")
    beta = float(scale) if scale is not None else 1.0 / math.sqrt(q.shape[-1])
    rank = len(k.shape)
    turned = Value(k.tensor, k.layout.permuted((*range(rank - 2), rank - 1, rank - 2)))
    scores = matmul(b, q, turned)
    soft = b.node("softmax", (b.view(scores.tensor, scores.shape),), beta=beta)
    return matmul(b, Value(soft, dense(scores.shape)), v)


HANDLERS = {
    "linear": _linear,
    "addmm": _addmm,
    "matmul": _matmul,
    "mm": _matmul,
    "bmm": _matmul,
    "scaled_dot_product_attention": _attention,
}

HINTS = {"baddbmm": "use a matrix product and an addition"}
