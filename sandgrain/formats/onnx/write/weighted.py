"""Convolutions, fully connected layers, matrix products: channels first, weights as ONNX orders them."""

from __future__ import annotations

from sandgrain.formats.onnx.write.emitter import Emitter, Layout


def _bias(e: Emitter) -> list[str]:
    return [] if e.view.optional(2) is None else [e.weights(2)]


def _pads(padding: tuple[int, int, int, int]) -> list[int]:
    top, bottom, left, right = padding
    return [top, left, bottom, right]


def conv_2d(e: Emitter) -> None:
    """Weights OHWI -> OIHW."""
    _conv(e, e.weights(1, (0, 3, 1, 2)), 1)


def depthwise_conv_2d(e: Emitter) -> None:
    """Weights 1HWO -> O1HW: a convolution with as many groups as input channels."""
    _conv(e, e.weights(1, (3, 0, 1, 2)), e.view.input(0).shape[3])


def _conv(e: Emitter, weights: str, groups: int) -> None:
    a = e.attrs
    kernel = e.view.input(1).shape[1:3]
    y = e.make(
        "Conv", e.read(0, Layout.FIRST), weights, *_bias(e), kernel_shape=kernel, strides=a["stride"], dilations=a["dilation"],
        pads=_pads(a["padding"]), group=groups,
    )  # fmt: skip
    e.done(e.active(y), Layout.FIRST)


def transpose_conv(e: Emitter) -> None:
    """Weights OHWI -> IOHW. What the output is longer than the last tap reaches is filled with the bias alone."""
    a, x, kernel = e.attrs, e.view.input(0), e.view.input(1).shape[1:3]
    stride, before = a["stride"], a["padding"]
    reach = [(n - 1) * s + k - p for n, s, k, p in zip(x.shape[1:3], stride, kernel, before, strict=True)]
    cut = [max(r - size, 0) for r, size in zip(reach, a["size"], strict=True)]
    more = [max(size - r, 0) for r, size in zip(reach, a["size"], strict=True)]
    y = e.make(
        "ConvTranspose",
        e.read(0, Layout.FIRST),
        e.weights(1, (3, 0, 1, 2)),
        kernel_shape=kernel,
        strides=stride,
        pads=[*before, *cut],
    )
    if any(more):
        y = e.make("Pad", y, e.constant([0, 0, 0, 0, 0, 0, *more], "int64"))
    if e.view.optional(2) is not None:
        channels = e.constant([1, -1, 1, 1], "int64")
        y = e.make("Add", y, e.make("Reshape", e.weights(2), channels))
    e.done(e.active(y), Layout.FIRST)


def fully_connected(e: Emitter) -> None:
    depth = e.view.input(1).shape[1]
    x, kept = e.read(0), e.view.input(0).shape
    if not e.attrs["keep_num_dims"] and len(kept) != 2:
        x, kept = e.make("Reshape", x, e.constant([-1, depth], "int64")), (0, depth)
    if len(kept) == 2:
        y = e.make("Gemm", x, e.weights(1), *_bias(e), transB=1)
    else:
        y = e.make("MatMul", x, e.weights(1, (1, 0)))
        for bias in _bias(e):
            y = e.make("Add", y, bias)
    e.done(e.active(y))


def batch_matmul(e: Emitter) -> None:
    sides = []
    for position, key in enumerate(("adj_x", "adj_y")):
        side, rank = e.read(position), len(e.view.input(position).shape)
        if e.attrs[key]:
            side = e.make("Transpose", side, perm=[*range(rank - 2), rank - 1, rank - 2])
        sides.append(side)
    e.done(e.make("MatMul", *sides))


FORMS = {
    "conv_2d": conv_2d,
    "depthwise_conv_2d": depthwise_conv_2d,
    "transpose_conv": transpose_conv,
    "fully_connected": fully_connected,
    "batch_matmul": batch_matmul,
}
