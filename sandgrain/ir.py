"""The graph: frozen values, read on one screen.

A `Graph` is a list of tensors and a list of nodes in an order that can be executed. Nodes name tensors by their index.
A tensor with `data` is a constant. A pass never changes a graph; it builds another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from sandgrain.quant import Quantization

Array = npt.NDArray[Any]
Attrs = Mapping[str, Any]

ITEM_BYTES = {"int8": 1, "uint8": 1, "int16": 2, "int32": 4, "int64": 8, "float32": 4}


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """One value: `shape` (batch first, NHWC), `dtype` (a key of ITEM_BYTES), quantization, constant data or None."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    quant: Quantization | None = None
    data: Array | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64)) if self.shape else 1

    @property
    def nbytes(self) -> int:
        return self.size * ITEM_BYTES[self.dtype]

    @property
    def scale(self) -> float:
        """The scale of a per-tensor quantized tensor."""
        assert self.quant is not None and self.quant.per_tensor, self.name
        return self.quant.scale[0]

    @property
    def zero_point(self) -> int:
        """The zero point of a per-tensor quantized tensor."""
        assert self.quant is not None and self.quant.per_tensor, self.name
        return self.quant.zero_point[0]


@dataclass(frozen=True, slots=True)
class State:
    """A tensor that lives from one call of the generated C to the next, in a struct of the caller's; all zero at the start.

    `name`: its C member. `dtype`: a key of ITEM_BYTES, uint8 for words that only the op knows. `says`: its comment.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    says: str

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64)) if self.shape else 1

    @property
    def nbytes(self) -> int:
        return self.size * ITEM_BYTES[self.dtype]


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operation. `inputs` holds tensor indices, -1 where an optional input is absent."""

    op: str
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    attrs: Attrs = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Graph:
    """Tensors, nodes in an executable order, and which tensors come in and go out.

    `channels_first`: where the model comes from, its inputs of three and more axes have their channels at axis 1, and so have its
    outputs of as many axes as an input; here they are last. Other outputs (a list of boxes) are as they are there.
    """

    name: str
    tensors: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    labels: tuple[str, ...] = ()
    channels_first: bool = False

    def view(self, node: Node) -> View:
        """`node` with its tensors at hand."""
        return View(
            node,
            tuple(None if i < 0 else self.tensors[i] for i in node.inputs),
            tuple(self.tensors[i] for i in node.outputs),
        )

    def turned(self, index: int) -> bool:
        """Whether an input or output has its channels at axis 1 where the model comes from."""
        rank = len(self.tensors[index].shape)
        return self.channels_first and rank > 2 and rank in {len(self.tensors[i].shape) for i in self.inputs}

    def consumers(self) -> dict[int, list[int]]:
        """Tensor index -> indices of the nodes that read it."""
        found: dict[int, list[int]] = {}
        for n, node in enumerate(self.nodes):
            for i in dict.fromkeys(node.inputs):
                if i >= 0:
                    found.setdefault(i, []).append(n)
        return found

    def producers(self) -> dict[int, int]:
        """Tensor index -> index of the node that writes it."""
        return {t: n for n, node in enumerate(self.nodes) for t in node.outputs}


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A node with its tensors: what an op's methods and a kernel's lowering look at."""

    node: Node
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]

    @property
    def attrs(self) -> Attrs:
        return self.node.attrs

    @property
    def out(self) -> Tensor:
        return self.outputs[0]

    def input(self, index: int) -> Tensor:
        """Input `index`, which must be present."""
        tensor = self.inputs[index]
        assert tensor is not None, f"{self.node.name}: input {index} is absent"
        return tensor

    def const(self, index: int) -> Array:
        """The data of constant input `index`."""
        data = self.input(index).data
        assert data is not None, f"{self.node.name}: input {index} is not constant"
        return data

    def optional(self, index: int) -> Tensor | None:
        return self.inputs[index] if index < len(self.inputs) else None


def attrs(**values: Any) -> Attrs:
    """A read-only attribute mapping."""
    return MappingProxyType(values)


def with_nodes(graph: Graph, nodes: Sequence[Node], **changes: Any) -> Graph:
    """`graph` with other nodes (and other fields), without the tensors that nothing names any more."""
    draft = replace(graph, nodes=tuple(nodes), **changes)
    used = sorted({i for n in draft.nodes for i in (*n.inputs, *n.outputs) if i >= 0} | {*draft.inputs, *draft.outputs})
    new = {old: k for k, old in enumerate(used)} | {-1: -1}
    return replace(
        draft,
        tensors=tuple(draft.tensors[i] for i in used),
        nodes=tuple(
            replace(n, inputs=tuple(new[i] for i in n.inputs), outputs=tuple(new[i] for i in n.outputs)) for n in draft.nodes
        ),
        inputs=tuple(new[i] for i in draft.inputs),
        outputs=tuple(new[i] for i in draft.outputs),
    )
