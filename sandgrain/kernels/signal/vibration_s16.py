"""Statistics, band powers and spectral peaks of each channel of a signal."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import View
from sandgrain.graph.ops.signal.fft import twiddles_s32
from sandgrain.graph.ops.signal.frames import taper_q15
from sandgrain.graph.ops.signal.vibration import frames_of, level_offset, spectrum_shift
from sandgrain.kernels.base import ANY_CORE, ONE_INPUT_AND_SCRATCH, Kernel, Lowered, lowered
from sandgrain.kernels.signal.pairs import without_pairs
from sandgrain.kernels.signal.statistics_s16 import number_fields


def _scratch(view: View) -> int:
    """The powers, two words each, where the first frame is transformed as well; and the room for further frames."""
    points = view.attrs["fft"]
    return int(4 * (points + 2) + (4 * points if frames_of(view) > 1 else 0))


def lower(view: View) -> Lowered:
    """The columns without the correlations."""
    a, x = view.attrs, view.input(0)
    fields = {
        "samples": x.shape[1],
        "channels": x.shape[2],
        **number_fields(a["which"]),
        "fft": a["fft"],
        "window": a["window"],
        "hop": a["hop"],
        "frames": frames_of(view),
        "shift": spectrum_shift(view),
        "offset": level_offset(view),
        "peaks": a["peaks"],
        "bands": len(a["bands"]) - 1,
        "edges": np.array(a["bands"], np.int16),
        "taper": taper_q15("hann", a["window"]),
        "twiddle": twiddles_s32(a["fft"]),
    }
    return lowered("vibration_s16", fields, ONE_INPUT_AND_SCRATCH, _scratch(view))


KERNEL = Kernel("vibration_s16", ("vibration",), lambda view: without_pairs(view, lower(view)), "no correlations", ANY_CORE)
