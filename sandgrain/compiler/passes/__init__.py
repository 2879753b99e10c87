"""Graph in, graph out. `PIPELINE` is the only place where order exists."""

from __future__ import annotations

from collections.abc import Callable

from sandgrain.compiler.passes.constant_channels import remove_constant_channels
from sandgrain.compiler.passes.fold_constants import fold_constants
from sandgrain.compiler.passes.fuse_activations import fuse_activations
from sandgrain.compiler.passes.fuse_pads import fuse_pads
from sandgrain.compiler.passes.last_step import keep_last_step
from sandgrain.compiler.passes.merge_reshapes import merge_reshapes
from sandgrain.compiler.passes.remove_dead import remove_dead
from sandgrain.graph import rules
from sandgrain.graph.ir import Graph

Pass = Callable[[Graph], Graph]

PIPELINE: tuple[Pass, ...] = (
    fold_constants,  # first: what is constant is nobody's work
    keep_last_step,  # before merge_reshapes: it leaves one behind
    merge_reshapes,  # before the fusions: a reshape between two layers hides them from each other
    fuse_pads,
    fuse_activations,
    remove_dead,  # after the fusions, which leave layers behind that nobody reads
    remove_constant_channels,  # last: a layer that nobody reads would keep the channels that it reads
)


def optimize(graph: Graph) -> Graph:
    """Every pass in order, the graph checked after each, so that a fault points at its pass."""
    for step in PIPELINE:
        graph = step(graph)
        rules.check(graph)
    return graph
