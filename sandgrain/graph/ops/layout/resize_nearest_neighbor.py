"""Nearest-neighbour resize of an NHWC tensor's height and width."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sandgrain.graph.ir import Array, Graph, View, attrs
from sandgrain.graph.ops.base import Draw, Foreign, Option
from sandgrain.graph.ops.layout.movement import draw_tensor, like, need_same_bytes
from sandgrain.graph.ops.layout.resizing import Resize, per_side
from sandgrain.graph.ops.samples import one_op


def nearest(size: int, out_size: int, align_corners: bool, half_pixel_centers: bool) -> npt.NDArray[np.uint16]:
    """The input position for each output position along one axis, in TFLM's single-precision arithmetic."""
    if align_corners and out_size > 1:
        scale = np.float32(size - 1) / np.float32(out_size - 1)
    else:
        scale = np.float32(size) / np.float32(out_size)
    offset = np.float32(0.5 if half_pixel_centers else 0.0)
    exact = (np.arange(out_size).astype(np.float32) + offset) * scale
    whole = np.floor(exact)
    if align_corners:  # rounded, halves up; the fraction of a float is exact
        whole = whole + (exact - whole >= 0.5)
    positions: npt.NDArray[np.uint16] = np.clip(whole, 0, size - 1).astype(np.uint16)
    return positions


class ResizeNearestNeighbor(Resize):
    name = "resize_nearest_neighbor"
    moves = True
    summary = "nearest-neighbour resize of height and width"
    foreign = (
        Foreign(
            "RESIZE_NEAREST_NEIGHBOR",
            97,
            74,
            (Option("align_corners", 0, "bool", False), Option("half_pixel_centers", 1, "bool", False)),
            version=2,
            int16=True,
        ),
    )

    def check(self, view: View) -> None:
        need_same_bytes(view.input(0), view.out)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        row, column = (nearest(*side) for side in per_side(view))
        return (np.ascontiguousarray(x[:, row][:, :, column]),)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        row, column = (nearest(*side) for side in per_side(view))
        return (inputs[0][:, :, row][:, :, :, column],)

    def sample(self, draw: Draw) -> Graph:
        x, size = self.draw_sizes(draw, draw_tensor(draw, (4,)))
        a = attrs(size=size, align_corners=draw.choice((True, False)), half_pixel_centers=draw.choice((True, False)))
        return one_op(self.name, (x,), (like(x, self.shapes((x,), a)[0]),), a)
