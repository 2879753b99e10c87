"""Bilinear resize of an NHWC tensor's height and width, in TensorFlow Lite's integers: positions in 1/1024 of a pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Graph, View, attrs
from sandgrain.graph.ops.base import Draw, Foreign, Option, need, need_quantized, same_quant
from sandgrain.graph.ops.layout.movement import draw_tensor, like
from sandgrain.graph.ops.layout.resizing import Resize, per_side
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.quantization import Int64, rounding_shift

ONE = 1 << 10  # a pixel
Reals = npt.NDArray[np.float64]


def shares(size: int, out_size: int, align_corners: bool, half_pixel_centers: bool) -> tuple[Int64, Int64]:
    """Along one axis, for each output position: the input position before it, and how much of the next one counts (0 to ONE).

    Beyond the last input position the last one counts alone; TensorFlow Lite Micro reads what follows the tensor there.
    """
    ends = align_corners and out_size > 1
    steps, count = (size - 1, out_size - 1) if ends else (size, out_size)
    scale = (ONE * steps + count // 2) // count
    at = np.arange(out_size, dtype=np.int64) * scale
    if half_pixel_centers:
        at += scale // 2 - ONE // 2
    before = np.clip(at >> 10, 0, size - 1)
    share = np.where((at < 0) | (before == size - 1), 0, at - ONE * before)
    return before, np.asarray(share, np.int64)


def real_weights(size: int, out_size: int, align_corners: bool, half_pixel_centers: bool) -> Reals:
    """[out_size, size]: how much of each input position an output position is, in real numbers."""
    ends = align_corners and out_size > 1
    at = np.arange(out_size) * ((size - 1) / (out_size - 1)) if ends else np.arange(out_size) * (size / out_size)
    if half_pixel_centers:
        at = at + 0.5 * size / out_size - 0.5
    at = np.clip(at, 0, size - 1)
    return np.asarray(np.maximum(1 - np.abs(at[:, None] - np.arange(size)), 0), np.float64)


def _mixed(x: Int64, axis: int, before: Int64, share: Int64) -> Int64:
    """Pairs of neighbours along `axis`, weighted: ONE times what lies between them."""
    wide = [1] * x.ndim
    wide[axis] = -1
    part = share.reshape(wide)
    after = np.minimum(before + 1, x.shape[axis] - 1)
    return np.asarray(x.take(before, axis) * (ONE - part) + x.take(after, axis) * part, np.int64)


class ResizeBilinear(Resize):
    name = "resize_bilinear"
    summary = "bilinear resize of height and width"
    foreign = (
        Foreign(
            "RESIZE_BILINEAR",
            23,
            15,
            (Option("align_corners", 2, "bool", False), Option("half_pixel_centers", 3, "bool", False)),
            version=3,
        ),
    )

    def check(self, view: View) -> None:
        need_quantized(view.input(0), view.out)
        need(same_quant(view.input(0), view.out), "input and output are quantized differently; add a QUANTIZE layer")
        a = view.attrs
        need(not (a["align_corners"] and a["half_pixel_centers"]), "aligned corners with half-pixel centers; choose one of them")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        rows, columns = (shares(*side) for side in per_side(view))
        total = _mixed(_mixed(x.astype(np.int64), 1, *rows), 2, *columns)
        return (rounding_shift(total, 20).astype(view.out.dtype.numpy),)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        rows, columns = (real_weights(*side).astype(np.float32) for side in per_side(view))
        return (np.einsum("yh,nbhwc,xw->nbyxc", rows, inputs[0], columns, optimize=True),)

    def macs(self, view: View) -> int:
        return 4 * view.out.size

    def sample(self, draw: Draw) -> Graph:
        x, size = self.draw_sizes(draw, draw_tensor(draw, (4,), (ACTIVATION,)))
        corners, centers = draw.choice(((False, True), (True, False), (False, False)))
        a = attrs(size=size, align_corners=corners, half_pixel_centers=centers)
        return one_op(self.name, (x,), (like(x, self.shapes((x,), a)[0]),), a)
