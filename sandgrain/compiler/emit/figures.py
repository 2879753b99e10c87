"""What stands at the top of NAME.h once a bundle's firmware was measured: board, memory, and the command that makes it again.

These lines are written last. They are no part of the code and of its build id, so that measuring again changes neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from sandgrain.compiler.emit import ctext


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one bundle on one board."""

    model: str  # the file's name
    target: str
    core: str
    compiler: str  # with its level, as "zig -O2"
    ram_bytes: int  # arena and a stream's state; where linked, also static data and the worst-case stack
    flash_bytes: int  # constants; where linked, also code
    stack_bytes: int | None  # the worst case over the call graph, None where nothing was linked
    instructions: int | None  # of one inference, None where the core was not emulated
    command: str

    def lines(self) -> list[str]:
        """Lines of a C comment, each with ` * ` in front."""
        said = [f"From {ctext.printable(self.model)} for {self.target} ({self.core}), figures with {self.compiler}."]
        if self.stack_bytes is None:
            said.append(
                f"RAM {self.ram_bytes} and flash {self.flash_bytes} bytes: planned; code, static data and stack come on top."
            )
        else:
            said.append(
                f"RAM {self.ram_bytes} bytes with a stack of at most {self.stack_bytes}, flash {self.flash_bytes} bytes: linked."
            )
        if self.instructions is not None:
            said.append(f"{self.instructions} instructions per inference: emulated.")
        return [f" * {line}" for line in said] + [f" * Made again, from this folder, by: {self.command}"]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def figures_of(facts: Mapping[str, Any]) -> Figures:
    """The inverse of `Figures.to_json`. Raises KeyError or TypeError for anything else."""
    numbers = {"ram_bytes", "flash_bytes", "stack_bytes", "instructions"}
    optional = {"stack_bytes", "instructions"}
    for field in fields(Figures):
        value, kind = facts[field.name], int if field.name in numbers else str
        if type(value) is not kind and not (value is None and field.name in optional):
            raise TypeError(f"figures: {field.name}")
    values = {field.name: facts[field.name] for field in fields(Figures)}
    for name in ("target", "core", "compiler", "command"):
        values[name] = ctext.remark(values[name])
    return Figures(**values)
