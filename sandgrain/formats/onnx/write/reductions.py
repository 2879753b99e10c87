"""Sums and their kin, softmax, layer normalization, the largest element: over axes that are named as the layout has them."""

from __future__ import annotations

from collections.abc import Callable

from onnx import TensorProto

from sandgrain.formats.onnx.write.emitter import Emitter, Layout, axis_in, in_layout


def _reduction(kind: str) -> Callable[[Emitter], None]:
    def form(e: Emitter) -> None:
        rank, axes, keep = len(e.view.input(0).shape), e.attrs["axes"], e.attrs["keep_dims"]
        left = [axis for axis in in_layout(range(rank), e.rest()) if axis not in axes]
        layout = e.rest() if keep or left == sorted(left) else Layout.LAST
        found, x = [axis_in(axis, rank, layout) for axis in axes], e.read(0, layout)
        if kind == "ReduceSum":  # the only one that has its axes as an input in this opset
            y = e.make(kind, x, e.constant(found, "int64"), keepdims=int(keep))
        else:
            y = e.make(kind, x, axes=found, keepdims=int(keep))
        e.done(y, layout if keep else Layout.LAST)

    return form


def softmax(e: Emitter) -> None:
    layout, beta = e.rest(), float(e.attrs["beta"])
    x = e.read(0, layout)
    if beta != 1.0:
        x = e.make("Mul", x, e.constant(beta))
    e.done(e.make("Softmax", x, axis=axis_in(-1, len(e.view.out.shape), layout)), layout)


def layer_norm(e: Emitter) -> None:
    e.done(e.make("LayerNormalization", e.read(0), e.reals(1), e.reals(2), axis=-1, epsilon=float(e.attrs["eps"])))


def arg_max(e: Emitter) -> None:
    found = e.make("ArgMax", e.read(0), axis=e.attrs["axis"], keepdims=0)
    e.done(e.make("Cast", found, to=TensorProto.INT32))


FORMS = {
    "mean": _reduction("ReduceMean"),
    "sum": _reduction("ReduceSum"),
    "reduce_max": _reduction("ReduceMax"),
    "softmax": softmax,
    "layer_norm": layer_norm,
    "arg_max": arg_max,
}
