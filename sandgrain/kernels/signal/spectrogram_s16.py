"""Spectrum of sliding frames, computed in 16 bits."""

from __future__ import annotations

from functools import partial

from sandgrain.kernels.base import ANY_CORE, Kernel
from sandgrain.kernels.signal.spectrogram import lower

KERNEL = Kernel("spectrogram_s16", ("spectrogram",), partial(lower, "s16"), "a spectrum in 16 bits", ANY_CORE + 0)
