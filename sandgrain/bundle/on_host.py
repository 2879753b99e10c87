"""Generated C run on this computer without a bundle: for features of data sets, for evaluation, and for detectors in training."""

from __future__ import annotations

from sandgrain.base.scratch import scratch
from sandgrain.compiler.emit import bundle
from sandgrain.compiler.emit.model import Options, Source, generate, harness
from sandgrain.compiler.passes import optimize
from sandgrain.compiler.plan import plan
from sandgrain.device.run.host import HostModel
from sandgrain.graph.ir import Graph


def loaded(source: Source) -> HostModel:
    """Generated text, compiled and loaded into this process. Raises ToolchainError without a compiler."""
    with scratch() as folder:
        bundle.write(source, folder)
        return HostModel(folder / source.options.c_file, source.plan.graph, harness(source))


def compiled(graph: Graph) -> HostModel:
    """The C of a graph as a bundle would have it, for a core without extras. Raises ToolchainError without a compiler."""
    return loaded(generate(plan(optimize(graph), ()), Options("model")))
