"""Frames of a signal, their tapers and their power: what every spectral op does around its FFT.

The C is `kernels/signal/sg_frames.h`. A frame starts every `hop` samples; only whole frames count.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sandgrain.base.errors import UsageError
from sandgrain.graph.ir import Attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.signal.fft import Float32, Int16, Int32, Int64, check_points
from sandgrain.graph.ops.signal.roots import bit_length

UInt64 = npt.NDArray[np.uint64]

# a - b cos(2 pi i / n) + c cos(4 pi i / n), and the power that this is raised to.
TAPERS: dict[str, tuple[float, float, float, float]] = {
    "rect": (1.0, 0.0, 0.0, 1.0),
    "hann": (0.5, 0.5, 0.0, 1.0),
    "hamming": (0.54, 0.46, 0.0, 1.0),
    "blackman": (0.42, 0.5, 0.08, 1.0),
    "povey": (0.5, 0.5, 0.0, 0.85),  # Kaldi's
}
DRAWN_TAPERS = ("rect", "hann", "hamming")  # by `Op.sample`: the others are tables for the same code
TAPER_MAX = (1 << 15) - 1
# What a spectral op may have. symmetric: its taper is, and not periodic. headroom: bits by which the samples are smaller than those of
# a signal whose full scale is 2^15; its own full scale is 1 all the same.
SPECTRAL = kinds(symmetric=bool, headroom=int)
MAX_HEADROOM = 2


def frame_count(samples: int, window: int, hop: int) -> int:
    """Whole frames in a signal: 1 + (samples - window) // hop, 0 when it is shorter than one."""
    return 0 if samples < window else 1 + (samples - window) // hop


def frame(x: npt.ArrayLike, window: int, hop: int) -> Int16:
    """int16 [samples] to [frames, window]."""
    samples: Int16 = np.asarray(x, np.int16)
    starts = np.arange(frame_count(len(samples), window, hop)) * hop
    cut: Int16 = samples[starts[:, None] + np.arange(window)]
    return cut


def taper_q15(name: str, window: int, symmetric: bool = False) -> Int16:
    """int16 [window]: a taper of TAPERS in Q15, 1 saturated to 32767.

    Periodic as in scipy.signal.get_window(fftbins=True): the sample after the last would equal the first. Symmetric as in numpy.hanning:
    the last equals the first. A window of one sample is 1.
    """
    if name not in TAPERS:
        raise UsageError(f"there is no taper {name!r}; choose one of {', '.join(sorted(TAPERS))}")
    a, b, c, power = TAPERS[name]
    phase = 2 * np.pi * np.arange(window) / max(window - symmetric, 1)
    cosines = a - b * np.cos(phase) + c * np.cos(2 * phase)
    wave = np.maximum(cosines, 0.0) ** power if window > 1 else np.ones(1)  # Blackman's ends are 0 less a rounding
    return np.minimum(np.rint(wave * (1 << 15)), TAPER_MAX).astype(np.int16)


def taper_of(a: Attrs) -> Int16:
    """The taper of an op with the attributes `taper`, `window` and perhaps `symmetric`."""
    return taper_q15(a["taper"], a["window"], bool(a.get("symmetric", False)))


def headroom_of(a: Attrs) -> int:
    """Of an op with the attributes SPECTRAL."""
    return int(a.get("headroom", 0))


def window_shift(fft: int, headroom: int = 0) -> int:
    """Bits that the product of sample and Q15 taper loses, so that `rfft_s32` of `fft` points cannot overflow.

    32768 * 32767 / 2^(log2(fft) - 1) is exactly the FFT's bound (2^31 - 2^16) / fft. What it computes thus has
    15 - shift fractional bits: 16 - log2(fft), 7 for 512 points. `headroom` gives that many bits away.
    """
    check_points(fft)
    return fft.bit_length() - 2 + headroom


def windowed_s32(frames: npt.ArrayLike, taper: npt.ArrayLike, fft: int, headroom: int = 0) -> Int32:
    """int16 [..., window] times Q15 int16 [window], as int32 [..., fft] with zeros behind, ready for `rfft_s32`.

    Rounded to nearest, halves up; `window_shift` fractional bits fewer than 15. The C is `sg_window_s32`.
    """
    product = np.asarray(frames, np.int64) * np.asarray(taper, np.int64)
    shift = window_shift(fft, headroom)
    out = np.zeros((*product.shape[:-1], fft), np.int32)
    out[..., : product.shape[-1]] = (product + (1 << (shift - 1))) >> shift
    return out


def power_s32(packed: npt.ArrayLike) -> UInt64:
    """Packed spectra int32 [..., n] to |X[k]|^2, uint64 [..., n/2 + 1] (below 2^62). The C is `sg_power_s32`."""
    x = np.asarray(packed, np.int64)
    n = x.shape[-1]
    out = np.empty((*x.shape[:-1], n // 2 + 1), np.uint64)
    out[..., 0], out[..., -1] = x[..., 0] ** 2, x[..., 1] ** 2
    out[..., 1:-1] = x[..., 2::2] ** 2 + x[..., 3::2] ** 2
    return out


def lifts(frames: npt.ArrayLike) -> Int64:
    """[...]: the largest shift, -1 to 14, that leaves all samples of an int16 frame [..., window] in 15 bits."""
    x = np.asarray(frames, np.int64)
    spread = np.bitwise_or.reduce(x ^ (x >> 63), axis=-1)
    return np.minimum(14 - bit_length(spread.astype(np.uint64)), 14)


def windowed_s16(frames: npt.ArrayLike, taper: npt.ArrayLike, fft: int) -> tuple[Int16, Int64]:
    """int16 [..., window] times Q15 int16 [window] times 2^lift, as int16 [..., fft], ready for `rfft_s16`; and the lifts."""
    x = np.asarray(frames, np.int64)
    lift = lifts(x)
    shift = 15 - lift[..., None]
    out = np.zeros((*x.shape[:-1], fft), np.int16)
    out[..., : x.shape[-1]] = (x * np.asarray(taper, np.int64) + (1 << (shift - 1))) >> shift
    return out, lift


def windowed_f32(frames: npt.ArrayLike, taper: npt.ArrayLike, fft: int) -> Float32:
    """int16 [..., window] times Q15 int16 [window] rounded to float32 [..., fft], ready for `rfft_f32`: 2^15 is 1."""
    product = np.asarray(frames, np.int64) * np.asarray(taper, np.int64)
    out = np.zeros((*product.shape[:-1], fft), np.float32)
    out[..., : product.shape[-1]] = product.astype(np.float32)
    return out


def power_s16(packed: npt.ArrayLike, by: npt.ArrayLike) -> UInt64:
    """Packed spectra int16 [..., n] to |X[k]|^2 2^by [...], rounded down, uint64 [..., n/2 + 1]."""
    shift = np.asarray(by, np.int64)[..., None]
    left, right = np.maximum(shift, 0).astype(np.uint64), np.maximum(-shift, 0).astype(np.uint64)
    return np.asarray((power_s32(packed) << left) >> right, np.uint64)


def power_f32(packed: npt.NDArray[np.float32], by: int) -> UInt64:
    """Packed spectra float32 [..., n] to |X[k]|^2 2^by, rounded down, uint64 [..., n/2 + 1]; sums rounded as floats."""
    n = packed.shape[-1]
    out = np.empty((*packed.shape[:-1], n // 2 + 1), np.float32)
    out[..., 0], out[..., -1] = packed[..., 0] * packed[..., 0], packed[..., 1] * packed[..., 1]
    re, im = packed[..., 2::2], packed[..., 3::2]
    out[..., 1:-1] = re * re + im * im
    return np.ldexp(out.astype(np.float64), by).astype(np.uint64)
