"""Each layer on inputs of its own, for `verify`: what a model feeds its layers is only a part of what they have to compute rightly.

Behind a layer the inputs of the next one are overwritten in the arena with drawn ones, and what that one leaves is compared with its
op. So a layer is reached whatever lies in front of it, with all kinds of values, and often enough that a rounding that is wrong for
one sum in thousands shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from sandgrain.base.errors import SandgrainError
from sandgrain.bundle.fresh import KINDS, draw, values_of
from sandgrain.bundle.runners import Alone, Fed, Job
from sandgrain.compiler.emit.layers import Layer
from sandgrain.graph.dtypes import ACTIVATIONS
from sandgrain.graph.ir import Array, Graph, Node, Tensor, View
from sandgrain.graph.ops import OPS

ELEMENTS = 64_000  # of each layer's output that are wanted, over all rounds,
LEAST, MOST = 6, 4096  # which are at least and at most so many, where this allows it:
LAYER_MACS = 40_000_000  # of a layer's rounds in the reference
MODEL_MACS = 600_000_000  # of the model's rounds in C
BOARD_MACS = 4_000_000  # of a layer by itself on an emulated core
SOFTER = (0, 1, 2, 3, 4)  # halvings of how far inputs lie from their zero points
CALL = 8192  # bytes that are moved in the time of a call
PIECES = 48  # in which the rounds are drawn, each of another kind than the one before
FEW = 4  # rounds that are as quick one by one
BYTES = 24 << 20  # of the inputs, and of what the layers leave, of all rounds


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Rounds of a model. `inputs`: the model's, for each round. `fed`: by layer, for each of its own rounds, the bytes of its inputs, one
    behind the other. `expected`: likewise, each of its outputs."""

    inputs: list[list[bytes]]
    fed: dict[int, list[bytes]]
    expected: dict[int, list[list[Array]]]

    @property
    def feeds(self) -> list[bytes]:
        """For each round what all layers are fed; later rounds take a layer's inputs again."""
        return [b"".join(f[r % len(f)] for f in self.fed.values()) for r in range(len(self.inputs))]


def layers_alone(job: Job) -> list[Alone]:
    """The layers that can be given inputs of their own: those of int8, which any value may come to."""
    source, graph = job.build.compiled.source, job.build.compiled.graph
    found, before = list[Alone](), -1
    reachable = source.plan.stream is None
    for layer in source.layers:
        given = _given(graph, layer)
        if (
            layer.reads
            and reachable
            and not layer.callers
            and given
            and all(graph.tensors[i].dtype in ACTIVATIONS for i in given)
        ):
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


def called(alone: Alone, moves: int, arena_bytes: int) -> int:
    """How often a layer is called by itself on an emulated core that may move so many bytes for it."""
    calls = max(moves // (arena_bytes + CALL), FEW)
    return max(min(alone.rounds, calls, BOARD_MACS // max(alone.layer.macs, 1)), 1)


def spread(count: int, wanted: int) -> list[int]:
    """So many of `count` rounds, from the first to the last: they lie in pieces, each of another kind."""
    return sorted({k * count // wanted for k in range(wanted)}) if wanted < count else [*range(count)]


def drawn(job: Job, alone: list[Alone], seed: int) -> Drawn:
    """What each round gives to the model and to its layers. Depends on nothing but the model and the seed."""
    compiled, rng = job.build.compiled, np.random.default_rng((seed, 1))
    graph, source = compiled.graph, compiled.source
    fed, left = sum(f.nbytes for a in alone for f in a.feeds), sum(n for layer in source.layers for _, _, n in layer.reads)
    most = max(min(MODEL_MACS // max(source.macs, 1), BYTES // max(fed, left, 1)), 1)
    feeds: dict[int, list[bytes]] = {}
    expected: dict[int, list[list[Array]]] = {}
    for a in alone:
        feeds[a.layer.index], expected[a.layer.index] = _own(graph, a, min(a.rounds, most), rng)
    rounds = max((len(f) for f in feeds.values()), default=0)
    sample = [draw(compiled.imported, index, 0, rng) for index in compiled.imported.inputs]
    inputs = [graph.packed(sample)] * rounds
    return Drawn(inputs, feeds, expected)


def _own(graph: Graph, alone: Alone, rounds: int, rng: np.random.Generator) -> tuple[list[bytes], list[list[Array]]]:
    """(what a layer is fed, its outputs) of so many rounds: some of one kind at a time, as numpy computes many at once in no more time."""
    node, fed, outputs = graph.nodes[alone.layer.index], list[bytes](), list[list[Array]]()
    tensors = graph.tensors
    for kind in range(rounds):
        many = min(-(-rounds // PIECES), rounds - len(fed))
        if not many:
            break
        own = [tensors[f.tensor] for f in alone.feeds]
        drawn = {
            f.tensor: values_of(replace(t, shape=(many, *t.shape)), kind, rng) for f, t in zip(alone.feeds, own, strict=True)
        }
        values = _softened(graph, node, drawn) if kind // len(KINDS) % 2 else drawn
        outputs += _outputs(graph, node, values, many)
        fed += [b"".join(tensors[i].dtype.pack(x[r]) for i, x in values.items()) for r in range(many)]
    return fed, outputs


def _softened(graph: Graph, node: Node, values: dict[int, Array]) -> dict[int, Array]:
    """Inputs so near to their zero points that as few outputs as can be lie at an end of what the layer gives: what is wrong in a rounding
    shows nowhere else."""

    def soft(power: int) -> dict[int, Array]:
        found = {}
        for i, x in values.items():
            quant = graph.tensors[i].quant
            middle = graph.tensors[i].zero_point if quant is not None and quant.per_tensor else 0
            found[i] = (middle + np.round((x.astype(np.float64) - middle) / 2**power)).astype(x.dtype)
        return found

    def at_ends(power: int) -> float:
        (first, *_), *_ = _outputs(graph, node, soft(power), 1)
        return float(np.mean((first == first.min()) | (first == first.max())))

    return soft(min(SOFTER, key=at_ends))


def _outputs(graph: Graph, node: Node, values: Mapping[int, Array], many: int) -> list[list[Array]]:
    """A node's outputs for each of `many` inputs [many, *shape]."""

    def one(r: int) -> list[Array]:
        given = [None if i < 0 else values[i][r] if i in values else graph.tensors[i].data for i in node.inputs]
        return list(OPS[node.op].reference(graph.view(node), given))

    if many > FEW:
        batch = _as_batch(graph, node, values, many)
        tried = (0, many // 2, many - 1)
        if batch is not None and all(np.array_equal(a, b) for r in tried for a, b in zip(one(r), batch[r], strict=True)):
            return batch
    return [one(r) for r in range(many)]


def _as_batch(graph: Graph, node: Node, values: Mapping[int, Array], many: int) -> list[list[Array]] | None:
    """The same with the inputs as a batch of the first axis, which is 1 in a model; None where the op has no such axis."""
    view = graph.view(node)
    fed = [t for i, t in zip(node.inputs, view.inputs, strict=True) if t is not None and i in values]
    if any(t.shape[:1] != (1,) for t in (*fed, *view.outputs)):
        return None

    def wide(t: Tensor) -> Tensor:
        return replace(t, shape=(many, *t.shape[1:]))

    inputs = tuple(t if t is None or i not in values else wide(t) for i, t in zip(node.inputs, view.inputs, strict=True))
    outputs = tuple(map(wide, view.outputs))
    given = [
        None if t is None else values[i].reshape(t.shape) if i in values else t.data
        for i, t in zip(node.inputs, inputs, strict=True)
    ]
    try:
        found = OPS[node.op].reference(View(node, inputs, outputs), given)
    except (ValueError, LookupError, TypeError, AssertionError, SandgrainError):
        return None
    if any(y.shape != t.shape for y, t in zip(found, outputs, strict=True)):
        return None
    return [[y[r : r + 1] for y in found] for r in range(many)]


def compared(alone: list[Alone], found: Drawn) -> Iterator[tuple[int, Layer, int, Array]]:
    """(round, layer, tensor, its value) of all that is to be compared, layer after layer."""
    for a in alone:
        own = found.expected[a.layer.index]
        for r in range(len(own)):
            for (tensor, _, _), value in zip(a.layer.reads, own[r], strict=True):
                yield r, a.layer, tensor, value
