"""Element by element: any layout will do, that of the first input is kept."""

from __future__ import annotations

import math
from collections.abc import Callable

from sandgrain.base.errors import UnsupportedError
from sandgrain.formats.onnx.write.emitter import Emitter, Layout, in_layout


def _binary(kind: str) -> Callable[[Emitter], None]:
    def form(e: Emitter) -> None:
        rank = len(e.view.out.shape)
        full = [k for k in (0, 1) if len(e.view.input(k).shape) == rank and e.view.input(k).data is None]
        free = all(e.view.input(k).data is not None or k in full for k in (0, 1))
        layout = Layout.FIRST if free and any(e.rest(k) is Layout.FIRST for k in full) else Layout.LAST
        e.done(e.active(e.make(kind, e.wide(0, layout), e.wide(1, layout))), layout)

    return form


def prelu(e: Emitter) -> None:
    """ONNX repeats alpha for x, but not x for alpha."""
    out, layout = e.view.out, e.rest() if len(e.view.input(0).shape) == len(e.view.out.shape) else Layout.LAST
    if e.view.input(1).data is None and len(e.view.input(1).shape) != len(out.shape):
        layout = Layout.LAST
    x = e.wide(0, layout)
    if e.view.input(0).shape != out.shape:
        x = e.make("Expand", x, e.constant(in_layout(out.shape, layout), "int64"))
    e.done(e.make("PRelu", x, e.wide(1, layout)), layout)


def _unary(compute: Callable[[Emitter, str], str]) -> Callable[[Emitter], None]:
    def form(e: Emitter) -> None:
        layout = e.rest()
        e.done(compute(e, e.read(0, layout)), layout)

    return form


def _relu6(e: Emitter, x: str) -> str:
    """TensorFlow Lite's int8 kernel clamps integers and leaves their scale alone."""
    if e.view.input(0).quant != e.view.out.quant:
        raise UnsupportedError("relu6 with another scale behind it than before it; quantize the model again")
    return e.make("Clip", x, e.constant(0.0), e.constant(6.0))


def _scaled_elu(e: Emitter, x: str) -> str:
    """Selu has no scale of the input: what is scaled there leaves as much of itself above 0, and is taken back."""
    alpha, scale, rate = (float(e.attrs[name]) for name in ("alpha", "scale", "input_scale"))
    if rate == 0:
        raise UnsupportedError("an ELU that is constant below 0; use a relu")
    x = x if rate == 1 else e.make("Mul", x, e.constant(rate))
    return e.make("Selu", x, alpha=alpha * rate, gamma=scale / rate)


def _gelu(e: Emitter, x: str) -> str:
    """ONNX has Gelu from opset 20 on only."""
    if e.attrs["approximate"]:
        cube = e.make("Mul", e.make("Mul", x, x), x)
        inner = e.make("Add", x, e.make("Mul", cube, e.constant(0.044715)))
        share = e.make("Tanh", e.make("Mul", inner, e.constant(math.sqrt(2 / math.pi))))
    else:
        share = e.make("Erf", e.make("Mul", x, e.constant(math.sqrt(0.5))))
    return e.make("Mul", e.make("Mul", x, e.make("Add", share, e.constant(1.0))), e.constant(0.5))


FORMS = {
    "add": _binary("Add"),
    "sub": _binary("Sub"),
    "mul": _binary("Mul"),
    "maximum": _binary("Max"),
    "minimum": _binary("Min"),
    "prelu": prelu,
    "abs": _unary(lambda e, x: e.make("Abs", x)),
    "relu": _unary(lambda e, x: e.make("Relu", x)),
    "relu6": _unary(_relu6),
    "leaky_relu": _unary(lambda e, x: e.make("LeakyRelu", x, alpha=float(e.attrs["alpha"]))),
    "hard_swish": _unary(lambda e, x: e.make("HardSwish", x)),
    "elu": _unary(lambda e, x: e.make("Elu", x)),
    "logistic": _unary(lambda e, x: e.make("Sigmoid", x)),
    "tanh": _unary(lambda e, x: e.make("Tanh", x)),
    "silu": _unary(lambda e, x: e.make("Mul", x, e.make("Sigmoid", x))),
    "softplus": _unary(lambda e, x: e.make("Softplus", x)),
    "mish": _unary(lambda e, x: e.make("Mul", x, e.make("Tanh", e.make("Softplus", x)))),
    "exp": _unary(lambda e, x: e.make("Exp", x)),
    "scaled_elu": _unary(_scaled_elu),
    "gelu": _unary(_gelu),
    "quantize": _unary(lambda e, x: x),  # the scale is the output's
    "dequantize": _unary(lambda e, x: x),
}
