"""One model on its way to C: what every part of the generated code looks at."""

from __future__ import annotations

from dataclasses import dataclass

from sandgrain.compiler.emit.layers import Layer, pointer
from sandgrain.compiler.emit.options import Options
from sandgrain.compiler.plan import Plan
from sandgrain.compiler.plan.program import Entry, Program
from sandgrain.graph.ir import Graph, Tensor


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of the model. `name`: in C, input_0, output_0 ... `slot`: the macro of its place in the arena, "" where
    the caller keeps it."""

    name: str
    index: int
    tensor: Tensor
    slot: str

    @property
    def is_input(self) -> bool:
        return self.name.startswith("input")

    @property
    def ctype(self) -> str:
        return self.tensor.dtype.c_type


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """A plan with its layers' C, the entry points of the program, and the options."""

    options: Options
    plan: Plan
    program: Program
    layers: tuple[Layer, ...]

    @property
    def name(self) -> str:
        return self.options.name

    @property
    def upper(self) -> str:
        return self.options.name.upper()

    @property
    def graph(self) -> Graph:
        return self.plan.graph

    @property
    def caller(self) -> bool:
        """Whether the caller owns the arena."""
        return self.options.arena == "caller"

    @property
    def ports(self) -> tuple[Port, ...]:
        """Inputs, then outputs."""
        graph, found = self.graph, []
        for kind, indices in (("input", graph.inputs), ("output", graph.outputs)):
            for k, i in enumerate(indices):
                name = f"{kind}_{k}"
                slot = f"{self.upper}_{name.upper()}_SLOT" if i in self.plan.offsets else ""
                found.append(Port(name, i, graph.tensors[i], slot))
        return tuple(found)

    def entry(self, name: str) -> Entry | None:
        """The entry point NAME_`name`, None where the program has none."""
        return next((entry for entry in self.program.entries if entry.name == name), None)

    @property
    def memory(self) -> str:
        """The parameter that a caller's arena is, with the comma behind it; "" for a static one."""
        return "void *arena_memory, " if self.caller else ""

    def check_pointers(self, names: list[str], failed: str = "") -> str:
        """C: a status code is returned where a pointer is null or the caller's arena is not aligned. `failed`: "-" negates it."""
        pointers = [*(["arena_memory"] if self.caller else []), *names]
        null = " || ".join(f"{p} == NULL" for p in pointers)
        lines = [f"    if ({null}) {{\n        return {failed}{self.upper}_ERROR_NULL;\n    }}"]
        if self.caller:
            lines.append(
                f"    if (((uintptr_t)arena_memory & 7u) != 0u) {{\n        return {failed}{self.upper}_ERROR_ALIGNMENT;\n    }}"
            )
        return "\n".join(lines)

    @property
    def arena_pointer(self) -> str:
        """C: the declaration of `arena` inside a function."""
        return f"    uint8_t *const arena = {'(uint8_t *)arena_memory' if self.caller else f'{self.name}_arena.bytes'};"

    def slot(self, port: Port, base: str) -> str:
        """C: a typed pointer to the port's place in the arena at `base`."""
        return pointer(self.graph, port.index, self.plan.offsets[port.index], const=False, base=base)
