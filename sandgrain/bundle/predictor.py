"""A bundle's C on this computer for `predict`: built once, run in a child process that stays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.bundle.runners import seconds_a_sample
from sandgrain.bundle.store import Bundle
from sandgrain.compiler.emit.model import harness
from sandgrain.device.run.host_kept import HostKept
from sandgrain.device.run.host_process import Sizes
from sandgrain.graph.ir import Array


class Predictor:
    """The C in a bundle's folder, edited or not. Raises ToolchainError where it cannot be built."""

    def __init__(self, bundle: Bundle) -> None:
        graph, source = bundle.compiled.graph, bundle.compiled.source
        self._graph = graph
        ins, outs = (tuple(graph.tensors[i].nbytes for i in ports) for ports in (graph.inputs, graph.outputs))
        self._process = HostKept(bundle.code, harness(source), Sizes(ins, outs), seconds_a_sample(source.macs))

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Every sample: inputs [n, *shape] in the graph's dtypes, outputs [n, *shape]. Raises RunError."""
        graph = self._graph
        left = self._process.run([graph.packed([x[s] for x in inputs]) for s in range(len(inputs[0]))])
        tensors = [graph.tensors[i] for i in graph.outputs]
        if not left:
            return [np.zeros((0, *t.shape), t.dtype.numpy) for t in tensors]
        return [np.stack([t.dtype.unpack(one.outputs[k], t.shape) for one in left]) for k, t in enumerate(tensors)]
