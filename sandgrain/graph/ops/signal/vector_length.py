"""The Euclidean length of some channels as a new, last channel: what an accelerometer says whichever way it is turned.

y = floor(root of the sum of squares) >> shift, with the least shift that leaves 16 bits: none for one channel, 1 for up to four, 2 for up
to sixteen. It thus comes in units of 2 (4) of the signal's, and only the very largest value saturates, by one. The other channels are
copied; those that were measured only with `keep`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Shape, Step, need, need_inputs
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.signal.base import SignalOp, need_scale, need_signal
from sandgrain.graph.ops.signal.roots import isqrt64
from sandgrain.graph.quantization import per_tensor

MAX_MEASURED = 16  # channels: their squares sum to 2^34 at most
MAX_CHANNELS = 31  # of a signal: the kernel has a bit for each


def shift_of(count: int) -> int:
    """Bits that the length of `count` channels loses: sqrt(count) * 2^15 / 2^shift is 2^15 at most."""
    return ((count - 1).bit_length() + 1) // 2


class VectorLength(SignalOp):
    name = "vector_length"
    summary = "root of the sum of squares of some channels, as a channel"
    attributes = kinds(channels=[int], keep=bool)

    def _copied(self, channels: int, attrs: Attrs) -> list[int]:
        return [c for c in range(channels) if attrs["keep"] or c not in attrs["channels"]]

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        _, samples, channels = need_signal(inputs[0]).shape
        chosen = attrs["channels"]
        if not chosen or len(set(chosen)) != len(chosen) or not all(0 <= c < channels for c in chosen):
            raise ModelError(f"the length of channels {list(chosen)} of {channels}; name some, each once, from 0 on")
        return ((1, samples, len(self._copied(channels, attrs)) + 1),)

    def check(self, view: View) -> None:
        x = view.input(0)
        count = len(view.attrs["channels"])
        need(count <= MAX_MEASURED, f"the length of {count} channels; {MAX_MEASURED} at most are supported")
        need(x.shape[2] <= MAX_CHANNELS, f"a signal of {x.shape[2]} channels; {MAX_CHANNELS} at most are supported")
        need_scale(self, view)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x, a = inputs[0], view.attrs
        assert x is not None
        chosen = x[0][:, list(a["channels"])].astype(np.int64)
        length = isqrt64((chosen * chosen).sum(axis=1)).astype(np.int64) >> shift_of(len(a["channels"]))
        columns = [*x[0].T[self._copied(x.shape[2], a)], view.out.dtype.saturated(length)]
        return (np.stack(columns, axis=1).reshape(view.out.shape).astype(np.int16),)

    def macs(self, view: View) -> int:
        return view.input(0).shape[1] * len(view.attrs["channels"])

    def fixed_scale(self, view: View) -> float:
        """The length's unit where it is alone; beside other channels theirs: a tensor has one scale."""
        quant = view.input(0).quant
        scale = 1.0 if quant is None else quant.scale[0]
        return scale * (2 ** shift_of(len(view.attrs["channels"])) if view.out.shape[2] == 1 else 1)

    def column_scales(self, view: View) -> Sequence[float]:
        quant = view.input(0).quant
        scale = 1.0 if quant is None else quant.scale[0]
        return [*[scale] * (view.out.shape[2] - 1), scale * 2 ** shift_of(len(view.attrs["channels"]))]

    def step(self, view: View) -> Step:
        """`count` samples of every channel, any number; nothing is remembered."""
        return Step("samples")

    def sample(self, draw: Draw) -> Graph:
        channels = draw.choice((1, 2, 3, 4, 6, 17))
        left = list(range(channels))
        chosen = tuple(left.pop(draw.integer(0, len(left) - 1)) for _ in range(draw.integer(1, min(channels, MAX_MEASURED))))
        quant = draw.choice((None, per_tensor(2.0**-15, 0)))
        x, a = (
            Tensor("x", (1, draw.choice((1, 2, 17, 64)), channels), "int16", quant),
            attrs(channels=chosen, keep=draw.choice((False, True))),
        )
        y = Tensor("y", self.shapes((x,), a)[0], "int16", quant)
        graph = one_op(self.name, (x,), (y,), a)
        scale = None if quant is None else per_tensor(self.fixed_scale(graph.view(graph.nodes[0])), 0)
        return one_op(self.name, (x,), (Tensor("y", y.shape, "int16", scale),), a)
