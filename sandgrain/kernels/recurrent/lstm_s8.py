"""Long short-term memory over a sequence, on any core."""

from __future__ import annotations

from functools import partial

from sandgrain.kernels.base import Kernel
from sandgrain.kernels.recurrent.lstm import lower

KERNEL = Kernel("lstm_s8", ("lstm",), partial(lower, "lstm_s8", dsp=False))
