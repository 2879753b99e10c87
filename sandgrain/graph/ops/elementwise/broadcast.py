"""Element-wise ops of two inputs with numpy's broadcasting: shapes, loops, checks and test cases of add, sub and mul."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Op, Shape, need, need_inputs, need_quantized
from sandgrain.graph.ops.channels import Interval, Link, channels_of, every
from sandgrain.graph.ops.conv import windows as win
from sandgrain.graph.ops.elementwise.rescale import need_activation
from sandgrain.graph.ops.real_math import activated, aligned
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_point, draw_quant, one_op
from sandgrain.graph.quantization import Quantization, per_tensor

LOOPS = 5  # that the kernels have


def broadcast_shape(a: Shape, b: Shape) -> Shape:
    """numpy's rule: aligned at the end, each dimension equal or 1."""
    rank = max(len(a), len(b))
    wide_a, wide_b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
    if any(m != n and 1 not in (m, n) for m, n in zip(wide_a, wide_b, strict=True)):
        raise ModelError(f"shapes {a} and {b} do not broadcast")
    return tuple(n if m == 1 else m for m, n in zip(wide_a, wide_b, strict=True))


def loops(a: Shape, b: Shape) -> list[tuple[int, int, int]]:
    """(size, stride of a, stride of b) outermost first; a stride is 0 where that input is repeated.

    Neighbouring dimensions that behave alike are merged and dimensions of size 1 dropped.
    """
    out = broadcast_shape(a, b)
    wide = [(1,) * (len(out) - len(s)) + s for s in (a, b)]
    found: list[tuple[int, int, int]] = []
    strides, last = [1, 1], (False, False)
    for axis in reversed(range(len(out))):
        if out[axis] == 1:
            continue
        moves = (wide[0][axis] != 1, wide[1][axis] != 1)
        if found and moves == last:
            size, sa, sb = found.pop()
            found.append((size * out[axis], sa, sb))
        else:
            found.append((out[axis], strides[0] * moves[0], strides[1] * moves[1]))
        strides = [s * (out[axis] if m else 1) for s, m in zip(strides, moves, strict=True)]
        last = moves
    return found[::-1]


class Binary(Op):
    """An op of two int8 inputs with broadcasting and, where it `activates`, an activation."""

    activates = True
    monotone: ClassVar[bool] = True  # in each input while the other stands still
    max_rank: ClassVar[int] = 4  # of the test cases: what TensorFlow Lite Micro takes

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 2)
        a, b = inputs
        assert a is not None and b is not None
        return (broadcast_shape(a.shape, b.shape),)

    def check(self, view: View) -> None:
        a, b = view.input(0), view.input(1)
        need_quantized(a, b, view.out)
        if self.activates:
            need_activation(view.out, view.attrs["activation"])
        count = len(loops(a.shape, b.shape))
        need(count <= LOOPS, f"broadcasting {a.shape} with {b.shape} needs {count} loops, at most {LOOPS} are supported")

    @staticmethod
    @abstractmethod
    def combined(a: Array, b: Array) -> Array:
        """The op on real numbers, element by element, without the activation."""

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        return (activated(view, self.combined(*aligned(view, inputs))),)

    def interval(self, view: View, known: Sequence[Interval]) -> Sequence[Interval] | None:
        """An op that is monotone in each input while the other stands still has its extremes at the corners."""
        if not self.monotone:
            return None
        corners = [self.reference(view, [a, b])[0].astype(np.int64) for a in known[0] for b in known[1]]
        return [Interval(np.min(corners, axis=0), np.max(corners, axis=0))]

    def links(self, view: View) -> Sequence[Link] | None:
        """An input with one channel that is repeated is read by all; it has no link."""
        channels = every(channels_of(view.out))
        return [Link(k, channels, 0, channels) for k in (0, 1) if channels_of(view.input(k)) == len(channels)]

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        need_inputs(inputs, 2)
        a = attrs(activation=win.activation(options[win.ACTIVATION_OPTION])) if self.activates else attrs()
        return Decoded(a, (0, 1))

    def encode(self, view: View) -> Encoded:
        options = {win.ACTIVATION_OPTION: win.ACTIVATION_CODE[view.attrs["activation"]]} if self.activates else {}
        return Encoded(self.foreign[0].name, options, (0, 1))

    def _draw_output(self, draw: Draw, a: Quantization, b: Quantization) -> Quantization:
        largest = max(a.scale[0], b.scale[0])
        return per_tensor(draw.real(0.3, 3.0) * largest, draw_point(draw))

    def sample(self, draw: Draw) -> Graph:
        whole = tuple(draw.choice(SIZES[:7]) for _ in range(draw.integer(1, self.max_rank)))
        shapes = [whole, whole]
        if draw.choice((True, False)):
            for k in (0, 1):
                thin = tuple(draw.choice((1, s)) for s in whole)
                shapes[k] = thin[draw.integer(0, len(whole) - 1) :] if draw.choice((True, False)) else thin
            if draw.choice((True, False)):
                shapes[draw.integer(0, 1)] = whole
        q = draw_quant(draw)
        tensors = [activation_tensor(n, s, draw.choice((q, draw_quant(draw)))) for n, s in zip("ab", shapes, strict=True)]
        constant = draw.choice((None, None, 0, 1))
        if constant is not None:
            t = tensors[constant]
            tensors[constant] = Tensor(t.name, t.shape, t.dtype, t.quant, draw.array(t.shape, ACTIVATION.low, ACTIVATION.high))
        a, b = tensors
        assert a.quant is not None and b.quant is not None
        out = activation_tensor("y", broadcast_shape(a.shape, b.shape), self._draw_output(draw, a.quant, b.quant))
        values = attrs(activation=draw.choice(("none", "relu", "relu6", "relu_n1_to_1"))) if self.activates else attrs()
        return one_op(self.name, (a, b), (out,), values)
