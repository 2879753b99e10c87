"""Gemm and MatMul."""

from __future__ import annotations

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.formats.aten.builder import Value
from sandgrain.formats.aten.layout import dense
from sandgrain.formats.aten.ops.base import need
from sandgrain.formats.onnx.ops.base import Call, Result


def gemm(call: Call) -> Result:
    """alpha A' B' + beta C."""
    a, b, c = call.x, call.arg(1), call.arg(2)
    alpha, beta = float(call.attr("alpha", 1.0)), float(call.attr("beta", 1.0))
    need(len(a.shape) == 2, f"a first matrix of {len(a.shape)} axes; flatten it")
    a = call.permute(a, (1, 0)) if call.attr("transA", 0) else a
    if isinstance(b, Value):
        b = call.permute(b, (1, 0)) if call.attr("transB", 0) else b
        found = product(call, a, b)
        found = call.aten("mul", found.shape, self=found, other=np.float32(alpha)) if alpha != 1 else found
        return found if c is None else call.aten("add", found.shape, self=found, other=c, alpha=beta)
    weights = np.asarray(b, np.float32) if call.attr("transB", 0) else np.asarray(b, np.float32).T
    need(weights.ndim == 2 and weights.shape[1] == a.shape[1], "matrices that do not fit; export the model again")
    units, shape = len(weights), (a.shape[0], len(weights))
    row = not isinstance(c, Value) and (c is None or (np.size(c) in (1, units) and np.shape(c)[-1:] != (1,)) or np.size(c) == 1)
    if not row:
        found = call.aten("linear", shape, input=a, weight=weights * alpha, bias=None)
        return call.aten("add", shape, self=found, other=c, alpha=beta)
    bias = None if c is None else np.broadcast_to(np.asarray(c, np.float32).reshape(-1) * beta, (units,))
    return call.aten("linear", shape, input=a, weight=weights * np.float32(alpha), bias=bias)


def matmul(call: Call) -> Result:
    return product(call, call.arg(0), call.arg(1))


def product(call: Call, x: Value | Array, y: Value | Array) -> Value:
    """numpy's matmul, of vectors too."""
    need(x is not None and y is not None, "it lacks a matrix; export the model again")
    rank_x, rank_y = len(x.shape), len(y.shape)
    need(rank_x > 0 and rank_y > 0, "a product with a number; use Mul")
    if rank_x == 1 or rank_y == 1:
        wide = [
            _reshaped(call, v, s)
            for v, s in ((x, (1, *x.shape) if rank_x == 1 else x.shape), (y, (*y.shape, 1) if rank_y == 1 else y.shape))
        ]
        found = product(call, *wide)
        shape = [
            n
            for k, n in enumerate(found.shape)
            if not ((rank_x == 1 and k == len(found.shape) - 2) or (rank_y == 1 and k == len(found.shape) - 1))
        ]
        return call.reshape(found, shape)
    need(x.shape[-1] == y.shape[-2], f"matrices of {list(x.shape)} and {list(y.shape)}; export the model again")
    batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    x, y = (_plain_matrix(call, v) for v in (x, y))
    found = call.aten("matmul", (*batch, x.shape[-2], y.shape[-1]), self=x, other=y)
    return call.reshape(found, (*batch, x.shape[-2], y.shape[-1]))


def _reshaped(call: Call, v: Value | Array, shape: tuple[int, ...]) -> Value | Array:
    return call.reshape(v, shape) if isinstance(v, Value) else np.reshape(v, shape)


def _plain_matrix(call: Call, v: Value | Array) -> Value | Array:
    """A constant batch of matrices as one matrix where it is one, or else as a value."""
    if isinstance(v, Value):
        return v
    if int(np.prod(v.shape[:-2])) == 1:
        return v.reshape(v.shape[-2:])
    return Value(call.builder.constant(v, "constant"), dense(v.shape))


def _einsum(call: Call) -> Result:
    return call.aten("einsum", (), equation=call.attr("equation", ""), tensors=list(call.args))


TRANSLATORS = {"Gemm": gemm, "MatMul": matmul, "Einsum": _einsum}

HINTS = {
    "MatMulInteger": "quantize with QDQ or QLinearMatMul, which keep the scale of the result",
    "DynamicQuantizeLinear": "quantize with calibration data (quantize_static), so that scales are constant",
    "com.microsoft.MatMulNBits": "quantize to int8",
    "com.microsoft.DynamicQuantizeMatMul": "use quantize_static",
    "Attention": "export it as MatMul and Softmax (opset 22 or older)",
}
