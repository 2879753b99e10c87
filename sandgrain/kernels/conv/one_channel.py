"""A depthwise layer of one input channel is an ordinary convolution: kernels of conv_2d compute it, its weights turned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sandgrain.graph.ir import View
from sandgrain.kernels.base import Fit, Refused


def as_convolution(view: View) -> View:
    """A depthwise layer as a conv_2d of one input channel: the weights [1, h, w, o] are [o, h, w, 1] there."""
    weights = view.input(1)
    quant = weights.quant
    assert quant is not None
    data = np.ascontiguousarray(view.const(1)[0].transpose(2, 0, 1))[..., None]
    turned = replace(weights, shape=data.shape, data=data, quant=quant if quant.per_tensor else replace(quant, axis=0))
    return replace(view, inputs=(view.inputs[0], turned, *view.inputs[2:]))


def of_one_channel(lower: Callable[[View], Fit]) -> Callable[[View], Fit]:
    """A convolution's `lower` for depthwise layers."""

    def turned(view: View) -> Fit:
        channels = view.input(0).shape[3]
        if channels != 1:
            return Refused(f"{channels} input channels; as a depthwise kernel it takes one")
        return lower(as_convolution(view))

    return turned
