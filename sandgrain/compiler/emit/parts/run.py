"""NAME_run: one inference over whole inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from sandgrain.compiler.emit import ctext
from sandgrain.compiler.emit.part import Check, Part, put_all
from sandgrain.compiler.emit.unit import Unit


def signature(unit: Unit) -> str:
    """`int NAME_run(...)` without the semicolon."""
    arguments = ["void *arena_memory"] if unit.caller else []
    arguments += [f"{'const ' if port.is_input else ''}{port.ctype} {port.name}[{port.tensor.units}]" for port in unit.ports]
    return f"int {unit.name}_run({', '.join(arguments)})"


class Run(Part):
    name = "run"
    place = 30
    runtime = ("runtime/sg_run.h",)

    @classmethod
    def applies(cls, unit: Unit) -> bool:
        return unit.entry("run") is not None

    def declaration(self) -> str:
        return (
            "/* One inference. The slots above may be passed as they are: then nothing is copied. An inference overwrites the\n"
            " * input slots; an input without a slot is read where it lies. Returns a status code. */\n"
            f"{signature(self.unit)};\n"
        )

    def definition(self) -> str:
        unit, offset = self.unit, self.unit.plan.offsets
        kept = {port.index: port.name for port in unit.ports if not port.slot}  # by the caller
        lines = [signature(unit), "{", unit.arena_pointer, unit.check_pointers([port.name for port in unit.ports])]
        lines += [
            f"    sg_copy({ctext.plus('arena', offset[port.index])}, {port.name}, {port.tensor.nbytes});"
            for port in unit.ports
            if port.is_input and port.slot
        ]
        for layer in unit.layers:
            arguments = ", ".join(["arena", *(kept[i] for i in layer.callers)])
            lines.append(f"    {unit.name}_layer_{layer.index}({arguments});\n    SG_TRACE({layer.index});")
        lines += [
            f"    sg_copy({port.name}, {ctext.plus('arena', offset[port.index])}, {port.tensor.nbytes});"
            for port in unit.ports
            if not port.is_input
        ]
        lines.append(f"    return {unit.upper}_OK;\n}}\n")
        return "\n".join(lines)

    def harness(self, memory: str, slots: Mapping[str, str], *, pieces: bool, enters: str = "sg_infer") -> str:
        return f"\nint {enters}(void)\n{{\n    return {self.unit.name}_run({memory}{', '.join(slots.values())});\n}}\n"

    def checks(self, memory: str, rng: np.random.Generator) -> Iterator[Check]:
        """The status codes: of a null pointer in each place, and of a caller's arena that is not aligned."""
        unit = self.unit
        kept = {port.name: f"({port.ctype} *)(void *)apart_{port.name}.bytes" for port in unit.ports}
        pointers = [*(["(void *)memory.bytes"] if unit.caller else []), *kept.values()]
        calls = [", ".join("0" if k == null else p for k, p in enumerate(pointers)) for null in range(len(pointers))]
        expected = [1] * len(calls)
        if unit.caller:
            calls.append(", ".join(["(void *)(memory.bytes + 4)", *pointers[1:]]))
            expected.append(2)
        code = put_all("int32_t", [f"{unit.name}_run({call})" for call in calls])
        yield Check(f"the status of {unit.name}_run", code, np.array(expected, np.int32))
