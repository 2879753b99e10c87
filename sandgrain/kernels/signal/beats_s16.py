"""The beat in the middle of each channel against those around it."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.kernels.base import ONE_INPUT_AND_SCRATCH, Kernel, Lowered, lowered

LENGTHS = ("span", "gap", "share", "half", "slack", "points")


def _lower(view: View) -> Lowered:
    _, samples, channels = view.input(0).shape
    fields = {"samples": samples, "channels": channels, **{name: view.attrs[name] for name in LENGTHS}}
    return lowered("beats_s16", fields, ONE_INPUT_AND_SCRATCH, 4 * samples)


KERNEL = Kernel("beats_s16", ("beats",), _lower)
