"""How a depthwise kernel walks over an image line by line, and when its output may lie over its input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sandgrain.graph.ir import View


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk over an image: `axis` (1 rows, 2 columns) is the one across lines. The kernel keeps a window's lines aside."""

    view: View
    axis: int

    def of(self, values: tuple[int, ...]) -> tuple[int, int]:
        """(height's, width's) to (across lines', along a line's)."""
        return (values[0], values[1]) if self.axis == 1 else (values[1], values[0])

    @property
    def kernel(self) -> tuple[int, int]:
        return self.of(self.view.input(1).shape[1:3])

    @property
    def stride(self) -> tuple[int, int]:
        return self.of(tuple(self.view.attrs["stride"]))

    @property
    def pad(self) -> tuple[int, int]:
        top, _, left, _ = self.view.attrs["padding"]
        return self.of((top, left))

    @property
    def sizes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Input and output (lines, elements)."""
        return self.of(self.view.input(0).shape[1:3]), self.of(self.view.out.shape[1:3])

    def over_itself(self) -> bool:
        """Whether the output may lie over the input: each pixel is set aside before an output takes its place."""
        x, out, stride, pad, taps = self.view.input(0), self.view.out, self.stride[0], self.pad[0], self.kernel[0]
        if out.size > x.size or x.shape[0] > 1:
            return False
        pixels = np.arange(out.shape[1] * out.shape[2], dtype=np.int64)
        written = (pixels // out.shape[2], pixels % out.shape[2])[self.axis - 1]  # the line of outputs that it is part of
        there = (pixels // x.shape[2], pixels % x.shape[2])[self.axis - 1]  # the line of inputs in its place
        needed = (self.sizes[1][0] - 1) * stride + taps - pad  # lines from here on are never read
        return bool(((there - written * stride + pad < taps) | (there >= needed)).all())
