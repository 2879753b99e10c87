"""Activations and normalizations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.formats.aten.builder import Value
from sandgrain.formats.aten.ops.activation import CLAMPS
from sandgrain.formats.aten.ops.base import need
from sandgrain.formats.onnx.ops.base import Call, Result, Translator


def _plain(key: str) -> Translator:
    return lambda call: call.aten(key, call.x.shape, self=call.x)


def clip(call: Call) -> Result:
    low, high = (_bound(call, k, name) for k, name in ((1, "min"), (2, "max")))
    return clipped(call, call.x, low, high)


def _bound(call: Call, position: int, name: str) -> float | None:
    given = call.constant(position, name)
    value = call.attr(name) if given is None else given.reshape(-1)[0].item() if given.size == 1 else float("nan")
    need(value is None or not math.isnan(value), f"its {name} is no number; export the model again")
    return None if value is None or abs(value) > 1e30 else float(value)


def clipped(call: Call, x: Value, low: float | None, high: float | None) -> Value:
    """Other bounds than those that layers have are brought to them: relu6(6 (x - low) / (high - low)) and back."""
    if low is None and high is None:
        return x
    if (low, high) in CLAMPS:
        return call.aten("clamp", x.shape, self=x, min=low, max=high)  # type: ignore[no-any-return]
    need(low is None or high is None or low < high, f"a clip to {low} and {high}; export the model again")
    if low is not None and high is not None:
        six = call.aten("relu6", x.shape, self=affine(call, x, 6 / (high - low), -6 * low / (high - low)))
        return affine(call, six, (high - low) / 6, low)
    sign, bound = (1.0, low) if low is not None else (-1.0, high)
    assert bound is not None
    positive = call.aten("relu", x.shape, self=affine(call, x, sign, -sign * bound))
    return affine(call, positive, sign, bound)


def affine(call: Call, x: Value, factor: float, offset: float) -> Value:
    """factor x + offset."""
    if factor != 1:
        x = call.aten("mul", x.shape, self=x, other=np.asarray([factor]))
    return x if not offset else call.aten("add", x.shape, self=x, other=np.asarray([offset]))


def _leaky_relu(call: Call) -> Result:
    return call.aten("leaky_relu", call.x.shape, self=call.x, negative_slope=call.attr("alpha", 0.01))


def _prelu(call: Call) -> Result:
    """A slope for all, or one for each channel."""
    x, slope = call.x, call.given(1, "slope")
    wide = (1,) * (len(x.shape) - slope.ndim) + slope.shape
    channel = len(wide) > 1 and wide[1] == x.shape[1] and math.prod(wide) == wide[1]
    need(slope.size == 1 or channel, f"slopes of {list(slope.shape)}; use one for all, or one for each channel")
    return call.aten("prelu", x.shape, self=x, weight=slope.reshape(-1))


def _hard_sigmoid(call: Call) -> Result:
    """max(0, min(1, alpha x + beta))."""
    x, alpha, beta = call.x, float(call.attr("alpha", 0.2)), float(call.attr("beta", 0.5))
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return call.aten("hardsigmoid", x.shape, self=x)
    return affine(call, call.aten("relu6", x.shape, self=affine(call, x, 6 * alpha, 6 * beta)), 1 / 6, 0)


def _elu(call: Call) -> Result:
    values = {"alpha": call.attr("alpha", 1.0), "scale": 1, "input_scale": 1}
    return call.aten("elu", call.x.shape, self=call.x, **values)


def _selu(call: Call) -> Result:
    values = {"alpha": call.attr("alpha", 1.6732632423543772), "scale": call.attr("gamma", 1.0507009873554805)}
    return call.aten("elu", call.x.shape, self=call.x, input_scale=1, **values)


def _celu(call: Call) -> Result:
    return call.aten("celu", call.x.shape, self=call.x, alpha=call.attr("alpha", 1.0))


def _gelu(call: Call) -> Result:
    return call.aten("gelu", call.x.shape, self=call.x, approximate=call.attr("approximate", "none"))


def _softplus(call: Call) -> Result:
    return call.aten("softplus", call.x.shape, self=call.x, beta=1)


def _swish(call: Call) -> Result:
    need(call.attr("alpha", 1.0) == 1, "a Swish with alpha; use the default, 1")
    return call.aten("silu", call.x.shape, self=call.x)


def softmax(call: Call) -> Result:
    """Before opset 13 over all axes from `axis` on together."""
    x, old = call.x, call.opset < 13
    rank = len(x.shape)
    axis = call.attr("axis", 1 if old else -1) % rank
    if not old or math.prod(x.shape[axis + 1 :]) == 1:
        return call.aten("softmax", x.shape, self=x, dim=axis)
    rows = call.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))
    return call.reshape(call.aten("softmax", rows.shape, self=rows, dim=1), x.shape)


def _batch_norm(call: Call) -> Result:
    need(
        not call.attr("training_mode", 0) and len([o for o in call.node.outputs if o]) == 1,
        "a batch norm in training; export in eval mode",
    )
    names = ("weight", "bias", "running_mean", "running_var")
    values: dict[str, Any] = {name: call.given(k, name).reshape(-1) for k, name in enumerate(names, 1)}
    need(all(v.size == call.x.shape[1] for v in values.values()), "statistics that do not fit its input; export the model again")
    return call.aten("batch_norm", call.x.shape, input=call.x, training=False, eps=call.attr("epsilon", 1e-5), **values)


def _layer_norm(call: Call) -> Result:
    x = call.x
    axis = call.attr("axis", -1) % len(x.shape)
    need(len([o for o in call.node.outputs if o]) == 1, "the statistics of a layer norm; leave those outputs out")
    weight, bias = call.constant(1, "weight"), call.constant(2, "bias")
    sides: dict[str, Any] = {
        "weight": None if weight is None else weight.reshape(-1),
        "bias": None if bias is None else bias.reshape(-1),
    }
    shape = list(x.shape[axis:])
    need(all(v is None or v.size == math.prod(shape) for v in sides.values()), "weights that do not fit its input; export again")
    return call.aten("layer_norm", x.shape, input=x, normalized_shape=shape, eps=call.attr("epsilon", 1e-5), **sides)


def _instance_norm(call: Call) -> Result:
    return _grouped(call, call.x.shape[1], call.given(1, "weight"), call.given(2, "bias"))


def _group_norm(call: Call) -> Result:
    """Of opset 21: the older one is deprecated, and the onnx package refuses it."""
    return _grouped(call, int(call.attr("num_groups", 0)), call.given(1, "weight"), call.given(2, "bias"))


def _grouped(call: Call, groups: int, weight: Array, bias: Array) -> Result:
    channels = call.x.shape[1]
    need(weight.size == bias.size == channels, "weights that do not fit its input; export the model again")
    sides: dict[str, Any] = {"weight": weight.reshape(-1), "bias": bias.reshape(-1)}
    return call.aten("group_norm", call.x.shape, input=call.x, num_groups=groups, eps=call.attr("epsilon", 1e-5), **sides)


def _rms_norm(call: Call) -> Result:
    x, weight = call.x, call.given(1, "weight")
    shape = list(x.shape[call.attr("axis", -1) % len(x.shape) :])
    need(weight.size == math.prod(shape), "weights that do not fit its input; export again")
    return call.aten(
        "rms_norm", x.shape, input=x, normalized_shape=shape, weight=weight.reshape(-1), eps=call.attr("epsilon", 1e-5)
    )


TRANSLATORS = {
    "Relu": _plain("relu"), "Sigmoid": _plain("sigmoid"), "Tanh": _plain("tanh"), "HardSwish": _plain("hardswish"), "Clip": clip,
    "LeakyRelu": _leaky_relu, "PRelu": _prelu, "HardSigmoid": _hard_sigmoid, "Elu": _elu, "Celu": _celu, "Selu": _selu, "Mish": _plain("mish"), "Exp": _plain("exp"), "Gelu": _gelu,
    "com.microsoft.Gelu": _gelu, "Softplus": _softplus, "Swish": _swish, "Softmax": softmax, "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm, "InstanceNormalization": _instance_norm, "GroupNormalization": _group_norm,
    "RMSNormalization": _rms_norm,
}  # fmt: skip

_LIVE = "its statistics are computed at run time; use BatchNormalization"
HINTS = dict.fromkeys(("MeanVarianceNormalization", "LRN", "LpNormalization"), _LIVE) | {
    "Softsign": "use Tanh",
    "ThresholdedRelu": "use Relu",
    "Erf": "use Gelu",
    "LogSoftmax": "leave it out: the class with the largest value stays the same",
    "Hardmax": "leave it out",
    "Shrink": "use Relu",
}
