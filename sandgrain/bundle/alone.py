"""Each layer on inputs of its own, for `verify`: what a model feeds its layers is only a part of what they have to compute rightly.

Behind a layer the inputs of the next one are overwritten in the arena with drawn ones, and what that one leaves is compared with its
op. So a layer is reached whatever lies in front of it, with all kinds of values, and often enough that a rounding that is wrong for
one sum in thousands shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sandgrain.bundle.fresh import draw
from sandgrain.bundle.runners import Fed, Job
from sandgrain.compiler.emit.layers import Layer
from sandgrain.graph.ir import Array, Graph
from sandgrain.graph.ops import OPS

ELEMENTS = 16_000  # of each layer's output that are wanted, over all rounds,
LEAST, MOST = 6, 256  # which are at least and at most so many, where this allows it:
LAYER_MACS = 40_000_000  # of a layer's rounds in the reference
MODEL_MACS = 300_000_000  # of the model's rounds in C
BYTES = 32 << 20  # of the inputs, and of what the layers leave, of all rounds


@dataclass(frozen=True, slots=True, eq=False)
class Alone:
    """A layer that can be fed. `rounds`: how many inputs are drawn for it; later rounds of the model take them again."""

    layer: Layer
    feeds: tuple[Fed, ...]
    rounds: int


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Rounds of a model. `inputs`: of the model and, behind them, what is fed, as bytes, for each round. `expected`: by layer, for each
    of its own rounds, the bytes of each output."""

    inputs: list[list[bytes]]
    feeds: list[bytes]
    expected: dict[int, list[list[Array]]]


def layers_alone(job: Job) -> list[Alone]:
    """The layers that can be given inputs of their own: those of int8, which any value may come to."""
    source, graph = job.build.compiled.source, job.build.compiled.graph
    found, before = list[Alone](), -1
    reachable = source.plan.stream is None
    for layer in source.layers:
        given = _given(graph, layer)
        if layer.reads and reachable and not layer.callers and given and all(graph.tensors[i].dtype == "int8" for i in given):
            feeds = tuple(Fed(before, i, source.plan.offsets[i], graph.tensors[i].nbytes) for i in given)
            if not any(_overlap(a, b) for a, b in combinations(feeds, 2)):
                found.append(Alone(layer, feeds, _rounds(graph, layer)))
        before, reachable = layer.index, bool(layer.reads)
    return found


def _given(graph: Graph, layer: Layer) -> list[int]:
    """The tensors that a layer reads and that are not constants."""
    return [i for i in dict.fromkeys(graph.nodes[layer.index].inputs) if i >= 0 and graph.tensors[i].data is None]


def _overlap(a: Fed, b: Fed) -> bool:
    return a.offset < b.offset + b.nbytes and b.offset < a.offset + a.nbytes


def _rounds(graph: Graph, layer: Layer) -> int:
    size = min(graph.tensors[tensor].size for tensor, _, _ in layer.reads)
    wanted = min(max(-(-ELEMENTS // size), LEAST), MOST)
    return max(min(wanted, LAYER_MACS // max(layer.macs, 1)), 1)


def drawn(job: Job, alone: list[Alone], seed: int) -> Drawn:
    """What each round gives to the model and to its layers. Depends on nothing but the model and the seed."""
    compiled, rng = job.build.compiled, np.random.default_rng((seed, 1))
    graph, source = compiled.graph, compiled.source
    fed, left = sum(f.nbytes for a in alone for f in a.feeds), sum(n for layer in source.layers for _, _, n in layer.reads)
    most = max(min(MODEL_MACS // max(source.macs, 1), BYTES // max(fed, left, 1)), 1)
    feeds: dict[int, list[bytes]] = {}
    expected: dict[int, list[list[Array]]] = {}
    for a in alone:
        pairs = [_round(graph, a, k, rng) for k in range(min(a.rounds, most))]
        feeds[a.layer.index], expected[a.layer.index] = [fed for fed, _ in pairs], [outputs for _, outputs in pairs]
    rounds = max((len(f) for f in feeds.values()), default=0)
    sample = [draw(compiled.imported, index, 0, rng) for index in compiled.imported.inputs]
    inputs = [graph.packed(sample)] * rounds
    return Drawn(inputs, [b"".join(f[r % len(f)] for f in feeds.values()) for r in range(rounds)], expected)


def _round(graph: Graph, alone: Alone, kind: int, rng: np.random.Generator) -> tuple[bytes, list[Array]]:
    """The bytes that a layer is fed, and its outputs."""
    node = graph.nodes[alone.layer.index]
    values = {f.tensor: draw(graph, f.tensor, kind, rng) for f in alone.feeds}
    given = [None if i < 0 else values[i] if i in values else graph.tensors[i].data for i in node.inputs]
    outputs = OPS[node.op].reference(graph.view(node), given)
    return b"".join(graph.tensors[i].dtype.pack(x) for i, x in values.items()), list(outputs)


def compared(alone: list[Alone], found: Drawn) -> Iterator[tuple[int, Layer, int, Array]]:
    """(round, layer, tensor, its value) of all that is to be compared, layer after layer."""
    for a in alone:
        own = found.expected[a.layer.index]
        for r in range(len(own)):
            for (tensor, _, _), value in zip(a.layer.reads, own[r], strict=True):
                yield r, a.layer, tensor, value
