"""Pixels to int8 with a factor and an offset per channel."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.signal.image import CHANNELS
from sandgrain.graph.ops.signal.image_normalize import affine
from sandgrain.kernels.base import ANY_CORE, Kernel, Lowered, before, lowered


def _lower(view: View) -> Lowered:
    factors, offsets, shift = affine(view)
    alike = len(set(zip(factors, offsets, strict=True))) == 1
    channels = 1 if alike else len(factors)
    padding = [0] * (CHANNELS - channels)
    fields = {
        "pixels": view.out.size // channels,
        "channels": channels,
        "factor": tuple(factors[:channels] + padding),
        "offset": tuple(offsets[:channels] + padding),
        "shift": shift,
    }
    return lowered("normalize_u8", fields, sharing=(before(0),))


KERNEL = Kernel("normalize_u8", ("image_normalize",), _lower, rank=ANY_CORE + 10)
