"""What the kernels of gru and lstm share: the gates' weights, biases and scales as they are read, four units at once."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.recurrent import gates
from sandgrain.graph.ops.recurrent.gates import Products
from sandgrain.kernels.base import Fields, Refused
from sandgrain.kernels.shared import scale_dsp

BLOCK = 4  # units that a kernel computes at once: a gate's are padded to a multiple


def padded_units(units: int) -> int:
    """`units` up to whole blocks."""
    return -(-units // BLOCK) * BLOCK


def scratch_bytes(view: View, count: int) -> int:
    """The arguments of `count` gates from x and from h, the state wide, and h as int8."""
    return padded_units(view.out.shape[-1]) * (2 * 2 * count + 2 + 1)


def refused_dsp(parts: tuple[Products, ...]) -> Refused | None:
    """Why the DSP kernel cannot rescale some gate."""
    for part in parts:
        if not scale_dsp.fits(part.multiplier, part.shift):
            return Refused(scale_dsp.refusal(part.shift))
    return None


def sequence_fields(view: View, parts: dict[str, Products], scale: tuple[int, int], dsp: bool) -> Fields:
    """The members that the kernels of gru and lstm share. `parts`: what x, h and r * h give; `scale`: to the output."""
    batch, steps, features = view.input(0).shape
    units = view.out.shape[-1]
    products = {name: value for letter, part in parts.items() for name, value in _product_fields(part, letter, dsp).items()}
    return {
        **products,
        "table": gates.LOGISTIC,
        "batch": batch,
        "steps": steps,
        "features": features,
        "units": units,
        "padded": padded_units(units),
        "last": int(view.attrs["last"]),
        "reverse": int(view.attrs["reverse"]),
        "multiplier": scale[0],
        "shift": scale[1],
        "zero_point": view.out.zero_point,
    }


def _product_fields(products: Products, letter: str, dsp: bool) -> Fields:
    """The members of the kernels' structs, their names ending in `letter`."""
    gate_count, units, depth = products.weights.shape
    padded = padded_units(units)
    weights = np.zeros((gate_count, padded, depth), np.int8)
    weights[:, :units] = products.weights
    bias = np.zeros((gate_count, padded), np.int32)
    bias[:, :units] = products.bias - products.zero_point * products.weights.astype(np.int64).sum(axis=2)
    single = products.multiplier.shape[1] == 1
    width = 1 if single else padded
    scales = np.zeros((gate_count, width, 2), np.int64)
    scales[:, : products.multiplier.shape[1]] = np.stack([products.multiplier, products.shift], axis=2)
    multiplier, shift = scales[..., 0], scales[..., 1]
    rescaling: Fields = {f"multiplier_{letter}": multiplier.astype(np.int32), f"shift_{letter}": shift.astype(np.int8)}
    if dsp:
        rescaling = {f"scale_{letter}": scale_dsp.pairs(multiplier, shift)}
    return {
        f"weights_{letter}": _interleaved(weights),
        f"bias_{letter}": bias,
        **rescaling,
        f"gate_step_{letter}": width,
        f"unit_step_{letter}": int(not single),
    }


def _interleaved(weights: Array) -> Array:
    """[gates, units, depth] as [gates, units / 4, depth / 4, 4 units, 4 inputs], then the last inputs as [left, 4 units]."""
    gate_count, units, depth = weights.shape
    whole = depth - depth % 4
    blocks = weights.reshape(gate_count, units // BLOCK, BLOCK, depth)
    fours = blocks[..., :whole].reshape(*blocks.shape[:3], -1, 4).transpose(0, 1, 3, 2, 4)
    left = blocks[..., whole:].transpose(0, 1, 3, 2)
    parts = [fours.reshape(gate_count, units // BLOCK, -1), left.reshape(gate_count, units // BLOCK, -1)]
    return np.concatenate(parts, axis=2)
