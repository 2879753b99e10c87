"""Every M-th sample of a signal after an anti-alias filter, on whole windows and on streams."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import View
from sandgrain.graph.ops.signal.decimate import Decimate, history_of
from sandgrain.kernels.base import In, Kernel, Lowered, Out, Scratch, lowered, op_of


def _lower(view: View) -> Lowered:
    _, samples, channels = view.input(0).shape
    fields = {
        "samples": samples,
        "channels": channels,
        "factor": view.attrs["factor"],
        "history": history_of(view),
        "half": np.array(view.attrs["half"], np.int16),
    }
    return lowered("decimate_s16", fields, (Scratch(), In(0), Out(0)), op_of(view, Decimate).state_bytes(view))


KERNEL = Kernel("decimate_s16", ("decimate",), _lower)
