"""Correlation of each pair of channels, in integers: what `kernels/signal/sg_correlation.h` computes, bit for bit.

Pearson's r of channels a < b, in the order (0, 1), (0, 2) ... (1, 2) ..., in units of 2^-14; 0 where a channel does not vary. It is
right within one unit.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from sandgrain.graph.ir import Attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw
from sandgrain.graph.ops.signal.roots import isqrt64

WHOLE = 1 << 14  # r = 1
UNIT = 1 / WHOLE
PAIRED = kinds(correlation=bool)  # what an op of whole windows may have: the correlations behind its columns
MAX_CHANNELS = 16  # 120 pairs


def drawn(draw: Draw, channels: int) -> dict[str, bool]:
    """Whether a random case has correlations, as attributes."""
    return {"correlation": True} if channels > 1 and draw.choice((True, False)) else {}


Spread = tuple[int, int, int]  # sum, root, lift of a channel


def pairs_of(channels: int, a: Attrs) -> int:
    """How many correlations come behind the columns of an op with these attributes."""
    return channels * (channels - 1) // 2 if a.get("correlation") else 0


def _spread(x: npt.NDArray[np.int64]) -> Spread:
    """n^2 times the variance of int64 [n] is below 2^61; its root times 2^lift has 32 bits, or is 0."""
    total = int(x.sum())
    square = len(x) * int((x * x).sum()) - total * total
    lift = (64 - square.bit_length()) & ~1
    return total, int(isqrt64(square << lift)) if square else 0, lift // 2


def _correlation(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64], of_a: Spread, of_b: Spread) -> int:
    """Of two channels with their spreads. |n sum(ab) - sum(a) sum(b)| is at most the product of the roots (Cauchy and Schwarz): 2^64
    after both lifts."""
    product = of_a[1] * of_b[1]
    if not product:
        return 0
    together = len(a) * int((a * b).sum()) - of_a[0] * of_b[0]
    lifted, whole = (abs(together) << (of_a[2] + of_b[2])) >> 1, product >> 15
    size = min((lifted + (whole >> 1)) // whole, WHOLE)
    return -size if together < 0 else size


def correlations(x: npt.NDArray[np.int16]) -> list[int]:
    """The correlations of the channels of int16 [n, channels]."""
    columns = list(x.T.astype(np.int64))
    spreads = [_spread(c) for c in columns]
    return [_correlation(columns[a], columns[b], spreads[a], spreads[b]) for a, b in combinations(range(len(columns)), 2)]
