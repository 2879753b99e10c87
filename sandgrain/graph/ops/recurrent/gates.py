"""What the recurrent ops share: gates in 16-bit fixed point, their matrix products, and the tables behind them.

A gate's argument is int16 with 12 fraction bits (Q3.12), what comes out of it int16 with 15 (Q0.15). Both are TensorFlow
Lite's (integer_ops/logistic.h, tanh.h, lstm_eval): logistic and tanh interpolate in one table of logistic(i / 24).
In C: kernels/recurrent/sg_gates.h.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sandgrain.base.errors import ModelError, UnsupportedError
from sandgrain.graph.dtypes import ACTIVATION, WEIGHT, WEIGHTS
from sandgrain.graph.ir import Array, Tensor, View
from sandgrain.graph.ops.base import Draw, need, need_dtype, need_quantized
from sandgrain.graph.ops.conv.weights import exact_matmul
from sandgrain.graph.ops.elementwise.rescale import need_multiplier
from sandgrain.graph.ops.samples import SIZES, draw_quant
from sandgrain.graph.quantization import INT32_MAX, Int32, Int64, Quantization, per_tensor, quantize_multiplier, requantize

ARGUMENT_SCALE, GATE_SCALE = 2.0**-12, 2.0**-15
STATE = per_tensor(2 / ACTIVATION.levels, 0)  # of a state: it lies within -1 .. 1, and calibration may not see its small steps
INT16_MIN, INT16_MAX = -(2**15), 2**15 - 1
MAX_STEPS = 1 << 15


def _logistic_table() -> npt.NDArray[np.uint16]:
    """TensorFlow Lite's table of 65536 * logistic(i / 24), i = 0 .. 255.

    Interpolation runs along chords, which lie below the curve by up to |f''| h^2 / 8; entries are raised by half of that, so
    that errors go both ways. The last is 65535. No entry is near a half, so every machine rounds alike.
    """
    f = 1 / (1 + np.exp(-np.arange(256) / 24))
    raised = f + f * (1 - f) * (2 * f - 1) / 24**2 / 16
    return np.append(np.rint(65536 * raised[:-1]), 65535).astype(np.uint16)


LOGISTIC = _logistic_table()
LAST = len(LOGISTIC) - 1


# --- fixed point -----------------------------------------------------------------------------------------------------


def saturate(x: Int64) -> Int64:
    """To 16 bits."""
    return np.clip(x, INT16_MIN, INT16_MAX)


def _between(position: Int64, bits: int, top: int) -> Int64:
    """The table at `position` / 2^bits, `bits` more fraction bits than its own; `top` behind its end."""
    index = np.minimum(position >> bits, LAST)
    low = LOGISTIC[index].astype(np.int64)
    high = LOGISTIC[np.minimum(index + 1, LAST)].astype(np.int64)
    return np.where(index >= LAST, top, (low << bits) + (position & ((1 << bits) - 1)) * (high - low))


def logistic16(x: Int64) -> Int64:
    """Q3.12 -> Q0.15: at most 2^-14 from 1 / (1 + exp(-x))."""
    value = _between(np.abs(3 * x), 9, 0x7FFF << 10)
    return np.where(x >= 0, value + (1 << 9), (1 << 25) - value + (1 << 9) - 1) >> 10


def tanh16(x: Int64, bits: int = 12) -> Int64:
    """16-bit x with `bits` fraction bits -> Q0.15: at most 2^-12 from tanh(x)."""
    left, right = max(0, 12 - bits), max(0, bits - 12)
    x = (3 * (x << left) + ((1 << right) >> 1)) >> right
    value = _between(np.abs(x), 8, 0xFFFF << 8)
    half = 1 << 23
    return np.where(x >= 0, value - half + (1 << 7), half - value + (1 << 7) - 1) >> 8


# --- sequences -------------------------------------------------------------------------------------------------------


def sequence_shapes(x: Tensor, units: int, last: bool) -> tuple[int, ...]:
    """[n, steps, features] -> [n, steps, units], or [n, units] with `last`."""
    if len(x.shape) != 3 or x.shape[1] > MAX_STEPS:
        raise ModelError(f"an input of shape {list(x.shape)}; it must be [n, steps, features], at most {MAX_STEPS} steps")
    return (x.shape[0], units) if last else (x.shape[0], x.shape[1], units)


def walk(steps: int, reverse: bool) -> range:
    """The steps in the order in which they are taken."""
    return range(steps - 1, -1, -1) if reverse else range(steps)


def need_matrix(weights: Tensor | None, rows: int, columns: int, what: str) -> None:
    if weights is None or weights.shape != (rows, columns):
        raise ModelError(f"{what} of shape {list(weights.shape) if weights else None}; they must be {[rows, columns]}")


# --- matrix products -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Products:
    """The arguments that one vector gives to all gates: `weights` int8 [gates, units, depth], `bias` int64 [gates, units].

    `multiplier`, `shift`: [gates, units], or [gates, 1] where all units of a gate have one scale.
    """

    weights: Array
    bias: Int64
    multiplier: Int32
    shift: Int32
    zero_point: int

    def arguments(self, x: Array) -> Int64:
        """int8 [n, depth] -> Q3.12 [n, gates, units], saturated to 16 bits."""
        gates, units, depth = self.weights.shape
        rows = self.weights.reshape(-1, depth).astype(np.int16)
        acc = exact_matmul(x.astype(np.int16) - self.zero_point, rows.T).reshape(len(x), gates, units) + self.bias
        return saturate(requantize(acc, self.multiplier, self.shift).astype(np.int64))

    def part(self, first: int, last: int) -> Products:
        """Those of the gates first .. last - 1 alone."""
        own = slice(first, last)
        return replace(
            self, weights=self.weights[own], bias=self.bias[own], multiplier=self.multiplier[own], shift=self.shift[own]
        )


def products(source: Quantization, weights: Sequence[Tensor], biases: Sequence[Tensor | None], gates: int) -> Products:
    """From weights (and biases) of one gate each, or of all gates one below the other. All in double precision."""
    rows, multipliers = [], []
    for tensor in weights:
        assert tensor.data is not None and tensor.quant is not None
        rows.append(tensor.data)
        scale = np.asarray(tensor.quant.scale, np.float64)
        several = gates // len(weights)
        scale = np.broadcast_to(scale, (several,)) if len(scale) == 1 else scale
        multipliers.append(scale.reshape(several, -1))
    stacked = np.concatenate(rows)
    units = len(stacked) // gates
    zeros = np.zeros(gates * units // len(weights), np.int64)
    bias = [zeros if b is None or b.data is None else b.data.astype(np.int64) for b in biases]
    wide = max(m.shape[1] for m in multipliers)
    scales = np.concatenate([np.broadcast_to(m, (len(m), wide)) for m in multipliers])
    if (scales == scales[:, :1]).all():
        scales = scales[:, :1]
    pairs = np.array([quantize_multiplier(float(s * source.scale[0] / ARGUMENT_SCALE)) for s in scales.reshape(-1)], np.int64)
    return Products(
        stacked.reshape(gates, units, -1),
        np.concatenate(bias).reshape(gates, units),
        pairs[:, 0].reshape(scales.shape).astype(np.int32),
        pairs[:, 1].reshape(scales.shape).astype(np.int32),
        source.zero_point[0],
    )


def check_products(source: Tensor, weights: Tensor, bias: Tensor | None) -> None:
    """Constant int8 weights, symmetric, one scale or one a row; int32 biases; no sum leaves 32 bits."""
    need_dtype(weights, *WEIGHTS)
    need(weights.data is not None, "weights are computed at run time; make them a constant")
    quant = weights.quant
    if quant is None or any(quant.zero_point):
        raise UnsupportedError(f"weights without a scale, or with a zero point; quantize weights symmetrically to {WEIGHT}")
    if not quant.per_tensor and (quant.axis != 0 or len(quant.scale) != weights.shape[0]):
        raise ModelError(f"{len(quant.scale)} weight scales along axis {quant.axis} of {list(weights.shape)}")
    assert weights.data is not None
    reach = np.abs(weights.data.astype(np.int64)).sum(axis=1) * source.dtype.span
    if bias is not None:
        need_dtype(bias, "int32")
        need(bias.data is not None, "a bias is computed at run time; make it a constant")
        if bias.shape != (weights.shape[0],):
            raise ModelError(f"{list(bias.shape)} biases for {weights.shape[0]} rows of weights")
        assert bias.data is not None
        reach = reach + np.abs(bias.data.astype(np.int64))
    need(int(reach.max(initial=0)) <= INT32_MAX, "an accumulator can exceed 32 bits; the bias or the layer is too large")
    for scale in quant.scale:
        need_multiplier(scale * source.scale / ARGUMENT_SCALE)


def check_sequence(view: View) -> None:
    need_quantized(view.input(0), view.out)
    need_multiplier(GATE_SCALE * GATE_SCALE / view.out.scale)
    need_multiplier(GATE_SCALE / view.out.scale)


def to_state(x: Int64, real: float, out: Tensor) -> Array:
    """round(x * real) + zero point, as `out` holds it."""
    return out.dtype.saturated(requantize(x, *quantize_multiplier(real)).astype(np.int64) + out.zero_point)


# --- test cases ------------------------------------------------------------------------------------------------------


def draw_sequence(draw: Draw) -> tuple[Tensor, int]:
    """(input, units): a short sequence of numbers of about one."""
    steps, features, units = draw.choice((1, 2, 3, 5, 9)), draw.choice(SIZES), draw.choice(SIZES)
    batch = draw.choice((1, 1, 1, 2))
    return Tensor("x", (batch, steps, features), ACTIVATION, draw_quant(draw, 0.005, 0.05)), units


def draw_matrix(draw: Draw, name: str, rows: int, depth: int, source: Quantization, per_row: bool) -> tuple[Tensor, Tensor]:
    """(weights, bias) that give arguments of about 2."""
    top = 3.0 / (source.scale[0] * 60 * 70 * max(depth, 1) ** 0.5)
    count = rows if per_row and rows > 1 else 1
    scales = tuple(float(np.float32(draw.real(0.3, 1.5) * top)) for _ in range(count))
    quant = Quantization(scales, (0,) * count, 0 if count > 1 else None)
    weights = Tensor(name, (rows, depth), WEIGHT, quant, draw.array((rows, depth), -WEIGHT.reach, WEIGHT.reach))
    units = tuple(float(np.float32(np.float32(source.scale[0]) * np.float32(s))) for s in scales)
    reach = int(min(2**28, 1 / min(units)))
    bias = draw.array((rows,), -reach, reach, "int32")
    return weights, Tensor(f"{name}_bias", (rows,), "int32", Quantization(units, (0,) * count, quant.axis), bias)


def draw_state(draw: Draw) -> Quantization:
    """The quantization of outputs within -1 .. 1."""
    return draw.choice((STATE, per_tensor(draw.real(0.5, 1.2) * STATE.scale[0], draw.integer(-40, 40)), draw_quant(draw)))
