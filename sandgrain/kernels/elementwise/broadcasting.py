"""What the kernels of two inputs share: loops over broadcast shapes, and which input may be written over."""

from __future__ import annotations

from sandgrain.graph.ir import Tensor, View
from sandgrain.graph.ops.elementwise.broadcast import LOOPS, loops
from sandgrain.kernels.base import Fields, Refused, Share


def loop_fields(a: Tensor, b: Tensor) -> Fields:
    """The kernels' `size`, `a_stride` and `b_stride`, LOOPS long."""
    needed = loops(a.shape, b.shape)
    full = [(1, 0, 0)] * (LOOPS - len(needed)) + needed
    return {"size": tuple(f[0] for f in full), "a_stride": tuple(f[1] for f in full), "b_stride": tuple(f[2] for f in full)}


def over_unrepeated(view: View) -> tuple[Share, ...]:
    """Over either input: element i of each is read just before output i is written, and only there."""
    return tuple(Share(k) for k in (0, 1) if view.input(k).data is None and view.input(k).size == view.out.size)


def refused_broadcast(view: View) -> Refused | None:
    """Why a kernel without loops cannot take the layer."""
    if view.input(0).size == view.input(1).size == view.out.size:
        return None
    return Refused(
        f"shapes {list(view.input(0).shape)} and {list(view.input(1).shape)} are broadcast; the kernel takes equal ones"
    )
