"""Mel-frequency cepstral coefficients: int16 [1, samples, 1] to [1, frames, coefficients].

The DCT-II of the logarithms of log_mel, each coefficient scaled by sqrt(2 / bands), as TensorFlow's
`mfccs_from_log_mel_spectrograms` does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Shape, need
from sandgrain.graph.ops.samples import draw_quant, one_op
from sandgrain.graph.ops.signal.base import INT16_MAX, INT16_MIN, finish
from sandgrain.graph.ops.signal.mel_frames import LOG_BITS, MelOp, draw_attributes, log_bands, signal_of
from sandgrain.graph.quantization import per_tensor, rounding_shift

CEPSTRUM_BITS = 6  # fraction bits of a coefficient: 16 bits hold +-512, and 128 logarithms of -29.8 give -477


def dct_q(bands: int, coefficients: int) -> tuple[npt.NDArray[np.int16], int]:
    """(int16 [coefficients, bands], its fraction bits, 14 at most).

    Logarithms have 16 bits and no row's magnitudes add up to more than 2^16, so that a sum of products fits 32 bits.
    """
    angles = np.pi / bands * np.arange(coefficients)[:, np.newaxis] * (np.arange(bands) + 0.5)
    # Row 0 adds up to sqrt(2 bands), no other to more; roundings add 64 units of 2^-11 to it at most.
    fraction = min(14, 16 - math.ceil(math.log2(math.sqrt(2 * bands) + 0.05)))
    return np.rint(np.cos(angles) * math.sqrt(2 / bands) * 2**fraction).astype(np.int16), fraction


class Mfcc(MelOp):
    name = "mfcc"
    summary = "cosine transform of the logarithms of mel filterbank energies"
    attributes = kinds(**MelOp.attributes, coefficients=int)

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        return ((1, self.rows(inputs, attrs), int(attrs["coefficients"])),)

    def check(self, view: View) -> None:
        super().check(view)
        kept, bands = view.attrs["coefficients"], view.attrs["bands"]
        need(1 <= kept <= bands, f"{kept} coefficients of {bands} bands; take at most as many")

    def macs(self, view: View) -> int:
        return super().macs(view) + view.out.size * int(view.attrs["bands"])

    def fixed_scale(self, view: View) -> float:
        return 2.0**-CEPSTRUM_BITS

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        table, fraction = dct_q(view.attrs["bands"], view.attrs["coefficients"])
        logs = np.clip(log_bands(view.attrs, x.reshape(-1)), INT16_MIN, INT16_MAX).astype(np.int64)
        sums = logs @ table.T.astype(np.int64)
        return (finish(self, view, rounding_shift(sums, LOG_BITS + fraction - CEPSTRUM_BITS)),)

    def sample(self, draw: Draw) -> Graph:
        a = draw_attributes(draw)
        a["coefficients"] = draw.integer(1, min(a["bands"], 20))
        x = signal_of(draw, a)
        shape = self.shapes((x,), a)[0]
        wide = Tensor("y", shape, "int16", per_tensor(2.0**-CEPSTRUM_BITS, 0))
        out = draw.choice((wide, Tensor("y", shape, ACTIVATION, draw_quant(draw, 0.1, 1.0))))
        return one_op(self.name, (x,), (out,), attrs(**a))
