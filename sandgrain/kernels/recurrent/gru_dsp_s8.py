"""A gated recurrent unit whose reset gate acts after the matrix product, for the DSP extension."""

from __future__ import annotations

from functools import partial

from sandgrain.kernels.base import DSP, DSP_CORES, Kernel
from sandgrain.kernels.recurrent.gru import lower

KERNEL = Kernel(
    "gru_dsp_s8",
    ("gru",),
    partial(lower, "gru_dsp_s8", reset_first=False, dsp=True),
    "reset_first false; gates shifted right by at most 15",
    DSP_CORES,
    DSP,
)
