"""What a handler is: the conversion of one class of Keras layers.

Each file of this folder has a table `HANDLERS`, class -> function, or `OPERATIONS` for classes of keras.ops, and nothing needs to be told
about it. `HINTS`: classes that cannot be converted -> the way out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.aten.ops import HANDLERS, Arguments
from sandgrain.formats.keras.config import Config
from sandgrain.formats.keras.weights import Weights

Result = Any  # a Value, or a list of them
Handler = Callable[["Layer"], Result]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One call of a layer. `args`, `kwargs`: what it is called with. `inside`: converts an entry of the configuration, with its
    weights, for these arguments: a layer that this one holds.
    """

    b: Builder
    config: Config
    weights: Weights
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    inside: Callable[[Any, Weights, Sequence[Any]], Result]

    @property
    def x(self) -> Value:
        """The one input."""
        if len(self.args) == 1 and isinstance(self.args[0], list | tuple) and len(self.args[0]) == 1:
            return self._value(self.args[0][0])
        return self._value(self.args[0] if self.args else next(iter(self.kwargs.values()), None))

    @property
    def xs(self) -> list[Value]:
        """The inputs of a layer that merges several."""
        given = self.args[0] if len(self.args) == 1 and isinstance(self.args[0], list | tuple) else self.args
        if not given:
            raise ModelError("it has no input; save the model again")
        return [self._value(v) for v in given]

    def _value(self, value: Any) -> Value:
        if not isinstance(value, Value):
            raise UnsupportedError("its input is a constant; feed it the model's input or what follows from it")
        return value

    def ranked(self, rank: int) -> Value:
        """The input, of `rank` axes."""
        if len(self.x.shape) != rank:
            raise UnsupportedError(f"an input of shape {list(self.x.shape)}; it must have {rank} axes")
        return self.x


def aten(b: Builder, name: str, shape: Sequence[int], **values: Any) -> Any:
    """PyTorch's operator `name` with its arguments by name, the first one first; `shape`: of what comes out."""
    return HANDLERS[name](b, Arguments("", values, tuple(shape)))


def channels_first(x: Value) -> Value:
    """[n, ..., c] seen as [n, c, ...]: nothing moves."""
    rank = len(x.shape)
    return Value(x.tensor, x.layout.permuted((0, rank - 1, *range(1, rank - 1))))


def channels_last(x: Value) -> Value:
    """[n, c, ...] seen as [n, ..., c]: nothing moves."""
    return Value(x.tensor, x.layout.permuted((0, *range(2, len(x.shape)), 1)))


def zero_padded(b: Builder, x: Value, sides: Sequence[tuple[int, int]]) -> Value:
    """Zeros around the axes between batch and channels, (before, after) each. An axis of 1 lies where PyTorch's would: before the channels."""
    if not any(map(any, sides)):
        return x
    first = channels_first(x)
    shape = (*first.shape[:2], *(n + sum(side) for n, side in zip(first.shape[2:], sides, strict=True)))
    return channels_last(aten(b, "pad", shape, x=first, pad=[n for side in reversed(sides) for n in side]))
