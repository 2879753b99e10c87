"""The Euclidean length of some channels, on whole windows and on streams."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.signal.vector_length import shift_of
from sandgrain.kernels.base import Kernel, Lowered, lowered


def _lower(view: View) -> Lowered:
    _, samples, channels = view.input(0).shape
    chosen, everything = view.attrs["channels"], (1 << channels) - 1
    measured = sum(1 << c for c in chosen)
    fields = {
        "samples": samples,
        "channels": channels,
        "measured": measured,
        "copied": everything if view.attrs["keep"] else everything & ~measured,
        "shift": shift_of(len(chosen)),
    }
    return lowered("vector_length_s16", fields)


KERNEL = Kernel("vector_length_s16", ("vector_length",), _lower)
