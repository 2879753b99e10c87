"""Butterworth high-pass, low-pass or band-pass of a signal, on whole windows and on streams."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.signal.biquad import SECTIONS, Biquad
from sandgrain.kernels.base import OVER_INPUT, Fields, In, Kernel, Lowered, Out, Scratch, lowered, op_of


def _lower(view: View) -> Lowered:
    count = len(view.attrs["zero"])
    fields: Fields = {
        "samples": view.out.shape[1],
        "channels": view.out.shape[2],
        "sections": count,
        "fraction": view.attrs["fraction"],
    }
    fields |= {name: (*view.attrs[name], *(0,) * (SECTIONS - count)) for name in ("zero", "multiplier", "shift", "a1", "a2")}
    state = op_of(view, Biquad).state_bytes(view)
    return lowered("biquad_s16", fields, (Scratch(), In(0), Out(0)), state, OVER_INPUT)


KERNEL = Kernel("biquad_s16", ("biquad",), _lower)
