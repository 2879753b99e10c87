"""From the bytes of a model to its C: read, optimize, plan, generate. Nothing is written and nothing is run."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sandgrain import passes
from sandgrain.codegen.model import Options, Source, generate
from sandgrain.frontends import tflite
from sandgrain.ir import Graph
from sandgrain.plan import plan
from sandgrain.targets import Board


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """`imported` is the graph as the file says it; `source` holds the optimized graph, its plan and its C."""

    imported: Graph
    source: Source

    @property
    def graph(self) -> Graph:
        """The optimized graph, in execution order."""
        return self.source.plan.graph


def compile_bytes(data: bytes, board: Board, options: Options, labels: tuple[str, ...] = ()) -> Compiled:
    """The C of a .tflite model for a board's core. Raises ModelError, UnsupportedError or UsageError."""
    imported = replace(tflite.read(data, options.name), labels=labels)
    optimized = passes.optimize(imported)
    return Compiled(imported, generate(plan(optimized, board.core.features), options))
