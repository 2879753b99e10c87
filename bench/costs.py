"""How often the costs of a graph can be asked for: calls per second of `sandgrain.bundle.costs.cost`.

    python bench/costs.py MODEL.tflite [--target cortex-m4]

Two rates: the same graph again; a graph of a known form as a new object, whose kernels are chosen and placed again.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sandgrain.bundle import costs
from sandgrain.compiler import passes
from sandgrain.device import targets
from sandgrain.formats import text
from sandgrain.graph.ir import Graph


def rate(call: Callable[[], object], seconds: float = 3.0) -> float:
    """Calls per second, over at least `seconds`."""
    start, calls = time.perf_counter(), 0
    while (spent := time.perf_counter() - start) < seconds:
        call()
        calls += 1
    return calls / spent


def main() -> None:
    parser = argparse.ArgumentParser(description="Calls per second of the cost function.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--target", default="cortex-m4")
    arguments = parser.parse_args()
    board = targets.load(arguments.target)
    graph = passes.optimize(text.read_any(arguments.model.read_bytes(), "model"))

    def fresh() -> Graph:
        return replace(graph, name=graph.name)

    found = costs.cost(graph, board)
    print(f"{arguments.model.name} on {board.name}: RAM {found.report.ram_bytes} B, flash {found.report.flash_bytes} B")
    print(f"the same graph: {rate(lambda: costs.cost(graph, board)):.0f} calls per second")
    print(f"a new graph of a known form: {rate(lambda: costs.cost(fresh(), board)):.1f} calls per second")


if __name__ == "__main__":
    main()
