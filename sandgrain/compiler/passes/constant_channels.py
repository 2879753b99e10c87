"""remove_constant_channels: no channel is computed that is the same for every input, or that nobody reads.

A channel whose weights are all zero, or whose clamp leaves one value, is a constant; what it adds to the layers that read it
is known, and goes into their biases. `channel_values` proves the constants, `Op.links` says which channels can only go
together (depthwise, pools, sums, concatenation); here it is decided, and the graph is rebuilt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from sandgrain.compiler.passes.channel_values import channel_ranges
from sandgrain.graph.ir import Array, Graph, Node, Tensor, View, attrs, with_nodes
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.channels import Interval, Mask, channels_of, rewrapped
from sandgrain.graph.ops.conv.weights import bias_of
from sandgrain.graph.quantization import Int64, Quantization

MAX_CHANNELS = 1 << 18  # of all tensors together; a larger graph is left as it is


def remove_constant_channels(graph: Graph) -> Graph:
    """before: t = conv_2d(x) -> [.., 8], three channels constant; y = conv_2d(t, 1x1, bias b)
    after: t = conv_2d(x) -> [.., 5]; y = conv_2d(t, 1x1, bias b + weights * (constants - zero point))

    Exact: every graph output keeps its bytes. Where padding is read beside a constant that is not the zero point, the sum
    depends on the position; such a channel stays. Graph inputs and outputs keep all channels, every tensor at least one.
    """
    if sum(channels_of(t) for t in graph.tensors) > MAX_CHANNELS:
        return graph
    # Again, as the smaller graph can prove more: fewer channels share a range after a reshape, or a slice takes all there are.
    while (smaller := _without_constants(graph)) is not graph:
        graph = smaller
    return graph


def _without_constants(graph: Graph) -> Graph:
    ranges = channel_ranges(graph)
    kept = _decide(graph, ranges)
    return graph if all(k.all() for k in kept) else _rebuild(graph, ranges, kept)


# --- deciding --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Reader:
    """A layer that can do without constant channels: `needs[o, c]` where output o cannot do without input channel c."""

    source: int
    target: int
    needs: Mask


def _decide(graph: Graph, ranges: dict[int, Interval]) -> list[Mask]:
    """For each tensor, the channels that must stay: the least set that supports itself.

    A layer's removed outputs no longer read, so the search repeats until nothing more goes. Kept sets only shrink.
    """
    starts = np.cumsum([0, *(channels_of(t) for t in graph.tensors)])
    spans = [slice(int(a), int(b)) for a, b in pairwise(starts)]
    fixed, pairs = _bonds(graph, spans)
    readers = [_reader(graph, node, ranges) for node in graph.nodes if _can_fold(graph.view(node))]
    kept = np.ones(int(starts[-1]), np.bool_)
    while True:
        wanted = fixed.copy()
        for reader in readers:
            wanted[spans[reader.source]] |= reader.needs[kept[spans[reader.target]]].any(axis=0)
        _settle(wanted, pairs)
        for span in spans:
            if not wanted[span].any():  # the first that is still there
                wanted[span.start + int(kept[span].argmax())] = True
                _settle(wanted, pairs)
        if np.array_equal(wanted, kept):
            return [kept[span] for span in spans]
        kept = wanted


def _can_fold(view: View) -> bool:
    """A dense layer whose input column j lies in channel j mod channels, so that a removed channel removes columns."""
    return _dense(view) and view.input(1).shape[-1] % channels_of(view.input(0)) == 0


def _dense(view: View) -> bool:
    """A linear layer whose every output reads all input channels, tap by tap."""
    op = OPS[view.node.op]
    return op.linear is not None and not op.linear.depthwise and op.taps(view) is not None


def _taps(view: View) -> tuple[Mask, Mask]:
    taps = OPS[view.node.op].taps(view)
    assert taps is not None, view.node.op
    return taps


def _bonds(graph: Graph, spans: list[slice]) -> tuple[Mask, list[tuple[Int64, Int64]]]:
    """Channels that stay whatever happens, and pairs of channels that go together; both count over all tensors."""
    fixed = np.zeros(spans[-1].stop, np.bool_)
    pairs: list[tuple[Int64, Int64]] = []
    for index in (*graph.inputs, *graph.outputs):
        fixed[spans[index]] = True
    for node in graph.nodes:
        view = graph.view(node)
        links = OPS[node.op].links(view)
        for k, index in enumerate(node.inputs):
            if index < 0 or (k == 0 and _can_fold(view)):
                continue
            read = np.ones(channels_of(graph.tensors[index]), np.bool_)
            for link in links or ():
                if link.source == k:
                    read[link.read] = False
            fixed[spans[index]] |= read
        for index in node.outputs if links is None else ():
            fixed[spans[index]] = True
        for link in links or ():
            source, target = spans[node.inputs[link.source]].start, spans[node.outputs[link.target]].start
            pairs.append((link.read + source, link.made + target))
    return fixed, pairs


def _settle(wanted: Mask, pairs: list[tuple[Int64, Int64]]) -> None:
    """Spread `wanted` over the pairs, there and back, until nothing changes."""
    count = -1
    while count != (count := int(wanted.sum())):
        for left, right in (*pairs, *reversed(pairs)):
            both = wanted[left] | wanted[right]
            wanted[left[both]] = True
            wanted[right[both]] = True


def _reader(graph: Graph, node: Node, ranges: dict[int, Interval]) -> _Reader:
    view = graph.view(node)
    weights, (inside, outside) = _rows(view), _taps(view)
    known, zero = _columns(view, ranges[node.inputs[0]]), view.input(0).zero_point
    read = (weights != 0) & inside[:, None]
    # A constant that is not the zero point counts only where the tap is inside: then it must always be.
    varies = ~known.constant | ((known.low != zero) & outside[:, None])
    needs = (read & varies).any(axis=1)
    return _Reader(node.inputs[0], node.outputs[0], needs.reshape(len(needs), -1, channels_of(view.input(0))).any(axis=1))


def _rows(view: View) -> Array:
    """Weights as [outputs, taps, columns]."""
    weights = view.const(1)
    return weights.reshape(weights.shape[0], -1, weights.shape[-1])


def _columns(view: View, x: Interval) -> Interval:
    return rewrapped(x, view.input(1).shape[-1])


# --- rebuilding ------------------------------------------------------------------------------------------------------


def _rebuild(graph: Graph, ranges: dict[int, Interval], kept: list[Mask]) -> Graph:
    tensors = [_narrowed(t, k) for t, k in zip(graph.tensors, kept, strict=True)]
    nodes: list[Node] = []
    for node in graph.nodes:
        touched = not all(kept[i].all() for i in (*node.inputs, *node.outputs) if i >= 0)
        if touched and OPS[node.op].linear:
            weights, bias = _reweighted(graph, node, ranges, kept)
            inputs = [node.inputs[0], len(tensors)]
            tensors.append(weights)
            if bias is not None:
                inputs.append(len(tensors))
                tensors.append(bias)
            node = replace(node, inputs=tuple(inputs))
        elif touched:
            changes = OPS[node.op].narrowed_attrs(graph.view(node), [kept[i] for i in node.outputs])
            node = replace(node, attrs=attrs(**{**node.attrs, **changes}))
        nodes.append(node)
    return with_nodes(replace(graph, tensors=tuple(tensors)), nodes)


def _narrowed(tensor: Tensor, kept: Mask) -> Tensor:
    """`tensor` with only the channels `kept` of its last axis."""
    if kept.all():
        return tensor
    data = None if tensor.data is None else np.ascontiguousarray(tensor.data[..., kept])
    return replace(tensor, shape=(*tensor.shape[:-1], int(kept.sum())), data=data)


def _reweighted(graph: Graph, node: Node, ranges: dict[int, Interval], kept: list[Mask]) -> tuple[Tensor, Tensor | None]:
    """Weights and bias of a weighted layer for the channels that are left of its input and output."""
    view, made = graph.view(node), kept[node.outputs[0]]
    linear, count = OPS[node.op].linear, len(made)
    assert linear is not None
    bias, data = bias_of(view, count).astype(np.int64), view.const(1)
    if _dense(view):
        columns = np.resize(kept[node.inputs[0]], data.shape[-1])  # repeated: column j lies in channel j mod channels
        bias = bias + _removed_sum(view, _columns(view, ranges[node.inputs[0]]), columns)
        data = data[..., columns]
    data = np.ascontiguousarray(data.compress(made, axis=linear.channel_axis))
    weights = replace(view.input(1), shape=data.shape, data=data, quant=_narrowed_quant(view.input(1).quant, made))
    return weights, _bias_tensor(view, weights, bias[made].astype(np.int32), made)


def _removed_sum(view: View, known: Interval, columns: Mask) -> Int64:
    """What the removed constants add to each output's sum, int64 [outputs].

    check_weights counts 255 for each weight and no constant is further than that from the zero point, so the accumulator's
    proven bound, which holds the bias too, can only become smaller: nothing overflows.
    """
    removed = ~columns & known.constant
    inside, _ = _taps(view)
    values = np.where(removed, known.low - view.input(0).zero_point, 0)
    # Where padding is read too, the weight is zero or the constant is the zero point.
    return np.asarray((_rows(view)[:, inside].astype(np.int64).sum(axis=1) * values).sum(axis=1))


def _bias_tensor(view: View, weights: Tensor, bias: Array, made: Mask) -> Tensor | None:
    old = view.optional(2)
    if old is not None:
        quant = _narrowed_quant(old.quant, made)
        if quant is not None and not quant.per_tensor:
            quant = replace(quant, axis=0)  # a file may hold the bias as [1, channels]
        return replace(old, shape=bias.shape, data=bias, quant=quant)
    if not bias.any():
        return None
    assert weights.quant is not None
    scales = tuple(float(np.float32(view.input(0).scale) * np.float32(s)) for s in weights.quant.scale)
    quant = Quantization(scales, (0,) * len(scales), 0 if len(scales) > 1 else None)
    return Tensor(f"{view.node.name}_bias", bias.shape, "int32", quant, bias)


def _narrowed_quant(quant: Quantization | None, made: Mask) -> Quantization | None:
    """The scales of the channels that are left; one that serves all stays."""
    if quant is None or quant.per_tensor:
        return quant
    left = np.flatnonzero(made)
    scale, zero_point = tuple(quant.scale[k] for k in left), tuple(quant.zero_point[k] for k in left)
    return Quantization(scale, zero_point, quant.axis if len(left) > 1 else None)
