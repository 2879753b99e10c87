"""Every stride-th element of a range, axis by axis; strides may be negative, an axis may be dropped.

`decode` resolves the masks, so the IR holds, for each input axis, `start`, `stride` and `size` (how many are taken), and
`drop`: the axes (of size 1) that the output does not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.dtypes import FLOAT32, INT32
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Foreign, Op, Option, Shape, constant_ints, need, need_inputs
from sandgrain.graph.ops.channels import Interval, Link, Mask, all_alike, channels_of, through
from sandgrain.graph.ops.layout.movement import MAX_RANK, draw_tensor, like, need_same_bytes
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.traits import FIRST_INPUT


def _resolve(extent: int, begin: int | None, end: int | None, stride: int) -> tuple[int, int, int]:
    """(start, stride, size) of begin:end:stride along an axis; None is an end that a mask leaves open."""
    taken = range(*slice(begin, end, stride).indices(extent))
    if not taken:
        raise ModelError(f"the slice {begin}:{end}:{stride} of {extent} elements is empty")
    # The stride of a single element is of no account, and may be too large for the kernel's fields.
    return taken[0], stride if len(taken) > 1 else 1, len(taken)


def _pick(extent: int, index: int) -> tuple[int, int, int]:
    """(start, stride, size) of the one element of an axis that is dropped."""
    if not -extent <= index < extent:
        raise ModelError(f"index {index} of an axis of {extent}")
    return index % extent, 1, 1


class StridedSlice(Op):
    name = "strided_slice"
    attributes = kinds(start=[int], size=[int], stride=[int], drop=[int])
    moves = True
    summary = "every stride-th element of a range, axis by axis"
    same_scale_inputs = FIRST_INPUT
    foreign = (
        Foreign(
            "STRIDED_SLICE", 45, 32,
            (Option("begin_mask", 0, "i32"), Option("end_mask", 1, "i32"), Option("ellipsis_mask", 2, "i32"),
             Option("new_axis_mask", 3, "i32"), Option("shrink_axis_mask", 4, "i32"), Option("offset", 5, "bool", False)),
            version=2, int16=True,
        ),
    )  # fmt: skip

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        assert inputs[0] is not None
        shape, parts = inputs[0].shape, [attrs[name] for name in ("start", "stride", "size")]
        if any(len(part) != len(shape) for part in parts):
            raise ModelError(
                f"start, stride and size are for {', '.join(str(len(p)) for p in parts)} axes, the input has {len(shape)}"
            )
        rows = list(zip(shape, *parts, strict=True))
        for extent, start, stride, size in rows:
            if size < 1 or not (0 <= start < extent and 0 <= start + stride * (size - 1) < extent):
                raise ModelError(f"{size} elements from {start} by {stride} leave an axis of {extent}")
        return (tuple(size for k, (_, _, _, size) in enumerate(rows) if k not in attrs["drop"]),)

    def check(self, view: View) -> None:
        need_same_bytes(view.input(0), view.out)
        rank = len(view.input(0).shape)
        need(rank <= MAX_RANK, f"{rank} dimensions; slice at most {MAX_RANK}")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x, a = inputs[0], view.attrs
        assert x is not None
        for axis, (start, stride, size) in enumerate(zip(a["start"], a["stride"], a["size"], strict=True)):
            x = x.take(start + stride * np.arange(size), axis=axis)
        return (x.reshape(view.out.shape),)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        x, a = inputs[0], view.attrs
        for axis, (start, stride, size) in enumerate(zip(a["start"], a["stride"], a["size"], strict=True), 1):
            x = x.take(start + stride * np.arange(size), axis=axis)
        return (x.reshape(len(x), *view.out.shape),)

    def interval(self, view: View, known: Sequence[Interval]) -> Sequence[Interval] | None:
        a, last = view.attrs, len(view.input(0).shape) - 1
        if last < 0 or last in a["drop"]:
            return [all_alike(known[0], channels_of(view.out))]
        taken = a["start"][last] + a["stride"][last] * np.arange(a["size"][last])
        return [Interval(known[0].low[taken], known[0].high[taken])]

    def links(self, view: View) -> Sequence[Link] | None:
        a, x = view.attrs, view.input(0)
        last = len(x.shape) - 1
        whole = last >= 0 and last not in a["drop"]
        return (
            through(view) if whole and (a["start"][last], a["stride"][last], a["size"][last]) == (0, 1, x.shape[last]) else None
        )

    def narrowed_attrs(self, view: View, kept: Sequence[Mask]) -> Mapping[str, Any]:
        return {"size": (*view.attrs["size"][:-1], int(kept[0].sum()))}

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        need_inputs(inputs, 4)
        assert inputs[0] is not None
        for mask in ("ellipsis_mask", "new_axis_mask", "offset"):
            need(not options[mask], f"a slice with {mask} is not supported; write the range of every axis")
        shape = inputs[0].shape
        begin, end, stride = (
            constant_ints(t, f"the slice's {what}") for t, what in zip(inputs[1:], ("begin", "end", "strides"), strict=True)
        )
        if not len(begin) == len(end) == len(stride) == len(shape):
            raise ModelError(f"a slice with {len(begin)}, {len(end)} and {len(stride)} values for {len(shape)} dimensions")
        rows = []
        drop = tuple(k for k in range(len(shape)) if options["shrink_axis_mask"] >> k & 1)
        for k, extent in enumerate(shape):
            opened = options["begin_mask"] >> k & 1
            if k in drop:
                need(stride[k] > 0, "a dropped axis with a negative stride; take one element with stride 1")
                rows.append(_pick(extent, 0 if opened else begin[k]))
                continue
            if stride[k] == 0:
                raise ModelError("a slice with stride 0")
            last = None if options["end_mask"] >> k & 1 else end[k]
            rows.append(_resolve(extent, None if opened else begin[k], last, stride[k]))
        return Decoded(
            attrs(start=tuple(r[0] for r in rows), stride=tuple(r[1] for r in rows), size=tuple(r[2] for r in rows), drop=drop),
            (0,),
        )

    def encode(self, view: View) -> Encoded:
        a = view.attrs
        end, end_mask = [], 0
        for k, (start, stride, size) in enumerate(zip(a["start"], a["stride"], a["size"], strict=True)):
            last = start + stride * (size - 1)
            beyond = last + (1 if stride > 0 else -1)
            end.append(max(beyond, 0))
            end_mask |= (beyond < 0) << k  # "one before the first" cannot be written as a number
        options = {"end_mask": end_mask, "shrink_axis_mask": sum(1 << k for k in a["drop"])}
        vectors = (np.array(v, np.int32) for v in (a["start"], end, a["stride"]))
        return Encoded("STRIDED_SLICE", options, (0, *vectors))

    def sample(self, draw: Draw) -> Graph:
        x = draw_tensor(draw, dtypes=(INT32, FLOAT32))
        rows: list[tuple[int, int, int]] = []
        drop: list[int] = []
        for k, extent in enumerate(x.shape):
            start = draw.integer(0, extent - 1)
            if len(x.shape) - len(drop) > 1 and draw.choice((True, False, False, False)):
                rows.append((start, 1, 1))
                drop.append(k)
                continue
            stride = draw.choice((1, 1, 2, 3, -1, -2))
            reach = (extent - 1 - start if stride > 0 else start) // abs(stride) + 1
            size = draw.integer(1, reach)
            rows.append((start, stride if size > 1 else 1, size))
        a = attrs(
            start=tuple(r[0] for r in rows), stride=tuple(r[1] for r in rows), size=tuple(r[2] for r in rows), drop=tuple(drop)
        )
        return one_op(self.name, (x,), (like(x, self.shapes((x,), a)[0]),), a)
