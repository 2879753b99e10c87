"""What the C of a model consists of beside its layers: ports, arena, run, stream, labels, decisions, alarm.

Each is a `Part` in a file of its own in `parts/`, found by looking there: adding a part means adding a file. A part says whether it
belongs to a model, what stands in NAME.h and NAME.c, which C files of `kernels/runtime/` it calls, and what a reader of the bundle
may want to know of it. C logic stands in those files; a part writes tables, names and calls.
"""

from __future__ import annotations

import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, Self

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.compiler.emit import ctext
from sandgrain.compiler.emit.unit import Unit


@dataclass(frozen=True, slots=True, eq=False)
class Check:
    """One thing of the interface and what it must give. `says`: its name in C. `code`: statements that hand the bytes of `expected`,
    in order, to `sg_put(pointer, bytes)`."""

    says: str
    code: str
    expected: Array


def put_all(ctype: str, values: Iterable[str]) -> str:
    """C that hands over each of the expressions `values`, as a `ctype`."""
    return "\n".join(
        f"    {{\n        const {ctype} v = ({ctype})({value});\n        sg_put(&v, sizeof v);\n    }}" for value in values
    )


def numbers(ctype: str, values: Array, loop: str) -> str:
    """C that runs `loop` for each of the integers `values`, there called `number`."""
    table = ctext.wrap([f"({ctype}){int(v)}{'u' if ctype.startswith('u') else ''}" for v in values.reshape(-1).tolist()])
    return (
        f"    static const {ctype} table[] = {{\n{table}\n    }};\n"
        f"    for (uint32_t i = 0; i < {values.size}u; i++) {{\n        const {ctype} number = table[i];\n        {loop}\n    }}"
    )


def float_numbers(values: Array, loop: str) -> str:
    """C that runs `loop` for each of the float32 `values`, there called `real.value`; bit for bit, not a number included."""
    union = "union {\n            uint32_t bits;\n            float value;\n        } real;\n        real.bits = number;"
    return numbers("uint32_t", values.view(np.uint32), f"{union}\n        {loop}")


class Part(ABC):
    """One piece of the generated interface, of one model."""

    name: ClassVar[str]  # what `facts` and the bundle's proof call it
    place: ClassVar[int]  # where it stands among the others in NAME.h and NAME.c; a part uses only those before it
    runtime: ClassVar[tuple[str, ...]] = ()  # files below kernels/ that the definition needs

    def __init__(self, unit: Unit) -> None:
        self.unit = unit

    @classmethod
    @abstractmethod
    def applies(cls, unit: Unit) -> bool:
        """Whether the model has this part. Raises UsageError for options that do not fit the model."""

    @classmethod
    def of(cls, unit: Unit) -> Self | None:
        """The part of this model, None where it has none."""
        return cls(unit) if cls.applies(unit) else None

    @property
    def header_runtime(self) -> tuple[str, ...]:
        """Files below kernels/ that the declaration needs."""
        return ()

    def declaration(self) -> str:
        """C for NAME.h."""
        return ""

    def definition(self) -> str:
        """C for NAME.c, behind the layers."""
        return ""

    def harness(self, memory: str, slots: Mapping[str, str], *, pieces: bool, enters: str = "sg_infer") -> str:
        """C of `int ENTERS(void)`, which the runners call, for the part that an inference enters by; "" for all others.

        `memory`: the argument that a caller's arena is, with its comma. `slots`: port -> a pointer to it. `pieces`: an input that can
        come in pieces does.
        """
        return ""

    def checks(self, memory: str, rng: np.random.Generator) -> Iterable[Check]:
        """What the part offers beside an inference, called by C, and what Python says it gives. `memory` as for `harness`."""
        return ()

    def facts(self) -> Mapping[str, Any]:
        """What the bundle's proof keeps: plain JSON values."""
        return {}


@cache
def part_types() -> tuple[type[Part], ...]:
    """Every part that there is, in the order in which they stand in the files."""
    from sandgrain.compiler.emit import parts

    found: list[type[Part]] = []
    for info in pkgutil.iter_modules(parts.__path__):
        module = import_module(f"{parts.__name__}.{info.name}")
        found += [
            v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Part) and v.__module__ == module.__name__
        ]
    return tuple(sorted(found, key=lambda part: (part.place, part.name)))


def parts_of(unit: Unit) -> tuple[Part, ...]:
    """The parts of a model, in order."""
    return tuple(part for kind in part_types() if (part := kind.of(unit)) is not None)
