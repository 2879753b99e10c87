"""A gated recurrent unit whose reset gate acts before the matrix product, on any core."""

from __future__ import annotations

from functools import partial

from sandgrain.kernels.base import ANY_CORE, Kernel
from sandgrain.kernels.recurrent.gru import lower

KERNEL = Kernel(
    "gru_reset_first_s8",
    ("gru",),
    partial(lower, "gru_reset_first_s8", reset_first=True, dsp=False),
    "reset_first true",
    ANY_CORE + 10,
)
