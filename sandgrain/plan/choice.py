"""What may be decided by measuring: which kernel runs a layer, and whether it has its own copy of the code."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sandgrain.ir import Graph, Node
from sandgrain.ops import OPS, Kernel, fitting, pick


@dataclass(frozen=True, slots=True)
class Choice:
    """Decisions by a node's first output tensor in the optimized graph. What is not named takes its op's first kernel.

    `kernels`: tensor -> kernel name. `shared`: tensors of the nodes that call one copy of the kernel's code, shared by
    all that do; the others leave it to the compiler to inline and specialize a copy. `strips`: how many leading layers
    run strip by strip, and how many output rows a strip has; None: no strips.
    """

    kernels: Mapping[int, str] = field(default_factory=dict)
    shared: frozenset[int] = frozenset()
    strips: tuple[int, int] | None = None


def candidates(graph: Graph, node: Node, features: Collection[str], *, compact: bool = False) -> list[Kernel]:
    """The kernels that can run a node on a core, most specific first; none for a view. `compact`: those of least code as well."""
    return [] if _is_view(graph, node) else fitting(graph.view(node), features, compact=compact)


def select(graph: Graph, node: Node, features: Collection[str], choice: Choice) -> Kernel | None:
    """The kernel that `choice` names, or the first candidate; None for a view. Raises UnsupportedError when none fits."""
    return None if _is_view(graph, node) else pick(graph.view(node), features, choice.kernels.get(node.outputs[0]))


def _is_view(graph: Graph, node: Node) -> bool:
    return OPS[node.op].is_view and graph.view(node).input(0).data is None
