"""How the beat in the middle of a window compares with those around it: hearts, steps, strokes of a machine, repetitions.

A beat is where a channel changes most: its activity, the sum of the magnitudes of the `span` differences about a sample, is the largest
within `gap` samples and reaches `share` / 256 of the window's largest. The one nearest to the middle of the window is described by

- how many beats the window has;
- the time since the beat before and until the one after (to the window's ends where there is none), and the first as a share of both;
- each of these two over the mean distance of the window's beats;
- its activity as a share of the largest, and over the mean of the others';
- how much its shape, `half` samples to each side, is like that of the others: the largest, the smallest and the mean of the correlations
  with them, each at the best of the shifts up to `slack` samples; 0 where none can be compared;
- its shape: the means of `points` equal parts of it, less the window's mean, in the window's deviations.

int16 [1, n, channels] to int16 [1, channels * (COMPARED + points)], channel by channel, in units of their own (`column_scales`).
`kernels/signal/beats_s16.h` computes the same, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Shape, need, need_inputs
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.signal.base import INT16_MAX, SignalOp, need_signal
from sandgrain.graph.ops.signal.correlation import UNIT, WHOLE, correlations
from sandgrain.graph.ops.signal.moments import MAX_SAMPLES
from sandgrain.graph.ops.signal.roots import isqrt64
from sandgrain.graph.ops.signal.statistics import need_columns

COMPARED = 11  # columns in front of the shape
RATIO = 256  # 1 in a quotient
MAX_SPAN = 1 << 14  # sums of differences stay below 2^30
MAX_POINTS = 64

Int64 = npt.NDArray[np.int64]


def attributes(span: int, gap: int, share: int, half: int, slack: int, points: int, rate: float) -> Attrs:
    """Attributes; lengths in samples, `share` in 1/256, `rate` in Hz, which only gives the columns their unit."""
    return attrs(span=span, gap=gap, share=share, half=half, slack=slack, points=points, rate=float(rate))


def activity(x: Int64, span: int) -> Int64:
    """int64 [n]: the sum of |x[j] - x[j - 1]| over the `span` differences about each sample, those that there are."""
    sums = np.concatenate([[0], np.cumsum(np.abs(np.diff(x)))])  # sums[j]: of the differences 1 to j
    at = np.arange(len(x))
    low, high = np.maximum(at - span // 2, 1), np.minimum(at + (span - 1) // 2, len(x) - 1)
    found: Int64 = np.where(high >= low, sums[high] - sums[np.minimum(low, high + 1) - 1], 0)
    return found


def beats_of(active: Int64, gap: int, share: int) -> list[int]:
    """Where the beats are, rising and more than `gap` apart; [] of a channel that does not change."""
    floor = max(int(active.max()) * share >> 8, 1)
    found = []
    for i in np.flatnonzero(active >= floor).tolist():
        before, after = active[max(i - gap, 0) : i], active[i + 1 : i + gap + 1]
        if (before < active[i]).all() and (after <= active[i]).all():
            found.append(i)
    return found


def _over(a: int, b: int, whole: int) -> int:
    """a / b in 1 / `whole`, rounded down; 0 for b = 0."""
    return min(a * whole // b, INT16_MAX) if b else 0


@dataclass(frozen=True, slots=True)
class _Shapes:
    """How much the shape about one sample is like that about others."""

    x: npt.NDArray[np.int16]
    half: int
    slack: int

    def _fits(self, at: int) -> bool:
        return at >= self.half and at + self.half < len(self.x)

    def _about(self, at: int) -> npt.NDArray[np.int16]:
        return self.x[at - self.half : at + self.half + 1]

    def alike(self, middle: int, other: int) -> int | None:
        """The best correlation; None where there is nothing to compare."""
        places = [p for p in range(other - self.slack, other + self.slack + 1) if self._fits(p)]
        if not self._fits(middle) or not places:
            return None
        return max(correlations(np.stack([self._about(middle), self._about(p)], axis=1))[0] for p in places)


def _shape(x: Int64, middle: int, half: int, points: int) -> list[int]:
    """Means of the parts about the middle, the sample at the window's end standing for those beyond it."""
    n, total = len(x), int(x.sum())
    root = int(isqrt64(n * int((x * x).sum()) - total * total))  # n deviations
    about = x[np.clip(np.arange(middle - half, middle + half + 1), 0, n - 1)]
    found = []
    for k in range(points):
        part = about[k * len(about) // points : (k + 1) * len(about) // points]
        far = int(part.sum()) * n - len(part) * total  # n len(part) distances from the mean: below 2^47
        size = min((abs(far) * RATIO) // (len(part) * root), INT16_MAX) if root else 0
        found.append(-size if far < 0 else size)
    return found


def columns(x: npt.NDArray[np.int16], a: Attrs) -> list[int]:
    """The columns of one channel, int16 [n]."""
    v = x.astype(np.int64)
    active = activity(v, a["span"])
    found, n = beats_of(active, a["gap"], a["share"]), len(x)
    middle = min(found, key=lambda p: (abs(p - n // 2), p)) if found else n // 2
    place = found.index(middle) if found else 0
    before = middle - found[place - 1] if place > 0 else middle
    after = found[place + 1] - middle if place + 1 < len(found) else n - 1 - middle
    between, distances = (found[-1] - found[0], len(found) - 1) if len(found) > 1 else (n, 1)
    others = [p for p in found if p != middle]
    most, rest = int(active.max()), int(active[others].sum())
    shapes = _Shapes(x, a["half"], a["slack"])
    alike = [r for r in (shapes.alike(middle, p) for p in others) if r is not None]
    return [
        len(found),
        before,
        after,
        _over(before, before + after, WHOLE),
        _over(before * distances, between, RATIO),
        _over(after * distances, between, RATIO),
        _over(int(active[middle]), most, WHOLE),
        _over(int(active[middle]) * len(others), rest, RATIO) if others else RATIO,
        max(alike, default=0),
        min(alike, default=0),
        (sum(alike) + (len(alike) >> 1)) // len(alike) if alike else 0,
        *_shape(v, middle, a["half"], a["points"]),
    ]


class Beats(SignalOp):
    name = "beats"
    summary = "when the beat in the middle of a window comes, how strong it is and how much like the others, of each channel"
    attributes = kinds(gap=int, half=int, points=int, rate=float, share=int, slack=int, span=int)

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        return ((1, need_signal(inputs[0]).shape[2] * (COMPARED + attrs["points"])),)

    def check(self, view: View) -> None:
        a = view.attrs
        need_columns(view)
        need(1 <= a["span"] <= MAX_SPAN, f"activity of {a['span']} differences; 1 to {MAX_SPAN} are supported")
        need(1 <= a["gap"] <= MAX_SAMPLES and 0 <= a["slack"] <= MAX_SAMPLES, "a gap or a slack that no window has")
        need(0 <= a["share"] <= 256, f"a share of {a['share']} / 256")
        need(1 <= a["half"] < MAX_SAMPLES // 2, f"a shape of {a['half']} samples to each side")
        need(0 <= a["points"] <= min(MAX_POINTS, 2 * a["half"] + 1), f"{a['points']} points of a shape of {2 * a['half'] + 1}")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        found = [columns(x[0, :, c], view.attrs) for c in range(x.shape[2])]
        return (np.array(found, np.int16).reshape(view.out.shape),)

    def macs(self, view: View) -> int:
        """A window that is full of beats, each compared at every shift."""
        a, (_, samples, channels) = view.attrs, view.input(0).shape
        pairs = samples // (a["gap"] + 1) * (2 * a["slack"] + 1)
        return int(channels * (samples + pairs * 2 * (2 * a["half"] + 1)))

    def fixed_scale(self, view: View) -> float:
        return 1.0

    def column_scales(self, view: View) -> Sequence[float]:
        """Times in seconds; shares, correlations, and quotients as they are."""
        a = view.attrs
        ratio, second = 1 / RATIO, 1 / a["rate"]
        one = [1.0, second, second, UNIT, ratio, ratio, UNIT, ratio, UNIT, UNIT, UNIT, *[ratio] * a["points"]]
        return one * view.input(0).shape[2]

    def sample(self, draw: Draw) -> Graph:
        samples, channels = draw.choice((1, 2, 3, 17, 40, 119, 200)), draw.choice((1, 2, 3))
        half = draw.choice((1, 2, 5, 12))
        a = attributes(
            span=draw.choice((1, 2, 3, 8, 300)),
            gap=draw.choice((1, 2, 7, 20, 250)),
            share=draw.choice((0, 64, 90, 256)),
            half=half,
            slack=draw.choice((0, 1, 3, 40)),
            points=draw.choice((0, 1, min(5, 2 * half + 1), 2 * half + 1)),
            rate=100.0,
        )
        signal = Tensor("x", (1, samples, channels), "int16")
        return one_op(self.name, (signal,), (Tensor("y", self.shapes((signal,), a)[0], "int16"),), a)
