"""Bilinear and linear interpolation."""

from __future__ import annotations

from sandgrain.formats.aten.builder import Builder, Value
from sandgrain.formats.aten.layout import dense
from sandgrain.formats.aten.ops.base import Arguments, need

NEAR = 1e-3  # of a pixel: how far a factor may move the last position from where the sizes alone put it


def _bilinear(b: Builder, a: Arguments) -> Value:
    """The positions follow from the sizes; a given factor counts instead, which must then say the same."""
    rank, corners = len(a.x.shape), bool(a["align_corners"])
    order = (0, *range(2, rank), 1)
    factors = a.get("scale_factors") or [a.get(k) for k in ("scales", "scales_h", "scales_w") if k in a.values]
    for n, m, factor in zip(a.x.shape[2:], a.shape[2:], factors or [None, None], strict=False):
        same = corners or not factor or abs(1 / factor - n / m) * m < NEAR
        need(same, f"a resize from {n} to {m} by {factor}; use a whole factor, or give the size")
    size = ((1,) if rank == 3 else ()) + a.shape[2:]
    tensor = b.image(b.arrange(a.x, order))[0]
    out = b.node("resize_bilinear", (tensor,), size=size, align_corners=corners, half_pixel_centers=not corners)
    return Value(out, dense(a.shape, order))


HANDLERS = {"upsample_bilinear2d": _bilinear, "upsample_linear1d": _bilinear}

HINTS = {"_upsample_bilinear2d_aa": "leave antialias out"}
