"""Pools, global pools and reductions."""

from __future__ import annotations

from typing import Any

from sandgrain.formats.aten.builder import Value
from sandgrain.formats.aten.ops.base import need
from sandgrain.formats.onnx.ops.base import Call, Result, Translator, padded, spatial, window


def _pool(key: str) -> Translator:
    def translate(call: Call) -> Result:
        x, kernel = call.x, list(call.attr("kernel_shape") or [])
        size = spatial(x.shape)
        stride, dilation, sides = window(call, size, kernel)
        need(len(call.node.outputs) < 2 or not call.node.outputs[1], "the positions of the maxima; leave that output out")
        ceil, counted = bool(call.attr("ceil_mode", 0)), bool(call.attr("count_include_pad", 0))
        if key == "avg" and counted and any(map(any, sides)):
            need(not ceil, "ceil_mode together with count_include_pad; use one of them")
            x, sides = padded(call, x, sides), [(0, 0)] * len(size)
        out = []
        for n, k, s, d, (a, b) in zip(x.shape[2:], kernel, stride, dilation, sides, strict=True):
            steps = n + a + b - d * (k - 1) - 1
            count = -(-steps // s) + 1 if ceil else steps // s + 1
            out.append(count - (ceil and (count - 1) * s >= n + a))  # a window must begin inside
        need(min(out) > 0, "a window larger than its input; feed a larger one")
        need(all(max(side) < k for side, k in zip(sides, kernel, strict=True)), "a padding as large as the window; pad before")
        values: dict[str, Any] = {"input": x, "kernel_size": kernel, "stride": stride, "padding": [a for a, _ in sides]}
        if key == "max":
            values["dilation"] = dilation
        else:
            need(set(dilation) == {1}, "a dilated pool; use dilation 1")
            values |= {"count_include_pad": False, "divisor_override": None}
        return call.aten(f"{key}_pool{len(size)}d", (*x.shape[:2], *out), **values)

    return translate


def _global(key: str) -> Translator:
    def translate(call: Call) -> Result:
        rank = len(spatial(call.x.shape))
        shape = (*call.x.shape[:2], *(1,) * rank)
        found = call.aten(f"adaptive_{key}_pool{rank}d", shape, input=call.x, output_size=[1] * rank)
        return found[0] if isinstance(found, tuple) else found

    return translate


def _reduce(key: str) -> Translator:
    def translate(call: Call) -> Result:
        x, axes, keep = call.x, call.integers(1, "axes"), bool(call.attr("keepdims", 1))
        rank = len(x.shape)
        if not axes and call.attr("noop_with_empty_axes", 0):
            return x
        gone = {k % rank for k in axes} if axes else set(range(rank))
        shape = [1 if k in gone else n for k, n in enumerate(x.shape) if keep or k not in gone]
        found: Value = call.aten(key, shape, self=x, dim=sorted(gone), keepdim=keep)
        return found

    return translate


TRANSLATORS = {
    "MaxPool": _pool("max"),
    "AveragePool": _pool("avg"),
    "GlobalAveragePool": _global("avg"),
    "GlobalMaxPool": _global("max"),
    "ReduceMean": _reduce("mean"),
    "ReduceSum": _reduce("sum"),
    "ReduceMax": _reduce("amax"),
}

_POOL = "use AveragePool or MaxPool"
HINTS = {
    "LpPool": _POOL, "GlobalLpPool": "use GlobalAveragePool or GlobalMaxPool", "MaxRoiPool": _POOL, "MaxUnpool": "use Resize",
    "ReduceMin": "negate, take ReduceMax, negate", "ReduceL1": "use ReduceMean", "ReduceL2": "use ReduceMean",
    "ReduceSumSquare": "multiply, then ReduceSum", "ReduceProd": "use ReduceSum", "ReduceLogSumExp": "use Softmax",
}  # fmt: skip
