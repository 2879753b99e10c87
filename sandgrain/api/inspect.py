"""`sandgrain.inspect`: what a model is made of, the memory that it needs over time, and the boards that it fits."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sandgrain.api import _bring, _doubts, _int8
from sandgrain.api._quality import Comparison
from sandgrain.api._verb import verb
from sandgrain.base.progress import Progress, Watch, watched
from sandgrain.base.tables import Line, Row, Shown, Table
from sandgrain.base.text import count, printable, size
from sandgrain.base.words import whichever
from sandgrain.bundle import measure
from sandgrain.compiler import passes
from sandgrain.compiler.emit.ctext import identifier
from sandgrain.compiler.emit.model import Options
from sandgrain.compiler.pipeline import Compiled, emit
from sandgrain.compiler.plan import Choice
from sandgrain.device import targets
from sandgrain.formats import sources
from sandgrain.graph import rules
from sandgrain.graph.dtypes import FLOAT32, WEIGHTS
from sandgrain.graph.ir import Graph, Node, Tensor
from sandgrain.graph.ops import OPS
from sandgrain.graph.states import state_note
from sandgrain.quantization import Method
from sandgrain.quantization import Options as Options8

HEIGHT = 8  # lines of the picture of memory
WIDTH = 52  # columns of it
EIGHTHS = " ▁▂▃▄▅▆▇█"
AMPLE_RAM = 8 << 10  # bytes: no shared model needs more beside its arena
AMPLE_FLASH = 24 << 10  # bytes of code: no shared model needs more, at any setting


@dataclass(frozen=True, slots=True, repr=False)
class Layer(Shown):
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

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        return asdict(self)

    def lines(self) -> list[Line]:
        return [f"layer {self.index}, {self.op} -> {_shape(self.shape)} {self.dtype}"]

    def cells(self) -> list[str]:
        """A row of the table of layers; the batch of 1 is left out of the shape."""
        macs, weights = count(self.macs) if self.macs else "", size(self.weight_bytes) if self.weight_bytes else ""
        scale = f"{self.scale:.4g} {self.zero_point:+d}" if self.scale else ""
        return [str(self.index), self.op, _shape(self.shape[1:]), self.dtype, scale, macs, weights]


@dataclass(frozen=True, slots=True)
class End:
    """An input or output. `own`: its shape where the model comes from; `shape`: in the C."""

    name: str
    own: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int

    def __str__(self) -> str:
        scale = f", scale {self.scale:.6g}, zero point {self.zero_point}" if self.scale else ""
        moved = f" ({_shape(self.shape)} in the C)" if self.own != self.shape else ""
        return f"{self.name}  {self.dtype} {_shape(self.own)}{moved}{scale}"


@dataclass(frozen=True, slots=True)
class Step:
    """A layer as it runs, after the passes. `ram_bytes`: of the arena, alive while it does."""

    op: str
    name: str
    ram_bytes: int


BOARDS = 6  # that are shown


@dataclass(frozen=True, slots=True)
class Fit:
    """A board: what is planned beside what it has. `verdict`: "yes", "tight" where code or stack may not fit, or "no"."""

    board: str
    ram_bytes: int
    ram_needed: int
    flash_bytes: int
    flash_needed: int
    verdict: str


@dataclass(frozen=True, slots=True, repr=False)
class Survey(Shown):
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
    compared: Comparison | None = None
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        return {**asdict(self), "compared": None if self.compared is None else self.compared.to_json()}

    def rows(self) -> list[Row]:
        """The layers."""
        return [layer.to_json() for layer in self.layers]

    def lines(self, all_boards: bool = False) -> list[Line]:
        """A page of text; of the boards that fit the smallest, or `all_boards`."""
        kind = "int8" if self.quantized else "floats, to be quantized with --calibration"
        columns = ["#", "layer", "output", "type", "scale", "MACs", "weights"]
        return [
            f"{self.model}: {kind}; {len(self.layers)} layers, {count(self.parameters)} parameters, {count(self.macs)} MACs",
            *(f"{'input':6}  {end}" for end in self.inputs),
            *(f"{'output':6}  {end}" for end in self.outputs),
            "",
            Table(columns, [x.cells() for x in self.layers], (0, 5, 6), (2, 3, 4)),
            "",
            *_picture([step.ram_bytes for step in self.steps]),
            f"arena {size(self.arena_bytes)}, weights {size(self.weight_bytes)}"
            + ("" if self.quantized else ", once it is int8"),
            "",
            *self._boards(all_boards),
            *([] if self.compared is None else ["", *self.compared.lines()]),
            *_doubts.shown(self.warnings),
        ]

    def _boards(self, every: bool) -> list[Line]:
        """A table of boards, the smallest that fit first, and how many there are."""
        order = sorted(self.fits, key=lambda f: (f.verdict == "no", f.ram_bytes + f.flash_bytes, f.board))
        fitting = [f for f in order if f.verdict != "no"]
        shown = order if every else fitting[:BOARDS] or order[-BOARDS:]
        rows = [
            [f.board, f.verdict, size(f.ram_needed), size(f.ram_bytes), size(f.flash_needed), size(f.flash_bytes)] for f in shown
        ]
        told = f"It fits {len(fitting)} of {len(self.fits)} boards"
        if len(shown) < len(self.fits):
            all_of_them = whichever("--all-boards", ".fits")
            told += f"; these are the {len(shown)} {'smallest' if fitting else 'largest'}, {all_of_them} shows all"
        return [
            Table(["board", "fits", "RAM", "of", "flash", "of"], rows, (2, 3, 4, 5), (0, 1)),
            told,
            "Planned: arena and weights alone. tight: stack and code may not fit any more.",
        ]


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "1"


def _picture(values: list[int]) -> list[str]:
    """Bytes alive while each layer runs: a column a layer, or the most of several where there are more than fit."""
    if not values:
        return []
    across = -(-len(values) // WIDTH)
    columns = [max(values[k : k + across]) for k in range(0, len(values), across)]
    wide = max(1, min(4, WIDTH // len(columns)))
    most = max(max(columns), 1)
    levels = [round(v / most * HEIGHT * 8) for v in columns]
    found = []
    for row in reversed(range(HEIGHT)):
        marks = "".join(EIGHTHS[min(max(level - 8 * row, 0), 8)] * wide for level in levels)
        found.append(f"{size(most) if row == HEIGHT - 1 else '':>9} |{marks}".rstrip())
    found.append(f"{'RAM':>9} +{'-' * (wide * len(columns))}")
    return [*found, f"{'':9}  0{len(values) - 1:>{max(wide * len(columns) - 1, 1)}}  layer, as it runs"]


@verb
def inspect(
    model: Any, *, example_input: Any = None, calibration: Any = None, method: Method = "minmax", progress: Watch = None
) -> Survey:
    """What a model is made of, what it would need, and which boards it fits. Nothing is compiled or written.

    `model`: as for `compile`: a file, a live model or a graph.
    `example_input`: for a live PyTorch module: a tensor of batch 1, or a tuple of them.
    `calibration`: samples as for `compile`; float and int8 are then compared on some of them.
    `method`: how the ranges of activations are found, as for `compile`.
    `progress`: True for a bar, or a callable that is told what is done, how many pieces of it are, and how many there are. By
        default notebooks show a bar.

    Raises UnsupportedError, whose `faults` name every piece that cannot be compiled, ModelError for a broken file and UsageError
    for a missing framework or example.
    """
    options8, graphs = _int8.options_of(method), graphs_of(model, example_input)
    with watched(progress) as step:
        compared, warnings = _compared(model, graphs, calibration, options8, step)
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
        parameters=sum(t.size for t in graph.tensors if t.data is not None and t.dtype in (*WEIGHTS, FLOAT32)),
        macs=sum(OPS[n.op].macs(graph.view(n)) for n in graph.nodes),
        arena_bytes=first.arena_bytes,
        weight_bytes=first.weight_bytes,
        fits=tuple(_fit(b, compiled(b)) for b in boards),
        compared=compared,
        warnings=(*warnings, *([state] if (state := state_note(graph)) else [])),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Graphs:
    """A model on its way: `own`, as it came; `int8`, the same where it came so; `optimized`, after the passes."""

    title: str
    own: Graph
    int8: Graph
    optimized: Graph


def _compared(
    model: Any, graphs: Graphs, calibration: Any, options: Options8, step: Progress
) -> tuple[Comparison | None, tuple[str, ...]]:
    """What int8 costs on the samples, where there are some."""
    if calibration is None:
        return None, ()
    with rules.located(printable(graphs.title)):
        made = _int8.quantized(model, graphs.own, graphs.title, calibration, options, step)
    return made.compared, made.warnings


def graphs_of(model: Any, example_input: Any = None) -> Graphs:
    """The graphs of a model file, a live model or a graph; floats are put into int8 with ranges that stand in for measured ones.

    Raises what `inspect` raises.
    """
    title = Path(model).name if isinstance(model, str | os.PathLike) else type(model).__name__
    with rules.located(printable(title)):
        graph = _bring.load(model, identifier(Path(title).stem), example_input)
        int8 = _int8.stand_in(graph)
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
