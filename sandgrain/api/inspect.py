"""`sandgrain.inspect`: what a model is made of, the memory that it needs over time, and the boards that it fits."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sandgrain.api import _bring
from sandgrain.base.text import printable
from sandgrain.bundle import measure
from sandgrain.compiler import passes
from sandgrain.compiler.emit.ctext import identifier
from sandgrain.compiler.emit.model import Options
from sandgrain.compiler.pipeline import Compiled, emit
from sandgrain.compiler.plan import Choice
from sandgrain.device import targets
from sandgrain.formats import sources
from sandgrain.graph import rules
from sandgrain.graph.ir import Graph, Node, Tensor
from sandgrain.graph.ops import OPS
from sandgrain.quantization import Range, convert_with_ranges

AMPLE_RAM = 8 << 10  # bytes: no shared model needs more beside its arena
AMPLE_FLASH = 24 << 10  # bytes of code: no shared model needs more, at any setting
STAND_IN = Range(-4.0, 4.0)  # of every activation of a float model: what is planned does not depend on it


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer as the model has it. `shape`: of its first output, channels last. `scale`: 0 for floats and what is no int8.

    `weight_bytes`: of its constants, as the model holds them.
    """

    index: int
    op: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int
    macs: int
    weight_bytes: int


@dataclass(frozen=True, slots=True)
class End:
    """An input or output. `own`: its shape where the model comes from; `shape`: in the C."""

    name: str
    own: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class Step:
    """A layer as it runs, after the passes. `ram_bytes`: of the arena, alive while it does."""

    op: str
    name: str
    ram_bytes: int


@dataclass(frozen=True, slots=True)
class Fit:
    """A board: what is planned beside what it has. `verdict`: "yes", "tight" where code or stack may not fit, or "no"."""

    board: str
    ram_bytes: int
    ram_needed: int
    flash_bytes: int
    flash_needed: int
    verdict: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What `inspect` says. `quantized`: whether the model is int8; otherwise memory is planned as if it had been quantized."""

    model: str
    quantized: bool
    inputs: tuple[End, ...]
    outputs: tuple[End, ...]
    layers: tuple[Layer, ...]
    steps: tuple[Step, ...]
    parameters: int
    macs: int
    arena_bytes: int
    weight_bytes: int
    fits: tuple[Fit, ...]

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        return asdict(self)


def inspect(model: Any, *, example_input: Any = None) -> Survey:
    """What a model is made of, what it would need, and which boards it fits. Nothing is compiled or written.

    `model`: as for `compile`: a file, a live model or a graph.
    `example_input`: for a live PyTorch module: a tensor of batch 1, or a tuple of them.

    Raises UnsupportedError, whose `faults` name every piece that cannot be compiled, ModelError for a broken file and UsageError
    for a missing framework or example.
    """
    graphs = graphs_of(model, example_input)
    title, graph, int8 = graphs.title, graphs.own, graphs.int8
    by_core: dict[str, Compiled] = {}

    def compiled(board: targets.Board) -> Compiled:
        core = board.core
        if core.name not in by_core:
            by_core[core.name] = emit(int8, graphs.optimized, board, Options(identifier(graph.name or "model")), Choice())
        return by_core[core.name]

    boards = [targets.load(name) for name in targets.boards()]
    first = measure.planned(measure.Build(compiled(boards[0]), boards[0], title=title))
    return Survey(
        model=title,
        quantized=graph is int8,
        inputs=_ends(graph, graph.inputs),
        outputs=_ends(graph, graph.outputs),
        layers=tuple(_layer(graph, k, node) for k, node in enumerate(graph.nodes)),
        steps=tuple(Step(x.op, x.name, x.ram_bytes) for x in first.layers),
        parameters=sum(t.size for t in graph.tensors if t.data is not None and t.dtype in ("int8", "float32")),
        macs=sum(OPS[n.op].macs(graph.view(n)) for n in graph.nodes),
        arena_bytes=first.arena_bytes,
        weight_bytes=first.weight_bytes,
        fits=tuple(_fit(b, compiled(b)) for b in boards),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Graphs:
    """A model on its way: `own`, as it came; `int8`, the same where it came so; `optimized`, after the passes."""

    title: str
    own: Graph
    int8: Graph
    optimized: Graph


def graphs_of(model: Any, example_input: Any = None) -> Graphs:
    """The graphs of a model file, a live model or a graph; floats are put into int8 with ranges that stand in for measured ones.

    Raises what `inspect` raises.
    """
    title = Path(model).name if isinstance(model, str | os.PathLike) else type(model).__name__
    with rules.located(printable(title)):
        graph = _bring.load(model, identifier(Path(title).stem), example_input)
        quantized = not sources.is_float(graph)
        int8 = graph if quantized else convert_with_ranges(graph, dict.fromkeys(range(len(graph.tensors)), STAND_IN)).graph
        return Graphs(title, graph, int8, passes.optimize(int8))


def _layer(graph: Graph, index: int, node: Node) -> Layer:
    view = graph.view(node)
    out = view.out
    held = sum(t.nbytes for t in view.inputs if t is not None and t.data is not None)
    return Layer(index, node.op, node.name, out.shape, out.dtype.name, *_scale(out), OPS[node.op].macs(view), held)


def _ends(graph: Graph, indices: tuple[int, ...]) -> tuple[End, ...]:
    found = []
    for index in indices:
        tensor = graph.tensors[index]
        own = sources.own_shape(tensor.shape, graph.turned(index))
        found.append(End(tensor.name, own, tensor.shape, tensor.dtype.name, *_scale(tensor)))
    return tuple(found)


def _scale(tensor: Tensor) -> tuple[float, int]:
    return (tensor.quant.scale[0], tensor.quant.zero_point[0]) if tensor.quant is not None else (0.0, 0)


def _fit(board: targets.Board, compiled: Compiled) -> Fit:
    planned = measure.planned(measure.Build(compiled, board))
    ram, flash = planned.arena_bytes, planned.weight_bytes
    if ram > board.usable_ram or flash > board.usable_flash:
        verdict = "no"
    else:
        verdict = "yes" if ram + AMPLE_RAM <= board.usable_ram and flash + AMPLE_FLASH <= board.usable_flash else "tight"
    return Fit(board.name, board.usable_ram, ram, board.usable_flash, flash, verdict)
