"""Real FFTs of 32 to 2048 points as the board computes them: bit for bit what `kernels/signal/sg_fft_*.h` do.

n real samples are read as n/2 complex ones (even samples real, odd ones imaginary), transformed by radix-4 stages after a
radix-2 stage where log2(n/2) is odd, decimation in time, and split into the spectrum of the real samples (the usual
algorithms; see W. H. Press et al., "Numerical Recipes", 12.3, and C. S. Burrus, "Fast Fourier Transforms", 2012). A
spectrum is packed into the n places of the samples: [0] = X[0] and [1] = X[n/2], both real; [2k], [2k+1] = real and
imaginary part of X[k] for 0 < k < n/2.

Twiddles are cosines of a quarter wave, n/4 + 1 of them. All functions work along the last axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from sandgrain.base.errors import UsageError

Int16 = npt.NDArray[np.int16]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
Float32 = npt.NDArray[np.float32]
Value = TypeVar("Value", Int64, Float32)
Turn = Callable[[Int64, Int64, Int64, Int64], tuple[Int64, Int64]]

MIN_POINTS, MAX_POINTS = 32, 2048
Q15 = 1 << 15


def check_points(n: int) -> None:
    """Raises UsageError unless `n` is a size that the kernels have."""
    if not MIN_POINTS <= n <= MAX_POINTS or n & (n - 1):
        raise UsageError(f"an FFT of {n} points; choose a power of two from {MIN_POINTS} to {MAX_POINTS}")


def max_sample_s32(n: int) -> int:
    """Largest magnitude of a sample of `rfft_s32` that can never overflow: (2^31 - 2^16) / n."""
    return ((1 << 31) - (1 << 16)) // n


def twiddles_s32(n: int) -> Int16:
    """int16 [n/4 + 1]: cos(2 pi i / n) in Q15, 1 saturated to 32767. The s16 FFT uses the same table."""
    check_points(n)
    wave = np.asarray(np.rint(np.cos(2 * np.pi * np.arange(n // 4 + 1) / n) * Q15), np.int64)
    return np.minimum(wave, Q15 - 1).astype(np.int16)


def _turns(quarter: Value, index: Int64) -> tuple[Value, Value]:
    """Cosines and sines at `index` (of n to a full turn, below 3n/4), from a quarter wave."""
    q = len(quarter) - 1
    wave = np.concatenate([quarter[:q], -quarter[:0:-1], -quarter[:q], quarter[:0:-1]])
    return wave[index], wave[(index - q) % (4 * q)]


def bit_reversed(m: int) -> Int64:
    """The permutation that decimation in time starts with."""
    order = np.zeros(1, np.int64)
    while len(order) < m:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order


def _half_turn(re: Int64, im: Int64, c: Int64, s: Int64) -> tuple[Int64, Int64]:
    """Half of (re + j im) (c - j s) for Q15 c and s, every product rounded down."""
    return ((re * c) >> 16) + ((im * s) >> 16), ((im * c) >> 16) - ((re * s) >> 16)


def _radix4_s32(re: Int64, im: Int64, quarter: Int64, q: int) -> tuple[Int64, Int64]:
    """One stage over [..., m] values: transforms of q points become transforms of 4 q."""
    m = re.shape[-1]
    index = np.arange(q, dtype=np.int64) * (m // (2 * q))
    shape = (*re.shape[:-1], m // (4 * q), 4, q)
    r, i = re.reshape(shape), im.reshape(shape)
    turned = []
    for place, times in ((1, 2), (2, 1), (3, 3)):  # bit-reversed order: the second quarter holds every fourth sample from 2
        hr, hi = _half_turn(r[..., place, :], i[..., place, :], *_turns(quarter, times * index))
        # The twiddle of element 0 is 1, and it is not multiplied.
        tr, ti = 2 * hr, 2 * hi
        tr[..., 0], ti[..., 0] = r[..., place, 0], i[..., place, 0]
        turned.append((tr, ti))
    return _butterflies(r, i, turned, re.shape)


def _butterflies(r: Value, i: Value, turned: Sequence[tuple[Value, Value]], shape: tuple[int, ...]) -> tuple[Value, Value]:
    """Four-point sums of element 0 of every group with the turned elements 1 to 3, in one order for all arithmetics."""
    (br, bi), (cr, ci), (dr, di) = turned
    ar, ai = r[..., 0, :], i[..., 0, :]
    s0r, s0i, s1r, s1i = ar + br, ai + bi, ar - br, ai - bi
    s2r, s2i, s3r, s3i = cr + dr, ci + di, cr - dr, ci - di
    out_r = np.stack([s0r + s2r, s1r + s3i, s0r - s2r, s1r - s3i], axis=-2)
    out_i = np.stack([s0i + s2i, s1i - s3r, s0i - s2i, s1i + s3r], axis=-2)
    return out_r.reshape(shape), out_i.reshape(shape)


def _radix2(re: Value, im: Value) -> tuple[Value, Value]:
    def pairs(v: Value) -> Value:
        return np.stack([v[..., ::2] + v[..., 1::2], v[..., ::2] - v[..., 1::2]], axis=-1).reshape(v.shape)

    return pairs(re), pairs(im)


def rfft_s32(x: npt.ArrayLike) -> Int32:
    """int32 [..., n] samples to their packed spectrum int32 [..., n], unscaled (X[k] is the plain sum).

    |x| must not exceed `max_sample_s32(n)`. The C is `sg_rfft_s32`.
    """
    samples = np.asarray(x)
    n = samples.shape[-1]
    quarter = twiddles_s32(n).astype(np.int64)
    m = n // 2
    order = bit_reversed(m)
    re, im = samples[..., ::2][..., order].astype(np.int64), samples[..., 1::2][..., order].astype(np.int64)
    q = 1
    if m.bit_length() % 2 == 0:
        re, im = _radix2(re, im)
        q = 2
    while q < m:
        re, im = _radix4_s32(re, im, quarter, q)
        q *= 4
    return _split(re, im, quarter, _half_turn).astype(np.int32)


def _top(re: Int64, im: Int64) -> Int64:
    """[...]: the smallest t with -2^t <= v < 2^t for every real and imaginary part v of a block."""
    bits = np.bitwise_or.reduce((re ^ (re >> 63)) | (im ^ (im >> 63)), axis=-1)
    return np.asarray(np.frexp(bits.astype(np.float64))[1], np.int64)


def _level(re: Int64, im: Int64, least: int, exponent: Int64) -> tuple[Int64, Int64, Int64, Int64]:
    """Blocks with top = 15 halved (rounded down), those with top < `least` shifted up to 14.

    Returns the blocks, their exponents, and whether the next stage has to halve twice.
    """
    top = _top(re, im)
    up = np.where(top == 15, -1, np.where(top < least, 14 - top, 0))
    left, right = np.maximum(up, 0)[..., None], np.maximum(-up, 0)[..., None]
    return (re << left) >> right, (im << left) >> right, exponent - up, (top + up >= 14).astype(np.int64)


def _turn_s16(re: Int64, im: Int64, c: Int64, s: Int64) -> tuple[Int64, Int64]:
    """Half of (re + j im) (c - j s) for Q15 c and s, rounded to nearest."""
    return (re * c + im * s + 0x8000) >> 16, (im * c - re * s + 0x8000) >> 16


def _radix4_s16(re: Int64, im: Int64, quarter: Int64, q: int, half: Int64) -> tuple[Int64, Int64]:
    """One stage, times 1/2, or 1/4 where `half` [...] is 1."""
    m = re.shape[-1]
    index = np.arange(q, dtype=np.int64) * (m // (2 * q))
    shape = (*re.shape[:-1], m // (4 * q), 4, q)
    r, i = re.reshape(shape), im.reshape(shape)
    turned = [
        _turn_s16(r[..., place, 1:], i[..., place, 1:], *_turns(quarter, times * index[1:]))
        for place, times in ((1, 2), (2, 1), (3, 3))
    ]
    (br, bi), (cr, ci), (dr, di) = turned
    ar, ai = r[..., 0, 1:] >> 1, i[..., 0, 1:] >> 1
    # Element 0 has no twiddles: its first sums are halved instead of their terms.
    r0, i0 = [r[..., p, :1] for p in range(4)], [i[..., p, :1] for p in range(4)]

    def both(first: Int64, others: Int64) -> Int64:
        return np.concatenate([first >> 1, others], axis=-1)

    s0r, s0i = both(r0[0] + r0[1], ar + br), both(i0[0] + i0[1], ai + bi)
    s1r, s1i = both(r0[0] - r0[1], ar - br), both(i0[0] - i0[1], ai - bi)
    s2r, s2i = both(r0[2] + r0[3], cr + dr), both(i0[2] + i0[3], ci + di)
    s3r, s3i = both(r0[2] - r0[3], cr - dr), both(i0[2] - i0[3], ci - di)
    down = half[..., None, None, None]
    out_r = np.stack([s0r + s2r, s1r + s3i, s0r - s2r, s1r - s3i], axis=-2) >> down
    out_i = np.stack([s0i + s2i, s1i - s3r, s0i - s2i, s1i + s3r], axis=-2) >> down
    return out_r.reshape(re.shape), out_i.reshape(re.shape)


def rfft_s16(x: npt.ArrayLike) -> tuple[Int16, Int32]:
    """int16 [..., n] samples to their packed spectrum int16 [..., n] and exponents int32 [...]: X = packed * 2^exponent.

    Block floating point: every stage scales by what the largest value of the block demands. The C is `sg_rfft_s16`.
    """
    samples = np.asarray(x)
    n = samples.shape[-1]
    quarter = twiddles_s32(n).astype(np.int64)
    m = n // 2
    order = bit_reversed(m)
    re, im = samples[..., ::2][..., order].astype(np.int64), samples[..., 1::2][..., order].astype(np.int64)
    re, im, exponent, half = _level(re, im, 13, np.zeros(samples.shape[:-1], np.int64))
    q = 1
    if m.bit_length() % 2 == 0:
        re, im = (v >> 1 for v in _radix2(re, im))
        re, im, exponent, half = _level(re, im, 13, exponent + 1)
        q = 2
    while q < m:
        re, im = _radix4_s16(re, im, quarter, q, half)
        q *= 4
        re, im, exponent, half = _level(re, im, 13 if q < m else 0, exponent + 1 + half)
    return _split(re, im, quarter, _turn_s16).astype(np.int16), exponent.astype(np.int32)


def _split(re: Int64, im: Int64, quarter: Int64, turn: Turn) -> Int64:
    """The spectrum of n real samples from the transform of n/2 complex ones; `turn` gives half a product."""
    m = re.shape[-1]
    k = np.arange(1, m // 2)
    lr, li, hr, hi = re[..., k], im[..., k], re[..., m - k], im[..., m - k]
    er, ei = (lr + hr) >> 1, (li - hi) >> 1
    pr, pi = turn(li + hi, hr - lr, quarter[k], quarter[m // 2 - k])
    return _packed(re, im, (er + pr, ei + pi), (er - pr, pi - ei))


def _packed(re: Value, im: Value, low: tuple[Value, Value], high: tuple[Value, Value]) -> Value:
    """The packed spectrum: `low` is X[1 ... m/2 - 1], `high` X[m - 1 ... m/2 + 1]; the rest follows from Z = re + j im."""
    m = re.shape[-1]
    out = np.empty((*re.shape[:-1], 2 * m), re.dtype)
    out[..., 0], out[..., 1] = re[..., 0] + im[..., 0], re[..., 0] - im[..., 0]
    out[..., m], out[..., m + 1] = re[..., m // 2], -im[..., m // 2]
    out[..., 2:m:2], out[..., 3:m:2] = low
    out[..., 2 * m - 2 : m : -2], out[..., 2 * m - 1 : m + 1 : -2] = high
    return out


def twiddles_f32(n: int) -> Float32:
    """float32 [n/4 + 1]: cos(2 pi i / n); the last is exactly 0."""
    check_points(n)
    wave = np.cos(2 * np.pi * np.arange(n // 4 + 1) / n)
    wave[-1] = 0.0
    return wave.astype(np.float32)


def _turn_f32(re: Float32, im: Float32, c: Float32, s: Float32) -> tuple[Float32, Float32]:
    return re * c + im * s, im * c - re * s


def _radix4_f32(re: Float32, im: Float32, quarter: Float32, q: int) -> tuple[Float32, Float32]:
    m = re.shape[-1]
    index = np.arange(q, dtype=np.int64) * (m // (2 * q))
    shape = (*re.shape[:-1], m // (4 * q), 4, q)
    r, i = re.reshape(shape), im.reshape(shape)
    turned = []
    for place, times in ((1, 2), (2, 1), (3, 3)):
        tr, ti = _turn_f32(r[..., place, :], i[..., place, :], *_turns(quarter, times * index))
        tr[..., 0], ti[..., 0] = r[..., place, 0], i[..., place, 0]
        turned.append((tr, ti))
    return _butterflies(r, i, turned, re.shape)


def rfft_f32(x: npt.ArrayLike) -> Float32:
    """float32 [..., n] samples to their packed spectrum float32 [..., n], unscaled; every operation rounds once.

    The C is `sg_rfft_f32`: bit for bit the same where the compiler fuses no multiplication with an addition.
    """
    samples = np.asarray(x, np.float32)
    n = samples.shape[-1]
    quarter = twiddles_f32(n)
    m = n // 2
    order = bit_reversed(m)
    re, im = samples[..., ::2][..., order], samples[..., 1::2][..., order]
    q = 1
    if m.bit_length() % 2 == 0:
        re, im = _radix2(re, im)
        q = 2
    while q < m:
        re, im = _radix4_f32(re, im, quarter, q)
        q *= 4
    k = np.arange(1, m // 2)
    half = np.float32(0.5)
    lr, li, hr, hi = re[..., k], im[..., k], re[..., m - k], im[..., m - k]
    er, ei = half * (lr + hr), half * (li - hi)
    pr, pi = _turn_f32(half * (li + hi), half * (hr - lr), quarter[k], quarter[m // 2 - k])
    return _packed(re, im, (er + pr, ei + pi), (er - pr, pi - ei))


def unpack(packed: npt.NDArray[np.number]) -> npt.NDArray[np.complex128]:
    """The packed spectrum [..., n] as complex numbers [..., n/2 + 1]."""
    n = packed.shape[-1]
    out = np.empty((*packed.shape[:-1], n // 2 + 1), np.complex128)
    out[..., 0], out[..., -1] = packed[..., 0], packed[..., 1]
    out[..., 1:-1] = packed[..., 2::2] + 1j * packed[..., 3::2].astype(np.float64)
    return out
