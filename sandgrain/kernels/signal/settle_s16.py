"""Samples against a recording's first ones, on whole windows and on streams."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.signal.settle import Settle
from sandgrain.kernels.base import Fit, In, Kernel, Out, Refused, Scratch, lowered, op_of


def fields(view: View) -> dict[str, int]:
    """The members of both kernels' structs."""
    _, samples, channels = view.input(0).shape
    return {"samples": samples, "channels": channels, "lead": view.attrs["lead"], "scaled": int(view.attrs["scaled"])}


def _lower(view: View) -> Fit:
    if view.attrs["follows"]:
        return Refused("measures against the first samples alone")
    return lowered("settle_s16", fields(view), (Scratch(), In(0), Out(0)), op_of(view, Settle).state_bytes(view))


KERNEL = Kernel("settle_s16", ("settle",), _lower, "the first samples")
