"""Averages of windows on any core."""

from __future__ import annotations

from functools import partial

from sandgrain.kernels.base import Kernel
from sandgrain.kernels.pool.windows_2d import lower_portable

KERNEL = Kernel("average_pool_2d_s8", ("average_pool_2d",), partial(lower_portable, "average_pool_2d_s8"))
