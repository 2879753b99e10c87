"""Builds the firmware of a bundle, runs it on its core, and puts the figures together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from sandgrain import datafile, targets
from sandgrain.codegen import bundle
from sandgrain.codegen.layers import Layer, shape_text
from sandgrain.codegen.model import Source, harness
from sandgrain.cost import Image, energy_uj, milliseconds, stack_bound
from sandgrain.errors import BudgetError, UsageError
from sandgrain.pipeline import Compiled
from sandgrain.plan import Plan
from sandgrain.plan.storage import callers
from sandgrain.report import LayerReport, Report, size
from sandgrain.run import Emulator, emulator_missing, open_emulator
from sandgrain.run.elf import sections
from sandgrain.run.trace import Trace
from sandgrain.scratch import scratch
from sandgrain.targets import Board
from sandgrain.toolchain import build_firmware

ROOM = 8 << 20  # bytes: more than code, static memory and stack can add to what is planned

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


def build(folder: Path, source: Source, board: Board, compiler: str, opt: str, out: Path, *, stream: bool = False) -> Path:
    """The ELF of the bundle in `folder` for `board`, written to `out`; `stream`: its harness pushes the window in pieces."""
    with scratch() as work:
        path = work / "harness.c"
        path.write_text(harness(source, stream=stream), "ascii")
        return build_firmware([folder / source.options.c_file, path], [folder], board, out, compiler=compiler, opt=opt)


@contextmanager
def firmware(folder: Path, source: Source, board: Board, compiler: str, opt: str, *, stream: bool = False) -> Iterator[Emulator]:
    """The bundle's firmware on its emulated core. Raises UsageError when this computer cannot emulate the core."""
    missing = emulator_missing(board)
    if missing:
        raise UsageError(f"{board.name} cannot be emulated here: {missing}; use --on host")
    with scratch() as work:
        yield open_emulator(build(folder, source, board, compiler, opt, work / "firmware.elf", stream=stream), board)


@cache
def _baseline(board: Board, compiler: str, opt: str) -> dict[str, int]:
    """Section sizes of firmware without a model."""
    with scratch() as work:
        path = work / "empty.c"
        path.write_text(EMPTY, "ascii")
        return sections(build_firmware([path], [], board, work / "empty.elf", compiler=compiler, opt=opt))


def measure_folder(folder: Path, compiled: Compiled, board: Board, compiler: str, opt: str, title: str, *, run: bool) -> Report:
    """The report of a bundle. `run`: build the firmware, read its sizes, and run one inference with random inputs."""
    source = compiled.source
    report = planned(source, board, compiler, title)
    if source.plan.stream is not None:
        window = sum(source.plan.graph.tensors[i].nbytes for i in callers(source.plan.graph))
        report = replace(report, stream_bytes=source.stream_bytes, window_bytes=window)
    if not board.core.runs_firmware:
        return replace(report, notes=("the host has no firmware: sizes are planned, nothing is emulated",))
    if not run:
        return replace(report, notes=("not measured: flash and RAM leave out code and stack",))
    with scratch() as work:
        elf = build(folder, source, board, compiler, opt, work / "firmware.elf")
        report = _linked(report, elf, board, compiler, opt)
        missing = emulator_missing(board)
        if missing:
            return replace(report, notes=(f"not run: {missing}",))
        core = open_emulator(elf, board)
        sample = compiled.graph.packed([x[0] for x in datafile.random(compiled.graph, 1).inputs])
        return _emulated(report, core.profile(sample), board)


def instructions_of(compiled: Compiled, board: Board, compiler: str, opt: str) -> int | None:
    """Executed instructions of one inference, whatever memory the board has; None where its core cannot be emulated."""
    with scratch() as work:
        bundle.write(compiled.source, work)
        core = targets.load(board.core.name)
        return measure_folder(work, compiled, core, compiler, opt, "", run=True).instructions


def beside_arena(compiled: Compiled, board: Board, compiler: str, opt: str) -> int:
    """Bytes of RAM that a model needs beside its arena: static data and the worst-case stack. 0 on the host."""
    if not board.core.runs_firmware:
        return 0
    roomy = replace(board, ram_bytes=board.ram_bytes + ROOM, flash_bytes=board.flash_bytes + ROOM)
    with scratch() as work:
        bundle.write(compiled.source, work)
        elf = build(work, compiled.source, roomy, compiler, opt, work / "firmware.elf")
        report = _linked(planned(compiled.source, board, compiler, ""), elf, roomy, compiler, opt)
    return report.ram_bytes - report.arena_bytes


def measure_with_room(folder: Path, compiled: Compiled, board: Board, compiler: str, opt: str, title: str) -> Report:
    """The linked figures of a bundle that does not fit `board`, from a board that is `board` with ROOM more memory.

    Raises BudgetError when the figures would fit and only start-up code or the least stack do not, and ToolchainError
    when memory was not what is wrong.
    """
    roomy = replace(board, ram_bytes=board.ram_bytes + ROOM, flash_bytes=board.flash_bytes + ROOM)
    with scratch() as work:
        elf = build(folder, compiled.source, roomy, compiler, opt, work / "firmware.elf")
        report = _linked(planned(compiled.source, board, compiler, title), elf, roomy, compiler, opt)
    if report.ram_bytes <= board.ram_bytes and report.flash_bytes <= board.flash_bytes:
        used = f"RAM {size(report.ram_bytes)}, flash {size(report.flash_bytes)}"
        raise BudgetError(f"{used}, start-up code and the least stack do not fit {board.name} together; choose a larger board")
    return report


def planned(source: Source, board: Board, compiler: str, title: str) -> Report:
    """What is known of a model's C before anything is built: arena, weights, MACs, the memory that is alive at each layer."""
    plan = source.plan
    layers = tuple(_layer(plan, layer) for layer in source.layers)
    return Report(
        model=title, name=source.options.name, target=board.name, core=board.core.name, compiler=compiler,
        build_id=source.build_id, macs=source.macs, arena_bytes=plan.arena_bytes, static_bytes=None, stack_bytes=None,
        stack_bound_bytes=None, ram_bytes=plan.arena_bytes, weight_bytes=source.weight_bytes, code_bytes=None,
        flash_bytes=source.weight_bytes, instructions=None, cycles=None, latency_ms=None, energy_uj=None, layers=layers,
        sources={"arena_bytes": "planned", "weight_bytes": "planned", "macs": "planned"},
    )  # fmt: skip


def _layer(plan: Plan, layer: Layer) -> LayerReport:
    node = plan.graph.nodes[layer.index]
    tensors = plan.graph.tensors
    ins = "+".join(shape_text(tensors[i]) for i in node.inputs if i >= 0 and tensors[i].data is None)
    shape = f"{ins} -> {shape_text(tensors[node.outputs[0]])}"
    return LayerReport(
        layer.index, layer.op, layer.name, layer.kernel, shape, layer.macs, layer.weight_bytes, _alive(plan, layer.index)
    )


def _alive(plan: Plan, step: int) -> int:
    """Arena bytes in use while a layer runs; bytes that an output and its dying input share count once."""
    spans = sorted((offset, offset + block.size) for block, offset in plan.blocks if block.first <= step <= block.last)
    total, top = 0, 0
    for start, end in spans:
        total += max(end - max(start, top), 0)
        top = max(top, end)
    return total


def _linked(report: Report, elf: Path, board: Board, compiler: str, opt: str) -> Report:
    sizes, base = sections(elf), _baseline(board, compiler, opt)
    flash = sum(sizes[k] - base[k] for k in ("text", "rodata", "data"))
    arena = -(-report.arena_bytes // 8) * 8  # the union that holds it is aligned
    # The harness has a whole window of the signal, which a product that streams does not; the stream is counted by itself.
    static = max(sizes["data"] + sizes["bss"] - base["data"] - base["bss"] - arena - report.window_bytes - report.stream_bytes, 0)
    bound = stack_bound(Image(elf), "sg_infer", board.core.features).bytes
    ram = report.arena_bytes + static + bound + report.stream_bytes
    return replace(
        report, static_bytes=static, stack_bound_bytes=bound, ram_bytes=ram,
        code_bytes=max(flash - report.weight_bytes, 0), flash_bytes=max(flash, report.weight_bytes),
        sources={**report.sources, "code_bytes": f"linked ({compiler} {opt}), above an empty program",
                 "static_bytes": "linked", "stack_bound_bytes": "worst case over the firmware's call graph"},
    )  # fmt: skip


def _emulated(report: Report, trace: Trace, board: Board) -> Report:
    waits, slowdown = board.wait_states, board.slowdown

    def time(cycles: float) -> float:
        return milliseconds(cycles, board.clock_hz)

    def energy(cycles: float) -> float:
        return energy_uj(cycles, board.clock_hz, board.supply_v, board.active_ma)

    layers = tuple(
        replace(layer, instructions=cost.instructions, cycles=cycles, latency_ms=time(cycles), energy_uj=energy(cycles))
        for layer in report.layers
        for cost in [trace.layers[layer.index]]
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
