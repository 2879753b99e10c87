"""Statistics of each channel of a signal, and the correlation of each pair of channels."""

from __future__ import annotations

from sandgrain.kernels.base import ANY_CORE, Kernel
from sandgrain.kernels.signal.pairs import with_pairs
from sandgrain.kernels.signal.statistics_s16 import lower

KERNEL = Kernel(
    "statistics_pairs_s16", ("statistics",), lambda view: with_pairs(view, lower(view)), "correlations", ANY_CORE + 10
)
