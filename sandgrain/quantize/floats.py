"""What a float graph computes: a batched executor in numpy, one small function an op, found by its name.

Values are float32 [n, *shape]: n inferences at once, each with the tensor's own shape (its batch dimension included).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from sandgrain.errors import UnsupportedError, UsageError
from sandgrain.ir import Array, Graph, Node, View
from sandgrain.ops import windows as win
from sandgrain.ops.blocks import Blocks
from sandgrain.ops.depth_to_space import DepthToSpace
from sandgrain.ops.exp import exp
from sandgrain.ops.gelu import by_tanh
from sandgrain.ops.mish import mish
from sandgrain.ops.resize_bilinear import real_weights
from sandgrain.ops.resize_nearest_neighbor import nearest
from sandgrain.ops.resizing import per_side
from sandgrain.ops.scaled_elu import scaled_elu
from sandgrain.ops.silu import silu
from sandgrain.ops.softplus import softplus
from sandgrain.ops.space_to_depth import SpaceToDepth
from sandgrain.ops.transpose_conv import multiplied, scattered
from sandgrain.quant import ACTIVATIONS

Floats = npt.NDArray[np.float32]
Values = dict[int, Array]
Function = Callable[[View, list[Array]], Sequence[Array]]
BATCH = 32  # inferences at once where a caller gives no number: keeps the columns of a convolution near the caches
MAX_COLUMNS = 1 << 24  # floats of one im2col matrix (64 MiB)


def run(graph: Graph, inputs: Array | Sequence[Array], edit: Callable[[int, Array], Array] | None = None) -> Values:
    """Every tensor's value, by tensor index: constants as they are, all others float32 [n, *shape] (indices int32).

    `inputs`: float32 (int32 where the graph says so) [n, *shape], one array a graph input (or the only one). `edit(index, value)` may replace an input's or
    a node's value before others read it. Raises UsageError for other shapes, UnsupportedError for an op without floats.
    """
    values = start(graph, inputs)
    count = len(values[graph.inputs[0]])
    if edit is not None:
        for index in graph.inputs:
            values[index] = edit(index, values[index])
    for node in graph.nodes:
        for index, value in zip(node.outputs, step(graph, node, values), strict=True):
            value = np.broadcast_to(value, (count, *value.shape[1:]))  # of constants alone, it was computed once
            values[index] = value if edit is None else edit(index, value)
    return values


def outputs(graph: Graph, inputs: Array | Sequence[Array], batch: int = BATCH) -> list[Array]:
    """The graph's outputs alone, `batch` inferences at a time."""
    parts = [[values[i] for i in graph.outputs] for values in batches(graph, inputs, batch)]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def batches(graph: Graph, inputs: Array | Sequence[Array], batch: int = BATCH) -> Iterator[Values]:
    """`run` over pieces of at most `batch` inferences."""
    arrays = (inputs,) if isinstance(inputs, np.ndarray) else tuple(inputs)
    for first in range(0, len(arrays[0]), batch):
        yield run(graph, [x[first : first + batch] for x in arrays])


def start(graph: Graph, inputs: Array | Sequence[Array]) -> Values:
    """The values that are known before the first node: constants and inputs."""
    arrays = (inputs,) if isinstance(inputs, np.ndarray) else tuple(inputs)
    if len(arrays) != len(graph.inputs) or len({len(x) for x in arrays}) != 1:
        raise UsageError(f"the model has {len(graph.inputs)} inputs; give as many arrays, of the same number of samples")
    values: Values = {i: t.data for i, t in enumerate(graph.tensors) if t.data is not None}
    for index, x in zip(graph.inputs, arrays, strict=True):
        shape, dtype = graph.tensors[index].shape, graph.tensors[index].dtype
        if x[0].size != graph.tensors[index].size:
            raise UsageError(f"samples of {x.shape[1:]}; the model takes {shape}")
        values[index] = np.asarray(x, dtype.numpy).reshape(len(x), *shape)
    return values


def step(graph: Graph, node: Node, values: Values) -> Sequence[Array]:
    """The outputs of one node."""
    if node.op not in FUNCTIONS:
        raise UnsupportedError(f"{node.name}: {node.op} has no float meaning here; build the model from other layers")
    view = graph.view(node)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is found by who reads the values
        return FUNCTIONS[node.op](view, [_batched(view, k, values[i]) for k, i in enumerate(node.inputs) if i >= 0])


def _batched(view: View, position: int, value: Array) -> Array:
    """A constant gets a batch dimension of 1; weights and biases, which the functions take from the view, as well."""
    tensor = view.inputs[position]
    return value[None] if tensor is not None and tensor.data is not None else value


# --- weighted ops ----------------------------------------------------------------------------------------------------


def activate(name: str, x: Array) -> Array:
    """A fused activation."""
    low, high = ACTIVATIONS[name]
    return x if low is None else np.clip(x, np.float32(low), None if high is None else np.float32(high))


def _flat(x: Array) -> Array:
    """[n, b, ...] as [n * b, ...]."""
    return x.reshape(-1, *x.shape[2:])


def _finish(view: View, n: int, result: Array) -> tuple[Array]:
    """Activation, and [n * b, ...] as [n, *shape]."""
    shaped = result.reshape(n, *view.out.shape)
    return (activate(view.attrs.get("activation", "none"), shaped).astype(np.float32, copy=False),)


def _bias(view: View) -> Array:
    bias = view.optional(2)
    return np.float32(0) if bias is None else view.const(2).reshape(-1)  # type: ignore[return-value]


def _conv_2d(view: View, inputs: list[Array]) -> Sequence[Array]:
    x, weights, a = _flat(inputs[0]), view.const(1), view.attrs
    rows = weights.reshape(weights.shape[0], -1).T
    pixels = view.out.size // weights.shape[0] // view.out.shape[0]
    size = max(1, MAX_COLUMNS // (pixels * rows.shape[0]))
    parts = []
    for first in range(0, len(x), size):
        windows = win.patches(x[first : first + size], weights.shape[1:3], a["stride"], a["dilation"], a["padding"], 0)
        parts.append(windows.reshape(-1, rows.shape[0]) @ rows)
    return _finish(view, len(inputs[0]), np.concatenate(parts) + _bias(view))


def _depthwise_conv_2d(view: View, inputs: list[Array]) -> Sequence[Array]:
    x, weights, a = _flat(inputs[0]), view.const(1)[0], view.attrs
    repeated = np.repeat(x, weights.shape[2] // x.shape[3], axis=3)
    windows = win.patches(repeated, weights.shape[:2], a["stride"], a["dilation"], a["padding"], 0)
    total = np.zeros((*windows.shape[:3], weights.shape[2]), np.float32) + _bias(view)
    for ky, kx in np.ndindex(*weights.shape[:2]):
        total += windows[:, :, :, ky, kx, :] * weights[ky, kx]
    return _finish(view, len(x) // view.out.shape[0], total)


def _transpose_conv(view: View, inputs: list[Array]) -> Sequence[Array]:
    a = view.attrs
    total = scattered(multiplied(_flat(inputs[0]), view.const(1)), a["stride"], a["padding"], a["size"])
    return _finish(view, len(inputs[0]), total + _bias(view))


def _fully_connected(view: View, inputs: list[Array]) -> Sequence[Array]:
    weights = view.const(1)
    return _finish(view, len(inputs[0]), inputs[0].reshape(-1, weights.shape[1]) @ weights.T + _bias(view))


def _batch_matmul(view: View, inputs: list[Array]) -> Sequence[Array]:
    x, y = _aligned(view, inputs)
    x = x.swapaxes(-1, -2) if view.attrs["adj_x"] else x
    y = y.swapaxes(-1, -2) if view.attrs["adj_y"] else y
    return (np.matmul(x, y),)


def _sequence(
    view: View, inputs: list[Array], step: Callable[[Array, Array, Array], tuple[Array, Array]], given: Array
) -> tuple[Array]:
    """`step(arguments of x, h, memory)` -> (h, memory) over the steps of `given` [n * b, steps, ...]."""
    units, steps = view.out.shape[-1], given.shape[1]
    h = memory = np.zeros((len(given), units), np.float32)
    states = np.zeros((len(given), steps, units), np.float32)
    for t in reversed(range(steps)) if view.attrs["reverse"] else range(steps):
        h, memory = step(given[:, t], h, memory)
        states[:, t] = h
    return _finish(view, len(inputs[0]), h if view.attrs["last"] else states)


def _gru(view: View, inputs: list[Array]) -> Sequence[Array]:
    """The equations are in ops/gru.py."""
    w, u, b, c = (view.const(k) for k in range(1, 5))
    two = 2 * u.shape[1]

    def step(x: Array, h: Array, memory: Array) -> tuple[Array, Array]:
        own = h @ u.T + c
        reset, keep = np.split(_sigmoid(x[:, :two] + own[:, :two]), 2, axis=1)
        gated = (reset * h) @ u[two:].T + c[two:] if view.attrs["reset_first"] else reset * own[:, two:]
        fresh = np.tanh(x[:, two:] + gated)
        return fresh + keep * (h - fresh), memory

    return _sequence(view, inputs, step, _flat(inputs[0]) @ w.T + b)


def _lstm(view: View, inputs: list[Array]) -> Sequence[Array]:
    """The equations are in ops/lstm.py."""
    w, u, b = (np.concatenate([view.const(k) for k in range(first, first + 4)]) for first in (1, 5, 9))
    clip = view.attrs["cell_clip"] or np.inf

    def step(x: Array, h: Array, memory: Array) -> tuple[Array, Array]:
        take, keep, fresh, show = np.split(x + h @ u.T, 4, axis=1)
        memory = np.clip(_sigmoid(keep) * memory + _sigmoid(take) * np.tanh(fresh), -clip, clip)
        return _sigmoid(show) * np.tanh(memory), memory

    return _sequence(view, inputs, step, _flat(inputs[0]) @ w.T + b)


# --- element by element ----------------------------------------------------------------------------------------------


def _aligned(view: View, inputs: list[Array]) -> tuple[Array, Array]:
    """Both inputs with as many dimensions as the output, so that numpy's broadcasting leaves n alone."""
    rank = len(view.out.shape)
    a, b = (x.reshape(len(x), *(1,) * (rank + 1 - x.ndim), *x.shape[1:]) for x in inputs)
    return a, b


def _binary(function: Callable[[Array, Array], Array]) -> Function:
    def compute(view: View, inputs: list[Array]) -> Sequence[Array]:
        return (activate(view.attrs.get("activation", "none"), function(*_aligned(view, inputs))),)

    return compute


def _unary(function: Callable[[Array, View], Array]) -> Function:
    def compute(view: View, inputs: list[Array]) -> Sequence[Array]:
        return (np.asarray(function(inputs[0], view), np.float32),)

    return compute


def _sigmoid(x: Array) -> Array:
    result: Array = 0.5 * (np.tanh(0.5 * x) + 1)  # 1 / (1 + exp(-x)), and cannot overflow
    return result


def _softmax(x: Array, view: View) -> Array:
    exps = np.exp(np.float32(view.attrs["beta"]) * (x - x.max(axis=-1, keepdims=True)))
    result: Array = exps / exps.sum(axis=-1, keepdims=True)
    return result


def _curve(function: Callable[[Array], Array]) -> Function:
    """A function that an op's own file has in double precision."""
    return _unary(lambda x, view: function(x.astype(np.float64)))


def _gelu(x: Array, view: View) -> Array:
    """The exact one by interpolation between 2^14 points: 1e-7 from it, and quicker than an erf for each value."""
    if view.attrs["approximate"]:
        return by_tanh(x.astype(np.float64))
    share: Array = np.interp(x, _POINTS, _SHARES)
    return x * share


_POINTS = np.linspace(-8.0, 8.0, (1 << 14) + 1)
_SHARES = np.array([0.5 * math.erfc(-v / math.sqrt(2.0)) for v in _POINTS])  # the normal distribution


def _layer_norm(view: View, inputs: list[Array]) -> Sequence[Array]:
    x = inputs[0].astype(np.float64)
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True) + view.attrs["eps"]
    normal = centred / np.sqrt(np.maximum(variance, np.finfo(np.float64).tiny))
    return ((normal * view.const(1) + view.const(2)).astype(np.float32),)


# --- reductions and moves --------------------------------------------------------------------------------------------


def _pool(view: View, x: Array, fill: float) -> Array:
    """Windows [n * b, oh, ow, taps, c], `fill` outside."""
    a = view.attrs
    windows = win.patches(_flat(x), a["kernel"], a["stride"], (1, 1), a["padding"], fill)  # type: ignore[arg-type]
    return windows.reshape(*windows.shape[:3], -1, windows.shape[5])


def _average_pool_2d(view: View, inputs: list[Array]) -> Sequence[Array]:
    inside = _pool(view, np.ones((1, 1, *view.input(0).shape[1:3], 1), np.float32), 0).sum(axis=3)
    return _finish(view, len(inputs[0]), _pool(view, inputs[0], 0).sum(axis=3) / np.maximum(inside, 1))


def _max_pool_2d(view: View, inputs: list[Array]) -> Sequence[Array]:
    return _finish(view, len(inputs[0]), _pool(view, inputs[0], -np.inf).max(axis=3))


def _reduction(function: Callable[..., Array]) -> Function:
    def compute(view: View, inputs: list[Array]) -> Sequence[Array]:
        axes = tuple(axis + 1 for axis in view.attrs["axes"])
        return (function(inputs[0], axis=axes).reshape(len(inputs[0]), *view.out.shape),)

    return compute


def _concatenation(view: View, inputs: list[Array]) -> Sequence[Array]:
    n = max(len(x) for x in inputs)
    return (np.concatenate([np.broadcast_to(x, (n, *x.shape[1:])) for x in inputs], view.attrs["axis"] + 1),)


def _split(view: View, inputs: list[Array]) -> Sequence[Array]:
    return np.split(inputs[0], view.attrs["parts"], view.attrs["axis"] + 1)


def _pad(view: View, inputs: list[Array]) -> Sequence[Array]:
    return (np.pad(inputs[0], ((0, 0), *view.attrs["paddings"])),)  # a float pad holds zeros: `Pad.decode`


def _reshape(view: View, inputs: list[Array]) -> Sequence[Array]:
    return (inputs[0].reshape(len(inputs[0]), *view.out.shape),)


def _transpose(view: View, inputs: list[Array]) -> Sequence[Array]:
    return (inputs[0].transpose(0, *(p + 1 for p in view.attrs["perm"])),)


def _strided_slice(view: View, inputs: list[Array]) -> Sequence[Array]:
    x, a = inputs[0], view.attrs
    for axis, (first, stride, size) in enumerate(zip(a["start"], a["stride"], a["size"], strict=True), 1):
        x = x.take(first + stride * np.arange(size), axis=axis)
    return (x.reshape(len(x), *view.out.shape),)


def _resize_nearest_neighbor(view: View, inputs: list[Array]) -> Sequence[Array]:
    row, column = (nearest(*side) for side in per_side(view))
    return (inputs[0][:, :, row][:, :, :, column],)


def _resize_bilinear(view: View, inputs: list[Array]) -> Sequence[Array]:
    rows, columns = (real_weights(*side).astype(np.float32) for side in per_side(view))
    return (np.einsum("yh,nbhwc,xw->nbyxc", rows, inputs[0], columns, optimize=True),)


def _blocks(op: Blocks) -> Function:
    return _unary(lambda x, view: op.move(_flat(x), view.attrs["block"]).reshape(len(x), *view.out.shape))


def _gather(view: View, inputs: list[Array]) -> Sequence[Array]:
    axis, (x, at) = view.attrs["axis"], inputs
    inside = np.clip(at, 0, x.shape[axis + 1] - 1)
    if len(inside) == 1:
        return (x.take(inside[0], axis + 1),)
    wide = np.broadcast_to(x, (len(inside), *x.shape[1:]))
    return (np.stack([row.take(k, axis) for row, k in zip(wide, inside, strict=True)]),)


def _arg_max(view: View, inputs: list[Array]) -> Sequence[Array]:
    found = inputs[0].argmax(axis=view.attrs["axis"] + 1).astype(np.int32)
    return (found.reshape(len(inputs[0]), *view.out.shape),)


FUNCTIONS: dict[str, Function] = {
    "conv_2d": _conv_2d, "depthwise_conv_2d": _depthwise_conv_2d, "transpose_conv": _transpose_conv,
    "fully_connected": _fully_connected, "gru": _gru, "lstm": _lstm, "batch_matmul": _batch_matmul,
    "add": _binary(np.add), "sub": _binary(np.subtract), "mul": _binary(np.multiply), "maximum": _binary(np.maximum),
    "minimum": _binary(np.minimum), "prelu": _binary(lambda x, alpha: np.where(x >= 0, x, alpha * x)),
    "abs": _unary(lambda x, view: np.abs(x)),
    "relu": _unary(lambda x, view: np.maximum(x, 0)), "relu6": _unary(lambda x, view: np.clip(x, 0, 6)),
    "leaky_relu": _unary(lambda x, view: np.where(x >= 0, x, np.float32(view.attrs["alpha"]) * x)),
    "hard_swish": _unary(lambda x, view: x * np.clip(x + 3, 0, 6) / 6),
    "logistic": _unary(lambda x, view: _sigmoid(x)), "tanh": _unary(lambda x, view: np.tanh(x)), "softmax": _unary(_softmax),
    "gelu": _unary(_gelu), "silu": _curve(silu), "softplus": _curve(softplus), "mish": _curve(mish), "exp": _curve(exp),
    "scaled_elu": _unary(lambda x, view: scaled_elu(x.astype(np.float64), view.attrs)), "layer_norm": _layer_norm,
    "elu": _unary(lambda x, view: np.where(x < 0, np.expm1(np.minimum(x, 0)), x)),
    "quantize": _unary(lambda x, view: x),  # to another scale: `scales.share` puts it where two scales meet
    "average_pool_2d": _average_pool_2d, "max_pool_2d": _max_pool_2d, "mean": _reduction(np.mean),
    "sum": _reduction(np.sum), "reduce_max": _reduction(np.max),
    "concatenation": _concatenation, "split": _split, "pad": _pad, "reshape": _reshape, "transpose": _transpose,
    "strided_slice": _strided_slice, "gather": _gather,
    "depth_to_space": _blocks(DepthToSpace()), "space_to_depth": _blocks(SpaceToDepth()), "resize_nearest_neighbor": _resize_nearest_neighbor, "resize_bilinear": _resize_bilinear,
    "arg_max": _arg_max,
}  # fmt: skip
