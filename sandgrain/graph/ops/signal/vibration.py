"""What a vibration or a motion sounds like: for each channel statistics, log powers of frequency bands, and the largest peaks.

The spectrum is Welch's: the channel less its mean, Hann-tapered frames, FFTs, powers averaged over the frames. A band's power
is its share of the mean square, in the signal's units squared; its column is log2 of that in 1/256, -16 at least (less than
int16 samples resolve). A peak is a local maximum of the spectrum, the largest come first: its frequency in 1/32 of a bin, from
a parabola through three log powers, and the log power of its bin; where there is none, 0 and -16.

int16 [1, n, channels] to [1, channels * (statistics + bands + 2 * peaks)], channel by channel. The columns have units of
their own (`column_scales`), so the output has no quantization; `standardize` brings them to int8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from sandgrain.base.errors import UsageError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Shape, need, need_inputs
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.signal.base import INT16_MAX, SignalOp, need_signal
from sandgrain.graph.ops.signal.correlation import PAIRED, UNIT, drawn, pairs_of
from sandgrain.graph.ops.signal.fft import Int64, check_points, rfft_s32
from sandgrain.graph.ops.signal.frames import UInt64, frame_count, power_s32, taper_q15, window_shift, windowed_s32
from sandgrain.graph.ops.signal.moments import STATISTICS, check_names, deviations, statistics, units
from sandgrain.graph.ops.signal.roots import log2_q16
from sandgrain.graph.ops.signal.statistics import need_columns, need_pairs, signal_scale, with_correlations

WHICH = ("rms", "skewness", "kurtosis", "zero_crossings")
LOWEST = -16 * 256  # log2 of a power, in 1/256
STEPS = 32  # of a peak's frequency in a bin
MAX_PEAKS = 8
MAX_BANDS = 64


def attributes(
    samples: int,
    rate: float,
    *,
    fft: int,
    edges: Sequence[float],
    peaks: int = 2,
    which: Sequence[str] = WHICH,
    window: int | None = None,
    hop: int | None = None,
) -> Attrs:
    """Attributes for windows of `samples` at `rate` (Hz).

    `fft`: points, a power of two from 32 to 2048. `window`: samples of a frame, by default `fft` or all there are; `hop`:
    from frame to frame, by default half of it. `edges` (Hz, rising): band k holds the bins from edge k to below edge k + 1, the
    last one its upper edge too; peaks are looked for in between the outer ones. `which`: see `moments.STATISTICS`.
    Raises UsageError (UnsupportedError for a statistic) where these do not fit together.
    """
    check_points(fft)
    check_names(which)
    window = min(fft, samples) if window is None else window
    hop = max(window // 2, 1) if hop is None else hop
    if not 1 < window <= min(fft, samples) or hop < 1:
        raise UsageError(f"frames of {window} samples every {hop}; choose 2 to {min(fft, samples)}, and a hop of 1 or more")
    if not 0 <= peaks <= MAX_PEAKS:
        raise UsageError(f"{peaks} peaks; choose 0 to {MAX_PEAKS}")
    return attrs(
        fft=fft, window=window, hop=hop, bands=_bins(edges, rate, fft), peaks=peaks, which=tuple(which), rate=float(rate)
    )


def _bins(edges: Sequence[float], rate: float, fft: int) -> tuple[int, ...]:
    """The first bin of each band, and the one after the last."""
    if not (math.isfinite(rate) and rate > 0) or not all(0 <= e <= rate / 2 for e in edges) or len(edges) < 2:
        raise UsageError(f"give two band edges at least, from 0 to {rate / 2:g} Hz, half the sampling rate")
    bins = [math.ceil(round(e * fft / rate, 6)) for e in edges]
    bins[-1] = math.floor(round(edges[-1] * fft / rate, 6)) + 1
    for k, (low, high) in enumerate(pairwise(bins)):
        if high <= low:
            raise UsageError(
                f"the band from {edges[k]:g} to {edges[k + 1]:g} Hz holds none of the bins, {rate / fft:g} Hz apart; "
                "widen it or take a larger FFT"
            )
    if len(bins) > MAX_BANDS + 1:
        raise UsageError(f"{len(bins) - 1} bands, {MAX_BANDS} at most; give fewer edges")
    return tuple(bins)


def frames_of(view: View) -> int:
    """Frames of a channel."""
    return frame_count(view.input(0).shape[1], view.attrs["window"], view.attrs["hop"])


def spectrum_shift(view: View) -> int:
    """Of the product of deviation and taper: the powers of a spectrum sum to 2^61 at most, those of all frames to 2^63."""
    headroom = 0
    while 4 << (2 * headroom) < frames_of(view):
        headroom += 1
    return window_shift(view.attrs["fft"], headroom)


def level_offset(view: View) -> int:
    """log2 (16 fraction bits) of what a unit of the mean square is in the sum of powers of all frames, for lift 0: the
    fraction bits, twice, the frames, the FFT's gain and the taper's; one half, since only half of the bins are summed."""
    energy = int((taper_q15("hann", view.attrs["window"]).astype(np.int64) ** 2).sum()) / 2**30
    bits = 2 * (15 - spectrum_shift(view)) - 1
    return round(65536 * (bits + math.log2(frames_of(view) * view.attrs["fft"] * energy)))


def _columns(a: Attrs) -> int:
    return len(a["which"]) + len(a["bands"]) - 1 + 2 * int(a["peaks"])


def _power(view: View, e: Int64) -> UInt64:
    """Deviations [channels, samples] to powers [channels, fft / 2 + 1] of all frames; the outer bins count half, since the
    others stand for two."""
    a = view.attrs
    starts = np.arange(frames_of(view)) * a["hop"]
    frames = e[:, starts[:, None] + np.arange(a["window"])]
    headroom = spectrum_shift(view) - window_shift(a["fft"])
    spectra = rfft_s32(windowed_s32(frames, taper_q15("hann", a["window"]), a["fft"], headroom))
    power: UInt64 = power_s32(spectra).sum(axis=1, dtype=np.uint64)
    power[:, [0, -1]] >>= np.uint64(1)
    return power


def _level(log: Int64, offset: int) -> list[int]:
    """log2 of sums of powers (16 fraction bits) to columns."""
    return [int(v) for v in np.clip((log - offset + (1 << 7)) >> 8, LOWEST, INT16_MAX)]


def _peaks(power: UInt64, log: Int64, a: Attrs, offset: int) -> list[int]:
    """(frequency, log power) of the largest local maxima, and what stands for missing ones; `log` is that of `power`."""
    k = np.arange(max(a["bands"][0], 1), min(a["bands"][-1], len(power) - 1))
    maxima = k[(power[k] > power[k - 1]) & (power[k] >= power[k + 1])].tolist()
    chosen = sorted(maxima, key=lambda m: (-int(power[m]), m))[: a["peaks"]]
    found: list[int] = []
    for p, level in zip(chosen, _level(log[chosen], offset), strict=True):
        below, top, above = log[p - 1 : p + 2].tolist()
        curve = 2 * top - below - above
        part = (STEPS // 2 * (above - below) + (curve >> 1)) // curve if curve else 0
        found += [p * STEPS + part, level]
    return found + [0, LOWEST] * (a["peaks"] - len(chosen))


class Vibration(SignalOp):
    name = "vibration"
    summary = "statistics, band powers and spectral peaks of each channel"
    attributes = kinds(bands=[int], fft=int, hop=int, peaks=int, rate=float, which=[str], window=int)
    optional = PAIRED

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        channels = need_signal(inputs[0]).shape[2]
        return ((1, channels * _columns(attrs) + pairs_of(channels, attrs)),)

    def check(self, view: View) -> None:
        a = view.attrs
        check_names(a["which"])
        need_columns(view)
        need_pairs(view)
        check_points(a["fft"])
        need(
            1 < a["window"] <= a["fft"] and a["hop"] >= 1 and frames_of(view) >= 1,
            f"a frame of {a['window']} samples does not fit",
        )
        need(0 <= a["peaks"] <= MAX_PEAKS and 2 <= len(a["bands"]) <= MAX_BANDS + 1, "too many bands or peaks, or no band")
        rising = all(low < high for low, high in pairwise(a["bands"]))
        need(
            rising and a["bands"][0] >= 0 and a["bands"][-1] <= a["fft"] // 2 + 1,
            "band edges that do not rise within the spectrum",
        )

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        a, moved = view.attrs, [deviations(x[0, :, c].astype(np.int64)) for c in range(x.shape[2])]
        power = _power(view, np.stack([e for e, _ in moved]))
        sums = np.stack([power[:, low:high].sum(axis=1, dtype=np.uint64) for low, high in pairwise(a["bands"])], axis=1)
        log, log_sums = log2_q16(power).astype(np.int64), log2_q16(sums).astype(np.int64)
        columns, unlifted = [], level_offset(view)
        for c, (_, lift) in enumerate(moved):
            offset = unlifted + (2 * lift << 16)
            peaks = _peaks(power[c], log[c], a, offset)
            columns.append([*statistics(x[0, :, c], a["which"]), *_level(log_sums[c], offset), *peaks])
        return (with_correlations(view, x, columns),)

    def macs(self, view: View) -> int:
        points, frames = view.attrs["fft"], frames_of(view) * view.input(0).shape[2]
        return int(frames * (view.attrs["window"] + points * (points.bit_length() - 1)))

    def fixed_scale(self, view: View) -> float:
        return 1.0

    def column_scales(self, view: View) -> Sequence[float]:
        """Log powers in octaves (log2), frequencies in Hz."""
        a = view.attrs
        peaks = [a["rate"] / a["fft"] / STEPS, 1 / 256] * a["peaks"]
        one = [*units(a["which"], signal_scale(view)), *[1 / 256] * (len(a["bands"]) - 1), *peaks]
        channels = view.input(0).shape[2]
        return [*one * channels, *[UNIT] * pairs_of(channels, a)]

    def sample(self, draw: Draw) -> Graph:
        fft, rate = draw.choice((32, 64, 128)), 100.0
        samples, channels = draw.choice((2, 17, 40, 64, 119, 150)), draw.choice((1, 2, 3, 6))
        window = draw.integer(2, min(fft, samples))
        which = tuple(n for n in STATISTICS if draw.choice((True, False, False)))
        edges = draw.choice(((0, 50), (0, 10, 20, 30, 40, 50), (5, 25, 45), (10, 20)))
        a = attributes(
            samples,
            rate,
            fft=fft,
            edges=edges,
            peaks=draw.choice((0, 1, 3, MAX_PEAKS)),
            which=which,
            window=window,
            hop=draw.choice((1, max(window // 2, 1), window)),
        )
        x = Tensor("x", (1, samples, channels), "int16")
        a = attrs(**a, **drawn(draw, channels))
        return one_op(self.name, (x,), (Tensor("y", self.shapes((x,), a)[0], "int16"),), a)
