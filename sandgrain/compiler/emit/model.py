"""NAME.c and NAME.h: constant tables, a function per layer, and the parts that a program calls."""

from __future__ import annotations

import hashlib
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sandgrain.base.errors import UnsupportedError
from sandgrain.compiler.emit import ctext
from sandgrain.compiler.emit.copies import SharedCopies
from sandgrain.compiler.emit.figures import Figures
from sandgrain.compiler.emit.layers import Emitter, Layer
from sandgrain.compiler.emit.options import Options as Options
from sandgrain.compiler.emit.part import Check, Part, parts_of, put_all
from sandgrain.compiler.emit.parts.run import signature
from sandgrain.compiler.emit.tables import Tables
from sandgrain.compiler.emit.unit import Unit
from sandgrain.compiler.plan import Plan
from sandgrain.compiler.plan.program import Program, program
from sandgrain.compiler.plan.storage import callers

__all__ = ["Options", "Source", "generate", "harness", "signature"]

RUNTIME = "runtime/sg_run.h"  # what every layer needs
STATIC = (
    " * Not reentrant: all calls work in one static arena. Call it from one thread, or one interrupt level, at a time; a model that",
    " * several of them need takes the arena of its caller (--arena caller). */",
)
CALLER = (" * Reentrant: calls that run at once need an arena each, and a stream or decider each. */",)
TABLES = """\
/* Constant tables, named after their member in a kernel's parameter struct and the layer that reads them first. Where a kernel
 * computes blocks at once, its file says how a table is packed; zeros fill up the last block, and their results are not used. */"""


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The generated text of one model and what it is made of."""

    unit: Unit
    parts: tuple[Part, ...]
    header: str
    body: str
    weight_bytes: int
    build_id: str

    @property
    def options(self) -> Options:
        return self.unit.options

    @property
    def plan(self) -> Plan:
        return self.unit.plan

    @property
    def program(self) -> Program:
        return self.unit.program

    @property
    def layers(self) -> tuple[Layer, ...]:
        return self.unit.layers

    def header_with(self, figures: Figures | None) -> str:
        """`header`, with the figures of a board in its first lines."""
        return self.header if figures is None else _header(self, figures)

    @property
    def macs(self) -> int:
        return sum(layer.macs for layer in self.layers)

    @property
    def stream_bytes(self) -> int:
        """sizeof(struct NAME_stream), 0 where there is none."""
        entry = self.unit.entry("push")
        return 0 if entry is None else entry.state_bytes

    @property
    def facts(self) -> dict[str, Mapping[str, Any]]:
        """Part -> what a reader of the bundle may ask of it, without a look into its C."""
        return {part.name: part.facts() for part in self.parts}

    def has(self, part: str) -> bool:
        """Whether the C has this part: "run", "stream", "labels", "decide", "alarm" ..."""
        return any(p.name == part for p in self.parts)

    def checks(self, seed: int) -> list[Check]:
        """What the C offers beside an inference, and what Python says it gives; numbers that it is tried with follow from `seed`."""
        unit, rng = self.unit, np.random.default_rng(seed)
        upper, build = unit.upper, np.frombuffer(self.build_id.encode(), np.uint8)
        codes = [f"{upper}_OK", f"{upper}_ERROR_NULL", *([f"{upper}_ERROR_ALIGNMENT"] if unit.caller else [])]
        code = f"    sg_put({upper}_BUILD_ID, sizeof {upper}_BUILD_ID - 1u < {build.size}u ? sizeof {upper}_BUILD_ID - 1u : {build.size}u);"
        found = [Check(f"{upper}_BUILD_ID", code, build)]
        found.append(Check(", ".join(codes), put_all("int32_t", codes), np.arange(len(codes), dtype=np.int32)))
        memory = "memory.bytes, " if unit.caller else ""
        return found + [check for part in self.parts for check in part.checks(memory, rng)]

    @property
    def files(self) -> tuple[str, ...]:
        """The files below `kernels/` that NAME.c and NAME.h include."""
        runtime = [RUNTIME, *(file for part in self.parts for file in (*part.header_runtime, *part.runtime))]
        return tuple(sorted({*runtime, *(s for layer in self.layers for s in layer.sources)}))


def generate(plan: Plan, options: Options, copies: SharedCopies | None = None) -> Source:
    """The C of a plan. Depends on nothing but its arguments; `copies`: of kernels, shared with other models in one C file."""
    draft, tables = _draft(plan, options, copies)
    body = _body(draft, tables)
    build_id = hashlib.sha256((body + _header(draft)).encode()).hexdigest()[:16]
    draft = replace(draft, build_id=build_id)
    return replace(draft, header=_header(draft), body=body)


def outline(plan: Plan, options: Options) -> Source:
    """What `generate` makes of a plan but for `header`, `body` and `build_id`, which are empty: in a tenth of the time."""
    return _draft(plan, options, None)[0]


def _draft(plan: Plan, options: Options, copies: SharedCopies | None) -> tuple[Source, Tables]:
    options.check()
    outside = callers(plan.graph)
    for index in (*plan.graph.inputs, *plan.graph.outputs):
        if index not in plan.offsets and index not in outside:
            name = ctext.printable(plan.graph.tensors[index].name)
            raise UnsupportedError(f"output {name} depends on no input; remove it from the model's outputs")
    emitter = Emitter(plan, options.name, copies, options.tables_place)
    unit = Unit(options, plan, program(plan.graph, plan.stream, options.rule), tuple(emitter.layers()))
    return Source(unit, parts_of(unit), "", "", emitter.tables.nbytes, ""), emitter.tables


def _place(options: Options) -> list[str]:
    """The macro that puts constant tables into the user's section."""
    if options.weights_section is None:
        return []
    attribute = f'__attribute__((section("{options.weights_section}")))'
    name = options.tables_place
    return [
        f"#ifndef {name} /* where the constant tables lie; define it empty to leave that to the linker */\n#define {name} {attribute}\n#endif\n"
    ]


def _include(path: str) -> str:
    return f'#include "kernels/{path.rsplit("/", 1)[-1]}"'


def _header(source: Source, figures: Figures | None = None) -> str:
    name, upper, unit = source.unit.name, source.unit.upper, source.unit
    runtime = sorted({file for part in source.parts for file in part.header_runtime})
    parts = [
        f"/* {name}: generated by Sandgrain. One inference: {source.macs} MACs, {len(source.layers)} layers.",
        f" * Arena {source.plan.arena_bytes} bytes (inputs, outputs and scratch included), constants {source.weight_bytes} bytes.",
        *(figures.lines() if figures is not None else []),
        *_kernels(source),
        " * C99; no heap, no recursion, no library calls.",
        *(CALLER if unit.caller else STATIC),
        f"#ifndef {upper}_H\n#define {upper}_H\n\n#include <stdint.h>\n",
        *([*map(_include, runtime), ""] if runtime else []),
        '#ifdef __cplusplus\nextern "C" {\n#endif\n',
        f'#define {upper}_BUILD_ID "{source.build_id}"',
        f"#define {upper}_ARENA_BYTES {source.plan.arena_bytes}\n",
        f"/* Status codes of {name}_run. */" if unit.entry("run") else "/* Status codes. */",
        f"#define {upper}_OK 0",
        f"#define {upper}_ERROR_NULL 1 /* a pointer is null */",
        *([f"#define {upper}_ERROR_ALIGNMENT 2 /* the arena is not aligned to 8 bytes */"] if unit.caller else []),
        "",
        *(text for part in source.parts if (text := part.declaration())),
        "#ifdef __cplusplus\n}\n#endif\n",
        "#endif\n",
    ]
    return "\n".join(parts)


def _kernels(source: Source) -> list[str]:
    """The kernels by name, in lines of a comment."""
    names = sorted({layer.kernel for layer in source.layers})
    return textwrap.wrap(
        f"Kernels: {', '.join(names)}.", 118, initial_indent=" * ", subsequent_indent=" *   ", break_on_hyphens=False
    )


def _body(source: Source, tables: Tables) -> str:
    runtime = {file for part in source.parts for file in part.runtime}
    kernels = {file for layer in source.layers for file in layer.sources}
    parts = [
        f"/* {source.unit.name}: generated by Sandgrain; see {source.options.h_file}. */",
        f'#include "{source.options.h_file}"\n',
        *(_include(file) for file in sorted({RUNTIME, *runtime, *kernels}, key=lambda path: path.rsplit("/", 1)[-1])),
        "",
        *_place(source.options),
        TABLES,
        tables.text(),
        *(layer.text for layer in source.layers),
        *(text for part in source.parts if (text := part.definition())),
    ]
    return "\n".join(parts)


def harness(source: Source, *, stream: bool = False) -> str:
    """harness.c: what the emulator and the host runner drive. Fixed symbols around any model.

    `stream`: the input goes through `NAME_push` in pieces of uneven length, into a stream that is at its start.
    """
    unit, upper, graph = source.unit, source.unit.upper, source.plan.graph
    argument = "(memory.bytes)" if unit.caller else ""
    slots = {p.name: p.slot + argument if p.slot else f"({p.ctype} *)(void *){p.name}.bytes" for p in unit.ports}
    parts = [f'#include "{source.options.h_file}"\n', "int sg_infer(void);"]
    if unit.caller:
        parts.append(block(f"{upper}_ARENA_BYTES", "memory"))
    parts += [block(str(port.tensor.nbytes), port.name) for port in unit.ports if not port.slot]
    for kind, indices in (("input", graph.inputs), ("output", graph.outputs)):
        names = [f"{kind}_{k}" for k in range(len(indices))]
        sizes = [str(graph.tensors[i].nbytes) for i in indices]
        parts += [
            f"extern const uint32_t sg_{kind}_count, sg_{kind}_bytes[];\nextern void *const sg_{kind}s[];",
            f"const uint32_t sg_{kind}_count = {len(names)};",
            f"const uint32_t sg_{kind}_bytes[] = {{{', '.join(sizes)}}};",
            f"void *const sg_{kind}s[] = {{{', '.join(slots[n] for n in names)}}};",
        ]
    memory = "memory.bytes, " if unit.caller else ""
    return "\n".join([*parts, *(text for part in source.parts if (text := part.harness(memory, slots, pieces=stream)))])


def block(size: str, name: str, place: str = "") -> str:
    """C: memory of a harness, aligned as an arena is. `place`: an attribute, or a macro that may be one."""
    return f"static union {{\n    int64_t alignment;\n    uint8_t bytes[{size}];\n}} {name}{' ' * bool(place)}{place};"
