"""In which order, and by which entry points, `verify` asks the same process for its samples once more."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.bundle.runners import Job
from sandgrain.compiler.emit.proving import APART

Order = list[tuple[int, int]]  # (sample, way) of each call
CALLS = 24  # and as many again as there are samples,
BYTES = 64 << 20  # as long as what goes in and comes out has not more than these


def on_host(samples: int, ways: Sequence[int], job: Job, rng: np.random.Generator) -> Order:
    """A drawn order of samples and of ways; one sample comes twice in a row."""
    count = max(min(CALLS + samples, BYTES // max(_bytes(job), 1)), 4)
    order = [int(s) for _ in range(-(-count // samples)) for s in rng.permutation(samples)][:count]
    order.insert(1, order[0])
    return [(s, int(rng.choice(list(ways)))) for s in order]


def on_board(samples: int, ways: Sequence[int]) -> Order:
    """The last sample, the first twice, and the second: few, as each costs as much as all else of a sample. The checks, which have run
    again already, are left out."""
    quick = [way for way in ways if way != APART]
    few = [samples - 1, 0, 0, min(1, samples - 1)]
    return [(s, quick[k % len(quick)]) for k, s in enumerate(few)]


def _bytes(job: Job) -> int:
    """Of one call: what goes in, what comes out, and what the layers leave."""
    graph = job.build.compiled.graph
    ports = sum(graph.tensors[i].nbytes for i in (*graph.inputs, *graph.outputs))
    return ports + sum(size for layer in job.layers for _, _, size in layer.reads)
