"""Sums and differences for Helium: one plane in fixed point, equal to the op for every pair of inputs."""

from __future__ import annotations

from sandgrain.graph.dtypes import INT8
from sandgrain.graph.ir import View
from sandgrain.graph.ops.conv.weights import clamp_of
from sandgrain.graph.ops.elementwise.add_sub import Sum
from sandgrain.kernels.base import HELIUM, MVE, TWO_INPUTS, Fit, Kernel, Refused, lowered, op_of
from sandgrain.kernels.elementwise.broadcasting import over_unrepeated, refused_broadcast
from sandgrain.kernels.proofs.narrow_plane import HALF, narrow_plane
from sandgrain.kernels.proofs.pair_plane import VALUES


def _lower(view: View) -> Fit:
    if refused := refused_broadcast(view):
        return refused
    op = op_of(view, Sum)
    a, b, out = view.input(0).scale, view.input(1).scale, view.out.scale
    low, high = clamp_of(view)
    expected = op.reference(view, (VALUES[:, None], VALUES[None, :]))[0]
    plane = narrow_plane(a / out, op.sign * b / out, expected, low, high)
    if plane is None:
        return Refused("no plane with 22 fraction bits equals the op for every pair of inputs")
    fields = {
        "a_multiplier": plane.multiplier_a,
        "b_multiplier": plane.multiplier_b,
        "offset": plane.offset - HALF,
        "low": max(low, INT8.low),
        "high": min(high, INT8.high),
        "count": view.out.size,
    }
    return lowered("add_mve_s8", fields, TWO_INPUTS, sharing=over_unrepeated(view))


KERNEL = Kernel("add_mve_s8", ("add", "sub"), _lower, "equal shapes, and scales for which one plane is exact", HELIUM, MVE)
