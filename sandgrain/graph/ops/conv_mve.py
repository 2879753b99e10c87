"""Convolution and fully connected layers for cores with Helium: packed streams, and what may be written over what.

The kernels in `kernels/helium` read one stream of words a layer; `sg_mve_dot.h` says what the words mean.
"""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import Call, In, Kernel, Out, Scratch
from sandgrain.graph.ops.conv.weights import bias_of, channel_multipliers, clamp_of
from sandgrain.graph.ops.conv_dsp import lead
from sandgrain.graph.quantization import Int32

MVE = frozenset({"mve"})
GROUP = 8  # output channels
LANES = 16  # inputs of a vector
EVEN_FIRST = (0, 2, 4, 6, 1, 3, 5, 7)

Fields = dict[str, int | float | tuple[int, ...] | Array]


def is_exact(view: View) -> bool:
    """Whether a layer needs the kernel that rounds negative halves away from zero and clamps to any range."""
    low, high = clamp_of(view)
    return not (low >= view.out.zero_point and (low, high) == (view.out.dtype.low, view.out.dtype.high))


def rescales(view: View, channels: int) -> bool:
    """Whether the kernels' vectors can do the layer's rescaling: no left shifts, and by one or more where halves matter."""
    multiplier, shift = channel_multipliers(view, channels)
    least = 1 if is_exact(view) and clamp_of(view)[0] < view.out.zero_point else 0
    return bool(((-shift.astype(np.int64) >= least) | (multiplier == 0)).all() and (shift <= 0).all())


def vectors_of(view: View) -> int:
    """Vectors of inputs an output: weights along axis 0 are output channels."""
    return -(-int(np.prod(view.input(1).shape[1:])) // LANES)


def stream_of(view: View, together: int) -> Array:
    """The int32 stream of a layer whose weights lie along axis 0. `together`: channels of one [bias, weights] part, 4 or 8."""
    weights = view.const(1).reshape(view.input(1).shape[0], -1)
    channels, inputs = weights.shape
    multiplier, shift = channel_multipliers(view, channels)
    bias = bias_of(view, channels).astype(np.int64) - view.input(0).zero_point * weights.astype(np.int64).sum(axis=1)
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


def _common(view: View, together: int) -> Fields:
    low, high = clamp_of(view)
    return {
        "stream": stream_of(view, together), "vectors": vectors_of(view), "exact": int(is_exact(view)),
        "out_zero_point": view.out.zero_point, "low": low, "high": high,
    }  # fmt: skip


def _accepts(view: View) -> bool:
    return view.out.size > 0 and rescales(view, view.input(1).shape[0])


def _accepts_pointwise(view: View) -> bool:
    a = view.attrs
    plain = view.input(1).shape[1:3] == (1, 1) and tuple(a["stride"]) == (1, 1) and not any(a["padding"])
    return plain and _accepts(view)


def _widens(view: View) -> bool:
    return view.out.shape[3] > view.input(0).shape[3]


def _pointwise_lead(view: View) -> int:
    """How many bytes before its input a wider output must start: what all pairs of pixels but the last gain."""
    in_c, out_c = view.input(0).shape[3], view.out.shape[3]
    pixels = view.out.size // out_c
    return max(0, (pixels - 1) // 2 * 2 * (out_c - in_c))


def _lower_pointwise(view: View) -> tuple[Call, ...]:
    in_c, out_c = view.input(0).shape[3], view.out.shape[3]
    fields = _common(view, GROUP // 2)
    fields |= {"pixels": view.out.size // out_c, "in_c": in_c, "out_c": out_c}
    return (Call("helium/conv_pointwise_mve_s8.h", fields, (In(0), Out(0), Scratch())),)


def _lower_window(view: View) -> tuple[Call, ...]:
    x, out = view.input(0), view.out
    _, kernel_h, kernel_w, in_c = view.input(1).shape
    (stride_h, stride_w), (dilation_h, dilation_w) = view.attrs["stride"], view.attrs["dilation"]
    top, _, left, _ = view.attrs["padding"]
    fields = _common(view, GROUP // 2)
    fields |= {
        "batch": x.shape[0], "in_h": x.shape[1], "in_w": x.shape[2], "in_c": in_c,
        "out_h": out.shape[1], "out_w": out.shape[2], "out_c": out.shape[3],
        "kernel_h": kernel_h, "kernel_w": kernel_w, "stride_h": stride_h, "stride_w": stride_w,
        "dilation_h": dilation_h, "dilation_w": dilation_w, "pad_top": top, "pad_left": left,
        "in_zero_point": x.zero_point,
    }  # fmt: skip
    return (Call("helium/conv_window_mve_s8.h", fields, (In(0), Out(0), Scratch())),)


def _pair_scratch(view: View) -> int:
    return 2 * LANES * vectors_of(view)


def _whole(view: View) -> bool:
    return int(view.input(1).shape[1]) % LANES == 0 and _accepts(view)


def _dense_fields(view: View) -> Fields:
    units, depth = view.input(1).shape
    return _common(view, GROUP) | {"batch": view.input(0).size // depth, "units": units}


def _lower_dense(view: View) -> tuple[Call, ...]:
    return (Call("helium/fully_connected_mve_s8.h", _dense_fields(view), (In(0), Out(0))),)


def _lower_dense_copy(view: View) -> tuple[Call, ...]:
    fields = _dense_fields(view) | {"depth": view.input(1).shape[1]}
    return (Call("helium/fully_connected_copy_mve_s8.h", fields, (In(0), Out(0), Scratch())),)


def _copy_scratch(view: View) -> int:
    return LANES * vectors_of(view)


CONV_KERNELS = (
    Kernel(
        "conv_pointwise_mve",
        _lower_pointwise,
        MVE,
        _accepts_pointwise,
        _pair_scratch,
        lambda view: () if _widens(view) else (0,),
        lambda view: ((0, _pointwise_lead(view)),),
    ),
    Kernel("conv_window_mve", _lower_window, MVE, _accepts, _pair_scratch, overlap=lambda view: ((0, lead(view)),)),
)

DENSE_KERNELS = (
    Kernel("fully_connected_mve", _lower_dense, MVE, _whole),
    Kernel("fully_connected_copy_mve", _lower_dense_copy, MVE, _accepts, _copy_scratch),
)
