"""What may be decided by measuring: which kernel runs a layer, and whether it has its own copy of the code."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from sandgrain.base.errors import UnsupportedError
from sandgrain.graph.ir import Graph, Node
from sandgrain.graph.ops import OPS
from sandgrain.kernels import Kernel, Lowered, Refused, kernels_of, pick


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


@dataclass(frozen=True, slots=True, eq=False)
class Selected:
    """The kernel that runs a node, and the node as that kernel computes it."""

    kernel: Kernel
    lowered: Lowered


# Graphs are frozen, and a kernel's proof about a layer can take long: each is made once for as long as the graph lives.
_FITS: WeakKeyDictionary[Graph, dict[tuple[int, str], Lowered | Refused]] = WeakKeyDictionary()


def fit(graph: Graph, node: Node, kernel: Kernel, features: Collection[str]) -> Lowered | Refused:
    """`node` of `graph` as `kernel` computes it on a core with these features, or why it cannot."""
    if refused := kernel.missing(features):
        return refused
    known, key = _FITS.setdefault(graph, {}), (node.outputs[0], kernel.name)
    if key not in known:
        known[key] = kernel.fit(graph.view(node), features)
    return known[key]


def needs_no_kernel(graph: Graph, node: Node) -> bool:
    """Whether the node is a view of a tensor that is computed: its output is its input's bytes."""
    return OPS[node.op].is_view and graph.view(node).input(0).data is None


def candidates(graph: Graph, node: Node, features: Collection[str], *, compact: bool = False) -> list[Kernel]:
    """The kernels that can run a node on a core, most specific first; none for a view. `compact`: those of least code as well."""
    if needs_no_kernel(graph, node):
        return []
    wanted = [k for k in kernels_of(node.op) if compact or not k.compact]
    return [k for k in wanted if isinstance(fit(graph, node, k, features), Lowered)]


def select(graph: Graph, node: Node, features: Collection[str], choice: Choice) -> Selected | None:
    """The kernel that `choice` names, or the first candidate; None for a view. Raises UnsupportedError when none fits."""
    if needs_no_kernel(graph, node):
        return None
    kernels, wanted = kernels_of(node.op), choice.kernels.get(node.outputs[0])
    selected = pick(kernels, wanted, lambda kernel: fit(graph, node, kernel, features))
    if selected is None:
        raise UnsupportedError(f"{node.name}: no {node.op} kernel fits this layer; change its shape or split it")
    return Selected(*selected)
