"""int8 test graphs as float graphs, and a float network that many tests share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sandgrain.graph.ir import Array, Graph, Node, Tensor, attrs, with_nodes
from sandgrain.quantization.weights import spread


def floated(graph: Graph) -> Graph:
    """The float graph of an int8 graph: every constant as the reals it stands for, pads with zero."""
    tensors = tuple(_floated(t) for t in graph.tensors)
    nodes = [_padded(n) if n.op == "pad" else n for n in graph.nodes]
    return with_nodes(replace(graph, tensors=tensors), nodes)


def _padded(node: Node) -> Node:
    return replace(node, inputs=node.inputs[:1], attrs=attrs(**{**node.attrs, "value": 0}))


def _floated(tensor: Tensor) -> Tensor:
    if tensor.quant is None:
        return tensor
    data = None
    if tensor.data is not None:
        axis = tensor.quant.axis or 0
        scale, zero = (np.asarray(v, np.float32) for v in (tensor.quant.scale, tensor.quant.zero_point))
        wide = [spread(v, tensor.data.ndim, axis) if len(v) > 1 else v for v in (scale, zero)]
        data = ((tensor.data - wide[1]) * wide[0]).astype(np.float32).reshape(tensor.shape)
    return Tensor(tensor.name, tensor.shape, "float32", None, data)


class Net:
    """A float graph, built layer after layer; every method gives the index of the tensor that it adds."""

    def __init__(self, shape: tuple[int, ...], seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.tensors = [Tensor("x", shape, "float32")]
        self.nodes: list[Node] = []

    def constant(self, data: Array, name: str = "c") -> int:
        self.tensors.append(Tensor(name, data.shape, "float32", None, data.astype(np.float32)))
        return len(self.tensors) - 1

    def node(self, op: str, inputs: tuple[int, ...], extent: tuple[int, ...], /, **values: object) -> int:
        self.tensors.append(Tensor(f"{op}_{len(self.nodes)}", extent, "float32"))
        self.nodes.append(Node(op, f"{op}_{len(self.nodes)}", inputs, (len(self.tensors) - 1,), attrs(**values)))
        return len(self.tensors) - 1

    def conv(self, x: int, channels: int, activation: str = "relu", kernel: int = 1, scale: Array | float = 1.0) -> int:
        """A convolution of stride 1 that keeps height and width; `scale`: of each output channel's weights."""
        n, h, w, c = self.tensors[x].shape
        weights = self.rng.standard_normal((channels, kernel, kernel, c)) / (kernel * c**0.5)
        weights *= np.asarray(scale).reshape(-1, 1, 1, 1)
        ins = (x, self.constant(weights), self.constant(self.rng.standard_normal(channels) * 0.1 * np.asarray(scale)))
        p = (kernel - 1) // 2
        pads = (p, kernel - 1 - p) * 2
        return self.node("conv_2d", ins, (n, h, w, channels), stride=(1, 1), dilation=(1, 1), padding=pads, activation=activation)

    def depthwise(self, x: int, activation: str = "relu", scale: Array | float = 1.0) -> int:
        """A 3x3 depthwise convolution of stride 1."""
        shape = self.tensors[x].shape
        weights = self.rng.standard_normal((1, 3, 3, shape[3])) / 3 * np.asarray(scale)
        ins = (x, self.constant(weights), self.constant(self.rng.standard_normal(shape[3]) * 0.1))
        return self.node(
            "depthwise_conv_2d", ins, shape, stride=(1, 1), dilation=(1, 1), padding=(1, 1, 1, 1), activation=activation
        )

    def dense(self, x: int, units: int, activation: str = "none") -> int:
        shape = self.tensors[x].shape
        ins = (x, self.constant(self.rng.standard_normal((units, shape[-1])) / shape[-1] ** 0.5), self.constant(np.zeros(units)))
        return self.node("fully_connected", ins, (*shape[:-1], units), activation=activation, keep_num_dims=True)

    def graph(self, *outputs: int) -> Graph:
        return Graph("net", tuple(self.tensors), tuple(self.nodes), (0,), outputs)

    def samples(self, count: int, scale: float = 1.0) -> Array:
        values = self.rng.standard_normal((count, *self.tensors[0].shape)) * scale
        return values.astype(np.float32)


def small() -> tuple[Net, Graph]:
    """conv, depthwise, conv, mean, dense, softmax."""
    net = Net((1, 6, 6, 3))
    x = net.conv(0, 8, kernel=3)
    x = net.conv(net.depthwise(x), 12)
    x = net.node("mean", (x,), (1, 12), axes=(1, 2), keep_dims=False)
    x = net.node("softmax", (net.dense(x, 5),), (1, 5), beta=1.0)
    return net, net.graph(x)
