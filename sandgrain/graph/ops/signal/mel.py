"""Mel filterbanks: triangles over the bins of a spectrum, as the sparse tables that numpy and C share.

The centres of `bands` triangles and the two outer edges are equally far apart in mel. A bin between two neighbouring
edges belongs to two bands only: it counts with a weight `rise` in the band whose centre lies above it and with 1 - rise
in the one below. One weight a bin is therefore all that a filterbank needs.

Scales (attribute `scale`):
  htk        2595 log10(1 + f / 700); triangles straight in mel, as TensorFlow's `linear_to_mel_weight_matrix`
  htk_hertz  the same scale; triangles straight in hertz, as librosa's `filters.mel(htk=True)`
  slaney     linear below 1 kHz and logarithmic above (Auditory Toolbox, M. Slaney, 1998); straight in hertz, as librosa's default
Norms (attribute `norm`): "none", every triangle is 1 high; "slaney", every triangle has the area 1 (in hertz).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sandgrain.graph.ir import Attrs

Real = npt.NDArray[np.float64]

SCALES = ("htk", "htk_hertz", "slaney")
NORMS = ("none", "slaney")

_HTK = 1127.0  # 2595 / ln 10
_LINEAR = 200.0 / 3.0  # hertz a mel below 1 kHz
_BREAK = 1000.0  # hertz
_STEP = math.log(6.4) / 27.0  # of the logarithmic part, a mel


def hertz_to_mel(hertz: npt.ArrayLike, scale: str) -> Real:
    """Mel values of frequencies in hertz (>= 0), same shape."""
    f = np.asarray(hertz, np.float64)
    if scale != "slaney":
        return np.asarray(_HTK * np.log1p(f / 700.0), np.float64)
    above = _BREAK / _LINEAR + np.log(np.maximum(f, _BREAK) / _BREAK) / _STEP
    return np.where(f < _BREAK, f / _LINEAR, above)


def mel_to_hertz(mel: npt.ArrayLike, scale: str) -> Real:
    """The inverse of `hertz_to_mel`."""
    m = np.asarray(mel, np.float64)
    if scale != "slaney":
        return np.asarray(700.0 * np.expm1(m / _HTK), np.float64)
    above = _BREAK * np.exp(_STEP * np.maximum(m - _BREAK / _LINEAR, 0.0))
    return np.where(m < _BREAK / _LINEAR, m * _LINEAR, above)


@dataclass(frozen=True, slots=True, eq=False)
class Filterbank:
    """`rise[i]` is the weight of FFT bin `first` + i in the band whose rising side it lies on.

    Side s (0 to bands) is the stretch of `counts[s]` bins on which band s rises and band s - 1 falls. `gains[b]` is the
    height of triangle b.
    """

    first: int
    counts: npt.NDArray[np.int16]
    rise: Real
    gains: Real

    @property
    def bands(self) -> int:
        return len(self.gains)

    def matrix(self, bins: int) -> Real:
        """Dense weights [bins, bands]."""
        dense = np.zeros((bins, self.bands + 2))  # one column before the first band, one behind the last
        sides = np.repeat(np.arange(self.bands + 1), self.counts)
        rows = self.first + np.arange(len(self.rise))
        dense[rows, sides + 1] += self.rise
        dense[rows, sides] += 1.0 - self.rise
        return dense[:, 1:-1] * self.gains


def filterbank(attrs: Attrs) -> Filterbank:
    """The filterbank of the attributes rate (Hz), fft (points), bands, low, high (Hz), scale, norm."""
    scale, bands = str(attrs["scale"]), int(attrs["bands"])
    bins = np.arange(1, attrs["fft"] // 2) * (attrs["rate"] / attrs["fft"])  # neither 0 Hz nor Nyquist ever counts
    low, high = hertz_to_mel(attrs["low"], scale), hertz_to_mel(attrs["high"], scale)
    edges = np.linspace(low, high, bands + 2)
    hertz = mel_to_hertz(edges, scale)
    at, corners = (hertz_to_mel(bins, scale), edges) if scale == "htk" else (bins, hertz)
    inside = np.flatnonzero((at > corners[0]) & (at < corners[-1]))
    side = np.searchsorted(corners, at[inside], "right") - 1
    rise = (at[inside] - corners[side]) / (corners[side + 1] - corners[side])
    gains = 2.0 / (hertz[2:] - hertz[:-2]) if attrs["norm"] == "slaney" else np.ones(bands)
    counts = np.bincount(side, minlength=bands + 1).astype(np.int16)
    return Filterbank(int(inside[0]) + 1 if len(inside) else 1, counts, rise, gains)
