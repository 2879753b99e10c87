"""Normalizations and rescalings: a factor and an offset for each channel once trained, or a layer norm."""

from __future__ import annotations

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import ModelError, UnsupportedError, printable
from sandgrain.formats.aten.builder import Value
from sandgrain.formats.aten.ops.norm import group_norm
from sandgrain.formats.keras.config import Config
from sandgrain.formats.keras.layers.base import Handler, Layer, aten, channels_first, channels_last
from sandgrain.formats.keras.weights import taken

SMALLEST = 1e-7  # the deviation that Keras's Normalization divides by at least


def _axes(config: Config, rank: int) -> tuple[int, ...]:
    """The axes in `axis`, one or a list of them, counted from the front."""
    given = config.values.get("axis", -1)
    given = [] if given is None else given if isinstance(given, list | tuple) else [given]
    if not all(isinstance(a, int) and -rank <= a < rank and a % rank for a in given):
        raise ModelError(f"axis {printable(str(given)[:40])} of {rank} axes; save the model again")
    return tuple(sorted({a % rank for a in given}))


def _batch_norm(layer: Layer) -> Value:
    x, config = layer.x, layer.config
    axes = _axes(config, len(x.shape))
    if len(axes) != 1 or config.flag("renorm"):
        raise UnsupportedError("a batch norm over several axes, or with renorm; normalize the last axis")
    one = (x.shape[axes[0]],)
    gamma, beta, average, variance = taken(
        layer.weights,
        gamma=one if config.flag("scale", True) else None,
        beta=one if config.flag("center", True) else None,
        moving_mean=one,
        moving_variance=one,
    )
    factor = (1.0 if gamma is None else gamma.astype(np.float64)) / np.sqrt(
        variance.astype(np.float64) + config.real("epsilon", 1e-3)
    )
    offset = (0.0 if beta is None else beta.astype(np.float64)) - average * factor
    return layer.b.scale(x, axes[0], factor, offset)


def _layer_norm(layer: Layer) -> Value:
    x, config = layer.x, layer.config
    _need_last(layer, "a layer norm")
    if config.flag("rms_scaling"):
        raise UnsupportedError("a layer norm with rms_scaling; use RMSNormalization")
    one = (x.shape[-1],)
    gamma, beta = taken(
        layer.weights, gamma=one if config.flag("scale", True) else None, beta=one if config.flag("center", True) else None
    )
    return aten(  # type: ignore[no-any-return]
        layer.b, "layer_norm", x.shape, input=x, normalized_shape=one, weight=gamma, bias=beta, eps=config.real("epsilon", 1e-3)
    )


def _need_last(layer: Layer, what: str) -> None:
    if _axes(layer.config, len(layer.x.shape)) != (len(layer.x.shape) - 1,):
        raise UnsupportedError(f"{what} over other axes than the last; normalize the last axis")


def _rms_norm(layer: Layer) -> Value:
    x, config = layer.x, layer.config
    _need_last(layer, "an RMS norm")
    one = (x.shape[-1],)
    (scale,) = taken(layer.weights, scale=one)
    return aten(  # type: ignore[no-any-return]
        layer.b, "rms_norm", x.shape, input=x, normalized_shape=one, weight=scale, eps=config.real("epsilon", 1e-6)
    )


def _group_norm(layer: Layer) -> Value:
    """Groups of the last axis; -1 of them is one a channel."""
    x, config = layer.x, layer.config
    _need_last(layer, "a group norm")
    channels, groups = x.shape[-1], config.whole("groups", 32, low=-1)
    one = (channels,)
    gamma, beta = taken(
        layer.weights, gamma=one if config.flag("scale", True) else None, beta=one if config.flag("center", True) else None
    )
    groups = channels if groups == -1 else groups
    return channels_last(group_norm(layer.b, channels_first(x), groups, gamma, beta, config.real("epsilon", 1e-3)))


def _normalization(layer: Layer) -> Value:
    """(x - mean) / max(sqrt(variance), SMALLEST), or back again."""
    x, config = layer.x, layer.config
    rank = len(x.shape)
    axes = _axes(config, rank)
    kept = tuple(x.shape[a] for a in axes)
    if config.has("mean") and config.has("variance"):
        average, variance = (_constant(config.values[n], kept) for n in ("mean", "variance"))
    else:
        average, variance = (a.astype(np.float64) for a in taken(layer.weights, mean=kept, variance=kept))
    deviation = np.maximum(np.sqrt(variance), SMALLEST)
    factor, offset = (deviation, average) if config.flag("invert") else (1 / deviation, -average / deviation)
    if len(axes) < 2:
        return layer.b.scale(x, axes[0] if axes else None, factor.reshape(-1), offset.reshape(-1))
    shape = [n if a in axes else 1 for a, n in enumerate(x.shape)]
    x = layer.b.binary_constant("mul", x, factor.reshape(shape))
    return layer.b.binary_constant("add", x, offset.reshape(shape))


def _constant(value: object, shape: tuple[int, ...]) -> Array:
    try:
        found = np.asarray(value, np.float64)
        while found.ndim > len(shape) and found.shape[0] == 1:
            found = found[0]
        return np.broadcast_to(found, shape)
    except (TypeError, ValueError):
        raise ModelError(f"a mean or variance that is not of shape {list(shape)}; save the model again") from None


def _rescaling(layer: Layer) -> Value:
    found = []
    for name, default in (("scale", 1.0), ("offset", 0.0)):
        value = layer.config.values.get(name, default)
        found.append(_constant(value, (layer.x.shape[-1],) if isinstance(value, list | tuple) and len(value) > 1 else (1,)))
    wide = max(len(v) for v in found)
    factor, offset = (np.broadcast_to(v, (wide,)) for v in found)
    return layer.b.scale(layer.x, len(layer.x.shape) - 1 if wide > 1 else None, factor, offset)


HANDLERS: dict[str, Handler] = {
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
    "GroupNormalization": _group_norm,
    "RMSNormalization": _rms_norm,
}
HINTS = dict.fromkeys(
    ("UnitNormalization", "SpectralNormalization"),
    "its statistics are computed at run time; use BatchNormalization or LayerNormalization",
)
