"""Quantized operators, as operators of floats whose values are marked with their scales.

QDQ: QuantizeLinear marks a value, DequantizeLinear gives it back. QOperator: each QLinear operator is its float twin, its inputs
and its result marked. uint8 becomes int8 by a shift of 128: the same real values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UnsupportedError
from sandgrain.formats.aten.builder import Value
from sandgrain.formats.aten.ops.base import need
from sandgrain.formats.onnx.ops import activation, convolution, elementwise, linear, pooling, shape
from sandgrain.formats.onnx.ops.base import Call, Result, Translator
from sandgrain.graph.quantization import Quantization, per_tensor

SCALE_LIMIT = 2.0**60  # between its reciprocal and it no ratio of two scales overflows
UNSIGNED = 128  # what a uint8 is shifted by
SYMMETRIC = "quantize weights symmetrically (WeightSymmetric=True, or weight_type=QInt8)"


def _scale(scale: Array) -> Array:
    """`scale`, every value of it usable. Raises UnsupportedError."""
    need(
        scale.size > 0 and bool(((scale > 1 / SCALE_LIMIT) & (scale < SCALE_LIMIT)).all()),
        "a scale that is no positive number; quantize the model again",
    )
    return scale


def quantization(scale: Array | None, zero_point: Array | None, dtype: Any = np.uint8) -> Quantization:
    """Of values that are computed. `dtype` where no zero point says it."""
    need(scale is not None, "it lacks a scale; quantize the model again")
    assert scale is not None
    need(_scale(scale).size == 1, "one scale a channel on values computed at run time; quantize activations per tensor")
    kind = np.dtype(dtype) if zero_point is None else zero_point.dtype
    need(kind in (np.int8, np.uint8), f"values quantized to {kind}; quantize activations to int8 or uint8")
    zero = 0 if zero_point is None else int(zero_point.reshape(-1)[0])
    return per_tensor(float(scale.reshape(-1)[0]), zero - (UNSIGNED if kind == np.uint8 else 0))


def marked(call: Call, x: Value, quant: Quantization) -> Value:
    """The value with its scale. Nothing that follows goes into the layer before it; a second scale is a layer of its own."""
    b, quants = call.builder, call.marks.quants
    known = quants.get(x.tensor)
    if known is not None and known != quant:
        x = Value(b.node("quantize", (x.tensor,)), x.layout)
    quants[x.tensor] = quant
    b.shared.add(x.tensor)
    return x


def taken(call: Call, position: int, strict: bool = False) -> Any:
    """The real values of the operand at `position`, its scale and zero point behind it."""
    scale, zero = call.constant(position + 1, "scale"), call.constant(position + 2, "zero point")
    operand = call.arg(position)
    if isinstance(operand, Value):
        return read(call, operand, scale, zero)
    need(operand is not None, "it lacks an operand; export the model again")
    return real(call, np.asarray(operand), scale, zero, 0, strict)


def read(call: Call, x: Value, scale: Array | None, zero: Array | None) -> Value:
    """A computed value under the scale that its reader names, which is the one that it has."""
    known = call.marks.quants.get(x.tensor)
    if zero is None and known is not None:
        return x
    quant = quantization(scale, zero)
    need(known is None or known == quant, "it reads a value under another scale than the value has; quantize the model again")
    return marked(call, x, quant)


def real(call: Call, data: Array, scale: Array | None, zero: Array | None, axis: int, strict: bool) -> Array:
    """(data - zero point) * scale of a constant; `strict` where it will be weights, which have no zero point."""
    need(scale is not None and data.dtype.kind in "iu", "constants that are no integers; quantize the model again")
    assert scale is not None
    wide = [1] * data.ndim
    if scale.size > 1:
        need(
            -data.ndim <= axis < data.ndim and data.shape[axis] == scale.size,
            "scales that do not fit their constant; use one a channel",
        )
        wide[axis] = scale.size
    steps = _scale(np.asarray(scale, np.float32)).reshape(wide if scale.size > 1 else ())
    shift = np.zeros(1, np.int64) if zero is None else np.asarray(zero, np.int64).reshape(-1)
    need(shift.size in (1, scale.size), "zero points that do not fit their scales; quantize the model again")
    symmetric = bool((shift == (UNSIGNED if data.dtype == np.uint8 else 0)).all())
    if strict:
        need(symmetric and data.dtype in (np.int8, np.uint8), f"weights with a zero point; {SYMMETRIC}")
        if call.marks.only_scales:
            return np.broadcast_to(steps, data.shape).astype(np.float32)
    centred = data.astype(np.int64) - (shift.reshape(wide) if shift.size > 1 else shift[0] if shift.size else 0)
    return (centred.astype(np.float64) * steps).astype(np.float32)


# --- QDQ -----------------------------------------------------------------------------------------------------------------


def _quantize(call: Call) -> Result:
    x, scale, zero = call.arg(0), call.constant(1, "scale"), call.constant(2, "zero point")
    if isinstance(x, Value):
        return marked(call, x, quantization(scale, zero))
    if x is None or scale is None or scale.size != 1:
        raise UnsupportedError("constants quantized per channel; keep them quantized in the file")
    kind = np.dtype(np.uint8) if zero is None else zero.dtype
    need(kind in (np.int8, np.uint8), f"constants quantized to {kind}; quantize to int8")
    limits = np.iinfo(kind)
    steps = np.rint(np.asarray(x, np.float64) / float(_scale(scale).reshape(-1)[0])) + (
        0 if zero is None else int(zero.reshape(-1)[0])
    )
    return np.clip(steps, limits.min, limits.max).astype(kind)


def _dequantize(call: Call) -> Result:
    x, scale, zero = call.arg(0), call.constant(1, "scale"), call.constant(2, "zero point")
    if isinstance(x, Value):
        return read(call, x, scale, zero)
    need(not call.attr("block_size", 0), "weights quantized in blocks; use one scale a channel")
    need(x is not None, "it lacks an input; export the model again")
    return real(call, np.asarray(x), scale, zero, call.attr("axis", 1), call.weighs)


# --- QOperator -----------------------------------------------------------------------------------------------------------


def _result(call: Call, found: Value, position: int) -> Value:
    """`found` under the scale that the node gives its result."""
    return marked(call, found, quantization(call.constant(position, "scale"), call.constant(position + 1, "zero point")))


def _bias(call: Call, position: int, x: int, w: int) -> Array | None:
    """An int32 bias, in steps of the input's scale times the weights'."""
    bias, scales = call.constant(position, "bias"), [call.given(k, "scale").reshape(-1) for k in (x, w)]
    return None if bias is None else (bias.astype(np.float64) * scales[0] * scales[1]).astype(np.float32)


def _conv(call: Call) -> Result:
    """x, its scale and zero point, w and its two, the result's two, bias."""
    bias, x, weights = _bias(call, 8, 1, 4), taken(call, 0), taken(call, 3, strict=True)
    return _result(call, convolution.conv(call.with_args(x, weights, bias)), 6)


def _matmul(call: Call) -> Result:
    """a and its two, b and its two, the result's two. A scale for each column of b lies along its last axis."""
    b, scale, zero = call.arg(3), call.given(4, "scale"), call.constant(5, "zero point")
    y = taken(call, 3) if isinstance(b, Value) else real(call, np.asarray(b), scale, zero, np.ndim(b) - 1, True)
    return _result(call, linear.product(call, taken(call, 0), y), 6)


def _gemm(call: Call) -> Result:
    """a and its two, b and its two, c, the result's two."""
    units = 0 if call.attr("transB", 0) else 1
    weights = real(call, call.given(3, "weight"), call.given(4, "scale"), call.constant(5, "zero point"), units, True)
    plain = replace(call.node, attrs=call.node.attrs | {"beta": 1.0})
    alpha = float(call.attr("alpha", 1.0))
    bias = _bias(call, 6, 1, 4)
    twin = replace(call, node=plain, args=(taken(call, 0), weights, None if bias is None else bias * np.float32(alpha)))
    need(call.arg(7) is not None, "a result of floats; quantize the result too")
    return _result(call, linear.gemm(twin), 7)


def _binary(key: str) -> Translator:
    """a and its two, b and its two, the result's two."""
    return lambda call: _result(call, elementwise.pair(call, key, taken(call, 0), taken(call, 3)), 6)


def _unary(twin: Translator) -> Translator:
    """x and its two, the result's two."""
    return lambda call: _result(call, twin(call.with_args(taken(call, 0))), 3)


def _pool(twin: Translator) -> Translator:
    def translate(call: Call) -> Result:
        need(not call.attr("channels_last", 0), "a pool with channels last; use channels first")
        return _unary(twin)(call)

    return translate


def _softmax(call: Call) -> Result:
    return _unary(activation.softmax)(replace(call, opset=call.attr("opset", call.opset)))


def _concat(call: Call) -> Result:
    """The result's scale and zero point, then each part and its two."""
    if len(call.args) < 5 or len(call.args) % 3 != 2:
        raise UnsupportedError("parts without their scales; export the model again")
    parts: Sequence[Any] = [taken(call, k) for k in range(2, len(call.args), 3)]
    return _result(call, shape.joined(call, list(parts)), 0)


_MS = "com.microsoft."
TRANSLATORS = {
    "QuantizeLinear": _quantize, "DequantizeLinear": _dequantize, _MS + "QuantizeLinear": _quantize, _MS + "DequantizeLinear": _dequantize,
    "QLinearConv": _conv, "QLinearMatMul": _matmul, _MS + "QGemm": _gemm, _MS + "QLinearAdd": _binary("add"),
    _MS + "QLinearMul": _binary("mul"), _MS + "QLinearSigmoid": _unary(activation.TRANSLATORS["Sigmoid"]),
    _MS + "QLinearLeakyRelu": _unary(activation.TRANSLATORS["LeakyRelu"]), _MS + "QLinearSoftmax": _softmax,
    _MS + "QLinearGlobalAveragePool": _pool(pooling.TRANSLATORS["GlobalAveragePool"]),
    _MS + "QLinearAveragePool": _pool(pooling.TRANSLATORS["AveragePool"]), _MS + "QLinearConcat": _concat,
}  # fmt: skip
