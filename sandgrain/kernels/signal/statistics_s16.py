"""Statistics of each channel of a signal."""

from __future__ import annotations

from collections.abc import Sequence

from sandgrain.graph.ir import View
from sandgrain.graph.ops.signal.moments import HIGHER, NUMBERS
from sandgrain.kernels.base import ANY_CORE, Fields, Kernel, Lowered, lowered
from sandgrain.kernels.signal.pairs import without_pairs


def number_fields(names: Sequence[str]) -> Fields:
    """The struct members of `sg_moments_columns`: count, higher, numbers."""
    numbers = tuple(NUMBERS[n] for n in names)
    return {"count": len(names), "higher": int(bool(set(names) & set(HIGHER))), "numbers": numbers + (0,) * (16 - len(numbers))}


def lower(view: View) -> Lowered:
    """The columns without the correlations."""
    _, samples, channels = view.input(0).shape
    return lowered("statistics_s16", {"samples": samples, "channels": channels, **number_fields(view.attrs["which"])})


KERNEL = Kernel("statistics_s16", ("statistics",), lambda view: without_pairs(view, lower(view)), "no correlations", ANY_CORE)
