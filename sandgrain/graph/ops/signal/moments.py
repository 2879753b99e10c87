"""Statistics of one channel in integers, by name: what `kernels/signal/sg_moments.h` computes, bit for bit.

Means are rounded to nearest, roots are rounded down, ratios are in 1/256, and everything saturates to 16 bits. Third and
fourth powers are those of the deviation from the mean, stretched or squeezed to 15 bits: they never overflow, and small
signals lose nothing. Skewness and kurtosis are those of the whole (not of a sample), kurtosis is 3 for a normal distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isqrt

import numpy as np
import numpy.typing as npt

from sandgrain.base.errors import UnsupportedError

MAX_SAMPLES = 32768  # sums of squares stay below 2^46, counts within 16 bits
RATIO = 1 / 256


@dataclass(frozen=True, slots=True)
class Statistic:
    """`unit`: what 1 stands for, in the signal's units (`relative` false: in itself, for counts and ratios)."""

    meaning: str
    unit: float = 1.0
    relative: bool = True


# The position of a name is its number in the C.
STATISTICS = {
    "mean": Statistic("mean"),
    "std": Statistic("standard deviation (of the whole: divided by n)"),
    "rms": Statistic("root of the mean square"),
    "min": Statistic("smallest value"),
    "max": Statistic("largest value"),
    "range": Statistic("largest less smallest value, in units of 2", unit=2.0),
    "mean_abs": Statistic("mean magnitude"),
    "mean_step": Statistic("mean magnitude of the difference between neighbours"),
    "median": Statistic("median; of an even number the mean of the middle two, rounded down"),
    "skewness": Statistic("third standardized moment; 0 for a constant", RATIO, relative=False),
    "kurtosis": Statistic("fourth standardized moment; 0 for a constant", RATIO, relative=False),
    "crest": Statistic("largest magnitude over rms; 0 for silence", RATIO, relative=False),
    "zero_crossings": Statistic("changes between below 0 and not", relative=False),
    "mean_crossings": Statistic("changes between below the mean and not", relative=False),
}
NUMBERS = {name: k for k, name in enumerate(STATISTICS)}
HIGHER = ("skewness", "kurtosis")


def check_names(names: Sequence[str]) -> None:
    """Raises UnsupportedError for an unknown name or one that comes twice."""
    for name in names:
        if name not in STATISTICS:
            raise UnsupportedError(f"unknown statistic {str(name)[:40]!r}; choose from {', '.join(STATISTICS)}")
    if len(set(names)) != len(names):
        raise UnsupportedError("a statistic is named twice; name each once")


def units(names: Sequence[str], scale: float) -> list[float]:
    """Real value of one unit of each, for a signal of which one unit is `scale`."""
    return [STATISTICS[n].unit * (scale if STATISTICS[n].relative else 1.0) for n in names]


def statistics(x: npt.NDArray[np.int16], names: Sequence[str]) -> list[int]:
    """The named statistics of int16 [n], each within 16 bits."""
    v = x.astype(np.int64)
    chosen = _higher(v) if set(names) & set(HIGHER) else {}
    return [min(max(chosen[n] if n in chosen else _BASIC[n](v), -32768), 32767) for n in names]


def _rounded(a: int, b: int) -> int:
    """a / b to nearest for b > 0, halves up."""
    return (a + (b >> 1)) // b


def _square_sum(v: npt.NDArray[np.int64]) -> int:
    return int((v * v).sum())


def _std(v: npt.NDArray[np.int64]) -> int:
    return isqrt(len(v) * _square_sum(v) - int(v.sum()) ** 2) // len(v)


def _mean_step(v: npt.NDArray[np.int64]) -> int:
    return _rounded(int(np.abs(np.diff(v)).sum()), len(v) - 1) if len(v) > 1 else 0


def _median(v: npt.NDArray[np.int64]) -> int:
    middle = np.sort(v)[[(len(v) - 1) // 2, len(v) // 2]]
    return int(middle.sum()) >> 1


def _crest(v: npt.NDArray[np.int64]) -> int:
    squares, peak = _square_sum(v), int(np.abs(v).max())
    return isqrt((peak * peak * len(v) << 16) // squares) if squares else 0


def _crossings(v: npt.NDArray[np.int64], level: int) -> int:
    above = v >= level
    return int((above[1:] != above[:-1]).sum())


_BASIC: dict[str, Callable[[npt.NDArray[np.int64]], int]] = {
    "mean": lambda v: _rounded(int(v.sum()), len(v)),
    "std": _std,
    "rms": lambda v: isqrt(_square_sum(v) // len(v)),
    "min": lambda v: int(v.min()),
    "max": lambda v: int(v.max()),
    "range": lambda v: int(v.max() - v.min()) >> 1,
    "mean_abs": lambda v: _rounded(int(np.abs(v).sum()), len(v)),
    "mean_step": _mean_step,
    "median": _median,
    "crest": _crest,
    "zero_crossings": lambda v: _crossings(v, 0),
    "mean_crossings": lambda v: _crossings(v, -(-int(v.sum()) // len(v))),
}


def deviations(v: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], int]:
    """(v less its mean, times 2^lift; lift): magnitudes up to 2^15, the largest at least 2^13 unless v is constant."""
    total, n = int(v.sum()), len(v)
    lift = 15 - int(v.max() - v.min()).bit_length()
    if lift < 0:
        return (v - _rounded(total, n)) >> 1, lift
    return (v << lift) - _rounded(total << lift, n), lift


def _higher(v: npt.NDArray[np.int64]) -> dict[str, int]:
    """Skewness and kurtosis in 1/256."""
    if v.min() == v.max():
        return dict.fromkeys(HIGHER, 0)
    e, n = deviations(v)[0], len(v)
    squares = e * e
    small = (squares + (1 << 14)) >> 15  # <= 2^15: its products with e and itself fit 32 bits
    variance = int(squares.sum()) // n
    cube, fourth = int((small * e).sum()), int((small * small).sum()) // n
    mean_cube = abs(cube) // n  # of e^3 / 2^15; at most the variance
    spread = variance * isqrt(variance << 16)
    skewness = ((mean_cube << 31) + (spread >> 1)) // spread
    ratio = (fourth << 30) // variance
    return {
        "skewness": skewness if cube >= 0 else -skewness,
        "kurtosis": ((ratio << 8) + (variance >> 1)) // variance,
    }
