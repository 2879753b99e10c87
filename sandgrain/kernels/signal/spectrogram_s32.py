"""Spectrum of sliding frames, computed in 32 bits."""

from __future__ import annotations

from functools import partial

from sandgrain.kernels.base import ANY_CORE, Kernel
from sandgrain.kernels.signal.spectrogram import lower

KERNEL = Kernel("spectrogram_s32", ("spectrogram",), partial(lower, "s32"), "a spectrum in 32 bits", ANY_CORE + 10)
