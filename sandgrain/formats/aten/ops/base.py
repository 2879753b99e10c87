"""What a handler is: the conversion of one ATen operator.

Each file of this folder has a table `HANDLERS`, operator name -> function, and nothing needs to be told about it. Names are
ATen's without overload and without the underscore of in-place forms: conv2d, add, relu. A file may have a table `HINTS` as
well: names of operators that Sandgrain cannot convert -> the way out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UnsupportedError
from sandgrain.formats.aten.builder import Builder, Value

Result = Any  # Value, array (a constant), or a tuple of them
Handler = Callable[[Builder, "Arguments"], Result]


@dataclass(frozen=True, slots=True)
class Arguments:
    """An operator's arguments by their names in its schema, defaults filled in; `shape` is what the framework says comes out."""

    overload: str
    values: dict[str, Any]
    shape: tuple[int, ...]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)

    @property
    def x(self) -> Value:
        """The first argument, which must be computed at run time."""
        first = next(iter(self.values.values()))
        if not isinstance(first, Value):
            raise UnsupportedError("its input is a constant or a list; feed it the module's input or what follows from it")
        return first

    def constant(self, name: str) -> Array | None:
        """A weight, float32; None where it is absent. Raises UnsupportedError when it is computed at run time."""
        value = self.values.get(name)
        if value is None:
            return None
        if isinstance(value, Value):
            raise UnsupportedError(f"its {name} is computed at run time; make it a parameter or buffer")
        return np.asarray(value, np.float32)

    def weights(self, name: str) -> Array:
        """A weight that must be there, float32. Raises UnsupportedError when it is absent or computed at run time."""
        value = self.constant(name)
        if value is None:
            raise UnsupportedError(f"it has no {name}; export the model again")
        return value


def need(condition: bool, message: str) -> None:
    """Raise UnsupportedError unless `condition`."""
    if not condition:
        raise UnsupportedError(message)


def pair(values: int | Sequence[int], count: int = 2) -> tuple[int, ...]:
    """ATen's one-or-several sizes as `count` sizes."""
    if isinstance(values, int):
        return (values,) * count
    return tuple(values) * count if len(values) == 1 else tuple(values)


def plane(values: int | Sequence[int], rank: int, fill: int) -> tuple[int, int]:
    """Sizes along the `rank` spatial axes (1 or 2) as (height, width); `fill` for the height of a sequence."""
    found = pair(values, rank)
    return (fill, found[0]) if rank == 1 else (found[0], found[1])
