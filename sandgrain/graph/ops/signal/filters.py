"""Filter design: Butterworth sections by the bilinear transform, and a Kaiser-windowed sinc; floats in, integers out.

Sources: A. V. Oppenheim and R. W. Schafer, "Discrete-Time Signal Processing", chapter 7 (bilinear transform, Kaiser's
formulas for the window's shape and length).
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sandgrain.base.errors import UsageError
from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.base import need
from sandgrain.graph.quantization import quantize_multiplier

KINDS = ("highpass", "lowpass", "bandpass")
ORDERS = (2, 4)
Q = 30  # fraction bits of a section's a1 and a2: |a1| < 2 for every stable section
LEAST_UNITS = 64  # units of 2^-Q that 1 + a1 + a2, the square of a low pole's frequency, must have: then it is right to 1.6 %


@dataclass(frozen=True, slots=True)
class Section:
    """Two poles and two zeros in integers: y = gain * (x + zero * x1 + x2) - a1 * y1 - a2 * y2.

    `zero` is 2 (both zeros at half the rate: low-pass) or -2 (both at 0 Hz: high-pass, exactly none of a constant passes).
    a1 and a2 have Q fraction bits. gain = multiplier / 2^(shift + Q), 2^30 <= multiplier < 2^31.
    """

    zero: int
    multiplier: int
    shift: int
    a1: int
    a2: int

    @property
    def gain(self) -> float:
        return math.ldexp(self.multiplier, -self.shift - Q)


def _need_cutoffs(kind: str, order: int, cutoff: Sequence[float], rate: float) -> None:
    if kind not in KINDS:
        raise UsageError(f"unknown kind of filter {kind!r}; choose {', '.join(KINDS)}")
    if order not in ORDERS:
        raise UsageError(f"a filter of order {order} is not offered; choose {' or '.join(map(str, ORDERS))}")
    wanted = 2 if kind == "bandpass" else 1
    if len(cutoff) != wanted:
        raise UsageError(f"a {kind} filter needs {wanted} cutoff frequenc{'ies' if wanted == 2 else 'y'}, {len(cutoff)} given")
    if not (math.isfinite(rate) and rate > 0):
        raise UsageError(f"a sampling rate of {rate:g} Hz is none; give a positive one")
    if not all(math.isfinite(f) and 0 < f < rate / 2 for f in cutoff) or sorted(set(cutoff)) != list(cutoff):
        raise UsageError(f"cutoff frequencies must rise and lie between 0 and {rate / 2:g} Hz, half the sampling rate")


def _analog_poles(kind: str, order: int, edges: Sequence[float]) -> list[tuple[complex, int]]:
    """(pole in the upper half plane, zero of its section), Butterworth's circle moved to the `edges` (tangents)."""
    found: list[tuple[complex, int]] = []
    for k in range(order // 2):
        unit = cmath.exp(1j * math.pi * (2 * k + order + 1) / (2 * order))
        if kind == "lowpass":
            found.append((unit * edges[0], 2))
        elif kind == "highpass":
            found.append((edges[0] / unit, -2))
        else:
            # s^2 - unit * width * s + low * high = 0: the lower pole gets the zeros at 0 Hz, the upper the others, so that
            # each section passes the middle of the band and no value between them grows much.
            half = unit * (edges[1] - edges[0]) / 2
            root = cmath.sqrt(half * half - edges[0] * edges[1])
            low, high = sorted((half + root, half - root), key=abs)
            found += [(low, -2), (high, 2)]
    return found


def butterworth(kind: str, order: int, cutoff: Sequence[float], rate: float) -> tuple[Section, ...]:
    """Sections of a Butterworth filter, the least resonant first, each with gain 1 at 0 Hz (low-pass), half the rate
    (high-pass) or the middle of the band; a band-pass of order n has n poles on either side, as in scipy.signal.butter.

    `cutoff`: one frequency or two (Hz), 3 dB points; `rate`: samples/s. Raises UsageError for what cannot be had.
    """
    _need_cutoffs(kind, order, cutoff, rate)
    edges = [math.tan(math.pi * f / rate) for f in cutoff]
    middle = 2 * math.atan(math.sqrt(edges[0] * edges[-1]))
    angle = {"lowpass": 0.0, "highpass": math.pi, "bandpass": middle}[kind]
    poles = [((1 + s) / (1 - s), zero) for s, zero in _analog_poles(kind, order, edges)]
    found = [_section(z, zero, cmath.exp(-1j * angle)) for z, zero in sorted(poles, key=lambda p: abs(p[0]))]
    low = next((s for s in found if (1 << Q) + s.a1 + s.a2 < LEAST_UNITS or (1 << Q) - s.a2 < LEAST_UNITS), None)
    if low is not None:
        raise UsageError(f"a {kind} filter at {cutoff[0]:g} Hz is too fine for {rate:g} samples/s; decimate first or widen it")
    return tuple(found)


def _section(pole: complex, zero: int, delay: complex) -> Section:
    """The section of a pole and its conjugate; gain 1 where z^-1 is `delay`, for the poles as they were rounded."""
    a1, a2 = round(-2 * pole.real * 2**Q), round(abs(pole) ** 2 * 2**Q)
    gain = abs(1 + (a1 * delay + a2 * delay**2) / 2**Q) / abs(1 + zero * delay + delay**2)
    multiplier, exponent = quantize_multiplier(gain)
    return Section(zero, multiplier, 1 - exponent, a1, a2)


def peak_gain(section: Section, tolerance: float = 1e-6) -> float:
    """Largest |output| of a section over inputs of magnitude 1: the sum of |impulse response|; inf when it does not end."""
    step = np.array([[-section.a1, -section.a2], [2.0**Q, 0.0]]) / 2.0**Q
    if max(abs(np.linalg.eigvals(step))) >= 1:
        return math.inf
    states = np.array([[1.0, 0.0]])  # (y, y1) of 1 / A(z) from time 0 on, doubled in length each round
    while True:
        states = np.concatenate([states, states @ step.T])
        step = step @ step
        tail = float(np.abs(states[len(states) // 2 :, 0]).sum()) * section.gain * 4
        if tail < tolerance:
            break
        if len(states) >= 1 << 20:
            return math.inf
    response = np.convolve(states[:, 0], [1, section.zero, 1])[: len(states)] * section.gain
    return float(np.abs(response).sum()) + tail


def lowpass_taps(factor: int, per_phase: int = 20, attenuation: float = 60.0) -> tuple[int, ...]:
    """Symmetric Q15 taps for keeping every `factor`-th sample: a windowed sinc of `factor` * `per_phase` + 1 taps.

    Half the gain is reached in the middle of a transition as wide as `attenuation` (dB) allows for that many taps, whose
    upper end lies at half the new rate: nothing folds back into what is kept. The taps sum to exactly 1 (32768).
    """
    count = factor * per_phase + 1
    width = (attenuation - 7.95) / (2.285 * (count - 1))  # Kaiser's length formula, radians a sample
    middle = math.pi / factor - width / 2
    if middle <= width / 2:
        raise UsageError(f"{per_phase} taps a kept sample are too few for {attenuation:g} dB; ask for more taps or for less")
    beta = 0.1102 * (attenuation - 8.7) if attenuation > 50 else 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    time = np.arange(count) - (count - 1) / 2
    ideal: Array = np.sinc(middle / math.pi * time) * np.kaiser(count, beta)
    return _rounded_taps(ideal / ideal.sum() * 32768)


def _rounded_taps(ideal: Array) -> tuple[int, ...]:
    """Integers, symmetric and with the same sum: the pairs that were rounded the farthest are rounded the other way."""
    half = len(ideal) // 2
    taps = np.round(ideal).astype(int)
    missing = round(float(ideal.sum())) - int(taps.sum())
    sign = 1 if missing > 0 else -1
    farthest = np.argsort((taps - ideal)[:half] * sign, kind="stable")[: abs(missing) // 2]
    taps[farthest] += sign
    taps[-1 - farthest] += sign
    taps[half] += missing - 2 * sign * len(farthest)
    return tuple(int(t) for t in taps)


def need_unit_of_input(view: View) -> None:
    """The int16 output keeps the input's scale (or both have none) and zero point 0."""
    x, out = view.input(0), view.out
    need(out.dtype == "int16", f"{out.dtype} output where int16 is needed; standardize the signal afterwards")
    same = (x.quant is None) == (out.quant is None)
    if x.quant is not None and out.quant is not None:
        both = x.quant.per_tensor and out.quant.per_tensor
        same = both and x.scale == out.scale and x.zero_point == out.zero_point == 0
    need(same, "the output of a filter must have its input's scale, and both the zero point 0")
