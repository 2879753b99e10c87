"""x where x >= 0, else exp(x) - 1 (Clevert et al. 2015), in single precision as TensorFlow Lite Micro fills its table."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, Attrs, View
from sandgrain.graph.ops.base import Foreign
from sandgrain.graph.ops.table.unary import UnaryOp
from sandgrain.graph.quantization import Int64

FAR = np.float32(1 << 20)  # outputs are cut here, far outside int8


def exp_once_rounded(x: Array) -> Array:
    """e^x of float32, rounded to float32 once: numpy's own is off by up to 2.5 ulp, differently on processors with and without AVX."""
    return np.exp(x.astype(np.float64)).astype(np.float32)


def _evaluate(view: View, x: Int64) -> Array:
    one = np.float32(1)
    with np.errstate(over="ignore"):
        real = np.float32(view.input(0).scale) * (x - view.input(0).zero_point).astype(np.float32)
        curve = np.where(real < 0, exp_once_rounded(np.minimum(real, 0)) - one, real)
        steps = np.clip(curve * (one / np.float32(view.out.scale)), -FAR, FAR)
    nearest = np.copysign(np.floor(np.abs(steps.astype(np.float64)) + 0.5), steps)
    return nearest.astype(np.int64) + view.out.zero_point


class Elu(UnaryOp):
    name = "elu"
    summary = "x, or exp(x) - 1 below 0"
    foreign = (Foreign("ELU", 111),)
    evaluate = staticmethod(_evaluate)

    @staticmethod
    def curve(x: Array, options: Attrs) -> Array:
        result: Array = np.where(x < 0, np.expm1(np.minimum(x, 0)), x)
        return result
