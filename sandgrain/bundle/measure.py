"""Builds the firmware of a bundle, runs it on its core, and puts the figures together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from sandgrain.base.errors import BudgetError, UsageError
from sandgrain.base.scratch import scratch
from sandgrain.base.text import size
from sandgrain.bundle import samples as datafile
from sandgrain.bundle.report import LayerReport, Report
from sandgrain.compiler.emit import bundle
from sandgrain.compiler.emit.layers import Layer, shape_text
from sandgrain.compiler.emit.model import harness
from sandgrain.compiler.pipeline import Compiled
from sandgrain.compiler.plan import Plan
from sandgrain.compiler.plan.planner import alive_bytes
from sandgrain.compiler.plan.storage import callers
from sandgrain.device import targets
from sandgrain.device.cost import Image, energy_uj, milliseconds, stack_bound
from sandgrain.device.cost.cycles import OVERHEAD, Cost
from sandgrain.device.run import Emulator, emulator_missing, open_emulator
from sandgrain.device.run.elf import sections
from sandgrain.device.run.trace import Trace
from sandgrain.device.targets import Board
from sandgrain.device.toolchain import DEFAULT, Toolchain, build_firmware
from sandgrain.graph.ir import Graph

ROOM = 8 << 20  # bytes: more than code, static memory and stack can add to what is planned

SAMPLES = 6  # seeded inputs that a model is profiled with where its path depends on the data
PATHS = 0.01  # share of all instructions by which two inputs must differ for more of them to be run

# The smallest program with a harness: what start-up costs without a model.
EMPTY = """\
#include <stdint.h>
int sg_infer(void);
extern const uint32_t sg_input_count, sg_input_bytes[], sg_output_count, sg_output_bytes[];
extern void *const sg_inputs[], *const sg_outputs[];
static uint8_t byte;
const uint32_t sg_input_count = 1, sg_input_bytes[] = {1}, sg_output_count = 1, sg_output_bytes[] = {1};
void *const sg_inputs[] = {&byte}, *const sg_outputs[] = {&byte};
int sg_infer(void) { return 0; }
"""


@dataclass(frozen=True, slots=True, eq=False)
class Build:
    """A model's C for a board, and the toolchain that builds it."""

    compiled: Compiled
    board: Board
    toolchain: Toolchain = DEFAULT
    title: str = ""  # what reports call the model: the name of its file
    folder: Path | None = None  # a bundle on disk, whose C is built, edited or not; None: the C that `compiled` holds

    def on(self, board: Board) -> Build:
        """The same C for another board."""
        return replace(self, board=board)

    @property
    def roomy(self) -> Build:
        """The same C for a board with ROOM more memory, for what may not fit its own."""
        board = self.board
        return self.on(replace(board, ram_bytes=board.ram_bytes + ROOM, flash_bytes=board.flash_bytes + ROOM))

    def link(self, out: Path, harness_text: str | None = None) -> Path:
        """The ELF, written to `out`, with another harness where one is given. Raises UsageError or ToolchainError."""
        source = self.compiled.source
        with scratch() as work:
            folder = self.folder or work / "bundle"
            if self.folder is None:
                bundle.write(source, folder)
            path = work / "harness.c"
            path.write_text(harness_text or harness(source), "ascii")
            return build_firmware([folder / source.options.c_file, path], [folder], self.board, out, self.toolchain)


@contextmanager
def firmware(build: Build) -> Iterator[Emulator]:
    """The firmware on its emulated core. Raises UsageError when this computer cannot emulate the core."""
    with scratch() as work:
        yield emulated(build, work / "firmware.elf")


def emulated(build: Build, elf: Path, harness_text: str | None = None) -> Emulator:
    """The firmware, linked as `elf`, on its emulated core. Raises UsageError when this computer cannot emulate the core."""
    missing = emulator_missing(build.board)
    if missing:
        raise UsageError(f"{build.board.name} cannot be emulated here: {missing}; use --on host")
    return open_emulator(build.link(elf, harness_text), build.board)


@cache
def _baseline(board: Board, toolchain: Toolchain) -> dict[str, int]:
    """Section sizes of firmware without a model."""
    with scratch() as work:
        path = work / "empty.c"
        path.write_text(EMPTY, "ascii")
        return sections(build_firmware([path], [], board, work / "empty.elf", toolchain))


def measure(build: Build, *, run: bool) -> Report:
    """The report of a build. `run`: build the firmware, read its sizes, and run it with random inputs."""
    board, report = build.board, planned(build)
    if not board.core.runs_firmware:
        return replace(report, notes=(*report.notes, "the host has no firmware: sizes are planned, nothing is emulated"))
    if not run:
        return replace(report, notes=(*report.notes, "not measured: flash and RAM leave out code and stack"))
    with scratch() as work:
        elf = build.link(work / "firmware.elf")
        report = _linked(report, elf, build)
        missing = emulator_missing(board)
        if missing:
            return replace(report, notes=(*report.notes, f"not run: {missing}"))
        traces = profiles(open_emulator(elf, board), build.compiled.graph)
        return with_spread(with_trace(report, traces[0], board), spread(traces), len(traces))


def profiles(core: Emulator, graph: Graph) -> list[Trace]:
    """Profiles over seeded inputs: two, and SAMPLES where the path through the code depends on the data.

    Two inputs that take the same number of instructions in every layer say that no kernel chooses its path by the data. Layers that
    differ by less than PATHS of all instructions (softmax: how far an exponent is shifted) do not deserve more runs.
    """

    def profile(seed: int) -> Trace:
        return core.profile(graph.packed([x[0] for x in datafile.random(graph, 1, seed).inputs]))

    traces = [profile(0), profile(1)]
    first, second = (trace.layers for trace in traces)
    apart = sum(abs(first[k].instructions - second[k].instructions) for k in first)
    more = SAMPLES if apart > PATHS * traces[0].instructions else len(traces)
    return traces + [profile(seed) for seed in range(len(traces), more)]


Spread = tuple[int, float, int]  # fewest, mean and most instructions


def spread(traces: Sequence[Trace]) -> dict[int, Spread]:
    """Layer -> instructions over several inputs, for layers that they differ in; OVERHEAD stands for the whole inference."""
    counts = {k: [trace.layers[k].instructions for trace in traces] for k in traces[0].layers}
    counts[OVERHEAD] = [trace.instructions for trace in traces]
    return {k: (min(c), sum(c) / len(c), max(c)) for k, c in counts.items() if min(c) < max(c)}


def with_spread(report: Report, found: Mapping[int, Spread], samples: int) -> Report:
    """The report with the fewest, mean and most instructions where they depend on the input; `instructions` is of the first input."""
    if not found:
        return report

    def fields(layer: int) -> dict[str, Any]:
        return dict(
            zip(("instructions_min", "instructions_mean", "instructions_max"), found.get(layer, (None,) * 3), strict=True)
        )

    layers = tuple(replace(layer, **fields(layer.index)) for layer in report.layers)
    sources = {
        **report.sources,
        "instructions_mean": f"emulated, over {samples} seeded inputs; layers without it take the same each time",
    }
    return replace(report, layers=layers, sources=sources, **fields(OVERHEAD))


def instructions_of(build: Build) -> int | None:
    """Executed instructions per inference, whatever memory the board has; None where its core cannot be emulated."""
    return measure(build.on(targets.load(build.board.core.name)), run=True).instructions


def beside_arena(build: Build) -> int:
    """Bytes of RAM that a model needs beside its arena: static data and the worst-case stack. 0 on the host."""
    if not build.board.core.runs_firmware:
        return 0
    report = _with_room(build)
    return report.ram_bytes - report.arena_bytes


def measure_with_room(build: Build) -> Report:
    """The linked figures of a build that does not fit its board, from a board with ROOM more memory.

    Raises BudgetError when the figures would fit and only start-up code or the least stack do not, and ToolchainError
    when memory was not what is wrong.
    """
    report, board = _with_room(build), build.board
    if report.ram_bytes <= board.ram_bytes and report.flash_bytes <= board.flash_bytes:
        used = f"RAM {size(report.ram_bytes)}, flash {size(report.flash_bytes)}"
        raise BudgetError(f"{used}, start-up code and the least stack do not fit {board.name} together; choose a larger board")
    return report


def _with_room(build: Build) -> Report:
    with scratch() as work:
        elf = build.roomy.link(work / "firmware.elf")
        return _linked(planned(build), elf, build.roomy)


def planned(build: Build) -> Report:
    """What is known of a model's C before anything is built: arena, weights, MACs, the memory that is alive at each layer."""
    source, board = build.compiled.source, build.board
    plan = source.plan
    alive = alive_bytes(plan)
    layers = tuple(_layer(plan, layer, alive[layer.index]) for layer in source.layers)
    streams = plan.stream is not None
    return Report(
        model=build.title,
        name=source.options.name,
        target=board.name,
        core=board.core.name,
        compiler=build.toolchain.compiler,
        build_id=source.build_id,
        macs=source.macs,
        arena_bytes=plan.arena_bytes,
        static_bytes=None,
        stack_bytes=None,
        stack_bound_bytes=None,
        ram_bytes=plan.arena_bytes,
        weight_bytes=source.weight_bytes,
        code_bytes=None,
        flash_bytes=source.weight_bytes,
        instructions=None,
        cycles=None,
        latency_ms=None,
        energy_uj=None,
        layers=layers,
        notes=(board.system_note,) if board.system_note else (),
        sources={"arena_bytes": "planned", "weight_bytes": "planned", "macs": "planned"},
        stream_bytes=source.stream_bytes,
        window_bytes=sum(plan.graph.tensors[i].nbytes for i in callers(plan.graph)) if streams else 0,
    )


def _layer(plan: Plan, layer: Layer, ram_bytes: int) -> LayerReport:
    node = plan.graph.nodes[layer.index]
    tensors = plan.graph.tensors
    ins = "+".join(shape_text(tensors[i]) for i in node.inputs if i >= 0 and tensors[i].data is None)
    out = tensors[node.outputs[0]]
    return LayerReport(
        layer.index,
        layer.op,
        layer.name,
        layer.kernel,
        f"{ins} -> {shape_text(out)}",
        layer.macs,
        layer.weight_bytes,
        ram_bytes,
        output_shape=out.shape,
    )


@dataclass(frozen=True, slots=True)
class Linked:
    """What a firmware's ELF says of the model in it. Bytes above those of an empty program."""

    flash: int  # code and constants
    static: int  # writable memory beside arena, stream and the harness's window
    stack: int  # worst case over the call graph


def read_linked(report: Report, elf: Path, build: Build) -> Linked:
    """The linked sizes of a build whose planned figures are in `report`."""
    sizes, base = sections(elf), _baseline(build.board, build.toolchain)
    flash = sum(sizes[k] - base[k] for k in ("text", "rodata", "data"))
    arena = -(-report.arena_bytes // 8) * 8  # the union that holds it is aligned
    # The harness has a whole window of the signal, which a product that streams does not; the stream is counted by itself.
    static = max(sizes["data"] + sizes["bss"] - base["data"] - base["bss"] - arena - report.window_bytes - report.stream_bytes, 0)
    return Linked(flash, static, stack_bound(Image(elf), "sg_infer", build.board.core.features).bytes)


def with_linked(report: Report, linked: Linked, toolchain: Toolchain) -> Report:
    """The report with the sizes of a linked firmware."""
    return replace(
        report,
        static_bytes=linked.static,
        stack_bound_bytes=linked.stack,
        ram_bytes=report.arena_bytes + linked.static + linked.stack + report.stream_bytes,
        code_bytes=max(linked.flash - report.weight_bytes, 0),
        flash_bytes=max(linked.flash, report.weight_bytes),
        sources={
            **report.sources,
            "code_bytes": f"linked ({toolchain.compiler} {toolchain.opt}), above an empty program",
            "static_bytes": "linked",
            "stack_bound_bytes": "worst case over the firmware's call graph",
        },
    )


def _linked(report: Report, elf: Path, build: Build) -> Report:
    return with_linked(report, read_linked(report, elf, build), build.toolchain)


def with_trace(report: Report, trace: Trace, board: Board) -> Report:
    """The report with what one emulated inference counted, and the estimates that follow on `board`."""
    waits, slowdown = board.wait_states, board.slowdown

    def time(cycles: float) -> float:
        return milliseconds(cycles, board.clock_hz)

    def energy(cycles: float) -> float:
        return energy_uj(cycles, board.clock_hz, board.supply_v, board.active_ma)

    layers = tuple(
        replace(layer, instructions=cost.instructions, cycles=cycles, latency_ms=time(cycles), energy_uj=energy(cycles))
        for layer in report.layers
        for cost in [trace.layers.get(layer.index, Cost())]  # none: the compiler saw that it changes nothing, and left it out
        for cycles in [cost.cycles * slowdown]
    )
    cycles = trace.cycles * slowdown
    if waits is None:
        memory = "no wait states; not checked against this board"
    else:
        memory = f"x {waits.factor:g} for memory, +-{100 * waits.error:.0f} % ({waits.source})"
    return replace(
        report, layers=layers, stack_bytes=trace.stack_bytes, instructions=trace.instructions, cycles=cycles,
        latency_ms=time(cycles), energy_uj=energy(cycles), cycles_zero_wait=trace.cycles,
        cycles_error=waits.error if waits else None,
        sources={**report.sources, "instructions": f"emulated, {board.core.emulator} {board.core.name}",
                 "stack_bytes": "emulated, painted stack", "cycles": f"estimated: {board.core.cycles_source}; {memory}",
                 "cycles_zero_wait": "estimated: the same without wait states",
                 "latency_ms": f"estimated: cycles at {board.clock_hz / 1e6:g} MHz",
                 "energy_uj": f"estimated: {board.supply_v:g} V x {board.active_ma:g} mA ({board.data_sheet})"},
    )  # fmt: skip
