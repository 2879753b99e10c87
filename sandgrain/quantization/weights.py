"""Integer weights and biases of the weighted layers: symmetric, of the type `WEIGHT`, int32 at input scale times weight scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sandgrain.graph.dtypes import INT16, WEIGHT
from sandgrain.graph.ir import Array, Tensor, View
from sandgrain.graph.ops.norm.layer_norm import fraction_bits
from sandgrain.graph.quantization import Quantization, per_tensor
from sandgrain.quantization.scales import TINY

GAMMA_MAX = INT16.high
BIAS_MAX = 2**29  # steps: leaves the accumulator room for 2^14 products of eight bits each


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """The quantized constants of one layer; `bias` is None where the layer has none."""

    weights: Tensor
    bias: Tensor | None


def channels_first(weights: Array, axis: int) -> Array:
    """[channels, the rest]."""
    return np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)


def spread(per_channel: Array, rank: int, axis: int) -> Array:
    """One value a channel, shaped to multiply weights of `rank` dimensions."""
    return per_channel.reshape([-1 if k == axis else 1 for k in range(rank)])


def weight_scales(weights: Array, axis: int, per_channel: bool = True) -> npt.NDArray[np.float32]:
    """Scales that let the greatest weight be WEIGHT.reach: one a channel of `axis`, or one repeated."""
    peaks = np.abs(channels_first(weights, axis)).max(axis=1).astype(np.float64)
    top = float(peaks.max())
    if not per_channel:
        peaks[:] = top
    peaks[peaks == 0] = top if top > 0 else 1.0  # a channel without weights: any scale will do
    scales: npt.NDArray[np.float32] = np.maximum(peaks / WEIGHT.reach, TINY).astype(np.float32)
    return scales


def gate_scales(weights: Array, gates: int) -> npt.NDArray[np.float32]:
    """The scale of each row, the same for all rows of a gate."""
    return np.repeat(weight_scales(weights.reshape(gates, -1), 0), len(weights) // gates)


def quantize_pair(
    tensor: Tensor,
    bias: Tensor | None,
    axis: int,
    source: Quantization,
    per_channel: bool = True,
    scales: npt.NDArray[np.float32] | None = None,
) -> Weighted:
    """Integer weights, their output channels along `axis`, and int32 bias for products with what `source` quantizes.

    `scales`: float32 [channels], where they have been learned. A channel whose bias would not fit gets a larger scale.
    """
    weights = tensor.data
    assert weights is not None, tensor.name
    found = weight_scales(weights, axis, per_channel) if scales is None else np.maximum(scales, TINY).astype(np.float32)
    real = None if bias is None or bias.data is None else bias.data.reshape(-1).astype(np.float64)
    if real is not None:
        least = np.abs(real) / (source.scale[0] * BIAS_MAX)
        found = np.maximum(found, (least if per_channel else np.full_like(least, least.max())).astype(np.float32))
    single = not per_channel or len(found) == 1
    kept = tuple(float(s) for s in (found[:1] if single else found))
    quant = Quantization(kept, (0,) * len(kept), None if single else axis)
    steps = np.rint(weights / spread(found, weights.ndim, axis))
    data = np.clip(steps, -WEIGHT.reach, WEIGHT.reach).astype(WEIGHT)
    return Weighted(
        Tensor(tensor.name, tensor.shape, WEIGHT, quant, data),
        None if real is None or bias is None else _bias(bias.name, real, source, quant),
    )


def _bias(name: str, bias: npt.NDArray[np.float64], source: Quantization, weights: Quantization) -> Tensor:
    # Steps of the exact product, as the multipliers are; the file holds the product in single precision.
    exact = source.scale[0] * np.asarray(weights.scale, np.float64)
    data = np.clip(np.rint(bias / exact), -BIAS_MAX, BIAS_MAX).astype(np.int32)
    scale = tuple(float(s) for s in exact.astype(np.float32))
    return Tensor(name, data.shape, "int32", Quantization(scale, (0,) * len(scale), 0 if len(scale) > 1 else None), data)


def quantize_norm(view: View) -> tuple[Tensor, Tensor]:
    """int16 gamma and int32 beta of a float layer norm. A beta that would not fit gives gamma a larger scale."""
    gamma, beta = view.const(1).astype(np.float64), view.const(2).astype(np.float64)
    step = 2.0 ** -fraction_bits(gamma.size)
    scale = max(float(np.abs(gamma).max()) / GAMMA_MAX, float(np.abs(beta).max()) / (BIAS_MAX * step), TINY)
    quant = per_tensor(scale, 0)
    unit = step * quant.scale[0]
    whole = np.clip(np.rint(gamma / quant.scale[0]), -GAMMA_MAX, GAMMA_MAX).astype(np.int16)
    offsets = np.clip(np.rint(beta / unit), -BIAS_MAX, BIAS_MAX).astype(np.int32)
    return (
        Tensor(view.input(1).name, whole.shape, "int16", quant, whole),
        Tensor(view.input(2).name, offsets.shape, "int32", per_tensor(unit, 0), offsets),
    )


def dequantized(weights: Tensor) -> npt.NDArray[np.float32]:
    """The real weights that integer `weights` stand for."""
    assert weights.data is not None and weights.quant is not None
    axis = weights.quant.axis or 0
    scale = np.asarray(weights.quant.scale, np.float32)
    return (weights.data * spread(scale, weights.data.ndim, axis)).astype(np.float32)
