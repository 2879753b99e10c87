"""Quantization-aware training: the forward pass is the firmware's own arithmetic, the backward pass is that of real numbers.

A float graph becomes a module whose parameters are its weights and biases. In each step the current weights are quantized
just as the conversion to int8 will do it, and what comes out of a layer is the real value of the int8 that the board would have
there: by the ops' own numpy references, but that sums are rescaled in float32 while it trains. Gradients pass rounding unchanged and stop where an output
saturates (the straight-through estimator; Jacob et al. 2017, Bengio et al. 2013). After training, the int8 graph that
`finish` gives has the outputs that the module had, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as fn

from sandgrain.base.errors import UnsupportedError
from sandgrain.graph import ir
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Graph, View
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.conv.weights import bias_of, channel_multipliers, clamp_of, finish
from sandgrain.graph.ops.layout.resize_bilinear import real_weights
from sandgrain.graph.ops.layout.resizing import per_side
from sandgrain.graph.quantization import ACTIVATIONS, Quantization, quantize
from sandgrain.quantization.calibrate import Range
from sandgrain.quantization.convert import Quantized, convert_with_ranges
from sandgrain.quantization.scales import prepare

Gradient = Callable[[View, list[Tensor]], Tensor]
EXACT = 1 << 24  # below this, sums of integers are exact in single precision


class Twin(nn.Module):
    """The int8 twin of a float graph, trainable. Inputs float32 [n, *shape of the graph's input without its 1]; one output.

    `ranges`: of the activations, from calibration; they stay. `given`: the input's quantization where the features fix it.
    Raises UnsupportedError for an op that has no gradient here.
    """

    def __init__(self, graph: Graph, ranges: Mapping[int, Range], given: Mapping[int, Quantization] | None = None) -> None:
        super().__init__()
        self._given = dict(given or {})
        self._source = graph
        self._ranges = dict(ranges)
        prepared = prepare(graph, self._given)
        self._graph = prepared.graph
        for node in self._graph.nodes:
            if node.op not in GRADIENTS:
                raise UnsupportedError(f"{node.name}: {node.op} has no gradient; set qat = false")
        self._learned = {i: f"value_{i}" for n in self._graph.nodes if OPS[n.op].trained for i in n.inputs[1:] if i >= 0}
        for index, name in self._learned.items():
            data = self._graph.tensors[index].data
            assert data is not None
            self.register_parameter(name, nn.Parameter(torch.from_numpy(np.array(data, np.float32))))

    def floats(self) -> Graph:
        """The float graph with the weights as they are now."""
        tensors = list(self._graph.tensors)
        for index, name in self._learned.items():
            tensors[index] = replace(tensors[index], data=getattr(self, name).detach().cpu().numpy().astype(np.float32))
        return replace(self._graph, tensors=tuple(tensors))

    def finish(self) -> Quantized:
        """The int8 graph of the weights as they are now."""
        return convert_with_ranges(self.floats(), self._ranges, given=self._given)

    def forward(self, x: Tensor) -> Tensor:
        made, count, device = self.finish(), len(x), x.device
        source = self._graph.inputs[0]
        first, *rest = self._graph.tensors[source].shape
        reals: dict[int, Tensor] = {}
        whole: dict[int, Array] = {}
        reals[source], whole[source] = _enter(x.reshape(count * first, *rest), made.graph.tensors[made.graph.inputs[0]])
        for node, twin in zip(made.floats.nodes, made.graph.nodes, strict=True):
            view, out = _many(made.graph.view(twin), count), node.outputs[0]
            if OPS[node.op].linear:
                reals[out], whole[out] = self._weighted(node.inputs, view, reals, device)
                continue
            read = node.inputs[: len(twin.inputs)]  # what the int8 op does without has no gradient either
            values = [whole.get(i, t.data) for i, t in zip(read, view.inputs, strict=True) if t is not None]
            smooth = [reals[i] if i in reals else self._constant(made.floats, i, device) for i in read]
            exact = OPS[twin.op].reference(view, values)[0]
            reals[out], whole[out] = _leave(GRADIENTS[node.op](view, smooth), exact, view, device)
        return reals[made.floats.outputs[0]].reshape(count, -1)

    def _constant(self, graph: Graph, index: int, device: torch.device) -> Tensor:
        """A learned constant as it is now, or one that stays."""
        if index in self._learned:
            learned: Tensor = getattr(self, self._learned[index])
            return learned
        data = graph.tensors[index].data
        assert data is not None
        return torch.from_numpy(np.asarray(data, np.float32)).to(device)

    def _weighted(
        self, inputs: tuple[int, ...], view: View, reals: Mapping[int, Tensor], device: torch.device
    ) -> tuple[Tensor, Array]:
        """A convolution or a fully connected layer: real value with a gradient, and the integers."""
        quant_in, quant_w, linear = view.input(0).quant, view.input(1).quant, OPS[view.node.op].linear
        assert quant_in is not None and quant_w is not None and linear is not None
        axis = linear.channel_axis
        scale = torch.tensor(quant_w.scale, dtype=torch.float64, device=device)
        shaped = scale if len(scale) == 1 else scale.reshape([-1 if k == axis else 1 for k in range(len(view.input(1).shape))])
        weights = getattr(self, self._learned[inputs[1]])
        steps = _through(weights / shaped.float(), torch.from_numpy(view.const(1).astype(np.float32)).to(device))
        x = _through(reals[inputs[0]] / quant_in.scale[0], torch.round(reals[inputs[0]].detach() / quant_in.scale[0]))
        unit = scale * quant_in.scale[0]
        channels = view.out.shape[-1]
        bias = torch.zeros(channels, device=device)
        if len(inputs) > 2 and inputs[2] >= 0:
            learned = getattr(self, self._learned[inputs[2]]).reshape(-1) / unit.float()
            bias = _through(learned, torch.from_numpy(bias_of(view, channels).astype(np.float32)).to(device))
        large = bool(
            np.abs(view.const(1).astype(np.int64)).sum(axis=tuple(k for k in range(view.const(1).ndim) if k != axis)).max()
            * view.input(0).dtype.span
            >= EXACT
        )
        if large and not self.training:
            x, steps = x.double(), steps.double()  # exact; in training a last bit does not matter
        sums = LINEAR[view.node.op](view, x, steps)
        real = ((sums.float() + bias) * unit.float()).reshape(view.out.shape)
        if self.training:
            return _leave(real, _nearest_steps(sums.detach(), bias.detach(), unit, view), view, device)
        acc = np.rint(sums.detach().cpu().numpy().astype(np.float64)).astype(np.int64) + bias_of(view, channels)
        result = finish(view, acc, *channel_multipliers(view, channels)).reshape(view.out.shape)
        return _leave(real, result, view, device)


def _nearest_steps(sums: Tensor, bias: Tensor, unit: Tensor, view: View) -> Array:
    """What the layer's rescaling gives, in training: int8, the nearest step by float32 instead of the firmware's fixed point.

    Rounding in fixed point is exact and slow here, and differs for sums next to a half, by one step. Outside training it is exact.
    """
    low, high = clamp_of(view)
    scaled = (sums.float() + bias) * (unit / view.out.scale).float()
    steps = (scaled + view.out.zero_point).round_().clamp_(low, high)
    return steps.to(torch.int8).reshape(view.out.shape).cpu().numpy()


def _through(value: Tensor, exact: Tensor) -> Tensor:
    """`exact` forwards, the gradient of `value` backwards."""
    return value + (exact - value).detach()


def _enter(x: Tensor, source: ir.Tensor) -> tuple[Tensor, Array]:
    """The graph's input as reals with its rounding, and as integers."""
    assert source.quant is not None
    whole = quantize(x.detach().cpu().numpy(), source.quant, source.dtype)
    return _real(whole, source.quant, x.device), whole


def _real(whole: Array, quant: Quantization, device: torch.device) -> Tensor:
    return torch.from_numpy((whole.astype(np.float32) - quant.zero_point[0]) * np.float32(quant.scale[0])).to(device)


def _leave(smooth: Tensor, whole: Array, view: View, device: torch.device) -> tuple[Tensor, Array]:
    """What the next layer sees: the integers' real values, with the gradient of `smooth` where they do not saturate."""
    quant = view.out.quant
    assert quant is not None
    low, high = (float(quant.scale[0] * (v - quant.zero_point[0])) for v in (ACTIVATION.low, ACTIVATION.high))
    least, most = ACTIVATIONS[view.attrs.get("activation", "none")]
    low, high = low if least is None else max(low, least), high if most is None else min(high, most)
    return _through(smooth.clamp(low, high), _real(whole, quant, device)), whole


def _many(view: View, count: int) -> View:
    """The view of a node with `count` inferences in the first dimension."""

    def larger(tensor: ir.Tensor | None) -> ir.Tensor | None:
        if tensor is None or tensor.data is not None:
            return tensor
        return replace(tensor, shape=(count * tensor.shape[0], *tensor.shape[1:]))

    outputs = tuple(replace(t, shape=(count * t.shape[0], *t.shape[1:])) for t in view.outputs)
    node = view.node
    if node.op == "strided_slice":
        first, *rest = node.attrs["size"]
        node = replace(node, attrs=ir.attrs(**{**node.attrs, "size": (count * first, *rest)}))
    return View(node, tuple(larger(t) for t in view.inputs), outputs)


# --- the real functions behind the ops: for their gradients --------------------------------------------------------------


def _padded(view: View, x: Tensor, value: float = 0.0) -> Tensor:
    """NHWC to NCHW, with the window's padding."""
    top, bottom, left, right = view.attrs["padding"]
    return fn.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom), value=value)


def _conv(view: View, x: Tensor, w: Tensor) -> Tensor:
    a = view.attrs
    out = fn.conv2d(_padded(view, x), w.permute(0, 3, 1, 2), stride=a["stride"], dilation=a["dilation"])
    return out.permute(0, 2, 3, 1)


def _depthwise(view: View, x: Tensor, w: Tensor) -> Tensor:
    a, channels = view.attrs, x.shape[3]
    kernel = w.permute(3, 0, 1, 2)  # [1, h, w, out] -> [out, 1, h, w]; output k reads input k // multiplier
    return fn.conv2d(_padded(view, x), kernel, stride=a["stride"], dilation=a["dilation"], groups=channels).permute(0, 2, 3, 1)


def _transposed(view: View, x: Tensor, w: Tensor) -> Tensor:
    (top, left), (height, width) = view.attrs["padding"], view.attrs["size"]
    full = fn.conv_transpose2d(x.permute(0, 3, 1, 2), w.permute(3, 0, 1, 2), stride=view.attrs["stride"])
    more = (max(top + height - full.shape[2], 0), max(left + width - full.shape[3], 0))  # where no tap lands
    whole = fn.pad(full, (0, more[1], 0, more[0]))
    return whole[:, :, top : top + height, left : left + width].permute(0, 2, 3, 1)


def _dense(view: View, x: Tensor, w: Tensor) -> Tensor:
    return x.reshape(-1, w.shape[1]) @ w.T


LINEAR: dict[str, Callable[[View, Tensor, Tensor], Tensor]] = {
    "conv_2d": _conv,
    "depthwise_conv_2d": _depthwise,
    "transpose_conv": _transposed,
    "fully_connected": _dense,
}


def _average(view: View, x: Tensor) -> Tensor:
    a = view.attrs
    inside = _padded(view, torch.ones_like(x[:1, :, :, :1]))
    total = fn.avg_pool2d(_padded(view, x), a["kernel"], a["stride"])
    return (total / fn.avg_pool2d(inside, a["kernel"], a["stride"])).permute(0, 2, 3, 1)


def _maximum(view: View, x: Tensor) -> Tensor:
    return fn.max_pool2d(_padded(view, x, -1e30), view.attrs["kernel"], view.attrs["stride"]).permute(0, 2, 3, 1)


def _nearest(view: View, x: Tensor) -> Tensor:
    return fn.interpolate(x.permute(0, 3, 1, 2), size=view.out.shape[1:3], mode="nearest").permute(0, 2, 3, 1)


def _bilinear(view: View, x: Tensor) -> Tensor:
    rows, columns = (torch.from_numpy(real_weights(*side)).to(x) for side in per_side(view))
    return torch.einsum("yh,nhwc,xw->nyxc", rows, x, columns)


def _pad(view: View, x: Tensor) -> Tensor:
    pairs = [v for pair in reversed(view.attrs["paddings"]) for v in pair]
    return fn.pad(x, pairs)


def _slice(view: View, x: Tensor) -> Tensor:
    a = view.attrs
    for axis, (start, stride, size) in enumerate(zip(a["start"], a["stride"], a["size"], strict=True)):
        x = x.index_select(axis, start + stride * torch.arange(size, device=x.device))
    return x.reshape(view.out.shape)


def _gru(view: View, x: list[Tensor]) -> Tensor:
    if not view.attrs["reset_first"]:
        return _recurrent(view, x[0], x[1:], torch.gru)
    steps, (w, u, b, c) = x[0].flip(1) if view.attrs["reverse"] else x[0], x[1:]
    units = u.shape[1]
    h, states = torch.zeros(len(steps), units, device=steps.device), list[Tensor]()
    for given in (steps @ w.T + b + c).unbind(1):
        reset, keep = torch.sigmoid(given[:, : 2 * units] + h @ u[: 2 * units].T).chunk(2, 1)
        fresh = torch.tanh(given[:, 2 * units :] + (reset * h) @ u[2 * units :].T)
        h = fresh + keep * (h - fresh)
        states.append(h)
    if view.attrs["last"]:
        return h
    return torch.stack(states[::-1] if view.attrs["reverse"] else states, 1)


def _lstm(view: View, x: list[Tensor]) -> Tensor:
    """Without the cell's clip, which trained models hardly reach."""
    w, u, b = (torch.cat(x[k : k + 4]) for k in (1, 5, 9))
    return _recurrent(view, x[0], [w, u, b, torch.zeros_like(b)], torch.lstm)


def _recurrent(view: View, x: Tensor, weights: list[Tensor], layer: Callable[..., Any]) -> Tensor:
    """One layer in one direction, by torch's own function."""
    zeros = torch.zeros(1, x.shape[0], view.out.shape[-1], device=x.device)
    state = zeros if layer is torch.gru else (zeros, zeros)
    turned = x.flip(1) if view.attrs["reverse"] else x
    steps: Tensor = layer(turned, state, weights, True, 1, 0.0, False, False, True)[0]
    if view.attrs["last"]:
        return steps[:, -1]
    return steps.flip(1) if view.attrs["reverse"] else steps


GRADIENTS: dict[str, Gradient] = {
    **dict.fromkeys(LINEAR, lambda v, x: x[0]),
    "add": lambda v, x: x[0] + x[1],
    "sub": lambda v, x: x[0] - x[1],
    "mul": lambda v, x: x[0] * x[1],
    "maximum": lambda v, x: torch.maximum(x[0], x[1]),
    "minimum": lambda v, x: torch.minimum(x[0], x[1]),
    "prelu": lambda v, x: torch.where(x[0] >= 0, x[0], x[0] * x[1]),
    "abs": lambda v, x: x[0].abs(),
    "relu": lambda v, x: fn.relu(x[0]),
    "relu6": lambda v, x: fn.relu6(x[0]),
    "leaky_relu": lambda v, x: fn.leaky_relu(x[0], v.attrs["alpha"]),
    "hard_swish": lambda v, x: fn.hardswish(x[0]),
    "logistic": lambda v, x: torch.sigmoid(x[0]),
    "tanh": lambda v, x: torch.tanh(x[0]),
    "softmax": lambda v, x: torch.softmax(x[0] * v.attrs["beta"], -1),
    "mean": lambda v, x: x[0].mean(tuple(v.attrs["axes"]), keepdim=v.attrs["keep_dims"]),
    "sum": lambda v, x: x[0].sum(tuple(v.attrs["axes"]), keepdim=v.attrs["keep_dims"]),
    "reduce_max": lambda v, x: x[0].amax(tuple(v.attrs["axes"]), keepdim=v.attrs["keep_dims"]),
    "average_pool_2d": lambda v, x: _average(v, x[0]),
    "max_pool_2d": lambda v, x: _maximum(v, x[0]),
    "reshape": lambda v, x: x[0].reshape(v.out.shape),
    "quantize": lambda v, x: x[0],
    "concatenation": lambda v, x: torch.cat(x, v.attrs["axis"]),
    "pad": lambda v, x: _pad(v, x[0]),
    "transpose": lambda v, x: x[0].permute(tuple(v.attrs["perm"])),
    "batch_matmul": lambda v, x: (x[0].mT if v.attrs["adj_x"] else x[0]) @ (x[1].mT if v.attrs["adj_y"] else x[1]),
    "resize_nearest_neighbor": lambda v, x: _nearest(v, x[0]),
    "resize_bilinear": lambda v, x: _bilinear(v, x[0]),
    "gru": _gru,
    "lstm": _lstm,
    "strided_slice": lambda v, x: _slice(v, x[0]),
    "layer_norm": lambda v, x: fn.layer_norm(x[0], x[0].shape[-1:], x[1], x[2], v.attrs["eps"]),
    "gelu": lambda v, x: fn.gelu(x[0], approximate="tanh" if v.attrs["approximate"] else "none"),
    "silu": lambda v, x: fn.silu(x[0]),
    "elu": lambda v, x: fn.elu(x[0]),
    "softplus": lambda v, x: fn.softplus(x[0]),
    "mish": lambda v, x: fn.mish(x[0]),
    "exp": lambda v, x: torch.exp(x[0]),
    "scaled_elu": lambda v, x: torch.ops.aten.elu(x[0], v.attrs["alpha"], v.attrs["scale"], v.attrs["input_scale"]),
}
