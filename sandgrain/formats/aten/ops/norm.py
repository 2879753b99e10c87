"""Normalizations: a factor and an offset for each channel once trained, or a layer norm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.aten.layout import dense, place
from sandgrain.formats.aten.ops.base import Arguments, Result, need
from sandgrain.graph.ops.norm.layer_norm import MAX_DEPTH


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


def _group_norm(b: Builder, a: Arguments) -> Value:
    weight, bias = a.constant("weight"), a.constant("bias")
    return group_norm(b, a.x, a["num_groups"], weight, bias, float(a["eps"]))


def _native_group_norm(b: Builder, a: Arguments) -> Result:
    weight, bias = a.constant("weight"), a.constant("bias")
    return (group_norm(b, a.x, a["group"], weight, bias, float(a["eps"])), None, None)


def group_norm(b: Builder, x: Value, groups: int, weight: Array | None, bias: Array | None, eps: float) -> Value:
    """Over channels and places of each group of channels (Wu and He 2018): a layer norm of a row a group, then a factor and an offset a
    channel. Of one group alone these are the layer norm's own."""
    channels, depth = x.shape[1], math.prod(x.shape[1:]) // max(groups, 1)
    need(
        groups >= 1 and channels % groups == 0 and x.shape[0] == 1,
        f"{groups} groups of {channels} channels, or a batch; export with a batch of 1 and groups of one size",
    )
    need(depth <= MAX_DEPTH, f"{depth} values in a group; normalize at most {MAX_DEPTH}, or use batch norm")
    rows = b.reshape(x, (groups, depth))
    rows = b.arrange(rows, (0, 1), free=(1,))
    gamma, beta = (
        np.full(channels, fill, np.float32) if v is None else v.reshape(-1) for v, fill in ((weight, 1.0), (bias, 0.0))
    )
    alone = groups == 1
    places = rows.layout.indices(1) // (depth // channels) if alone else np.zeros(depth, np.int64)
    inside = (gamma[places], beta[places]) if alone else (np.ones(depth), np.zeros(depth))
    constants = [b.constant(v, what) for v, what in zip(inside, ("weight", "bias"), strict=True)]
    normed = b.node("layer_norm", (b.view(rows.tensor, (1, groups, depth)), *constants), eps=eps)
    found = b.reshape(Value(normed, rows.layout), x.shape)
    if alone or ((gamma == 1).all() and not beta.any()):
        return found
    order = sorted(range(len(x.shape)), key=lambda k: place(x.layout, k))
    return b.scale(b.arrange(found, order), 1, gamma.astype(np.float64), beta.astype(np.float64))


def _instance_norm(b: Builder, a: Arguments) -> Result:
    """A group a channel, or a batch norm where statistics were kept."""
    if not a.get("use_input_stats", True):
        return _batch_norm(b, Arguments("", {**a.values, "training": False}, a.shape))
    return group_norm(b, a.x, a.x.shape[1], a.constant("weight"), a.constant("bias"), float(a["eps"]))


HANDLERS = {
    "batch_norm": _batch_norm,
    "_native_batch_norm_legit_no_training": _native_batch_norm,
    "layer_norm": _layer_norm,
    "native_layer_norm": _native_layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "native_group_norm": _native_group_norm,
    "instance_norm": _instance_norm,
}

HINTS = {"local_response_norm": "its statistics are computed at run time; use batch norm"}
