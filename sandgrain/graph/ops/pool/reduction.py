"""What the ops that reduce whole axes share: attributes `axes` (sorted) and `keep_dims`, shapes, loops, both ways to .tflite."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Op, Option, Shape, constant_ints, i32, need, need_inputs
from sandgrain.graph.ops.channels import Link, through
from sandgrain.graph.ops.elementwise.rescale import need_multiplier
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_quant, one_op
from sandgrain.graph.quantization import INT32_MAX, Quantization

GROUPS = 3  # loops that the kernels have over kept dimensions, and as many over reduced ones
OPTIONS = (Option("keep_dims", 0, "bool"),)


def reduced_count(view: View) -> int:
    """How many elements make one of the output's."""
    return math.prod(view.input(0).shape[a] for a in view.attrs["axes"])


def loop_groups(view: View) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
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


def check_sum(view: View, left: int) -> None:
    """A sum of all that is reduced, shifted `left`, fits 32 bits, and scales are in a sane ratio."""
    need_multiplier(view.input(0).scale / view.out.scale)
    count = reduced_count(view)
    need(count * view.input(0).dtype.span << max(left, 0) <= INT32_MAX, f"a sum of {count} elements can exceed 32 bits; split it")


class Reduction(Op):
    """An op over constant axes. The kernels run over their input: output n starts to read at input n or later."""

    attributes = kinds(axes=[int], keep_dims=bool)

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
        need(view.input(0).size > 0, f"an empty input has no {self.name}")
        need(
            max(len(g) for g in loop_groups(view)) <= GROUPS,
            "kept and reduced axes alternate too often; transpose the input first",
        )

    @staticmethod
    @abstractmethod
    def folded(x: Array, axes: tuple[int, ...]) -> Array:
        """The op on real numbers, without the reduced axes."""

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        axes = tuple(axis + 1 for axis in view.attrs["axes"])
        return (self.folded(inputs[0], axes).reshape(len(inputs[0]), *view.out.shape),)

    def links(self, view: View) -> Sequence[Link] | None:
        return None if len(view.input(0).shape) - 1 in view.attrs["axes"] else through(view)

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
        return Encoded(self.foreign[0].name, {"keep_dims": view.attrs["keep_dims"]}, (0, i32(view.attrs["axes"])))

    def sample(self, draw: Draw) -> Graph:
        # TensorFlow Lite Micro takes at most 4 dimensions and 2 axes.
        shape = tuple(draw.choice(SIZES[:9]) for _ in range(draw.integer(1, 4)))
        first, second = draw.integer(0, len(shape) - 1), draw.integer(0, len(shape) - 1)
        axes = (1, 2) if len(shape) == 4 and draw.choice((True, False)) else tuple(sorted({first, second}))
        a = attrs(axes=axes, keep_dims=draw.choice((True, False)))
        x = activation_tensor("x", shape, draw_quant(draw))
        assert x.quant is not None
        return one_op(self.name, (x,), (activation_tensor("y", self.shapes((x,), a)[0], self.draw_output(draw, x.quant)),), a)

    def draw_output(self, draw: Draw, x: Quantization) -> Quantization:
        """An output quantization for `sample`."""
        return draw.choice((x, draw_quant(draw, 0.002, 0.2)))
