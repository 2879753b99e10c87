"""Conv and ConvTranspose."""

from __future__ import annotations

from collections.abc import Sequence

from sandgrain.formats.aten.builder import Value
from sandgrain.formats.aten.ops.base import need
from sandgrain.formats.onnx.ops.base import Call, Result, padded, spatial, window


def need_window(call: Call, kernel: Sequence[int]) -> None:
    """`kernel_shape` says again what the weights say; where they disagree, one of them is wrong."""
    said = call.attr("kernel_shape")
    need(
        not said or tuple(said) == tuple(kernel),
        f"kernel_shape {list(said or [])} for weights of {list(kernel)}; export the model again",
    )


def conv(call: Call) -> Value:
    """Unequal paddings become zeros of the input, which the layer takes in again where nothing else reads it."""
    x, weights = call.x, call.given(1, "weight")
    size, kernel, groups = spatial(x.shape), weights.shape[2:], call.attr("group", 1)
    need(weights.ndim == len(x.shape), "weights that do not fit its input; export the model again")
    need_window(call, kernel)
    need(
        groups > 0 and weights.shape[1] * groups == x.shape[1] and weights.shape[0] % groups == 0,
        f"weights of {list(weights.shape)} in {groups} groups for {x.shape[1]} channels; export the model again",
    )
    stride, dilation, sides = window(call, size, kernel)
    out = [
        (n + sum(side) - d * (k - 1) - 1) // s + 1 for n, k, s, d, side in zip(size, kernel, stride, dilation, sides, strict=True)
    ]
    need(min(out) > 0, "a kernel larger than its input; feed a larger one")
    even = all(a == b for a, b in sides)
    found: Value = call.aten(
        f"conv{len(size)}d",
        (1, len(weights), *out),
        input=x if even else padded(call, x, sides),
        weight=weights,
        bias=call.constant(2, "bias"),
        stride=stride,
        padding=[a for a, _ in sides] if even else [0] * len(size),
        dilation=dilation,
        groups=groups,
    )
    return found


def _transposed(call: Call) -> Result:
    x, weights = call.x, call.given(1, "weight")
    size, kernel, groups = spatial(x.shape), weights.shape[2:], call.attr("group", 1)
    need(
        weights.ndim == len(x.shape) and groups > 0 and weights.shape[0] == x.shape[1] and len(weights) % groups == 0,
        "weights that do not fit its input; export the model again",
    )
    need_window(call, kernel)
    auto, asked = call.attr("auto_pad", "NOTSET"), call.attr("output_shape")
    stride, dilation, sides = window(call, size, kernel)
    more = call.attr("output_padding") or [0] * len(size)
    need(
        len(more) == len(size) and all(0 <= m < s for m, s in zip(more, stride, strict=True)),
        "an output_padding beyond its stride",
    )
    full = [(n - 1) * s + d * (k - 1) + 1 + m for n, k, s, d, m in zip(size, kernel, stride, dilation, more, strict=True)]
    if asked or auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = list(asked)[-len(size) :] if asked else [n * s for n, s in zip(size, stride, strict=True)]
        cut = [max(f - w, 0) for f, w in zip(full, wanted, strict=True)]
        # The odd element goes where the specification puts it: after for SAME_UPPER, before otherwise.
        start = [c // 2 if auto == "SAME_UPPER" else c - c // 2 for c in cut]
        out = wanted
    else:
        start = [a for a, _ in sides]
        out = [f - a - b for f, (a, b) in zip(full, sides, strict=True)]
    need(min(out) > 0 and all(w <= f for w, f in zip(out, full, strict=True)), "an output that its windows do not reach")
    shape = (1, weights.shape[1] * groups, *out)
    return call.aten(
        f"conv_transpose{len(size)}d", shape, input=x, weight=weights, bias=call.constant(2, "bias"), stride=stride,
        padding=start, output_padding=more, groups=groups, dilation=dilation,
    )  # fmt: skip


TRANSLATORS = {"Conv": conv, "ConvTranspose": _transposed}

HINTS = {"ConvInteger": "quantize with QDQ or QLinearConv, which keep the scale of the result"}
