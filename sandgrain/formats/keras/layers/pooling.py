"""Pools over windows, and over everything."""

from __future__ import annotations

from typing import Any

from sandgrain.base.errors import UnsupportedError
from sandgrain.formats.aten.builder import Value
from sandgrain.formats.aten.layout import dense
from sandgrain.formats.keras.layers.base import Handler, Layer, aten, channels_first
from sandgrain.formats.keras.layers.convolution import extents, same_sides


def _pool(op: str, rank: int) -> Handler:
    """What lies outside the image counts for nothing, as in TensorFlow."""

    def handle(layer: Layer) -> Value:
        x, config = layer.ranked(rank + 2), layer.config
        kernel = config.sizes("pool_size", rank)
        stride = config.sizes("strides", rank) if config.has("strides") else kernel
        sides, size = [(0, 0)] * rank, x.shape[1:-1]
        if config.word("padding", "valid", "same") == "same":
            sides = same_sides(size, kernel, stride)
        out = extents(size, sides, kernel, stride)
        tall = (1,) * (2 - rank)
        sides = [(0, 0)] * (2 - rank) + sides
        window: dict[str, Any] = {
            "kernel": tall + kernel,
            "stride": tall + stride,
            "padding": (*sides[0], *sides[1]),
            "activation": "none",
        }
        tensor = layer.b.image(channels_first(layer.b.plain(x)))[0]
        return Value(layer.b.node(op, (tensor,), **window), dense((1, *out, x.shape[-1])))

    return handle


def _whole(operator: str, rank: int) -> Handler:
    def handle(layer: Layer) -> Value:
        x, keep = layer.ranked(rank + 2), layer.config.flag("keepdims")
        if layer.kwargs.get("mask") is not None:
            raise UnsupportedError("a mask; leave Masking and mask_zero out")
        return aten(layer.b, operator, (), self=x, dim=list(range(1, rank + 1)), keepdim=keep)  # type: ignore[no-any-return]

    return handle


HANDLERS: dict[str, Handler] = {}
for _rank in (1, 2):
    HANDLERS[f"MaxPooling{_rank}D"] = _pool("max_pool_2d", _rank)
    HANDLERS[f"AveragePooling{_rank}D"] = _pool("average_pool_2d", _rank)
    HANDLERS[f"GlobalAveragePooling{_rank}D"] = _whole("mean", _rank)
    HANDLERS[f"GlobalMaxPooling{_rank}D"] = _whole("amax", _rank)
HINTS = {
    **{
        f"Adaptive{kind}Pooling{rank}D": "use AveragePooling or MaxPooling with a pool_size"
        for kind in ("Average", "Max")
        for rank in (1, 2, 3)
    },
    **{f"{kind}Pooling3D": "use pools over one or two axes" for kind in ("Average", "Max", "GlobalAverage", "GlobalMax")},
}
