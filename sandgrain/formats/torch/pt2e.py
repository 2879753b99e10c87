"""Programs that PT2E has quantized (torchao): what their quantize and dequantize operators say of their scales.

    x -> quantize_per_tensor(scale, zero_point) -> dequantize_per_tensor -> conv2d(weight = dequantize_per_channel(int8, scales))

The operators compute nothing here. The scale is noted on the tensor that they stand behind, which from then on takes in no other
layer; weights become floats that `quantize.keep` brings back to the very integers they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from sandgrain.base.errors import UnsupportedError
from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.aten.ops.base import need
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Graph
from sandgrain.graph.ops import OPS
from sandgrain.graph.quantization import Quantization, per_tensor
from sandgrain.graph.scales import bring_scales, channel_scales

NAMESPACE = "quantized_decomposed"
SHIFT = {torch.int8: 0, torch.uint8: 128}  # of zero points, to int8
MOVES = ("alias", "clone", "contiguous", "detach", "permute", "reshape", "squeeze", "t", "transpose", "unsqueeze", "view")


@dataclass(slots=True, eq=False)
class Scales:
    """What is known of a graph that grows in `builder`. `given`: tensor -> quantization. `weights`: tensor -> its channels'
    scales. `of`: a constant that was dequantized -> its scales, spread to its shape.
    """

    builder: Builder
    given: dict[int, Quantization] = field(default_factory=dict)
    weights: dict[int, Quantization] = field(default_factory=dict)
    of: dict[Any, Any] = field(default_factory=dict)

    def mark(self, name: str, values: Mapping[str, Any], node: Any) -> Any:
        """The result of a quantize or dequantize operator with these arguments. Raises UnsupportedError."""
        x, per_channel = values["input"], name.endswith("per_channel")
        need(name in HANDLED, "its scales are computed at run time; quantize statically, with calibration")
        need(values["dtype"] in SHIFT, f"{values['dtype']} values; quantize to int8 or uint8")
        if not isinstance(x, Value):
            return self._constant(name, values, node, per_channel)
        need(not per_channel, "one scale for each channel of computed values; quantize activations per tensor")
        scale, zero = _number(values["scale"]), round(_number(values["zero_point"])) - SHIFT[values["dtype"]]
        need(
            0 < scale < float("inf") and ACTIVATION.low <= zero <= ACTIVATION.high,
            f"scale {scale:g}, zero point {zero}; quantize again",
        )
        quant = per_tensor(float(np.float32(scale)), zero)
        tensor = x.tensor
        if self.given.get(tensor, quant) != quant:
            tensor = self.builder.node("quantize", (tensor,), suffix=".rescaled")
        self.given[tensor] = quant
        self.builder.shared.add(tensor)
        return Value(tensor, x.layout)

    def _constant(self, name: str, values: Mapping[str, Any], node: Any, per_channel: bool) -> Any:
        """The integers of a constant, or the reals of such integers."""
        x = values["input"]
        scale = torch.as_tensor(values["scales" if per_channel else "scale"], dtype=torch.float32)
        zero = torch.as_tensor(values["zero_points" if per_channel else "zero_point"])
        if per_channel:
            axis = values["axis"]
            need(-x.dim() <= axis < x.dim(), f"scales along axis {axis} of {x.dim()}; quantize again")
            shape = [1] * x.dim()
            shape[axis] = -1
            need(scale.numel() == zero.numel() == x.shape[axis], "as many scales as channels are needed; quantize again")
            scale, zero = scale.reshape(shape), zero.reshape(shape)
        need(bool((scale > 0).all()), "a scale that is not above 0; quantize again")
        if name.startswith("quantize"):
            low, high = values["quant_min"], values["quant_max"]
            return (torch.round(x / scale) + zero).clamp(low, high).to(values["dtype"])
        if bool((zero == 0).all()) and values["dtype"] == torch.int8:
            self.of[node] = scale.expand(x.shape)
        return (x.to(torch.int32) - zero).float() * scale

    def moved(self, node: Any, sources: list[Any]) -> None:
        """`node` computed something of constants: their scales move as they do."""
        if len(sources) == 1 and sources[0] in self.of and node.target._opname in MOVES:
            args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda n: self.of[n])
            self.of[node] = node.target(*args, **kwargs)

    def watched(self, convert: Callable[[Builder, Mapping[str, Any]], Any], values: Mapping[str, Any], node: Any) -> Any:
        """What `convert` makes of arguments, the scales of the weights that it lays out noted: as it lays out scales in their place."""
        known = {n.name: self.of[n] for n in node.all_input_nodes if n in self.of}
        if not known:
            result = convert(self.builder, values)
            self._follow()
            return result
        names = [a.name for a in node.target._schema.arguments]
        places = [*zip(names, node.args, strict=False), *node.kwargs.items()]
        swapped = {name: self.of[arg].numpy() for name, arg in places if isinstance(arg, torch.fx.Node) and arg in self.of}
        twin, first = self.builder.copy(), len(self.builder.nodes)
        result = convert(self.builder, values)
        convert(twin, {**values, **swapped})
        self._follow()
        for made in self.builder.nodes[first:]:
            linear = OPS[made.op].linear
            if linear is None:
                continue
            data = twin.tensors[made.inputs[1]].data
            assert data is not None
            axes = tuple(k for k in range(data.ndim) if k != linear.channel_axis)
            scales = np.abs(data).max(axes).astype(np.float32)  # a factor that was folded in may be negative
            if (scales > 0).all():
                self.weights[made.inputs[1]] = channel_scales(scales, linear.channel_axis)
        return result

    def _follow(self) -> None:
        """Scales follow the factors that were put into their weights, such as a batch norm's; integers change their signs at most."""
        for tensor, factor in self.builder.scaled:
            if tensor in self.weights:
                old = self.weights.pop(tensor)
                axis = next(OPS[n.op].linear for n in self.builder.nodes if len(n.inputs) > 1 and n.inputs[1] == tensor)
                scales = (np.abs(factor) * np.asarray(old.scale)).astype(np.float32)
                if axis is not None and (scales > 0).all():
                    self.weights[tensor] = channel_scales(scales, axis.channel_axis)
        self.builder.scaled.clear()

    def finish(self, graph: Graph) -> Graph:
        """The builder's float graph with the scales that the program brings; as it is where nothing was quantized."""
        if not self.given:
            if self.of:
                raise UnsupportedError("only its weights are quantized; quantize the activations too, or give the float model")
            return graph
        place = {id(t): k for k, t in enumerate(graph.tensors)}
        tensors = self.builder.tensors
        values = {i: quant for i, quant in self.given.items() if tensors[i].data is None}
        marked = ((place.get(id(tensors[i])), quant) for i, quant in (values | self.weights).items())
        return bring_scales(graph, {i: quant for i, quant in marked if i is not None})


HANDLED = ("quantize_per_tensor", "dequantize_per_tensor", "quantize_per_channel", "dequantize_per_channel")


def _number(value: Any) -> float:
    """A number, or a constant tensor of one."""
    need(not isinstance(value, Value) and (not isinstance(value, torch.Tensor) or value.numel() == 1), "its scale is no constant")
    return float(value)
