"""Normalizations: a factor and an offset for each channel once trained, or a layer norm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sandgrain.frontends.aten.builder import Builder, Value
from sandgrain.frontends.aten.layout import dense, place
from sandgrain.frontends.aten.ops.base import Arguments, Result, need


def _batch_norm(b: Builder, a: Arguments) -> Value:
    """y = (x - mean) / sqrt(var + eps) * weight + bias, along axis 1 (Ioffe and Szegedy 2015)."""
    mean, var = a.constant("running_mean"), a.constant("running_var")
    need(mean is not None and var is not None and not a.get("training"), "a batch norm without running statistics; keep them")
    assert mean is not None and var is not None
    weight, bias = a.constant("weight"), a.constant("bias")
    factor = (1.0 if weight is None else weight.astype(np.float64)) / np.sqrt(var.astype(np.float64) + a["eps"])
    offset = (0.0 if bias is None else bias.astype(np.float64)) - mean * factor
    return b.scale(a.x, 1, factor, offset)


def _native_batch_norm(b: Builder, a: Arguments) -> Result:
    return (_batch_norm(b, a), None, None)


def _rows(b: Builder, a: Arguments) -> Value:
    """The input with its last axis innermost in memory, which must be the one that is normalized."""
    x, last = a.x, len(a.x.shape) - 1
    need(
        tuple(a["normalized_shape"]) == x.shape[last:],
        "a layer norm over several axes; normalize the last one, or flatten before",
    )
    return b.arrange(x, (*sorted(range(last), key=lambda k: place(x.layout, k)), last), free=(last,))


def _layer_norm(b: Builder, a: Arguments) -> Value:
    """Over the last axis (Ba et al. 2016)."""
    x = _rows(b, a)
    depth, order = x.shape[-1], x.layout.indices(len(x.shape) - 1)
    weight, bias = a.constant("weight"), a.constant("bias")
    gamma = b.constant(np.ones(depth) if weight is None else weight[order], "weight")
    beta = b.constant(np.zeros(depth) if bias is None else bias[order], "bias")
    shape = b.shape(x.tensor)
    rows = b.view(x.tensor, shape if shape[-1] == depth else (1, math.prod(shape) // depth, depth))
    return Value(b.node("layer_norm", (rows, gamma, beta), eps=float(a["eps"])), x.layout)


def _native_layer_norm(b: Builder, a: Arguments) -> Result:
    return (_layer_norm(b, a), None, None)


def _rms_norm(b: Builder, a: Arguments) -> Value:
    """x / sqrt(mean(x^2) + eps) * weight (Zhang and Sennrich 2019): the first half of a layer norm of x and -x, whose mean is 0."""
    x = _rows(b, a)
    depth, order = x.shape[-1], x.layout.indices(len(x.shape) - 1)
    weight, eps = a.constant("weight"), a.get("eps")
    gamma = np.ones(depth, np.float32) if weight is None else weight[order]
    rows = Value(b.view(x.tensor, (1, math.prod(x.shape) // depth, depth)), dense((1, math.prod(x.shape) // depth, depth)))
    mirrored = b.binary_constant("mul", rows, np.full(1, -1.0))
    both = b.node("concatenation", (rows.tensor, mirrored.tensor), axis=2)
    constants = (b.constant(np.tile(gamma, 2), "weight"), b.constant(np.zeros(2 * depth), "bias"))
    normed = b.node("layer_norm", (both, *constants), eps=float(np.finfo(np.float32).eps if eps is None else eps))
    half: dict[str, Any] = {"start": (0, 0, 0), "stride": (1, 1, 1), "size": rows.shape, "drop": ()}
    return Value(b.node("strided_slice", (normed,), **half), x.layout)


HANDLERS = {
    "batch_norm": _batch_norm, "_native_batch_norm_legit_no_training": _native_batch_norm,
    "layer_norm": _layer_norm, "native_layer_norm": _native_layer_norm,
    "rms_norm": _rms_norm,
}  # fmt: skip

_LIVE = "its statistics are computed at run time; use batch norm"
HINTS = dict.fromkeys(("group_norm", "native_group_norm", "instance_norm", "local_response_norm"), _LIVE)
