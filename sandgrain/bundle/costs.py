"""What a graph costs on a board: RAM, flash, instructions, cycles, per layer and in total. No folder, no error for what does not fit.

Search and compression ask this often, so it is a cached function. Three answers, the first that is known:

- a program of the same layers, offsets and sizes of tables was measured before: every figure is that of a full build;
- its layers were measured before, in other programs, and so was a program with the same inputs and outputs: the figures are put
  together from them. RAM and flash can then differ from a build by what only linking decides (`Costs.error`);
- something is new: it is built and run once on the emulated core, and what was measured is kept for the next time.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sandgrain.base import cache, files
from sandgrain.base.scratch import scratch
from sandgrain.bundle.measure import (
    Build,
    Linked,
    Spread,
    planned,
    profiles,
    read_linked,
    spread,
    with_linked,
    with_spread,
    with_trace,
)
from sandgrain.bundle.report import Report
from sandgrain.compiler.emit import bundle
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
from sandgrain.kernels.base import Call, Fields

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
    keys = _layer_keys(build)
    form, frame = _form_key(build, keys), _frame_key(build)
    program = _load(form, Program)
    error = 0
    if program is None:
        program = _composed(build, keys, frame)
        error = SLACK * len(keys)
    if program is None:
        program, error = _measured(replace(build, compiled=build.compiled.written()), keys, frame), 0
        _keep(form, program)
    linked = Linked(program.flash, program.static, program.stack)
    report = with_linked(report, linked, build.toolchain)
    if program.layers:
        layers = {k: Cost(i, c) for k, (i, c) in zip(keys, program.layers, strict=True)}
        trace = Trace([], layers, Cost(program.instructions, program.cycles), {}, program.painted)
        report = with_trace(report, trace, board)
        report = with_spread(report, {int(k): (v[0], v[1], v[2]) for k, v in program.spread.items()}, program.samples)
    return Costs(report, report.ram_bytes <= board.ram_bytes and report.flash_bytes <= board.flash_bytes, error)


# --- what is kept ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Program:
    """A measured program, its weights left out. `layers`: (instructions, cycles) of each; empty where the core cannot be emulated."""

    flash: int
    static: int
    stack: int
    instructions: int  # between the layers
    cycles: float
    painted: int | None  # bytes of stack that one inference used
    layers: tuple[tuple[int, float], ...]
    spread: Mapping[str, Spread] = field(default_factory=dict)  # by layer, as `measure.spread` gives it
    samples: int = 1


@dataclass(frozen=True, slots=True)
class Part:
    """A measured layer. `flash`: bytes of its function and its parameters; `common`: name -> bytes of what other layers may use too."""

    flash: int
    common: Mapping[str, int]
    stack: int
    instructions: int
    cycles: float


@dataclass(frozen=True, slots=True)
class Frame:
    """What a program of `layers` layers has around them, by its inputs and outputs."""

    layers: int
    flash: int
    static: int
    stack: int
    instructions: int
    cycles: float


def _composed(build: Build, keys: Mapping[int, str], frame_key: str) -> Program | None:
    """The program put together from layers and a frame that were measured; None where one of them is new."""
    frame = _load(frame_key, Frame)
    parts = [_load(key, Part) for key in keys.values()]
    if frame is None or any(part is None for part in parts):
        return None
    there = [part for part in parts if part is not None]
    flash = _flash_of(there) + frame.flash + CALL * (len(there) - frame.layers) + build.compiled.source.weight_bytes
    stack = frame.stack + max((part.stack for part in there), default=0)
    layers = tuple((part.instructions, part.cycles) for part in there)
    return Program(flash, frame.static, stack, frame.instructions, frame.cycles, None, layers)


def _flash_of(parts: list[Part]) -> int:
    common: dict[str, int] = {}
    for part in parts:
        common.update(part.common)
    return sum(part.flash for part in parts) + sum(common.values())


def _measured(build: Build, keys: Mapping[int, str], frame_key: str) -> Program:
    """Build and run the program on a board with plenty of memory, and keep what its layers cost."""
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
        function = functions[layer.index]
        counted = trace.layers[layer.index]
        flash = function.size + _parameters(image, layer)
        common = _common(image, layer, below[function.name])
        parts[layer.index] = Part(flash, common, below[function.name].stack, counted.instructions, counted.cycles)
        _keep(keys[layer.index], parts[layer.index])
    around = linked.flash - _flash_of(list(parts.values())) - build.compiled.source.weight_bytes
    deepest = max((part.stack for part in parts.values()), default=0)
    between = trace.overhead
    _keep(frame_key, Frame(len(parts), around, linked.static, linked.stack - deepest, between.instructions, between.cycles))
    layers = tuple((trace.layers[k].instructions, trace.layers[k].cycles) for k in keys)
    return Program(linked.flash, linked.static, linked.stack, between.instructions, between.cycles, trace.stack_bytes, layers,
                   {str(k): v for k, v in spread(traces).items()}, len(traces))  # fmt: skip


def _parameters(image: Image, layer: Layer) -> int:
    """Bytes of the layer's parameter structs, where the compiler left them in memory."""
    own = f"{NAME}_p{layer.index}"
    return sum(d.size for d in image.data if d.name == own or d.name.startswith(f"{own}_"))


def _common(image: Image, layer: Layer, below: Reach) -> dict[str, int]:
    """Functions below a layer, and its kernels' own tables."""
    text = _texts(layer.sources)
    tables = {d.name: d.size for d in image.data if not d.name.startswith(f"{NAME}_") and f" {d.name}[" in text}
    return {**below.below, **tables}


# --- what a figure depends on ------------------------------------------------------------------------------------------


VERSION = 2  # of what is measured: 1 looked at a single inference of each layer


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr((VERSION, *parts)).encode()).hexdigest()


def _layer_keys(build: Build) -> dict[int, str]:
    """Layer -> what decides its cost: kernel text, shapes, numbers that are not in tables, core, toolchain, shared or not."""
    source, keys = build.compiled.source, {}
    for layer in source.layers:
        chosen = source.plan.selected[layer.index]
        assert chosen is not None
        calls = [shape_of(call) for call in chosen.lowered.calls]
        keys[layer.index] = _digest(
            "layer", _texts_digest(layer.sources), layer.kernel, layer.shared, calls, build.board.core.name, build.toolchain
        )
    return keys


def _frame_key(build: Build) -> str:
    graph = build.compiled.graph
    ends = [(graph.tensors[i].dtype, graph.tensors[i].shape) for i in (*graph.inputs, *graph.outputs)]
    return _digest("frame", ends, len(graph.inputs), graph.labels, build.compiled.stride, build.board.core.name, build.toolchain)


def _form_key(build: Build, keys: Mapping[int, str]) -> str:
    """What decides the program's size: its layers' C, where inputs and outputs lie, sizes of tables; not what is in the tables."""
    source, plan = build.compiled.source, build.compiled.source.plan
    graph = plan.graph
    places = [plan.offsets.get(i) for i in (*graph.inputs, *graph.outputs)]
    texts = [(layer.text, layer.weight_bytes) for layer in source.layers]
    return _digest("program", list(keys.values()), texts, places, plan.arena_bytes, plan.stream, _frame_key(build))


@functools.cache
def _texts(sources: tuple[str, ...]) -> str:
    """The kernels' C that a layer includes."""
    return "".join(f"{name}{text}" for name, text in bundle.texts_of(sources).items())


@functools.cache
def _texts_digest(sources: tuple[str, ...]) -> str:
    return _digest(_texts(sources))


def shape_of(call: Call) -> str:
    """A call's parameters without the contents of its tables."""
    return f"{call.source}{_sizes_of(call.fields)}"


def _sizes_of(fields: Fields) -> dict[str, object]:
    return {
        k: (v.shape, v.dtype.name) if hasattr(v, "dtype") else _sizes_of(v) if isinstance(v, dict) else v
        for k, v in fields.items()
    }


def _folder() -> Path:
    return cache.folder() / "costs"


def _load(key: str, kind: type[Any]) -> Any:
    """What was kept under `key`, or None."""
    found = _FOUND.get(key)
    if found is None:
        try:
            stored = json.loads((_folder() / f"{key}.json").read_text("ascii"))
            if "layers" in stored and isinstance(stored["layers"], list):
                stored["layers"] = tuple((int(i), float(c)) for i, c in stored["layers"])
            found = _FOUND[key] = kind(**stored)
        except (OSError, ValueError, TypeError, KeyError):
            return None
    return found if isinstance(found, kind) else None


_FOUND: dict[str, Program | Part | Frame] = {}


def _keep(key: str, value: Program | Part | Frame) -> None:
    """Keep a measurement, whole or not at all; a cache that cannot be written is no error."""
    _FOUND[key] = value
    try:
        with files.atomic(_folder() / f"{key}.json") as file:
            file.write(json.dumps(asdict(value)).encode())
    except OSError:
        return
