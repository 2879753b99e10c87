"""Operators that only move, cut, join or repeat elements."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sandgrain.base.errors import UnsupportedError
from sandgrain.formats.aten.builder import Value
from sandgrain.formats.aten.ops.base import need
from sandgrain.formats.onnx import fold
from sandgrain.formats.onnx.ops.base import Call, Result, spatial
from sandgrain.formats.onnx.program import KINDS


def _same(call: Call) -> Result:
    return call.x


def _dropout(call: Call) -> Result:
    need(len(call.node.outputs) < 2 or not call.node.outputs[1], "the mask of a dropout; leave that output out")
    return call.x


def _cast(call: Call) -> Result:
    kind = KINDS.get(call.attr("to"))
    tensor = call.builder.tensors[call.x.tensor]
    if tensor.dtype == "int32":
        need(kind is not None and kind.kind in "iu", "positions made floats; feed floats, or use them for an embedding only")
    else:
        need(kind is not None and kind.kind == "f", "values that are cut to whole numbers; leave the cast out")
    return call.x


def _reshape(call: Call) -> Result:
    wish = call.given(1, "shape").reshape(-1).tolist()
    return call.reshape(call.x, fold.reshaped(call.x.shape, wish, bool(call.attr("allowzero", 0))))


def _flatten(call: Call) -> Result:
    return call.reshape(call.x, fold.flattened(call.x.shape, call.attr("axis", 1)))


def _squeeze(call: Call) -> Result:
    axes = call.integers(1, "axes")
    need(
        axes is None or all(call.x.shape[k] == 1 for k in axes), "axes that are larger than 1; export the model with fixed shapes"
    )
    return call.reshape(call.x, fold.squeezed(call.x.shape, axes))


def _unsqueeze(call: Call) -> Result:
    return call.reshape(call.x, fold.unsqueezed(call.x.shape, call.integers(1, "axes") or []))


def _transpose(call: Call) -> Result:
    rank = len(call.x.shape)
    perm = call.attr("perm") or list(range(rank))[::-1]
    need(sorted(perm) == list(range(rank)), f"a permutation {perm} of {rank} axes; export the model again")
    return call.permute(call.x, perm)


def _concat(call: Call) -> Result:
    return joined(call, list(call.args))


def joined(call: Call, parts: list[Any]) -> Result:
    """Values and constants, joined along the node's axis."""
    rank = len(parts[0].shape)
    axis = call.attr("axis") % rank
    shape = list(parts[0].shape)
    shape[axis] = sum(p.shape[axis] for p in parts)
    if len(parts) == 1:
        return parts[0]
    return call.aten("cat", fold.bounded(shape), tensors=parts, dim=axis)


def _split(call: Call) -> Result:
    x = call.x
    axis = call.attr("axis", 0) % len(x.shape)
    sizes, extent = call.integers(1, "split"), x.shape[axis]
    if sizes is None:
        count = call.attr("num_outputs") or len(call.node.outputs)
        each = -(-extent // count)
        sizes = [min(each, extent - k) for k in range(0, extent, each)]
    need(sum(sizes) == extent and min(sizes) > 0, f"parts of {sizes} of an axis of {extent}; export the model again")
    return call.aten("split_with_sizes", x.shape, self=x, split_sizes=sizes, dim=axis)


def _slice(call: Call) -> Result:
    x = call.x
    arrays = [call.constant(k, "bounds") for k in range(1, 5)]
    need(arrays[0] is not None and arrays[1] is not None, "it lacks its bounds; export the model again")
    for axis, taken in fold.ranges(x.shape, arrays):
        need(bool(taken), "an empty slice; take at least one element")
        shape = [len(taken) if k == axis else n for k, n in enumerate(x.shape)]
        if taken.step < 0:
            first = taken[-1]
            x = call.aten("slice", shape, self=x, dim=axis, start=first, end=taken[0] + 1, step=-taken.step)
            x = call.aten("flip", shape, self=x, dims=[axis])
        else:
            x = call.aten("slice", shape, self=x, dim=axis, start=taken.start, end=taken[-1] + 1, step=taken.step)
    return x


def _pad(call: Call) -> Result:
    x, rank = call.x, len(call.x.shape)
    pads, value, axes = call.integers(1, "pads"), call.constant(2, "value"), call.constant(3, "axes")
    chosen = [k % rank for k in axes.reshape(-1).tolist()] if axes is not None else list(range(rank))
    need(pads is not None and len(pads) == 2 * len(chosen), "paddings that do not fit its input; export the model again")
    assert pads is not None
    number = call.attr("value", 0.0) if value is None else value.reshape(-1)[0].item()
    need(call.attr("mode", "constant") == "constant", f"padding by {call.attr('mode')}; pad with zeros")
    need(number == 0, f"padding with {number}; pad with zeros")
    sides = dict.fromkeys(range(rank), (0, 0)) | {k: (pads[i], pads[len(chosen) + i]) for i, k in enumerate(chosen)}
    shape = fold.bounded([n + sum(sides[k]) for k, n in enumerate(x.shape)])
    need(min(shape) > 0, "a padding that cuts everything; export the model again")
    flat = [v for k in reversed(range(rank)) for v in sides[k]]
    return call.aten("constant_pad_nd", shape, self=x, pad=flat, value=0)


def _gather(call: Call) -> Result:
    """By constant positions slices of a value, by the model's own (whole numbers) rows of a table."""
    x, at = call.arg(0), call.arg(1)
    need(x is not None and at is not None, "it lacks an input; export the model again")
    axis = call.attr("axis", 0) % len(x.shape)
    shape = fold.bounded((*x.shape[:axis], *at.shape, *x.shape[axis + 1 :]))
    if isinstance(at, Value) or not isinstance(x, Value):
        return call.aten("index_select", shape, self=x, dim=axis, index=at)
    extent, places = x.shape[axis], np.asarray(at).reshape(-1)
    need(bool(places.size) and bool(((-extent <= places) & (places < extent)).all()), f"positions outside an axis of {extent}")
    places = places % extent
    first, count = int(places[0]), len(places)
    if np.array_equal(places, np.arange(first, first + count)):
        part = call.aten("narrow", (*x.shape[:axis], count, *x.shape[axis + 1 :]), self=x, dim=axis, start=first, length=count)
        return call.reshape(part, shape)
    part = call.aten("index_select", (*x.shape[:axis], count, *x.shape[axis + 1 :]), self=x, dim=axis, index=places)
    return call.reshape(part, shape)


def _expand(call: Call) -> Result:
    wish = call.given(1, "shape").reshape(-1).tolist()
    return call.aten("expand", fold.bounded(np.broadcast_shapes(call.x.shape, tuple(wish))), self=call.x)


def _depth_to_space(call: Call) -> Result:
    x, r = call.x, call.attr("blocksize", 1)
    need(len(x.shape) == 4 and r > 0 and x.shape[1] % (r * r) == 0, f"{list(x.shape)} in blocks of {r}; export the model again")
    n, c, h, w = x.shape
    if call.attr("mode", "DCR") == "CRD":
        return call.aten("pixel_shuffle", (n, c // r // r, h * r, w * r), self=x, upscale_factor=r)
    blocks = call.permute(call.reshape(x, (n, r, r, c // r // r, h, w)), (0, 3, 4, 1, 5, 2))
    return call.reshape(blocks, (n, c // r // r, h * r, w * r))


def _space_to_depth(call: Call) -> Result:
    x, r = call.x, call.attr("blocksize", 1)
    need(
        len(x.shape) == 4 and r > 0 and not any(n % r for n in x.shape[2:]),
        f"{list(x.shape)} in blocks of {r}; export the model again",
    )
    n, c, h, w = x.shape
    blocks = call.permute(call.reshape(x, (n, c, h // r, r, w // r, r)), (0, 3, 5, 1, 2, 4))
    return call.reshape(blocks, (n, c * r * r, h // r, w // r))


# --- resize --------------------------------------------------------------------------------------------------------------


def _resize(call: Call) -> Result:
    x, rank = call.x, len(call.x.shape)
    axes = [k % rank for k in call.attr("axes") or range(rank)]
    need(
        call.attr("keep_aspect_ratio_policy", "stretch") == "stretch" and not call.attr("antialias", 0),
        "a resize with antialias or a kept ratio; give the size",
    )
    scales, sizes = call.constant(2, "scales"), call.constant(3, "sizes")
    factors, out = dict.fromkeys(range(rank), 1.0), dict(enumerate(x.shape))
    if sizes is not None and sizes.size:
        need(sizes.size == len(axes), "sizes that do not fit its input; export the model again")
        out |= dict(zip(axes, sizes.reshape(-1).tolist(), strict=True))
        factors |= {k: out[k] / x.shape[k] for k in axes}
    else:
        need(scales is not None and scales.size == len(axes), "it lacks its scales or sizes; export the model again")
        assert scales is not None
        factors |= dict(zip(axes, scales.reshape(-1).astype(float).tolist(), strict=True))
        need(all(0 < f < 1 << 16 for f in factors.values()), "a scale that is no positive number; export the model again")
        out = {k: math.floor(n * factors[k]) for k, n in out.items()}
    shape = fold.bounded([out[k] for k in range(rank)])
    need(min(shape) > 0 and shape[:2] == x.shape[:2], "a resize along batch or channels; transpose before")
    if shape == x.shape:
        return x
    return _resized(call, x, shape, [factors[k] for k in range(2, rank)])


def _resized(call: Call, x: Value, shape: tuple[int, ...], factors: list[float]) -> Result:
    rank, mode, where = (
        len(spatial(x.shape)),
        call.attr("mode", "nearest"),
        call.attr("coordinate_transformation_mode", "half_pixel"),
    )
    given = None if all(m == n * f for n, m, f in zip(x.shape[2:], shape[2:], factors, strict=True)) else factors
    values: dict[str, Any] = {"input": x, "output_size": list(shape[2:]), "scale_factors": given}
    if mode == "linear":
        need(where in ("half_pixel", "pytorch_half_pixel", "align_corners"), f"linear interpolation by {where}; use half_pixel")
        return call.aten(
            "upsample_linear1d" if rank == 1 else "upsample_bilinear2d", shape, **values, align_corners=where == "align_corners"
        )
    need(mode == "nearest", f"interpolation by {mode}; use nearest or linear")
    rounding = call.attr("nearest_mode", "round_prefer_floor")
    for exact, key in ((False, "upsample_nearest"), (True, "_upsample_nearest_exact")):
        if all(_agrees(n, m, f, exact, where, rounding) for n, m, f in zip(x.shape[2:], shape[2:], factors, strict=True)):
            return call.aten(f"{key}{rank}d", shape, **values)
    raise UnsupportedError(f"nearest neighbours by {where} and {rounding}; use asymmetric with floor, and whole factors")


def _agrees(n: int, m: int, factor: float, exact: bool, where: str, rounding: str) -> bool:
    """Whether the element that ONNX takes for each of `m` is that of torch's nearest (or nearest-exact)."""
    k = np.arange(m)
    if where == "align_corners":
        at = k * ((n - 1) / (m - 1)) if m > 1 else 0.0 * k
    elif where in ("half_pixel", "pytorch_half_pixel"):
        at = (k + 0.5) / factor - 0.5 if m > 1 or where == "half_pixel" else 0.0 * k
    elif where == "asymmetric":
        at = k / factor
    else:
        return False
    chosen = {
        "floor": np.floor(at),
        "ceil": np.ceil(at),
        "round_prefer_floor": np.ceil(at - 0.5),
        "round_prefer_ceil": np.floor(at + 0.5),
    }.get(rounding, np.full(m, -1.0))
    wanted = np.floor((k + 0.5 * exact) / factor)
    return np.array_equal(np.clip(chosen, 0, n - 1), np.clip(wanted, 0, n - 1))


TRANSLATORS = {
    "Identity": _same, "Dropout": _dropout, "Cast": _cast, "Reshape": _reshape, "Flatten": _flatten, "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze, "Transpose": _transpose, "Concat": _concat, "Split": _split, "Slice": _slice, "Pad": _pad, "Gather": _gather,
    "Expand": _expand, "DepthToSpace": _depth_to_space, "SpaceToDepth": _space_to_depth, "Resize": _resize,
}  # fmt: skip

HINTS = {
    "Upsample": "convert the model to opset 11 or newer, which has Resize", "Tile": "let an addition broadcast instead",
    "GatherND": "use Slice", "GatherElements": "use Slice", "ScatterND": "use Concat", "ScatterElements": "use Concat",
    "OneHot": "feed the rows themselves", "GridSample": "use Resize", "ReverseSequence": "use Slice with step -1",
    "Trilu": "leave the mask out", "AffineGrid": "use Resize", "Col2Im": "use ConvTranspose",
}  # fmt: skip
