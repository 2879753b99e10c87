"""ONNX models built node by node with fixed seeds, and what ONNX Runtime says that they compute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from sandgrain.graph import reals
from sandgrain.graph.ir import Array, Graph
from tests.support.models import graph_of
from tests.support.onnx_oracle import session

CLOSE = 1e-4  # of the largest output


class Net:
    """A model that grows node by node. Values are names; weights are drawn as they are needed."""

    def __init__(self, *shape: int | str, opset: int = 17, seed: int = 0, samples: Array | None = None) -> None:
        self.rng, self.opset, self.samples = np.random.default_rng(seed), opset, samples
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]

    def constant(self, data: Any, dtype: Any = np.float32) -> str:
        self.constants.append(numpy_helper.from_array(np.asarray(data, dtype), f"c{len(self.constants)}"))
        return self.constants[-1].name

    def ints(self, *data: int) -> str:
        return self.constant(data, np.int64)

    def weight(self, *shape: int) -> str:
        """Of a scale that keeps the values of a layer as large as its input's."""
        fan = max(1, int(np.prod(shape[1:])))
        return self.constant(self.rng.normal(0, (2 / fan) ** 0.5, shape))

    def small(self, n: int) -> str:
        return self.constant(self.rng.normal(0, 0.1, n))

    def op(self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attrs: Any) -> Any:
        """A node on named values; its output's name, or a list of them."""
        names = [f"{kind.lower()}{len(self.nodes)}" + (f"_{k}" if k else "") for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=f"/{names[0]}/{kind}", domain=domain, **attrs))
        return names[0] if outputs == 1 else names

    # --- layers ------------------------------------------------------------------------------------------------------

    def conv(
        self, x: str, cin: int, cout: int, k: int | Sequence[int] = 3, *, rank: int = 2, bias: bool = True, **attrs: Any
    ) -> str:
        kernel = [k] * rank if isinstance(k, int) else list(k)
        attrs.setdefault("pads", [n // 2 for n in kernel] * 2)
        group = attrs.get("group", 1)
        inputs = [x, self.weight(cout, cin // group, *kernel)] + ([self.small(cout)] if bias else [])
        found: str = self.op("Conv", *inputs, kernel_shape=kernel, **attrs)
        return found

    def norm(self, x: str, channels: int, gain: float = 1.0, shift: float = 0.0) -> str:
        """With the statistics of what comes in for `samples`, as after training: a channel leaves it with a deviation of
        about `gain`, around `shift` times that."""
        mean, variance = np.zeros(channels), self.rng.uniform(0.5, 1.5, channels)
        if self.samples is not None:
            values = np.moveaxis(runtime(self.model(x), self.samples)[0], 2, 0).reshape(channels, -1)
            mean, variance = values.mean(axis=1), values.var(axis=1) + 1e-3
        scale, offset = gain * self.rng.uniform(0.5, 1.5, channels), gain * self.rng.normal(shift, 0.2, channels)
        shares = (scale, offset, mean, variance)
        found: str = self.op("BatchNormalization", x, *map(self.constant, shares))
        return found

    def conv_norm(
        self,
        x: str,
        cin: int,
        cout: int,
        k: int | Sequence[int] = 3,
        act: str = "Relu",
        gain: float = 1.0,
        shift: float = 0.0,
        **attrs: Any,
    ) -> str:
        y = self.norm(self.conv(x, cin, cout, k, bias=False, **attrs), cout, gain, shift)
        if act == "Relu6":
            found: str = self.op("Clip", y, self.constant(0), self.constant(6))
            return found
        return self.op(act, y) if act else y  # type: ignore[no-any-return]

    def dense(self, x: str, cin: int, cout: int) -> str:
        found: str = self.op("Gemm", x, self.weight(cout, cin), self.small(cout), transB=1)
        return found

    def linear(self, x: str, cin: int, cout: int) -> str:
        """As exporters write a dense layer on more than two axes."""
        found: str = self.op("Add", self.op("MatMul", x, self.weight(cin, cout)), self.small(cout))
        return found

    def model(self, *outputs: str) -> onnx.ModelProto:
        ends = [onnx.ValueInfoProto(name=o) for o in outputs]
        graph = helper.make_graph(self.nodes, "g", self.inputs, ends, self.constants)
        domains = {"": self.opset, "com.microsoft": 1} | {n.domain: 1 for n in self.nodes if n.domain}
        imports = [helper.make_opsetid(*pair) for pair in domains.items()]
        model = helper.make_model(graph, opset_imports=imports, ir_version=8)
        found = onnx.shape_inference.infer_shapes(model)
        for value in found.graph.output:
            kind = value.type.tensor_type
            kind.elem_type = kind.elem_type or TensorProto.FLOAT
            if not kind.HasField("shape"):
                kind.shape.dim.add()
        return found


def qdq(net: Net, x: str, scale: float, zero: int = 0, dtype: Any = np.int8) -> str:
    """A value, quantized and dequantized."""
    s, z = net.constant(scale), net.constant(zero, dtype)
    found: str = net.op("DequantizeLinear", net.op("QuantizeLinear", x, s, z), s, z)
    return found


def runtime(model: onnx.ModelProto, *inputs: Array) -> list[Array]:
    """What ONNX Runtime computes: [n, ...] for each output, one sample after another."""
    run = session(model.SerializeToString(), optimize=False)
    names = [i.name for i in run.get_inputs()]
    each = [run.run(None, {name: x[k : k + 1] for name, x in zip(names, inputs, strict=True)}) for k in range(len(inputs[0]))]
    return [np.stack([e[k] for e in each]) for k in range(len(each[0]))]


def convert(model: onnx.ModelProto) -> Graph:
    """The graph of a model: of floats, or of int8 with the scales that the model brings."""
    return graph_of(model, "m")


def laid_out(x: Array, graph: Graph, index: int) -> Array:
    """ONNX's [n, ...], without the batch of 1, as the graph's input or output `index` has it: [n, 1, ...]."""
    return np.ascontiguousarray((np.moveaxis(x, 1, -1) if graph.turned(index) else x)[:, None])


def agree(model: onnx.ModelProto, *inputs: Array, close: float = CLOSE) -> Graph:
    """Convert, compare every output with ONNX Runtime's, and return the float graph."""
    graph = convert(model)
    wanted = runtime(model, *inputs)
    got = reals.outputs(graph, [laid_out(x, graph, i) for x, i in zip(inputs, graph.inputs, strict=True)])
    for k, (mine, real, index) in enumerate(zip(got, wanted, graph.outputs, strict=True)):
        assert mine.size == real.size, (k, mine.shape, real.shape)
        real = (laid_out(real[:, 0], graph, index) if graph.turned(index) else real).reshape(mine.shape)
        assert np.abs(mine - real).max() <= close * max(1e-3, np.abs(real).max()), k
    return graph
