"""What the kernels that resize images share: sizes, and where the output may start."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import View
from sandgrain.graph.ops.signal.image import mean_fields
from sandgrain.graph.ops.signal.resize import shrinks, weights_of
from sandgrain.kernels.base import Fields, Share, before


def size_fields(view: View, divisor: int) -> Fields:
    """Sizes of the output, bytes of an input line, and the division by the weights' sum."""
    _, out_h, out_w, channels = view.out.shape
    line = view.input(0).shape[2] * channels
    return {"out_h": out_h, "out_w": out_w, "channels": channels, "line": line, **mean_fields(divisor)}


def sharing(view: View) -> tuple[Share, ...]:
    """Shrinking, output n reads nothing before input n. Otherwise row y, once written, must end before its first input row."""
    if shrinks(view):
        return (before(0),)
    _, height, width, channels = view.out.shape
    ends = (np.arange(height) + 1) * width * channels
    return (before(max(0, int(np.max(ends - weights_of(view)[0].first * view.input(0).shape[2] * channels)))),)
