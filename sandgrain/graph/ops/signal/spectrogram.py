"""Spectrogram: the spectrum of short, overlapping frames, linear or logarithmic.

int16 [1, samples, channels] becomes [1, frames, channels * bins]: frame by frame all bins of channel 0, then of channel 1 ...
X[k] is the plain sum over a tapered frame whose full scale is 1, so that a sine of full scale gives |X| = sum(taper) / 2.
Attributes:

  window, hop, fft, taper    samples, samples, points (a power of two), one of `frames.TAPERS`, periodic or (`symmetric`) symmetric
  precision                  of the FFT: "int32", "int16" (block floating point, half the RAM) or "float"
  power, log, floor          1: |X|, 2: |X|^2; log: natural logarithm of that plus `floor`
  bins                       the first and the last bin that are kept

Fixed point: logarithms in units of 2^-10; |X| in units of fft / 2^16, which a full-scale sine cannot exceed; |X|^2 in
units of fft^2 / 2^17, which is coarse: quiet signals want magnitudes or logarithms.

All precisions make |X|^2 a 64-bit integer in units of 2^-(62 - 2 log2(fft)) first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Shape, Step, need, need_inputs
from sandgrain.graph.ops.samples import draw_quant, one_op
from sandgrain.graph.ops.signal.base import FINISH, SignalOp, check_finish, finish, need_signal
from sandgrain.graph.ops.signal.fft import MAX_POINTS, MIN_POINTS, Int32, rfft_f32, rfft_s16, rfft_s32
from sandgrain.graph.ops.signal.frames import (
    DRAWN_TAPERS,
    MAX_HEADROOM,
    SPECTRAL,
    TAPERS,
    UInt64,
    frame,
    frame_count,
    headroom_of,
    power_f32,
    power_s16,
    power_s32,
    taper_of,
    window_shift,
    windowed_f32,
    windowed_s16,
    windowed_s32,
)
from sandgrain.graph.ops.signal.roots import bit_length, isqrt, log2_q16
from sandgrain.graph.quantization import high_mul, per_tensor, rounding_shift

PRECISIONS = {"int32": "s32", "int16": "s16", "float": "f32"}
LOG_BITS = 10  # fraction bits of a logarithm
ROOT_BITS = 12  # fraction bits of a root before its logarithm is taken
MIN_FLOOR = 2.0**-43  # its logarithm, -29.8, is the least that can come out: 16 bits hold it
FLOOR_BITS = 4  # log2 of the least units that a floor may be: silence is then right within 0.04
LN2_Q31 = round(math.log(2) * 2**31)


def fraction_of(a: Attrs) -> int:
    """Fractional bits of an int32 spectrum whose samples are integers."""
    return 15 - window_shift(a["fft"])


def unit_bits(a: Attrs) -> int:
    """log2 of what counts as 1 before the logarithm is taken: of a power, or of a root with ROOT_BITS."""
    whole = fraction_of(a) + 15 - headroom_of(a)
    return whole + ROOT_BITS if a["power"] == 1 else 2 * whole


def floor_of(a: Attrs) -> tuple[int, int]:
    """The floor in those units as (floor, shift): floor * 2^shift, floor < 2^31."""
    real = a["floor"] * 2.0 ** unit_bits(a)
    shift = max(0, math.frexp(real)[1] - 30)
    return round(real / 2.0**shift), shift


def squares(a: Attrs, frames: Array) -> UInt64:
    """|X|^2 of int16 frames [..., window] in units of 2^-(62 - 2 log2(fft)): uint64 [..., fft/2 + 1], below 2^62."""
    taper, fft = taper_of(a), int(a["fft"])
    if a["precision"] == "int32":
        return power_s32(rfft_s32(windowed_s32(frames, taper, fft)))
    if a["precision"] == "float":
        return power_f32(rfft_f32(windowed_f32(frames, taper, fft)), 2 * fraction_of(a) - 30)
    samples, lift = windowed_s16(frames, taper, fft)
    packed, exponent = rfft_s16(samples)
    return power_s16(packed, 2 * (exponent - lift + fraction_of(a)))


def _roots(square: UInt64) -> UInt64:
    """sqrt with ROOT_BITS fractional bits, 16 of all bits right."""
    zeros = (64 - bit_length(square)) & ~1
    top = (square << np.minimum(zeros, 62).astype(np.uint64)) >> np.uint64(32)
    root = isqrt(top).astype(np.uint64) << np.uint64(16 + ROOT_BITS)
    return np.asarray(root >> (zeros // 2).astype(np.uint64), np.uint64)


def values(a: Attrs, square: UInt64) -> Int32:
    """Fixed-point values of |X|^2, same shape. The C is `sg_spectrum_value`."""
    if not a["log"]:
        if a["power"] == 2:
            return (square >> np.uint64(45)).astype(np.int32)
        return isqrt(np.minimum(square >> np.uint64(30), np.uint64(2**32 - 1))).astype(np.int32)
    floor, shift = floor_of(a)
    total = (_roots(square) if a["power"] == 1 else square) + np.uint64(floor << shift)
    bits = log2_q16(total).astype(np.int64) - (unit_bits(a) << 16)
    return rounding_shift(high_mul(bits << 8, LN2_Q31), 24 - LOG_BITS)


class Spectrogram(SignalOp):
    name = "spectrogram"
    summary = "spectrum of sliding frames: magnitude, power or the logarithm of either"
    attributes = kinds(
        bins=(int, int),
        fft=int,
        floor=float,
        hop=int,
        log=bool,
        power=int,
        precision=str,
        taper=str,
        window=int,
    )
    finishes = True
    optional = kinds(**FINISH, **SPECTRAL)

    def step(self, view: View) -> Step:
        """A frame at a time."""
        a = view.attrs
        return Step("frame", window=int(a["window"]), hop=int(a["hop"]), fields=(("frames", 1),))

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        _, samples, channels = need_signal(inputs[0]).shape
        window, hop, (first, last) = attrs["window"], attrs["hop"], attrs["bins"]
        if window < 1 or hop < 1 or samples < window:
            raise ModelError(f"frames of {window} samples every {hop} of {samples}")
        if not 0 <= first <= last <= attrs["fft"] // 2:
            raise ModelError(f"bins {first} to {last} of 0 to {attrs['fft'] // 2}")
        return ((1, frame_count(samples, window, hop), (last - first + 1) * channels),)

    def check(self, view: View) -> None:
        a = view.attrs
        legal = MIN_POINTS <= a["fft"] <= MAX_POINTS and a["fft"] & (a["fft"] - 1) == 0
        need(legal, f"an FFT of {a['fft']} points; choose a power of two from {MIN_POINTS} to {MAX_POINTS}")
        need(a["window"] <= a["fft"], f"frames of {a['window']} samples exceed an FFT of {a['fft']} points; choose a larger FFT")
        need(a["taper"] in TAPERS, f"no taper is called {a['taper']!r}; choose {', '.join(TAPERS)}")
        need(a["precision"] in PRECISIONS, f"no precision is called {a['precision']!r}; choose {', '.join(PRECISIONS)}")
        need(a["power"] in (1, 2), f"power {a['power']}; choose 1 (magnitude) or 2 (power)")
        need(0 <= headroom_of(a) <= MAX_HEADROOM, f"samples with {headroom_of(a)} bits of headroom; 0 to {MAX_HEADROOM}")
        if a["log"]:
            least = max(MIN_FLOOR, 2.0 ** (FLOOR_BITS - unit_bits(a)))
            need(least <= a["floor"] <= 1.0, f"a floor of {a['floor']}; choose {least:.2g} to 1")
        check_finish(self, view)

    def fixed_scale(self, view: View) -> float:
        a = view.attrs
        if a["log"]:
            return 2.0**-LOG_BITS
        whole = float(a["fft"] / 2**16 if a["power"] == 1 else a["fft"] ** 2 / 2**17)
        return whole * 2.0 ** (headroom_of(a) * int(a["power"]))

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x, a = inputs[0], view.attrs
        assert x is not None
        rows = np.stack([frame(x[0, :, c], a["window"], a["hop"]) for c in range(x.shape[2])], axis=1)
        kept = squares(a, rows)[..., a["bins"][0] : a["bins"][1] + 1]
        return (finish(self, view, values(a, kept)),)

    def macs(self, view: View) -> int:
        """Taper and FFT (4 a butterfly of two points)."""
        points, channels = int(view.attrs["fft"]), view.input(0).shape[2]
        return view.out.shape[1] * channels * (int(view.attrs["window"]) + points * (points.bit_length() - 1))

    def sample(self, draw: Draw) -> Graph:
        fft = draw.choice((32, 64, 128, 256))
        window, hop, channels = draw.integer(1, fft), draw.integer(1, fft), draw.choice((1, 1, 2, 3))
        first = draw.integer(0, fft // 2)
        a = attrs(
            window=window,
            hop=hop,
            fft=fft,
            taper=draw.choice(DRAWN_TAPERS),
            precision=draw.choice(tuple(PRECISIONS)),
            power=draw.choice((1, 2)),
            log=draw.choice((True, False)),
            floor=draw.choice((1e-8, 1e-6, 1e-3, 1.0)),
            bins=draw.choice(((0, fft // 2), (first, draw.integer(first, fft // 2)))),
        )
        x = Tensor("x", (1, window + draw.integer(0, 2) * hop + draw.integer(0, hop - 1), channels), "int16")
        shape, probe = self.shapes((x,), a)[0], one_op(self.name, (x,), (Tensor("y", (1,), "int16"),), a)
        scale = self.fixed_scale(probe.view(probe.nodes[0]))
        wide = Tensor("y", shape, "int16", per_tensor(scale, 0))
        quant = draw_quant(draw) if a["log"] else draw_quant(draw, scale, scale * 2000)
        return one_op(self.name, (x,), (draw.choice((wide, Tensor("y", shape, ACTIVATION, quant))),), a)
