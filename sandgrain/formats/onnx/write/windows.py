"""Pools and resizes: channels first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sandgrain.formats.onnx.write.emitter import Emitter, Layout
from sandgrain.graph.ops.layout.resize_nearest_neighbor import nearest
from sandgrain.graph.ops.layout.resizing import per_side


def _pool(kind: str) -> Callable[[Emitter], None]:
    """Averages are of what lies inside the input, as ONNX has it unless told otherwise."""

    def form(e: Emitter) -> None:
        top, bottom, left, right = e.attrs["padding"]
        y = e.make(
            kind,
            e.read(0, Layout.FIRST),
            kernel_shape=e.attrs["kernel"],
            strides=e.attrs["stride"],
            pads=[top, left, bottom, right],
        )
        e.done(e.active(y), Layout.FIRST)

    return form


def resize_nearest_neighbor(e: Emitter) -> None:
    """A Resize by whole factors; else rows and columns picked one by one: ONNX rounds positions in its own way."""
    sides = per_side(e.view)
    picked = [nearest(*side) for side in sides]
    whole = all(
        out % size == 0 and np.array_equal(at, np.arange(out) // (out // size))
        for at, (size, out, *_) in zip(picked, sides, strict=True)
    )
    y = e.read(0, Layout.FIRST)
    if whole:
        y = e.make(
            "Resize", y, "", "", _sizes(e), mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
        )
    else:
        for axis, at in enumerate(picked, 2):
            y = e.make("Gather", y, e.constant(at, "int64"), axis=axis)
    e.done(y, Layout.FIRST)


def resize_bilinear(e: Emitter) -> None:
    by = "align_corners" if e.attrs["align_corners"] else "half_pixel" if e.attrs["half_pixel_centers"] else "asymmetric"
    y = e.make("Resize", e.read(0, Layout.FIRST), "", "", _sizes(e), mode="linear", coordinate_transformation_mode=by)
    e.done(y, Layout.FIRST)


def _sizes(e: Emitter) -> str:
    n, _, _, channels = e.view.input(0).shape
    return e.constant([n, channels, *e.attrs["size"]], "int64")


FORMS = {
    "average_pool_2d": _pool("AveragePool"),
    "max_pool_2d": _pool("MaxPool"),
    "resize_nearest_neighbor": resize_nearest_neighbor,
    "resize_bilinear": resize_bilinear,
}
