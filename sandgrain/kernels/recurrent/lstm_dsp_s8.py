"""Long short-term memory over a sequence, for the DSP extension."""

from __future__ import annotations

from functools import partial

from sandgrain.kernels.base import DSP, DSP_CORES, Kernel
from sandgrain.kernels.recurrent.lstm import lower

KERNEL = Kernel(
    "lstm_dsp_s8",
    ("lstm",),
    partial(lower, "lstm_dsp_s8", dsp=True),
    "gates shifted right by at most 15",
    DSP_CORES,
    DSP,
)
