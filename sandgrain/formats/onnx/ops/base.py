"""What a translator is: one ONNX operator put into words of `frontends/aten`, with ATen's argument names.

Each file of this folder has a table `TRANSLATORS`, operator name -> function; those of other domains carry theirs in front
("com.microsoft.QLinearAdd"). A file may have a table `HINTS` as well: operators that cannot be translated -> the way out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UnsupportedError
from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.aten.ops import HANDLERS, Arguments
from sandgrain.formats.aten.ops.base import need
from sandgrain.formats.onnx.fold import listed
from sandgrain.formats.onnx.program import OnnxNode
from sandgrain.graph.quantization import Quantization

Result = Any  # Value, array (a constant), None for an output that is not there, or a tuple of them
Translator = Callable[["Call"], Result]


@dataclass(slots=True, eq=False)
class Marks:
    """What a quantized model says of its values. `quants`: tensor -> its quantization.

    `only_scales`: quantized weights are read as their scales alone, so that the weights of the graph that comes out are the scales
    of the weights of the graph proper, element by element, wherever layouts and folded factors took them.
    """

    only_scales: bool = False
    quants: dict[int, Quantization] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """An ONNX node with what its inputs are: values, arrays (constants), or None where an optional one is absent.

    `weighs`: whether what a node gives becomes the weights of a layer.
    """

    builder: Builder
    marks: Marks
    opset: int
    node: OnnxNode
    args: tuple[Any, ...]
    weighs: bool = False

    def attr(self, name: str, default: Any = None) -> Any:
        return self.node.attrs.get(name, default)

    def arg(self, position: int) -> Any:
        return self.args[position] if position < len(self.args) else None

    @property
    def x(self) -> Value:
        return self.value(0)

    def value(self, position: int) -> Value:
        """An input that is computed at run time."""
        found = self.arg(position)
        if not isinstance(found, Value):
            raise UnsupportedError("its input is a constant; feed it the model's input or what follows from it")
        return found

    def constant(self, position: int, what: str) -> Array | None:
        """An input that must be a constant; None where it is absent."""
        found = self.arg(position)
        if isinstance(found, Value):
            raise UnsupportedError(f"its {what} is computed at run time; make it a constant (an initializer)")
        return None if found is None else np.asarray(found)

    def given(self, position: int, what: str) -> Array:
        """A constant that must be there."""
        found = self.constant(position, what)
        if found is None:
            raise UnsupportedError(f"it has no {what}; export the model again")
        return found

    def integers(self, position: int, name: str) -> list[int] | None:
        """Integers that are an attribute in old opsets and an input in new ones; None where they are absent."""
        self.constant(position, name)
        return listed(self.args, self.node.attrs, position, name)

    def aten(self, key: str, shape: Sequence[int], /, *, overload: str = "", **values: Any) -> Any:
        """ATen's operator `key`, its arguments by name; `shape` comes out."""
        return HANDLERS[key](self.builder, Arguments(overload, values, tuple(shape)))

    def with_args(self, *args: Any) -> Call:
        return replace(self, args=args)

    def reshape(self, x: Value, shape: Sequence[int]) -> Value:
        return self.builder.reshape(x, shape)

    def permute(self, x: Value, perm: Sequence[int]) -> Value:
        return Value(x.tensor, x.layout.permuted(perm))


def spatial(shape: Sequence[int]) -> tuple[int, ...]:
    """Sizes behind batch and channels. Raises UnsupportedError unless there are one or two."""
    need(len(shape) in (3, 4), f"an input of {len(shape)} axes; use [1, channels, length] or [1, channels, height, width]")
    return tuple(shape[2:])


def window(call: Call, size: Sequence[int], kernel: Sequence[int]) -> tuple[list[int], list[int], list[tuple[int, int]]]:
    """(strides, dilations, (before, after) of padding) along each spatial axis."""
    rank = len(size)
    strides, dilations = list(call.attr("strides") or [1] * rank), list(call.attr("dilations") or [1] * rank)
    pads, auto = list(call.attr("pads") or [0] * 2 * rank), call.attr("auto_pad", "NOTSET")
    need(len(kernel) == len(strides) == len(dilations) == rank == len(pads) // 2, "attributes that do not fit its input")
    need(min(*kernel, *strides, *dilations) > 0, "a kernel, stride or dilation below 1; export the model again")
    need(max(*kernel, *strides, *dilations, *map(abs, pads)) < 1 << 16, "a window larger than any input; export the model again")
    if auto not in ("SAME_UPPER", "SAME_LOWER"):
        need(min(pads) >= 0, "a negative padding; slice the input instead")
        sides = [(0, 0) if auto == "VALID" else (pads[k], pads[rank + k]) for k in range(rank)]
        return strides, dilations, sides
    sides = []
    for n, k, s, d in zip(size, kernel, strides, dilations, strict=True):
        total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        less, more = total // 2, total - total // 2
        sides.append((less, more) if auto == "SAME_UPPER" else (more, less))
    return strides, dilations, sides


def padded(call: Call, x: Value, sides: Sequence[tuple[int, int]]) -> Value:
    """Zeros on the sides of the spatial axes."""
    if not any(map(any, sides)):
        return x
    shape = (*x.shape[:2], *(n + a + b for n, (a, b) in zip(x.shape[2:], sides, strict=True)))
    pad = [v for side in reversed(sides) for v in side]
    found: Value = call.aten("constant_pad_nd", shape, self=x, pad=pad, value=0)
    return found
