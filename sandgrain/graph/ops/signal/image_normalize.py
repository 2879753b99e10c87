"""Pixels to a model's int8 input: real = (x / 255 - mean) / std a channel, on the input's scale and zero point.

With one factor and one offset a channel this is level = (x * factor + offset) >> shift, rounded once, halves up; factors have
up to 22 fraction bits, and with all of them a level differs from the real formula's only within 2^-14 of a half. With mean 0, std 1, scale
1 / 255 and zero point -128 it is x - 128.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sandgrain.base.errors import ModelError
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Graph, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, need, need_quantized
from sandgrain.graph.ops.samples import activation_tensor, draw_quant, one_op
from sandgrain.graph.ops.signal.image import WHITE, ImageOp, draw_image
from sandgrain.graph.quantization import per_tensor

FRACTION = 22  # bits
LIMIT = 1 << 30  # of |x * factor + offset|


def affine(view: View) -> tuple[list[int], list[int], int]:
    """(factor of each channel, offset of each channel, shift)."""
    scale = view.out.scale
    slopes = [1.0 / (WHITE * s * scale) for s in view.attrs["std"]]
    zeros = [view.out.zero_point - m / (s * scale) for m, s in zip(view.attrs["mean"], view.attrs["std"], strict=True)]
    largest = max(WHITE * slope + abs(zero) + 1 for slope, zero in zip(slopes, zeros, strict=True))
    need(largest < LIMIT >> 8, "a mean and std far outside the model's range; quantize the model with its real inputs")
    shift = min(FRACTION, 30 - math.frexp(largest)[1])
    factors, offsets = ([math.floor(v * (1 << shift) + 0.5) for v in values] for values in (slopes, zeros))
    return factors, [o + (1 << shift >> 1) for o in offsets], shift


class ImageNormalize(ImageOp):
    """Attributes `mean` and `std`: a number a channel, of full scale 1. The output is int8 with one scale."""

    name = "image_normalize"
    summary = "a uint8 image to a model's int8 input"
    attributes = kinds(mean=[float], std=[float])

    def check(self, view: View) -> None:
        need_quantized(view.out)
        mean, std, channels = view.attrs["mean"], view.attrs["std"], view.out.shape[3]
        if len(mean) != channels or len(std) != channels:
            raise ModelError(f"{len(mean)} means and {len(std)} standard deviations for {channels} channels; give one each")
        need(all(math.isfinite(m) for m in mean), f"means {tuple(mean)}; give finite numbers")
        need(all(0.0 < s < math.inf for s in std), f"standard deviations {tuple(std)}; give positive numbers")
        affine(view)

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        factors, offsets, shift = affine(view)
        level = x.astype(np.int64) * np.array(factors) + np.array(offsets) >> shift
        return (view.out.dtype.saturated(level),)

    def macs(self, view: View) -> int:
        return view.out.size

    def sample(self, draw: Draw) -> Graph:
        x = draw_image(draw)
        channels = x.shape[3]
        if draw.choice((True, False, False)):
            quant, mean, std = per_tensor(1 / WHITE, ACTIVATION.low), (0.0,) * channels, (1.0,) * channels
        else:
            quant = draw_quant(draw, 0.001, 0.1)
            mean = tuple(draw.real(-0.5, 1.5) for _ in range(channels))
            std = tuple(draw.real(0.1, 2.0) for _ in range(channels))
        alike = draw.choice((True, False))
        a = attrs(mean=mean[:1] * channels if alike else mean, std=std[:1] * channels if alike else std)
        return one_op(self.name, (x,), (activation_tensor("y", x.shape, quant),), a)
