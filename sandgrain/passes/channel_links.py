"""Which channels stand or fall together: an op that gives channel by channel what it reads channel by channel.

A link says that a channel of an input and a channel of an output can only be removed both. An input channel that no link of
its layer names is read by the whole layer; an output channel that none names is made by the layer alone (padding).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from sandgrain.ir import View
from sandgrain.ops import OPS
from sandgrain.ops.lut import UnaryOp
from sandgrain.passes.channel_values import Mask, channels_of
from sandgrain.quant import Int64


class Link(NamedTuple):
    """Channel `read[i]` of input `source` belongs to channel `made[i]` of output `target`."""

    source: int
    read: Int64
    target: int
    made: Int64


Links = list[Link] | None
Changes = Mapping[str, Any]


def links_of(view: View) -> Links:
    """The layer's links; None where every channel of its inputs and outputs must stay."""
    rule = LINKS.get(view.node.op, _through if isinstance(OPS[view.node.op], UnaryOp) else None)
    return None if rule is None else rule(view)


def _every(count: int) -> Int64:
    return np.arange(count, dtype=np.int64)


def _through(view: View) -> Links:
    """Channel c of the input gives channel c of the output."""
    every = _every(channels_of(view.out))
    return [Link(0, every, 0, every)]


def _binary(view: View) -> Links:
    """An input with one channel that is repeated is read by all; it has no link."""
    every = _every(channels_of(view.out))
    return [Link(k, every, 0, every) for k in (0, 1) if channels_of(view.input(k)) == len(every)]


def _depthwise(view: View) -> Links:
    """All outputs of an input channel go with it. A single input channel is simply read: any of its outputs can go alone."""
    channels, count = channels_of(view.input(0)), channels_of(view.out)
    return [] if channels == 1 else [Link(0, _every(count) // (count // channels), 0, _every(count))]


def _concatenation(view: View) -> Links:
    rank = len(view.out.shape)
    found, start, inner = [], 0, view.attrs["axis"] % rank == rank - 1
    for k in range(len(view.inputs)):
        every = _every(channels_of(view.input(k)))
        found.append(Link(k, every, 0, every + start))
        start += len(every) if inner else 0
    return found


def _split(view: View) -> Links:
    """The parts must stay equally long, so along the last axis channel c of each part goes with channel c of the others."""
    last, count = len(view.input(0).shape) - 1, channels_of(view.outputs[0])
    every = _every(count)
    if view.attrs["axis"] % (last + 1) != last:
        return [Link(0, every, k, every) for k in range(len(view.outputs))]
    parts = range(len(view.outputs))
    return [Link(0, every + k * count, part, every) for k in parts for part in parts]


def _pad(view: View) -> Links:
    every = _every(channels_of(view.input(0)))
    return [Link(0, every, 0, every + view.attrs["paddings"][-1][0])]


def _reshape(view: View) -> Links:
    """Element p lies in channel p mod channels on either side, where one count divides the other."""
    before, after = channels_of(view.input(0)), channels_of(view.out)
    if max(before, after) % min(before, after):
        return None
    every = _every(max(before, after))
    return [Link(0, every % before, 0, every % after)]


def _mean(view: View) -> Links:
    return None if len(view.input(0).shape) - 1 in view.attrs["axes"] else _through(view)


def _transpose(view: View) -> Links:
    perm = view.attrs["perm"]
    return _through(view) if perm and perm[-1] == len(perm) - 1 else None


def _strided_slice(view: View) -> Links:
    a, x = view.attrs, view.input(0)
    last = len(x.shape) - 1
    whole = (
        last >= 0 and last not in a["drop"] and (a["start"][last], a["stride"][last], a["size"][last]) == (0, 1, x.shape[last])
    )
    return _through(view) if whole else None


LINKS: dict[str, Callable[[View], Links]] = {
    "add": _binary, "sub": _binary, "mul": _binary, "maximum": _binary, "minimum": _binary, "prelu": _binary,
    "depthwise_conv_2d": _depthwise, "concatenation": _concatenation, "split": _split, "pad": _pad,
    "average_pool_2d": _through, "max_pool_2d": _through, "resize_nearest_neighbor": _through, "resize_bilinear": _through,
    "mean": _mean, "sum": _mean, "reduce_max": _mean, "reshape": _reshape, "transpose": _transpose, "strided_slice": _strided_slice,
}  # fmt: skip


def changed_attrs(view: View, kept: Sequence[Mask]) -> Changes:
    """The attributes that count channels, once output k of a linked layer keeps only its channels `kept[k]`."""
    a, count = view.attrs, int(kept[0].sum())
    if view.node.op == "reshape" and view.out.shape:
        return {"shape": (*view.out.shape[:-1], count)}
    if view.node.op == "strided_slice":
        return {"size": (*a["size"][:-1], count)}
    if view.node.op == "pad" and a["paddings"]:
        before, after = a["paddings"][-1]
        last = (int(kept[0][:before].sum()), int(kept[0][len(kept[0]) - after :].sum()))
        return {"paddings": (*a["paddings"][:-1], last)}
    return {}
