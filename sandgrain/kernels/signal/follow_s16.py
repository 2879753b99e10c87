"""Samples against those before them, on whole windows and on streams."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.signal.settle import Settle
from sandgrain.kernels.base import ANY_CORE, Fit, In, Kernel, Out, Refused, Scratch, lowered, op_of
from sandgrain.kernels.signal.settle_s16 import fields


def _lower(view: View) -> Fit:
    if not view.attrs["follows"]:
        return Refused("measures against the samples before each one")
    return lowered("follow_s16", fields(view), (Scratch(), In(0), Out(0)), op_of(view, Settle).state_bytes(view))


KERNEL = Kernel("follow_s16", ("settle",), _lower, "the samples before each one", ANY_CORE + 10)
