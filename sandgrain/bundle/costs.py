"""What a graph costs on a board: RAM, flash, instructions, cycles, per layer and in total. No folder, no error for what does not fit.

Search and compression ask this often, so it is a cached function. Three answers, the first that is known:

- a program of the same layers, offsets and sizes of tables was measured before: every figure is that of a full build;
- its layers were measured before, in other programs, and so was a program with the same inputs and outputs: the figures are put
  together from them. RAM and flash can then differ from a build by what only linking decides (`Costs.error`);
- something is new: it is built and run once on the emulated core, and what was measured is kept for the next time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from sandgrain.base.scratch import scratch
from sandgrain.bundle import measured
from sandgrain.bundle.measure import (
    Build,
    Linked,
    planned,
    profiles,
    read_linked,
    spread,
    with_linked,
    with_spread,
    with_trace,
)
from sandgrain.bundle.measured import Frame, Part, Program, Step
from sandgrain.bundle.report import Report
from sandgrain.compiler.emit.layers import Layer
from sandgrain.compiler.emit.model import Options
from sandgrain.compiler.pipeline import outlined
from sandgrain.compiler.plan import Choice
from sandgrain.device.cost import Cost, Image, Reach, reach
from sandgrain.device.run import emulator_missing, open_emulator
from sandgrain.device.run.trace import Trace
from sandgrain.device.targets import Board, load
from sandgrain.device.toolchain import DEFAULT, Toolchain
from sandgrain.graph.ir import Graph

NAME = "cost"  # prefix of the C that is measured
CALL = 8  # bytes: the call of a layer from NAME_run, with its argument
SLACK = 16  # bytes per layer by which linking may move code and constants: alignment, literals, offsets that need a longer instruction


@dataclass(frozen=True, slots=True)
class Costs:
    """`report`: as `compile` gives it. `fits`: whether the board has the RAM and the flash.

    The report's `build_id` is empty: a graph of a known form is not written as C.
    `error`: bytes by which RAM and flash may be off either way; 0 where a program of this form was measured as a whole, otherwise
    because alignment, the lengths of some instructions and functions that layers have in common are known only after linking.
    """

    report: Report
    fits: bool
    error: int = 0


_MEMO: WeakKeyDictionary[Graph, dict[object, Costs]] = WeakKeyDictionary()


def cost(graph: Graph, board: Board, toolchain: Toolchain = DEFAULT, choice: Choice | None = None, stride: int = 0) -> Costs:
    """What a graph costs on a board.

    `graph`: int8, as `passes.optimize` gives it. `choice`: its kernels; by default the first that fits each layer. `stride`: of a stream,
    in samples, 0 for whole windows. Raises UnsupportedError where no kernel fits a layer, ToolchainError or RunError where a tool fails.
    """
    choice = choice or Choice()
    asked = (
        board,
        board.ram_bytes,
        board.flash_bytes,
        toolchain,
        tuple(choice.kernels.items()),
        choice.shared,
        choice.strips,
        stride,
    )
    known = _MEMO.setdefault(graph, {})
    if asked not in known:
        build = Build(outlined(graph, board, Options(NAME), choice, stride), board, toolchain, graph.name)
        known[asked] = _cost(build)
    return known[asked]


def _cost(build: Build) -> Costs:
    report, board = planned(build), build.board
    if not board.core.runs_firmware:
        return Costs(report, True)
    keys = measured.layer_keys(build)
    known, error = _known(build, keys), 0
    if known is None:
        known = _composed(build, keys)
        error = SLACK * len(keys)
    if known is None:
        known, error = _measured(build, keys), 0
    linked = Linked(known.flash, known.static, known.stack)
    report = with_linked(report, linked, build.toolchain)
    if known.layers:
        layers = {k: Cost(step.instructions, step.cycles) for k, step in zip(keys, known.layers, strict=True)}
        trace = Trace([], layers, Cost(known.instructions, known.cycles), {}, known.painted)
        report = with_trace(report, trace, board)
        report = with_spread(report, known.spread, known.samples)
    return Costs(report, report.ram_bytes <= board.ram_bytes and report.flash_bytes <= board.flash_bytes, error)


def program(build: Build) -> Program:
    """What a program of the build's form costs, measured as a whole, now or before. `build`: outlined, its C called NAME.

    Raises UnsupportedError, ToolchainError or RunError.
    """
    keys = measured.layer_keys(build)
    return _known(build, keys) or _measured(build, keys)


# --- put together, or measured ------------------------------------------------------------------------------------------


def _known(build: Build, keys: Mapping[int, str]) -> Program | None:
    """The program as it was measured before, as a whole."""
    found = measured.load(measured.program_key(build, keys.values()), Program)
    return found if found is not None and len(found.layers) in (0, len(keys)) else None


def _composed(build: Build, keys: Mapping[int, str]) -> Program | None:
    """The program put together from layers and a frame that were measured; None where one of them is new."""
    frame = measured.load(measured.frame_key(build), Frame)
    parts = [measured.load(key, Part) for key in keys.values()]
    if frame is None or any(part is None for part in parts):
        return None
    there = [part for part in parts if part is not None]
    flash = _flash_of(there) + frame.flash + CALL * (len(there) - frame.layers) + build.compiled.source.weight_bytes
    stack = frame.stack + max((part.stack for part in there), default=0)
    layers = tuple(Step(part.instructions, part.cycles, part.code) for part in there)
    return Program(flash, frame.static, stack, frame.instructions, frame.cycles, None, layers)


def _flash_of(parts: list[Part]) -> int:
    common: dict[str, int] = {}
    for part in parts:
        common.update(part.common)
    return sum(part.flash for part in parts) + sum(common.values())


def _measured(build: Build, keys: Mapping[int, str]) -> Program:
    """Build and run the program on a board with plenty of memory; what it and its layers cost is kept."""
    found = _measure(replace(build, compiled=build.compiled.written()), keys)
    measured.keep(measured.program_key(build, keys.values()), found)
    return found


def _measure(build: Build, keys: Mapping[int, str]) -> Program:
    board = load(build.board.core.name)
    ample = build.on(board).roomy if board.core.emulator == "unicorn" else build.on(board)
    report, graph = planned(ample), build.compiled.graph
    with scratch() as work:
        elf = ample.link(work / "firmware.elf")
        image, linked, trace = Image(elf), read_linked(report, elf, ample), None
        if not emulator_missing(board):
            traces = profiles(open_emulator(elf, ample.board), graph)
            trace = traces[0]
    if trace is None:
        return Program(linked.flash, linked.static, linked.stack, 0, 0.0, None, ())
    functions = image.layers()
    below = reach(image, functions.values(), board.core.features)
    parts = {}
    for layer in build.compiled.source.layers:
        function = functions.get(layer.index)
        if function is None:  # it changes nothing where it lies (a clamp to all values), and the compiler saw it
            parts[layer.index] = Part(0, 0, {}, 0, 0, 0.0)
            continue
        counted = trace.layers[layer.index]
        common = _common(image, layer, below[function.name])
        parts[layer.index] = Part(
            code=function.size,
            parameters=_parameters(image, layer),
            common=common,
            stack=below[function.name].stack,
            instructions=counted.instructions,
            cycles=counted.cycles,
        )
        measured.keep(keys[layer.index], parts[layer.index])
    around = linked.flash - _flash_of(list(parts.values())) - build.compiled.source.weight_bytes
    deepest = max((part.stack for part in parts.values()), default=0)
    between = trace.overhead
    frame = Frame(len(parts), around, linked.static, linked.stack - deepest, between.instructions, between.cycles)
    measured.keep(measured.frame_key(build), frame)
    steps = tuple(Step(part.instructions, part.cycles, part.code) for part in (parts[k] for k in keys))
    return Program(
        flash=linked.flash,
        static=linked.static,
        stack=linked.stack,
        instructions=between.instructions,
        cycles=between.cycles,
        painted=trace.stack_bytes,
        layers=steps,
        spread=spread(traces),
        samples=len(traces),
    )


def _parameters(image: Image, layer: Layer) -> int:
    """Bytes of the layer's parameter structs, where the compiler left them in memory."""
    own = f"{NAME}_p{layer.index}"
    return sum(d.size for d in image.data if d.name == own or d.name.startswith(f"{own}_"))


def _common(image: Image, layer: Layer, below: Reach) -> dict[str, int]:
    """Functions below a layer, and its kernels' own tables."""
    text = measured.texts(layer.sources)
    tables = {d.name: d.size for d in image.data if not d.name.startswith(f"{NAME}_") and f" {d.name}[" in text}
    return {**below.below, **tables}
