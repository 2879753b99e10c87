"""How often the costs of a graph can be asked for: calls per second of `sandgrain.bundle.costs.cost`.

    python bench/costs.py MODEL.tflite [--target cortex-m4]

Three rates: the same graph again; a graph of a known form as a new object, whose kernels are chosen and placed again; a graph of a known
form with other weights, whose kernels are proved again too. `bench/felt.py` has the last two.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from sandgrain.bundle import costs
from sandgrain.compiler import passes
from sandgrain.device import targets
from sandgrain.device.targets import Board
from sandgrain.formats import text
from sandgrain.graph.ir import Graph


def rate(call: Callable[[], object], seconds: float = 3.0) -> float:
    """Calls per second, over at least `seconds`."""
    start, calls = time.perf_counter(), 0
    while (spent := time.perf_counter() - start) < seconds:
        call()
        calls += 1
    return calls / spent


def fresh(graph: Graph) -> Graph:
    """The same graph as another object."""
    return replace(graph, name=graph.name)


def other_weights(graph: Graph) -> Callable[[], Graph]:
    """Makes graphs of the same form, each with its int8 constants' elements moved on by one more place."""
    turns = itertools.count(1)

    def made() -> Graph:
        by = next(turns)
        moved = (replace(t, data=np.roll(t.data, by)) if t.data is not None and t.dtype == "int8" else t for t in graph.tensors)
        return replace(graph, tensors=tuple(moved))

    return made


def rates(graph: Graph, board: Board, seconds: float = 3.0) -> tuple[float, float]:
    """Calls per second for (a known graph as a new object, a known form with new weights)."""
    costs.cost(graph, board)
    new = other_weights(graph)
    return rate(lambda: costs.cost(fresh(graph), board), seconds), rate(lambda: costs.cost(new(), board), seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description="Calls per second of the cost function.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--target", default="cortex-m4")
    arguments = parser.parse_args()
    board = targets.load(arguments.target)
    graph = passes.optimize(text.read_any(arguments.model.read_bytes(), "model"))

    found = costs.cost(graph, board)
    print(f"{arguments.model.name} on {board.name}: RAM {found.report.ram_bytes} B, flash {found.report.flash_bytes} B")
    print(f"the same graph: {rate(lambda: costs.cost(graph, board)):.0f} calls per second")
    known, new = rates(graph, board)
    print(f"a known graph as a new object: {known:.1f} calls per second")
    print(f"a known form with new weights: {new:.1f} calls per second")


if __name__ == "__main__":
    main()
