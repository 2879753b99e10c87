"""A constant around a tensor of up to five dimensions."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.layout.movement import MAX_RANK, dense_strides
from sandgrain.kernels.base import Kernel, Lowered, lowered


def _lower(view: View) -> Lowered:
    x, out = view.input(0), view.out
    extents, paddings = list(x.shape), [tuple(p) for p in view.attrs["paddings"]]
    item = x.dtype.item_bytes
    # Innermost axes without padding are one run with the axis before them.
    while len(extents) > 1 and paddings[-1] == (0, 0):
        run = extents.pop()
        paddings.pop()
        extents[-1] *= run
        paddings[-1] = (paddings[-1][0] * run, paddings[-1][1] * run)
    missing = MAX_RANK - len(extents)
    extents = [1] * missing + extents
    paddings = [(0, 0)] * missing + paddings
    padded = tuple(n + before + after for n, (before, after) in zip(extents, paddings, strict=True))
    steps = dense_strides(padded, item)
    assert steps[0] * padded[0] == out.nbytes
    fields = {
        "size": tuple(extents[:-1]),
        "run": extents[-1] * item,
        "before": tuple(p[0] * step for p, step in zip(paddings, steps, strict=True)),
        "after": tuple(p[1] * step for p, step in zip(paddings, steps, strict=True)),
        "value": view.attrs["value"],
    }
    return lowered("pad", fields)


KERNEL = Kernel("pad", ("pad",), _lower)
