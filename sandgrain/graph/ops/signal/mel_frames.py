"""What log_mel and mfcc share: from int16 audio to the logarithms of mel bands, in integers, exactly as `features/mel.h`.

A frame of `window` samples is multiplied by its taper, transformed (32-bit FFT, X scaled by 2^a), and the bins of every
side of a triangle are summed once (see mel.py): `up` with the weights of the band that rises there, `all` without. The
band below gets all - up. Sums are 64 bits wide. With power 2 the parts of a bin are multiplied by the root of its weight and
then squared, which keeps all 32 bits of the spectrum; with power 1 magnitudes are multiplied by the weight.

The logarithm is that of (sum + floor), 64 bits, minus a constant that puts full scale at 1. With `peak`, samples are not
divided by the largest one, P: quiet ones keep more bits below their unit, the floor is multiplied by P^power, and power * log P
is subtracted in the end, which is the same and loses nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Tensor, View
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Step, need, need_inputs
from sandgrain.graph.ops.signal.base import FINISH, SignalOp, check_finish, need_signal
from sandgrain.graph.ops.signal.fft import MAX_POINTS, MIN_POINTS, rfft_s32
from sandgrain.graph.ops.signal.frames import (
    DRAWN_TAPERS,
    MAX_HEADROOM,
    SPECTRAL,
    TAPERS,
    frame,
    frame_count,
    headroom_of,
    taper_of,
    window_shift,
    windowed_s32,
)
from sandgrain.graph.ops.signal.magnitude import magnitude_s32
from sandgrain.graph.ops.signal.mel import NORMS, SCALES, filterbank
from sandgrain.graph.ops.signal.roots import log2_q16
from sandgrain.graph.quantization import high_mul, rounding_shift

Int64 = npt.NDArray[np.int64]
UInt64 = npt.NDArray[np.uint64]

LOG_BITS = 10  # fraction bits of a natural logarithm: +-32 fits 16 bits
LN2_Q31 = round(math.log(2) * 2**31)
MAX_BANDS = 128
MIN_FLOOR = 2.0**-43  # its logarithm, -29.8, is the least that can come out: 16 bits hold it
FLOOR_BITS = 4  # log2 of the least units of a sum that a floor may be: silence is then right within 0.07
FULL_SCALE = 15  # log2 of it
LIFT = 12  # bits that a sum of magnitudes is shifted left: 2^51 becomes 2^63
MANTISSA = 30  # bits of the floor's


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """The constants of one attribute set. A row of `floor` and `offset` a band where their heights differ, else one row.

    The floor in units of a sum is floor * peak^power * 2^floor_shift, peak being 2^15 without `peak`.
    """

    first: int
    counts: npt.NDArray[np.int16]
    weights: npt.NDArray[np.int16]  # Q15; their roots with power 2
    floor: npt.NDArray[np.int32]
    floor_shift: int
    offset: npt.NDArray[np.int32]  # log2 of what a sum is for mel = 1, Q16


def unit_bits(a: Attrs) -> int:
    """log2 of what a sum is for mel = 1. No sum reaches 2^63: those of all |X|^2 are below 2^62, of all |X| below 2^36."""
    full = FULL_SCALE - (0 if a["peak"] else headroom_of(a))  # of a window that is divided by its peak, the peak is
    spectrum = 16 - (int(a["fft"]).bit_length() - 1) + full  # log2 of what X = 1 becomes
    return spectrum + 15 + LIFT if a["power"] == 1 else 2 * spectrum


def tables(a: Attrs) -> Tables:
    """The tables of a filterbank and its logarithm."""
    bank, power = filterbank(a), int(a["power"])
    weights = np.minimum(np.rint(bank.rise ** (1 / power) * 2**15), 2**15 - 1).astype(np.int16)
    unit = unit_bits(a)
    gains = bank.gains[:1] if a["norm"] == "none" else bank.gains
    floors = a["floor"] / gains
    exponent = MANTISSA - math.frexp(float(floors.max()))[1]
    return Tables(
        bank.first,
        bank.counts,
        weights,
        np.rint(floors * 2.0**exponent).astype(np.int32),
        unit - exponent - FULL_SCALE * power,
        np.rint((unit - np.log2(gains)) * 65536).astype(np.int32),
    )


# --- the reference --------------------------------------------------------------------------------------------------


def _shifted(value: UInt64, by: int) -> UInt64:
    return value << np.uint64(by) if by >= 0 else value >> np.uint64(-by)


def _sides(a: Attrs, t: Tables, spectrum: Array) -> tuple[Int64, Int64]:
    """`up` and `all` of every side: int64 [frames, bands + 1]."""
    used = spectrum[:, 2 * t.first : 2 * (t.first + len(t.weights))].astype(np.int64)
    re, im, weights = used[:, ::2], used[:, 1::2], t.weights.astype(np.int64)
    if a["power"] == 1:
        whole = magnitude_s32(re, im)
        parts, total = whole * weights, whole << 15
    else:
        parts = ((re * weights) >> 16) ** 2 + ((im * weights) >> 16) ** 2
        total = re * re + im * im
    ends = np.concatenate([[0], np.cumsum(t.counts)])

    def sums(v: Int64) -> Int64:  # wraps nowhere: sums of all bins fit 63 bits
        running = np.concatenate([np.zeros((len(v), 1), np.int64), np.cumsum(v, axis=1)], axis=1)
        return np.asarray(np.diff(running[:, ends], axis=1), np.int64)

    up, everything = sums(parts), sums(total)
    return (up, everything) if a["power"] == 1 else (up << 2, everything)


def loudness(x: npt.NDArray[np.int16], peak: bool, most: int) -> tuple[int, int]:
    """(lift, peak) of a window: how many bits its samples go left, `most` at most, and the largest one after that.

    (0, 2^15) without `peak`. A signal whose largest sample is 0 is divided by full scale: TensorFlow's recipe divides by 0.
    """
    if not peak:
        return 0, 1 << FULL_SCALE
    wide = x.astype(np.int64)
    spread = int(np.bitwise_or.reduce(wide ^ (wide >> 63)))
    lift, largest = min(15 - spread.bit_length(), most), abs(int(wide.max()))
    return lift, largest << lift if largest else 1 << FULL_SCALE


def log_bands(a: Attrs, audio: npt.NDArray[np.int16]) -> npt.NDArray[np.int32]:
    """Logarithms with LOG_BITS fraction bits, int32 [frames, bands], of int16 [samples]."""
    t, power = tables(a), int(a["power"])
    lift, peak = loudness(audio, bool(a["peak"]), window_shift(a["fft"]) - 1)
    rows = frame(audio, a["window"], a["hop"])
    up, everything = _sides(a, t, rfft_s32(windowed_s32(rows, taper_of(a), a["fft"], -lift)))
    sums = (up[:, :-1] + np.maximum(everything[:, 1:] - up[:, 1:], 0)).astype(np.uint64)
    floor = _shifted(t.floor.astype(np.uint64) * np.uint64(peak**power), t.floor_shift)
    logs = log2_q16((sums << np.uint64(LIFT if power == 1 else 0)) + floor).astype(np.int64)
    logs -= t.offset + power * (log2_q16(peak).astype(np.int64) - (FULL_SCALE << 16))
    return rounding_shift(high_mul(logs << 8, LN2_Q31), 24 - LOG_BITS)


# --- the op ----------------------------------------------------------------------------------------------------------


class MelOp(SignalOp):
    """The attributes, shapes and C of both ops.

    rate (Hz), window, hop (samples), fft (points), taper (and perhaps symmetric, headroom), bands, low, high (Hz), scale, norm, power (1 magnitude, 2 power),
    floor (added before the logarithm; full scale is 1), peak (divide the signal by its largest sample first).
    """

    attributes = kinds(
        rate=float,
        window=int,
        hop=int,
        fft=int,
        power=int,
        low=float,
        high=float,
        floor=float,
        norm=str,
        peak=bool,
        taper=str,
        scale=str,
        bands=int,
    )
    finishes = True
    optional = kinds(**FINISH, **SPECTRAL)

    def step(self, view: View) -> Step:
        """A frame at a time, but where each is divided by the peak of the whole window."""
        a = view.attrs
        peak = "features that divide by the window's peak cannot stream; set peak = false" if a.get("peak") else ""
        return Step("frame", window=int(a["window"]), hop=int(a["hop"]), fields=(("frames", 1),), refused=peak)

    def rows(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> int:
        """Frames of the input. Raises ModelError when it holds none."""
        need_inputs(inputs, 1)
        samples = need_signal(inputs[0]).shape[1]
        if attrs["window"] < 1 or attrs["hop"] < 1 or samples < attrs["window"]:
            raise ModelError(f"frames of {attrs['window']} samples every {attrs['hop']} of {samples}")
        return frame_count(samples, attrs["window"], attrs["hop"])

    def check(self, view: View) -> None:
        a = view.attrs
        need(view.input(0).shape[2] == 1, f"a signal of {view.input(0).shape[2]} channels; mix it down to one")
        legal = MIN_POINTS <= a["fft"] <= MAX_POINTS and a["fft"] & (a["fft"] - 1) == 0
        need(legal, f"an FFT of {a['fft']} points; choose a power of two from {MIN_POINTS} to {MAX_POINTS}")
        need(a["window"] <= a["fft"], f"frames of {a['window']} samples exceed an FFT of {a['fft']} points; choose a larger FFT")
        need(1 <= a["bands"] <= MAX_BANDS, f"{a['bands']} bands; 1 to {MAX_BANDS} are supported")
        edges = 0 <= a["low"] < a["high"] <= a["rate"] / 2
        need(edges, f"bands from {a['low']} to {a['high']} Hz of {a['rate'] / 2} Hz; 0 <= low < high <= half the rate")
        need(a["scale"] in SCALES, f"no mel scale is called {a['scale']!r}; choose {', '.join(SCALES)}")
        need(a["norm"] in NORMS, f"no norm is called {a['norm']!r}; choose {', '.join(NORMS)}")
        need(a["taper"] in TAPERS, f"no taper is called {a['taper']!r}; choose {', '.join(TAPERS)}")
        need(a["power"] in (1, 2), f"power {a['power']}; choose 1 (magnitude) or 2 (power)")
        need(0 <= headroom_of(a) <= MAX_HEADROOM, f"samples with {headroom_of(a)} bits of headroom; 0 to {MAX_HEADROOM}")
        least = max(MIN_FLOOR, 2.0 ** (FLOOR_BITS - unit_bits(a)))
        need(least <= a["floor"] <= 1.0, f"a floor of {a['floor']}; choose {least:.2g} to 1")
        largest = a["floor"] / float(filterbank(a).gains.min())
        need(math.log2(largest) + unit_bits(a) < 61, f"a floor of {a['floor']} on bands of this norm; choose a lower one")
        check_finish(self, view)

    def macs(self, view: View) -> int:
        """Taper, FFT (4 a butterfly of two points), weights."""
        a = view.attrs
        points, rows = int(a["fft"]), self.rows(view.inputs, a)
        transform = points * (points.bit_length() - 1)
        return rows * (int(a["window"]) + transform + 2 * len(filterbank(a).rise))


def draw_attributes(draw: Draw) -> dict[str, Any]:
    """Random legal attributes for `Op.sample`, FFTs of up to 256 points."""
    fft = draw.choice((32, 64, 128, 256))
    rate, power = draw.choice((119, 8000, 16000)), draw.choice((1, 2))
    low = draw.choice((0.0, draw.real(0.001, 0.2) * rate))
    norm = draw.choice(NORMS)
    return {
        "rate": rate, "window": draw.integer(1, fft), "hop": draw.integer(1, fft), "fft": fft, "power": power,
        "bands": draw.choice((1, 2, 5, 16, 40, MAX_BANDS)), "low": low, "high": draw.choice((rate / 2, low + 0.25 * rate)),
        "taper": draw.choice(DRAWN_TAPERS), "scale": draw.choice(SCALES), "norm": norm,
        "floor": draw.choice((1e-11, 1e-6, 1e-3, 1.0) if norm == "none" else (1e-11, 1e-6)), "peak": draw.choice((True, False)),
    }  # fmt: skip


def signal_of(draw: Draw, a: Mapping[str, Any]) -> Tensor:
    """An input of one to three frames."""
    samples = a["window"] + draw.integer(0, 2) * a["hop"] + draw.integer(0, a["hop"] - 1)
    return Tensor("x", (1, samples, 1), "int16")
