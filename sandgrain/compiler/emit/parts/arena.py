"""The arena: who owns it, and where inputs and outputs lie in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sandgrain.compiler.emit.part import Check, Part, put_all
from sandgrain.compiler.emit.unit import Unit


class Arena(Part):
    name = "arena"
    place = 20

    @classmethod
    def applies(cls, unit: Unit) -> bool:
        return True

    def declaration(self) -> str:
        unit, name, upper = self.unit, self.unit.name, self.unit.upper
        if unit.caller:
            lines = [f"/* The caller owns the arena: {upper}_ARENA_BYTES bytes, aligned to 8. */"]
        else:
            lines = [
                "/* The arena. Its contents mean nothing between inferences, but for the slots. */",
                f"union {name}_arena_memory {{\n    int64_t alignment;\n    uint8_t bytes[{upper}_ARENA_BYTES];\n}};",
                f"extern union {name}_arena_memory {name}_arena;",
            ]
        base, argument = ("(uint8_t *)(memory)", "(memory)") if unit.caller else (f"{name}_arena.bytes", "")
        lines.append("/* Where inputs and outputs lie in the arena. */")
        lines += [f"#define {port.slot}{argument} ({unit.slot(port, base)})" for port in unit.ports if port.slot]
        return "\n".join(lines) + "\n"

    def definition(self) -> str:
        name, section = self.unit.name, self.unit.options.section
        place = f' __attribute__((section("{section}")))' if section else ""
        return "" if self.unit.caller else f"union {name}_arena_memory {name}_arena{place};\n"

    def facts(self) -> Mapping[str, Any]:
        return {"bytes": self.unit.plan.arena_bytes, "owner": self.unit.options.arena}

    def checks(self, memory: str, rng: np.random.Generator) -> Iterator[Check]:
        """The size of the arena."""
        word = f"{self.unit.upper}_ARENA_BYTES"
        yield Check(word, put_all("uint32_t", [word]), np.array([self.unit.plan.arena_bytes], np.uint32))
