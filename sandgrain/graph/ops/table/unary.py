"""What the element-wise ops share: any function of one small integer is a table, so they differ only in `evaluate`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Op, Shape, need, need_inputs, need_quantized
from sandgrain.graph.ops.channels import Interval, Link, through
from sandgrain.graph.ops.samples import SIZES, activation_tensor, draw_quant, one_op
from sandgrain.graph.quantization import Int64, Quantization, quantize_multiplier, requantize

Evaluate = Callable[[View, Int64], Array]
MAX_SOUND = 4096
_SOUND: set[Hashable] = set()  # contents of layers whose table has been made: a graph is checked after each pass
MAX_LEFT_SHIFT = 22  # |x - zero_point| <= 255 < 2^8, so a shifted value stays below 2^30


def table(evaluate: Evaluate, view: View) -> Array:
    """The output for each value of the input's type in rising order: for int8 256 of them, from -128 on."""
    return view.out.dtype.saturated(evaluate(view, view.input(0).dtype.values()))


def split_multiplier(real: float) -> tuple[int, int]:
    """quantize_multiplier for a factor of either sign that is applied to x - zero_point.

    Raises UnsupportedError where the scaled value could leave 32 bits.
    """
    need(bool(np.isfinite(real)), "the ratio of the input and output scales is not a number; quantize the model again")
    multiplier, shift = quantize_multiplier(abs(real))
    need(shift <= MAX_LEFT_SHIFT, f"the input scale is over 2^{MAX_LEFT_SHIFT} output scales; quantize the model again")
    return (-multiplier if real < 0 else multiplier), shift


def rescale(x: Int64, pair: tuple[int, int]) -> Int64:
    """x * real by the house rule; a negative factor is the negated product of its absolute value, as in TFLM."""
    multiplier, shift = pair
    scaled = requantize(x, abs(multiplier), shift).astype(np.int64)
    return -scaled if multiplier < 0 else scaled


def _content(view: View) -> Hashable:
    """All that the table of a unary op depends on."""
    x, y = view.input(0), view.out
    return view.node.op, tuple(sorted(view.attrs.items())), x.dtype, x.quant, y.dtype, y.quant


class UnaryOp(Op):
    """An op that maps each integer to one, with `evaluate` as its meaning. `only_clamps`: it needs no table."""

    only_clamps: ClassVar[bool] = False

    @abstractmethod
    def evaluate(self, view: View, x: Int64) -> Array:
        """Outputs for the integers `x`; what exceeds the output's type is saturated by the caller."""

    @staticmethod
    @abstractmethod
    def curve(x: Array, options: Attrs) -> Array:
        """The op on real numbers; `options` are the node's attributes."""

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        return (np.asarray(self.curve(inputs[0], view.attrs), np.float32),)

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        assert inputs[0] is not None
        return (inputs[0].shape,)

    def check(self, view: View) -> None:
        need_quantized(view.input(0), view.out)
        if (seen := _content(view)) not in _SOUND:
            table(self.evaluate, view)  # raises for scales that the arithmetic cannot hold
            if len(_SOUND) < MAX_SOUND:
                _SOUND.add(seen)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        return (table(self.evaluate, view)[x.astype(np.int64) - view.input(0).dtype.low].reshape(view.out.shape),)

    def interval(self, view: View, known: Sequence[Interval]) -> Sequence[Interval] | None:
        """The least and the most of the table between the ends, monotone or not."""
        dtype = view.input(0).dtype
        every = dtype.values().astype(dtype.numpy)
        whole = replace(
            view, inputs=(replace(view.input(0), shape=every.shape),), outputs=(replace(view.out, shape=every.shape),)
        )
        values = self.reference(whole, [every])[0].astype(np.int64)
        pairs = list(zip(known[0].low - dtype.low, known[0].high - dtype.low, strict=True))
        bounds = {pair: (values[pair[0] : pair[1] + 1].min(), values[pair[0] : pair[1] + 1].max()) for pair in set(pairs)}
        return [Interval(np.array([bounds[p][0] for p in pairs]), np.array([bounds[p][1] for p in pairs]))]

    def links(self, view: View) -> Sequence[Link] | None:
        return through(view)

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        need_inputs(inputs, 1)
        if len(outputs) != 1:
            raise ModelError(f"has {len(outputs)} outputs, needs 1")
        return Decoded(attrs(), (0,))

    def encode(self, view: View) -> Encoded:
        return Encoded(self.foreign[0].name) if self.foreign else super().encode(view)

    def sample(self, draw: Draw) -> Graph:
        x = activation_tensor("x", draw_shape(draw), draw_quant(draw))
        assert x.quant is not None
        y = activation_tensor("y", x.shape, self.draw_output(draw, x.quant))
        return one_op(self.name, (x,), (y,), self.draw_attrs(draw))

    def draw_output(self, draw: Draw, x: Quantization) -> Quantization:
        """An output quantization for `sample`: the input's in one case of three."""
        return draw.choice((x, draw_quant(draw), draw_quant(draw)))

    def draw_attrs(self, draw: Draw) -> Attrs:
        return attrs()


def draw_shape(draw: Draw, ranks: tuple[int, ...] = (1, 2, 3, 4)) -> Shape:
    """A shape of one of the `ranks`, two axes of any size and the others small."""
    rank = draw.choice(ranks)
    wide = {draw.integer(0, rank - 1), rank - 1}
    return tuple(draw.choice(SIZES) if k in wide else draw.integer(1, 3) for k in range(rank))
