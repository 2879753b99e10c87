"""Spectrum of sliding frames, computed in floats."""

from __future__ import annotations

from functools import partial

from sandgrain.kernels.base import ANY_CORE, Kernel
from sandgrain.kernels.signal.spectrogram import lower

KERNEL = Kernel("spectrogram_f32", ("spectrogram",), partial(lower, "f32"), "a spectrum in floats", ANY_CORE + 20)
