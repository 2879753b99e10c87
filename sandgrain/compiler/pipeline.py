"""From the bytes of a model to its C: read, optimize, plan, generate. Nothing is written and nothing is run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from sandgrain.base.errors import UsageError
from sandgrain.compiler import passes
from sandgrain.compiler.emit.model import Options, Source, generate, outline
from sandgrain.compiler.passes.into_strips import into_strips
from sandgrain.compiler.plan import Choice, Plan, plan
from sandgrain.device.targets import Board
from sandgrain.formats import text
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.graph.ir import Graph


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A model and its C.

    `imported` is the graph as the file says it, `optimized` what the passes made of it, `choice` what was decided by
    measuring; `source` holds the plan and the C. `stride`: samples from one
    result of a stream to the next, 0 where there is none.
    """

    imported: Graph
    optimized: Graph
    choice: Choice
    source: Source
    stride: int = 0

    def choosing(self, choice: Choice, features: Collection[str]) -> Compiled:
        """The same model under another choice, for a core with `features`."""
        source = generate(planned(self.optimized, features, choice, self.stride), self.source.options)
        return replace(self, choice=choice, source=source)

    def written(self) -> Compiled:
        """The same with its C, where it has been outlined only."""
        return replace(self, source=generate(self.source.plan, self.source.options))

    @property
    def graph(self) -> Graph:
        """The graph as it runs, in execution order."""
        return self.source.plan.graph


def planned(graph: Graph, features: Collection[str], choice: Choice, stride: int = 0) -> Plan:
    """The plan of an optimized graph under a choice, strips included; `stride`: of a stream, 0 for none."""
    if choice.strips is not None:
        graph = into_strips(graph, choice.strips, frozenset(features), choice.kernels)
    return plan(graph, features, choice, stride)


def read(graph: Graph | None, name: str, labels: tuple[str, ...] = (), front: FrontEnd | None = None) -> tuple[Graph, Graph]:
    """(imported, optimized) graph of a model, of the front end that feeds it and the model, or of a front end alone.

    Raises ModelError or UnsupportedError, UsageError when there is neither.
    """
    if graph is None and front is None:
        raise UsageError("neither a model nor features; give one")
    if front is not None:
        graph = front.graph() if graph is None else front.feeding(graph)
    assert graph is not None
    imported = replace(graph, name=name, labels=labels)
    return imported, passes.optimize(imported)


def emit(imported: Graph, optimized: Graph, board: Board, options: Options, choice: Choice, stride: int = 0) -> Compiled:
    """The C of an optimized graph for a board's core."""
    return Compiled(
        imported, optimized, choice, generate(planned(optimized, board.core.features, choice, stride), options), stride
    )


def outlined(graph: Graph, board: Board, options: Options, choice: Choice, stride: int = 0) -> Compiled:
    """As `emit` for an optimized graph, without the text of the C: plan, layers and sizes of tables."""
    return Compiled(graph, graph, choice, outline(planned(graph, board.core.features, choice, stride), options), stride)


def compile_bytes(
    data: bytes | None,
    board: Board,
    options: Options,
    labels: tuple[str, ...] = (),
    choice: Choice | None = None,
    front: FrontEnd | None = None,
) -> Compiled:
    """The C of a model, alone or behind its features, for a board's core. Raises ModelError, UnsupportedError or UsageError."""
    stride = front.stride if front is not None else 0
    graph = None if data is None else text.read_any(data, options.name)
    options = at_rate(options, front)
    return emit(*read(graph, options.name, labels, front), board, options, choice or Choice(), stride)


def at_rate(options: Options, front: FrontEnd | None) -> Options:
    """The options with the rate and the channels of the front end's signal."""
    if front is None:
        return options
    return replace(options, rate=front.pipeline.signal.rate, channels=front.pipeline.signal.channels)
