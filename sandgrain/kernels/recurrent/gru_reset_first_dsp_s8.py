"""A gated recurrent unit whose reset gate acts before the matrix product, for the DSP extension."""

from __future__ import annotations

from functools import partial

from sandgrain.kernels.base import DSP, DSP_CORES, Kernel
from sandgrain.kernels.recurrent.gru import lower

KERNEL = Kernel(
    "gru_reset_first_dsp_s8",
    ("gru",),
    partial(lower, "gru_reset_first_dsp_s8", reset_first=True, dsp=True),
    "reset_first true; gates shifted right by at most 15",
    DSP_CORES + 10,
    DSP,
)
