"""Channels of a tensor (the indices of its last axis): what each can hold, and which of a layer belong together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sandgrain.graph.ir import Array, Tensor, View
from sandgrain.graph.quantization import Int64

Mask = npt.NDArray[np.bool_]


class Interval(NamedTuple):
    """The lowest and the highest int8 value of each channel, both int64 [channels]."""

    low: Int64
    high: Int64

    @property
    def constant(self) -> Mask:
        """The channels that hold one value."""
        return np.asarray(self.low == self.high)


class Link(NamedTuple):
    """Channel `read[i]` of input `source` and channel `made[i]` of output `target` can only be removed together."""

    source: int
    read: Int64
    target: int
    made: Int64


def channels_of(tensor: Tensor) -> int:
    """Extent of the last axis; a scalar has one channel."""
    return tensor.shape[-1] if tensor.shape else 1


def every(count: int) -> Int64:
    """The numbers of `count` channels."""
    return np.arange(count, dtype=np.int64)


# --- intervals -------------------------------------------------------------------------------------------------------


def anything(tensor: Tensor) -> Interval:
    """Channels that can hold any value of their type."""
    count = channels_of(tensor)
    return Interval(np.full(count, tensor.dtype.low, np.int64), np.full(count, tensor.dtype.high, np.int64))


def held(data: Array) -> Interval:
    """What the channels of `data` hold."""
    rows = data.reshape(-1, data.shape[-1] if data.ndim else 1)
    return Interval(rows.min(axis=0).astype(np.int64), rows.max(axis=0).astype(np.int64))


def hull(*intervals: Interval) -> Interval:
    """Channel by channel, what any of them can hold."""
    return Interval(np.min([r.low for r in intervals], axis=0), np.max([r.high for r in intervals], axis=0))


def all_alike(x: Interval, count: int) -> Interval:
    """`count` channels that each hold anything that any channel of `x` holds."""
    return Interval(np.full(count, x.low.min()), np.full(count, x.high.max()))


def rewrapped(x: Interval, count: int) -> Interval:
    """The same elements in rows of `count`: element p lies in channel p mod channels before, p mod count afterwards."""
    channels = len(x.low)
    if count % channels == 0:
        return Interval(np.tile(x.low, count // channels), np.tile(x.high, count // channels))
    if channels % count == 0:
        return Interval(x.low.reshape(-1, count).min(axis=0), x.high.reshape(-1, count).max(axis=0))
    return all_alike(x, count)


# --- links -----------------------------------------------------------------------------------------------------------


def through(view: View) -> list[Link]:
    """Channel c of the input gives channel c of the output."""
    channels = every(channels_of(view.out))
    return [Link(0, channels, 0, channels)]
