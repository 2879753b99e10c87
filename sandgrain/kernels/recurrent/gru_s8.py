"""A gated recurrent unit whose reset gate acts after the matrix product, on any core."""

from __future__ import annotations

from functools import partial

from sandgrain.kernels.base import ANY_CORE, Kernel
from sandgrain.kernels.recurrent.gru import lower

KERNEL = Kernel(
    "gru_s8",
    ("gru",),
    partial(lower, "gru_s8", reset_first=False, dsp=False),
    "reset_first false",
    ANY_CORE,
)
