"""Maxima of windows with least code."""

from __future__ import annotations

from functools import partial

from sandgrain.kernels.base import LEAST_CODE, Kernel
from sandgrain.kernels.pool.windows_2d import lower_compact

KERNEL = Kernel(
    "max_pool_2d_compact_s8",
    ("max_pool_2d",),
    partial(lower_compact, "max_pool_2d_compact_s8"),
    "one image, sides below 2^15, strides and padding below 2^8",
    LEAST_CODE,
    compact=True,
)
