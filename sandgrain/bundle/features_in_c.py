"""Features of many windows, by the very C that the board runs, compiled for this computer.

The numpy references define the features and the tests hold the C to them byte for byte; for whole data sets the C is some
hundred times faster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from sandgrain.bundle import on_host
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.frontend.pipeline import Moments, Normalization, Pipeline
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Graph

BATCH = 64  # windows at a time: 2 MB of one-second audio


class Extractor:
    """One feature graph, compiled."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._host = on_host.compiled(graph)

    def run(self, windows: Array) -> Array:
        """[n, *signal shape] in the signal's dtype -> [n, *feature shape]."""
        shape, out = self.graph.tensors[self.graph.inputs[0]].shape, self.graph.tensors[self.graph.outputs[0]].shape
        return self._host.run([np.ascontiguousarray(windows).reshape(-1, *shape)])[0].reshape(-1, *out[1:])


def fit(pipeline: Pipeline, windows: Iterable[Array]) -> Normalization:
    """The normalization of a pipeline's features over training windows, which are taken one at a time and not kept; the blocks' own
    where they say it."""
    if pipeline.given is not None:
        return pipeline.given
    norm, columns = pipeline.normalize, pipeline.shape[-1]
    moments = Moments(columns, per_column=pipeline.per_column)
    extractor = Extractor(pipeline.raw) if pipeline.raw is not None else None
    for batch in batches(windows):
        moments.add(batch if extractor is None else extractor.run(batch))
    return moments.normalization(pipeline.scales(), norm.clip)


def extract(front: FrontEnd, windows: Iterable[Array], made: Extractor | None = None) -> Array:
    """The model's inputs, int8 [n, *feature shape]. `made`: of the front end's graph, if it was compiled before."""
    extractor = Extractor(front.graph()) if made is None else made
    rows = [extractor.run(batch) for batch in batches(windows)]
    return np.concatenate(rows) if rows else np.zeros((0, *front.pipeline.shape), ACTIVATION)


def batches(windows: Iterable[Array]) -> Iterator[Array]:
    """Windows in stacks of at most BATCH."""
    held: list[Array] = []
    for window in windows:
        held.append(window)
        if len(held) == BATCH:
            yield np.stack(held)
            held = []
    if held:
        yield np.stack(held)
