"""Depthwise convolutions on any core, a channel at a time over its own input: the channel is copied out first."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import View
from sandgrain.graph.ops.base import i32
from sandgrain.graph.ops.conv.weights import bias_of, channel_multipliers, clamp_of
from sandgrain.graph.ops.elementwise.rescale import rounding
from sandgrain.graph.quantization import INT32_MAX
from sandgrain.kernels.base import ANY_CORE, ONE_INPUT_AND_SCRATCH, OVER_INPUT, Fit, Kernel, Refused, lowered
from sandgrain.kernels.conv.depthwise import geometry
from sandgrain.kernels.shared.threshold_table import steps_of
from sandgrain.kernels.shared.windows import by_channel, folded_bias

SMALL_PLANE = 4096  # bytes of scratch that are worth the faster kernel even where the input is smaller


def _plane(view: View) -> tuple[int, int]:
    """Height and width of one padded channel: what the kernel keeps in its scratch."""
    x, (top, bottom, left, right) = view.input(0), view.attrs["padding"]
    return x.shape[1] + top + bottom, x.shape[2] + left + right


def _refused(view: View) -> Refused | None:
    """Output pixel p of channel c lies where input pixel p of channel c was, and that channel has been copied out."""
    x, out, (height, width) = view.input(0), view.out, _plane(view)
    if x.shape[3] != out.shape[3]:
        return Refused(f"{x.shape[3]} input and {out.shape[3]} output channels; the kernel takes as many of both")
    if x.shape[0] != 1:
        return Refused(f"{x.shape[0]} images at once; the kernel takes one")
    if out.size > x.size:
        return Refused("the output is larger than the input, so it cannot lie over it")
    if height * width > max(x.size, SMALL_PLANE):
        return Refused(f"a padded channel of {height * width} bytes is more scratch than the input's {x.size} are worth")
    weights = np.abs(by_channel(view).astype(np.int64)).sum(axis=1)
    reach = weights * x.dtype.span + np.abs(bias_of(view, len(weights)).astype(np.int64))
    left = np.maximum(channel_multipliers(view, len(weights))[1].astype(np.int64), 0)
    wide = reach << (left + 1) > INT32_MAX
    return Refused(f"twice the sums of channel {int(wide.argmax())} need more than 32 bits") if wide.any() else None


def _lower(view: View) -> Fit:
    if refused := _refused(view):
        return refused
    (height, width), rows = _plane(view), by_channel(view)
    fields = geometry(view) | {
        # [channels][kernel_h][kernel_w]
        "weights": rows.reshape(-1),
        "bias": i32(folded_bias(view, rows)),
        "channels": view.out.shape[3],
        "plane_h": height,
        "plane_w": width,
        "in_zero_point": view.input(0).zero_point,
        "sign": rounding(-1, clamp_of(view)[0] - view.out.zero_point)[2],
        "code": np.zeros(1, np.int32),
        "scaled": 0,
        "away": 0,
    }
    steps = steps_of(view, rows)
    if not isinstance(steps, Refused):
        fields |= {"bias": steps.bias, "multiplier": steps.multiplier, "code": steps.code, "scaled": 1, "away": int(steps.away)}
    return lowered("depthwise_conv_2d_inplace_s8", fields, ONE_INPUT_AND_SCRATCH, height * width, OVER_INPUT)


KERNEL = Kernel(
    "depthwise_conv_2d_inplace_s8",
    ("depthwise_conv_2d",),
    _lower,
    "one output channel per input channel, one image, an output no larger than the input",
    ANY_CORE + 10,
)
