"""What the kernels share that write the correlations of channels behind other columns."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.signal.correlation import pairs_of
from sandgrain.kernels.base import ONE_INPUT_AND_SCRATCH, Fit, Lowered, Refused, lowered

WORDS = 3  # of scratch for each channel


def without_pairs(view: View, plain: Lowered) -> Fit:
    """`plain`, where no correlations are asked for."""
    return Refused("the correlations of its channels come behind its columns") if view.attrs.get("correlation") else plain


def with_pairs(view: View, plain: Lowered) -> Fit:
    """The node as its kernel without correlations, and the correlations."""
    if not view.attrs.get("correlation"):
        return Refused("no correlation of its channels is asked for")
    channels, (call,) = view.input(0).shape[2], plain.calls
    fields = {"columns": call.fields, "before": view.out.size - pairs_of(channels, view.attrs)}
    kernel = call.stem.replace("_s16", "_pairs_s16")
    return lowered(kernel, fields, ONE_INPUT_AND_SCRATCH, max(plain.scratch, 4 * WORDS * channels))
