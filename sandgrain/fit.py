"""Makes a model fit a limit of RAM: kernels that need less memory first, then leading layers in strips."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from sandgrain.ir import Graph
from sandgrain.passes.into_strips import longest_chain
from sandgrain.pipeline import planned
from sandgrain.plan import Choice, candidates

HEIGHTS = (4, 2, 1)  # output rows a strip: taller strips cost less time and more memory


def fit(graph: Graph, features: Collection[str], choice: Choice, arena_bytes: int) -> Choice:
    """`choice` when its arena has at most `arena_bytes`, else the first way to get there, else the one that needs least.

    Tried in this order: the given kernels; each op's kernels of least memory; ever more leading layers in strips.
    """
    best, least = choice, planned(graph, features, choice).arena_bytes
    for option in _options(graph, features, choice):
        if least <= arena_bytes:
            break
        size = planned(graph, features, option).arena_bytes
        if size < least:
            best, least = option, size
    return best


def _options(graph: Graph, features: Collection[str], choice: Choice) -> Iterator[Choice]:
    fitting = {node.outputs[0]: candidates(graph, node, features) for node in graph.nodes}
    for rank in range(max((len(k) for k in fitting.values()), default=0)):
        kernels = {t: k[min(rank, len(k) - 1)].name for t, k in fitting.items() if k}
        yield replace(choice, kernels=kernels)
    for length in range(2, longest_chain(graph) + 1):
        for height in HEIGHTS:
            yield replace(choice, strips=(length, height))
