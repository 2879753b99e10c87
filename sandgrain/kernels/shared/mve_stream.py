"""Weights packed for cores with Helium: one stream of words per layer. What the words mean is said in `sg_mve_dot.h`."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.dtypes import INT8
from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.conv.weights import channel_multipliers, clamp_of
from sandgrain.graph.quantization import Int32
from sandgrain.kernels.base import Fields, Refused
from sandgrain.kernels.shared.windows import by_unit, folded_bias

GROUP = 8  # output channels
LANES = 16  # inputs of a vector
EVEN_FIRST = (0, 2, 4, 6, 1, 3, 5, 7)


def is_exact(view: View) -> bool:
    """Whether a layer needs the kernel that rounds negative halves away from zero and clamps to any range."""
    low, high = clamp_of(view)
    return not (low >= view.out.zero_point and (low, high) == (INT8.low, INT8.high))


def refused_scale(view: View, channels: int) -> Refused | None:
    """Which channel's rescaling the vectors cannot do: no left shifts, and by one or more to the right where halves matter."""
    multiplier, shift = channel_multipliers(view, channels)
    right = -shift.astype(np.int64)
    least = 1 if is_exact(view) and clamp_of(view)[0] < view.out.zero_point else 0
    possible = ((right >= least) | (multiplier == 0)) & (right >= 0)
    if possible.all():
        return None
    channel = int(np.argmin(possible))
    return Refused(f"channel {channel} is shifted right by {right[channel]}; the kernel shifts by {least} or more")


def refused_layer(view: View) -> Refused | None:
    """Why a layer whose weights lie along axis 0 cannot be packed."""
    return Refused("the output is empty") if view.out.size == 0 else refused_scale(view, view.input(1).shape[0])


def vectors_of(view: View) -> int:
    """Vectors of inputs per output: weights along axis 0 are output channels."""
    return -(-int(np.prod(view.input(1).shape[1:])) // LANES)


def stream_of(view: View, together: int) -> Array:
    """The int32 stream of a layer whose weights lie along axis 0. `together`: channels of one [bias, weights] part, 4 or 8."""
    weights = by_unit(view)
    channels, inputs = weights.shape
    multiplier, shift = channel_multipliers(view, channels)
    bias = folded_bias(view, weights)
    spare = -channels % GROUP
    padded = np.pad(weights, ((0, spare), (0, -inputs % LANES)))
    # [groups, parts, channels together, vectors, 16] to [groups, parts, vectors, channels together, 16]
    parts = padded.reshape(-1, GROUP, padded.shape[1])[:, EVEN_FIRST].reshape(
        -1, GROUP // together, together, vectors_of(view), LANES
    )
    words = np.ascontiguousarray(parts.transpose(0, 1, 3, 2, 4)).view("<i4").reshape(*parts.shape[:2], -1)

    def ordered(values: Array) -> Int32:
        groups = np.pad(values, (0, spare)).astype(np.int32).reshape(-1, GROUP)
        return groups[:, EVEN_FIRST].reshape(-1, GROUP // together, together)

    def fours(values: Int32) -> Int32:
        return values.reshape(*values.shape[:2], -1, 4)

    scales = np.stack([fours(ordered(multiplier)), fours(ordered(shift))], axis=3).reshape(*parts.shape[:2], -1)
    return np.concatenate([ordered(bias), words, scales], axis=2).astype(np.int32)


def layer_fields(view: View, together: int) -> Fields:
    """The members that convolutions and fully connected layers have."""
    low, high = clamp_of(view)
    return {
        "packed_weights": stream_of(view, together),
        "vectors": vectors_of(view),
        "round_half_away": int(is_exact(view)),
        "out_zero_point": view.out.zero_point,
        "low": low,
        "high": high,
    }
