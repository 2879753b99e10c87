"""Mean over any axes: an int32 sum, then one rescaling that divides by the count and changes the scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sandgrain.errors import ModelError
from sandgrain.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.ops.base import (
    Call,
    Decoded,
    Draw,
    Encoded,
    Foreign,
    In,
    Kernel,
    Op,
    Option,
    Out,
    Shape,
    constant_ints,
    i32,
    need,
    need_inputs,
    need_per_tensor_int8,
)
from sandgrain.ops.elementwise_dsp import mean_dsp
from sandgrain.ops.rescale import need_multiplier
from sandgrain.ops.samples import SIZES, activation_tensor, draw_quant, one_op
from sandgrain.quant import INT8_MAX, INT8_MIN, INT32_MAX, quantize_multiplier, requantize

GROUPS = 3  # loops that the kernel has over kept dimensions, and as many over reduced ones


def _count(view: View) -> int:
    return math.prod(view.input(0).shape[a] for a in view.attrs["axes"])


def _rescale(view: View) -> tuple[int, int]:
    """(multiplier, shift) from a sum to the output: TensorFlow Lite's split of 1/count between the two."""
    multiplier, shift = quantize_multiplier(view.input(0).scale / view.out.scale)
    count = _count(view)
    down = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << down) // count, shift - down


def _groups(view: View) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Kept and reduced dimensions as (size, stride), outermost first; neighbours of one kind merged, sizes 1 dropped."""
    found: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    stride, last = 1, -1
    for axis in reversed(range(len(view.input(0).shape))):
        size, kind = view.input(0).shape[axis], int(axis in view.attrs["axes"])
        if size == 1:
            continue
        if kind == last:
            inner_size, inner_stride = found[kind].pop(0)
            found[kind].insert(0, (size * inner_size, inner_stride))
        else:
            found[kind].insert(0, (size, stride))
        stride, last = stride * size, kind
    return found


def _fill(groups: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(1, 0)] * (GROUPS - len(groups)) + groups


def _lower(view: View) -> tuple[Call, ...]:
    kept, reduced = (_fill(g) for g in _groups(view))
    multiplier, shift = _rescale(view)
    fields: dict[str, int | float | tuple[int, ...] | Array] = {
        "kept": tuple(s for s, _ in kept), "kept_stride": tuple(s for _, s in kept),
        "reduced": tuple(s for s, _ in reduced), "reduced_stride": tuple(s for _, s in reduced),
        "offset": -view.input(0).zero_point * _count(view), "multiplier": multiplier, "shift": shift,
        "out_zero_point": view.out.zero_point,
    }  # fmt: skip
    return (Call("portable/mean_s8.h", fields, (In(0), Out(0))),)


class Mean(Op):
    name = "mean"
    summary = "mean over constant axes"
    foreign = (Foreign("MEAN", 40, 27, (Option("keep_dims", 0, "bool"),), version=2),)
    # Output n starts to read at input n or later, whatever the axes, so the kernel may run over its input.
    kernels = (
        mean_dsp(_rescale),
        Kernel("mean_s8", _lower, in_place=lambda view: (0,)),
    )

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        x = inputs[0]
        assert x is not None
        if any(not 0 <= a < len(x.shape) for a in attrs["axes"]):
            raise ModelError(f"axes {tuple(attrs['axes'])} of an input with {len(x.shape)} dimensions")
        if attrs["keep_dims"]:
            return (tuple(1 if a in attrs["axes"] else s for a, s in enumerate(x.shape)),)
        return (tuple(s for a, s in enumerate(x.shape) if a not in attrs["axes"]),)

    def check(self, view: View) -> None:
        x, out = view.input(0), view.out
        need_per_tensor_int8(x, out)
        need_multiplier(x.scale / out.scale)
        need(x.size > 0, "an empty input has no mean")
        left = max(_rescale(view)[1], 0)
        need(_count(view) * 255 << left <= INT32_MAX, f"a mean of {_count(view)} elements can exceed 32 bits; split it")
        need(max(len(g) for g in _groups(view)) <= GROUPS, "kept and reduced axes alternate too often; transpose the input first")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        total = x.astype(np.int64).sum(axis=view.attrs["axes"]) - view.input(0).zero_point * _count(view)
        result = requantize(total, *_rescale(view)) + view.out.zero_point
        return (np.clip(result, INT8_MIN, INT8_MAX).astype(np.int8).reshape(view.out.shape),)

    def macs(self, view: View) -> int:
        return 0

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        need_inputs(inputs, 2)
        x = inputs[0]
        assert x is not None
        rank, axes = len(x.shape), constant_ints(inputs[1], "the list of axes")
        if any(not -rank <= a < rank for a in axes):
            raise ModelError(f"an axis outside the input's {rank} dimensions")
        axes = sorted({a % rank for a in axes})
        return Decoded(attrs(axes=tuple(axes), keep_dims=bool(options["keep_dims"])), (0,))

    def encode(self, view: View) -> Encoded:
        return Encoded("MEAN", {"keep_dims": view.attrs["keep_dims"]}, (0, i32(view.attrs["axes"])))

    def sample(self, draw: Draw) -> Graph:
        # TensorFlow Lite Micro takes at most 4 dimensions and 2 axes.
        shape = tuple(draw.choice(SIZES[:9]) for _ in range(draw.integer(1, 4)))
        first, second = draw.integer(0, len(shape) - 1), draw.integer(0, len(shape) - 1)
        axes = (1, 2) if len(shape) == 4 and draw.choice((True, False)) else tuple(sorted({first, second}))
        a = attrs(axes=axes, keep_dims=draw.choice((True, False)))
        x = activation_tensor("x", shape, draw_quant(draw))
        assert x.quant is not None
        out_quant = draw.choice((x.quant, draw_quant(draw, 0.002, 0.2)))
        return one_op(self.name, (x,), (activation_tensor("y", self.shapes((x,), a)[0], out_quant),), a)
