"""Normalizations that are a factor and an offset for each channel once trained."""

from __future__ import annotations

import numpy as np

from sandgrain.frontends.torch.builder import Builder, Value
from sandgrain.frontends.torch.ops.base import Arguments, Result, need


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


HANDLERS = {"batch_norm": _batch_norm, "_native_batch_norm_legit_no_training": _native_batch_norm}

_LIVE = "its statistics are computed at run time; use batch norm"
HINTS = dict.fromkeys(
    ("layer_norm", "native_layer_norm", "group_norm", "instance_norm", "rms_norm", "local_response_norm"), _LIVE
)
