"""Statistics, band powers and spectral peaks of each channel of a signal, and the correlation of each pair of channels."""

from __future__ import annotations

from sandgrain.kernels.base import ANY_CORE, Kernel
from sandgrain.kernels.signal.pairs import with_pairs
from sandgrain.kernels.signal.vibration_s16 import lower

KERNEL = Kernel("vibration_pairs_s16", ("vibration",), lambda view: with_pairs(view, lower(view)), "correlations", ANY_CORE + 10)
