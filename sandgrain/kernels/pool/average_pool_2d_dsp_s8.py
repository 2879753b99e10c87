"""Averages of windows for the DSP extension: four channels at once."""

from __future__ import annotations

from functools import partial

from sandgrain.kernels.base import DSP, DSP_CORES, Kernel
from sandgrain.kernels.pool.windows_2d import lower_dsp

KERNEL = Kernel(
    "average_pool_2d_dsp_s8",
    ("average_pool_2d",),
    partial(lower_dsp, "average_pool_2d_dsp_s8"),
    "at least four channels, windows of at most 255 taps",
    DSP_CORES,
    DSP,
)
