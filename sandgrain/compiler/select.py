"""What may be decided by measuring: which kernel runs a layer, and whether it has its own copy of the code."""

from __future__ import annotations

import hashlib
import weakref
from collections import OrderedDict
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass, field

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UnsupportedError
from sandgrain.graph.ir import Graph, Node, Tensor
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


# A kernel's proof about a layer can take long, and a search meets the same layers in graph after graph: the latest are kept.
MAX_FITS = 4096
_FITS: OrderedDict[Hashable, Lowered | Refused] = OrderedDict()
_DIGESTS: dict[int, tuple[weakref.ref[Array], bytes]] = {}  # by the array's id, for as long as it lives


def fit(graph: Graph, node: Node, kernel: Kernel, features: Collection[str]) -> Lowered | Refused:
    """`node` of `graph` as `kernel` computes it on a core with these features, or why it cannot."""
    if refused := kernel.missing(features):
        return refused
    key = (kernel.name, frozenset(features), layer_content(graph, node))
    if key in _FITS:
        _FITS.move_to_end(key)
        return _FITS[key]
    _FITS[key] = fitted = kernel.fit(graph.view(node), features)
    while len(_FITS) > MAX_FITS:
        _FITS.popitem(last=False)
    return fitted


def layer_content(graph: Graph, node: Node) -> Hashable:
    """All that a kernel may know of a layer: op, attributes, types, shapes, scales and constants; not the names."""
    tensors = tuple(None if i < 0 else _content(graph.tensors[i]) for i in (*node.inputs, *node.outputs))
    places = tuple((*node.inputs, *node.outputs).index(i) for i in node.inputs)  # which inputs are one tensor
    return node.op, tuple(sorted(node.attrs.items())), len(node.inputs), places, tensors


def _content(tensor: Tensor) -> Hashable:
    return tensor.shape, tensor.dtype.name, tensor.quant, None if tensor.data is None else digest(tensor.data)


def digest(data: Array) -> bytes:
    """Of an array's type, shape and elements. Arrays of graphs are never written to, so it is computed once for each."""
    place = id(data)
    known = _DIGESTS.get(place)
    if known is not None and known[0]() is data:
        return known[1]
    text = f"{data.dtype.str}{data.shape}".encode()
    found = hashlib.blake2b(text + np.ascontiguousarray(data).tobytes(), digest_size=16).digest()
    _DIGESTS[place] = weakref.ref(data, lambda _: _DIGESTS.pop(place, None)), found
    return found


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
