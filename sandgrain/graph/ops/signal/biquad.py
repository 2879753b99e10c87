"""High-pass, low-pass and band-pass of a signal: Butterworth sections in 32 bits, with what rounding drops fed back.

A section computes y = gain * (x + zero * x1 + x2) - a1 * y1 - a2 * y2 on values that carry `fraction` bits below the
signal's unit. The 64-bit sum is cut to y, and the bits cut off are added to the next sum: the error has no constant part, so
that a high-pass at 1 Hz and 16 kHz removes an offset to the last bit. The state is zero before the first sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Shape, Step, need, need_inputs
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.signal.base import INT16_MAX, INT16_MIN, SignalOp, need_signal
from sandgrain.graph.ops.signal.filters import KINDS, ORDERS, Q, Section, butterworth, need_unit_of_input, peak_gain
from sandgrain.graph.quantization import per_tensor

SECTIONS = 4  # that the kernel's struct has room for
MAX_FRACTION = 13
MASK = (1 << Q) - 1
LIMIT = 2.0**29 - 2.0**24  # |x|, |y| < 2^29: x + 2 x1 + x2 then fits 32 bits; 2^24 is far above what feedback adds


def attributes(kind: str, order: int, cutoff: Sequence[float], rate: float) -> Attrs:
    """Attributes of a filter: `kind` highpass, lowpass or bandpass; `order` 2 or 4; `cutoff` one frequency or two and
    `rate`, in Hz. Raises UsageError where there is no such filter, or none in 32 bits."""
    sections = butterworth(kind, order, cutoff, rate)
    return attrs(
        zero=tuple(s.zero for s in sections),
        multiplier=tuple(s.multiplier for s in sections),
        shift=tuple(s.shift for s in sections),
        a1=tuple(s.a1 for s in sections),
        a2=tuple(s.a2 for s in sections),
        fraction=most_fraction(sections),
    )


@lru_cache(maxsize=64)
def most_fraction(sections: tuple[Section, ...]) -> int:
    """The most fraction bits that no int16 signal can make overflow; below 0 where there are none."""
    largest, gain = 1.0, 1.0
    for section in sections:
        gain *= peak_gain(section)
        largest = max(largest, gain)
    fraction = MAX_FRACTION
    while fraction >= 0 and largest * 2.0 ** (15 + fraction) > LIMIT:
        fraction -= 1
    return fraction


def _sections(a: Attrs) -> tuple[Section, ...]:
    columns = (a["zero"], a["multiplier"], a["shift"], a["a1"], a["a2"])
    if len({len(c) for c in columns}) != 1:
        raise ModelError("its coefficients are not of one length")
    return tuple(Section(*values) for values in zip(*columns, strict=True))


def filter_channel(x: Sequence[int], sections: Sequence[Section], fraction: int) -> list[int]:
    """One channel from a zero state; Python's integers are exact and, for a few channels, quicker than arrays of them."""
    values = [v << fraction for v in x]
    for s in sections:
        zero, multiplier, shift, a1, a2 = s.zero, s.multiplier, s.shift, s.a1, s.a2
        x1 = x2 = y1 = y2 = error = 0
        for i, x0 in enumerate(values):
            total = (((x0 + zero * x1 + x2) * multiplier) >> shift) - a1 * y1 - a2 * y2 + error
            error = total & MASK
            x2, x1, y2, y1 = x1, x0, y1, total >> Q
            values[i] = y1
    half = (1 << fraction) >> 1
    return [min(max((v + half) >> fraction, INT16_MIN), INT16_MAX) for v in values]


class Biquad(SignalOp):
    name = "biquad"
    summary = "Butterworth high-pass, low-pass or band-pass of a signal"
    attributes = kinds(a1=[int], a2=[int], fraction=int, multiplier=[int], shift=[int], zero=[int])

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        return (need_signal(inputs[0]).shape,)

    def check(self, view: View) -> None:
        need_unit_of_input(view)
        sections = _sections(view.attrs)
        need(1 <= len(sections) <= SECTIONS, f"{len(sections)} filter sections, 1 to {SECTIONS} are supported")
        for s in sections:
            legal = (
                s.zero in (2, -2) and 0 <= s.multiplier < 2**31 and 0 <= s.shift < 63 and abs(s.a1) < 2**31 and abs(s.a2) <= 2**Q
            )
            need(legal, "filter coefficients outside the kernel's range; make them with biquad.attributes")
        fraction = view.attrs["fraction"]
        need(0 <= fraction <= most_fraction(sections), f"a filter that overflows with {fraction} fraction bits; make it anew")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        sections, fraction = _sections(view.attrs), view.attrs["fraction"]
        channels = [filter_channel(x[0, :, c].tolist(), sections, fraction) for c in range(x.shape[2])]
        return (np.array(channels, np.int16).T.reshape(view.out.shape).copy(),)

    def macs(self, view: View) -> int:
        return 3 * len(view.attrs["zero"]) * view.out.size

    def fixed_scale(self, view: View) -> float:
        quant = view.input(0).quant
        return 1.0 if quant is None else quant.scale[0]

    def state_bytes(self, view: View) -> int:
        """Bytes that live from one chunk of a stream to the next; zero at its start."""
        return 4 * view.out.shape[2] * (2 + 3 * len(view.attrs["zero"]))

    def step(self, view: View) -> Step:
        """`count` samples of every channel in any chunks give what one call with all of them gives; `out` may be `in`."""
        return Step("samples", self.state_bytes(view))

    def sample(self, draw: Draw) -> Graph:
        kind, order, rate = draw.choice(KINDS), draw.choice(ORDERS), draw.choice((119.0, 8000.0, 16000.0))
        low = rate * draw.real(0.01, 0.3)
        cutoff = (low, low + rate * draw.real(0.02, 0.15)) if kind == "bandpass" else (low,)
        shape = (1, draw.choice((1, 2, 3, 17, 64)), draw.choice((1, 2, 3, 6)))
        quant = draw.choice((None, per_tensor(2.0**-15, 0)))
        x, y = Tensor("x", shape, "int16", quant), Tensor("y", shape, "int16", quant)
        return one_op(self.name, (x,), (y,), attributes(kind, order, cutoff, rate))
