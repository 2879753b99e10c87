"""From the bytes of a model to its C: read, optimize, plan, generate. Nothing is written and nothing is run."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from sandgrain import passes
from sandgrain.codegen.model import Options, Source, generate
from sandgrain.frontends import tflite
from sandgrain.ir import Graph
from sandgrain.passes.into_strips import into_strips
from sandgrain.plan import Choice, Plan, plan
from sandgrain.targets import Board


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A model and its C.

    `imported` is the graph as the file says it, `optimized` what the passes made of it, `choice` what was decided by
    measuring; `source` holds the plan and the C.
    """

    imported: Graph
    optimized: Graph
    choice: Choice
    source: Source

    @property
    def graph(self) -> Graph:
        """The graph as it runs, in execution order."""
        return self.source.plan.graph


def planned(graph: Graph, features: Collection[str], choice: Choice) -> Plan:
    """The plan of an optimized graph under a choice, strips included."""
    if choice.strips is not None:
        length, height = choice.strips
        graph = into_strips(graph, length, height, frozenset(features))
    return plan(graph, features, choice)


def read(data: bytes, name: str, labels: tuple[str, ...] = ()) -> tuple[Graph, Graph]:
    """(imported, optimized) graph of a .tflite model. Raises ModelError or UnsupportedError."""
    imported = replace(tflite.read(data, name), labels=labels)
    return imported, passes.optimize(imported)


def emit(imported: Graph, optimized: Graph, board: Board, options: Options, choice: Choice) -> Compiled:
    """The C of an optimized graph for a board's core."""
    return Compiled(imported, optimized, choice, generate(planned(optimized, board.core.features, choice), options))


def compile_bytes(
    data: bytes, board: Board, options: Options, labels: tuple[str, ...] = (), choice: Choice | None = None
) -> Compiled:
    """The C of a .tflite model for a board's core. Raises ModelError, UnsupportedError or UsageError."""
    return emit(*read(data, options.name, labels), board, options, choice or Choice())
