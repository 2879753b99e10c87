"""Put a constant around a tensor: zero (the output's zero point) for PAD, any value for PADV2.

`paddings` holds (before, after) for each axis; `value` is the byte that fills. A second input, when there is one, is the
constant that PADV2 names for it; the kernel does not read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.dtypes import ACTIVATION, ACTIVATIONS, FLOAT32, INT32, DType
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Decoded, Draw, Encoded, Foreign, Op, Shape, constant_ints, need, need_inputs
from sandgrain.graph.ops.channels import Interval, Link, Mask, channels_of, every
from sandgrain.graph.ops.layout.movement import MAX_RANK, draw_tensor, like, need_same_bytes
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.traits import FIRST_INPUT
from sandgrain.graph.quantization import Quantization


def _fill_byte(constant: Tensor) -> int:
    """The byte that fills, from PADV2's constant."""
    need(constant.data is not None, "the padding value is computed at run time; make it a constant")
    assert constant.data is not None
    if constant.data.size != 1:
        raise ModelError(f"the padding value has {constant.data.size} elements, needs 1")
    if constant.dtype in ACTIVATIONS:
        return int(constant.data.reshape(-1)[0])
    need(not any(constant.data.tobytes()), f"{constant.dtype} padding with a value other than 0; pad with 0")
    return 0


def _check_value(value: int, dtype: DType) -> None:
    if not dtype.is_float:
        need(dtype.low <= value <= dtype.high, f"padding with {value}; use a value from {dtype.low} to {dtype.high}")


class Pad(Op):
    name = "pad"
    attributes = kinds(paddings=[(int, int)], value=int)
    moves = True
    summary = "a constant around a tensor"
    same_scale_inputs = FIRST_INPUT
    enlarges = True
    data_inputs = 1  # `value` repeats the constant that input 1 is
    foreign = (Foreign("PAD", 34, version=2, int16=True), Foreign("PADV2", 60, version=2, int16=True))

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1, 2)
        assert inputs[0] is not None
        shape, paddings = inputs[0].shape, attrs["paddings"]
        if len(paddings) != len(shape):
            raise ModelError(f"{len(paddings)} pairs of paddings for {len(shape)} dimensions")
        if any(p < 0 for pair in paddings for p in pair):
            raise ModelError("a padding below 0; use a slice instead")
        return (tuple(n + before + after for n, (before, after) in zip(shape, paddings, strict=True)),)

    def check(self, view: View) -> None:
        constant = view.optional(1)
        need_same_bytes(view.input(0), view.out, *(() if constant is None else (constant,)))
        rank = len(view.out.shape)
        need(1 <= rank <= MAX_RANK, f"{rank} dimensions; pad 1 to {MAX_RANK}")
        _check_value(view.attrs["value"], view.out.dtype)
        need(
            view.out.dtype in ACTIVATIONS or view.attrs["value"] == 0,
            f"{view.out.dtype} padding with a value other than 0; pad with 0",
        )

    def integer_attrs(self, values: Attrs, out: Quantization) -> Attrs:
        return attrs(**{**values, "value": out.zero_point[0]})

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        return (np.pad(x, view.attrs["paddings"], constant_values=view.attrs["value"]),)

    def real(self, view: View, inputs: Sequence[Array]) -> Sequence[Array]:
        return (np.pad(inputs[0], ((0, 0), *view.attrs["paddings"])),)  # a float pad holds zeros, see `decode`

    def interval(self, view: View, known: Sequence[Interval]) -> Sequence[Interval] | None:
        x, value, (*space, (before, after)) = known[0], view.attrs["value"], view.attrs["paddings"]
        if any(p for pair in space for p in pair):
            x = Interval(np.minimum(x.low, value), np.maximum(x.high, value))
        low, high = (np.concatenate([np.full(before, value), end, np.full(after, value)]) for end in x)
        return [Interval(low, high)]

    def links(self, view: View) -> Sequence[Link] | None:
        channels = every(channels_of(view.input(0)))
        return [Link(0, channels, 0, channels + view.attrs["paddings"][-1][0])]

    def narrowed_attrs(self, view: View, kept: Sequence[Mask]) -> Mapping[str, Any]:
        if not view.attrs["paddings"]:
            return {}
        before, after = view.attrs["paddings"][-1]
        last = (int(kept[0][:before].sum()), int(kept[0][len(kept[0]) - after :].sum()))
        return {"paddings": (*view.attrs["paddings"][:-1], last)}

    def passes_factors(self, view: View, channels: int) -> bool:
        return tuple(view.attrs["paddings"][-1]) == (0, 0)

    def decode(
        self, name: str, options: Mapping[str, Any], inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]
    ) -> Decoded:
        need_inputs(inputs, 2, 3)
        x, constant = inputs[0], inputs[2] if len(inputs) == 3 else None
        assert x is not None
        flat = constant_ints(inputs[1], "the paddings tensor")
        if len(flat) != 2 * len(x.shape) or len(outputs) != 1:
            raise ModelError(f"{len(flat)} paddings for {len(x.shape)} dimensions, needs 2 for each")
        paddings = tuple(zip(flat[::2], flat[1::2], strict=True))
        if constant is not None:
            return Decoded(attrs(paddings=paddings, value=_fill_byte(constant)), (0, 2))
        quant = outputs[0].quant
        quantized = outputs[0].dtype in ACTIVATIONS and quant is not None and quant.per_tensor
        return Decoded(attrs(paddings=paddings, value=outputs[0].zero_point if quantized else 0), (0,))

    def encode(self, view: View) -> Encoded:
        paddings = np.array(view.attrs["paddings"], np.int32).reshape(-1, 2)
        if view.optional(1) is not None:
            return Encoded("PADV2", {}, (0, paddings, 1))
        zero = view.out.zero_point if view.out.dtype in ACTIVATIONS else 0
        need(view.attrs["value"] == zero, "padding with another value than zero, without a constant that holds it")
        return Encoded("PAD", {}, (0, paddings))

    def sample(self, draw: Draw) -> Graph:
        x = draw_tensor(draw, dtypes=(INT32, FLOAT32))
        paddings = tuple((draw.choice((0, 0, 1, 2, 5)), draw.choice((0, 0, 1, 3))) for _ in x.shape)
        constant, value = None, x.zero_point if x.dtype in ACTIVATIONS else 0
        if x.dtype in ACTIVATIONS and draw.choice((True, False)):
            constant = Tensor("value", (1,), x.dtype, x.quant, draw.array((1,), ACTIVATION.low, ACTIVATION.high))
            assert constant.data is not None
            value = int(constant.data[0])
        a = attrs(paddings=paddings, value=value)
        inputs = (x,) if constant is None else (x, constant)
        return one_op(self.name, inputs, (like(x, self.shapes(inputs, a)[0]),), a)
