"""Each sample less a part of the one before, on whole windows and on streams."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.signal.difference import Q15, Difference
from sandgrain.kernels.base import OVER_INPUT, In, Kernel, Lowered, Out, Scratch, lowered, op_of


def _lower(view: View) -> Lowered:
    fields = {
        "samples": view.out.shape[1],
        "channels": view.out.shape[2],
        "coefficient": view.attrs["coefficient"],
        "bits": Q15 + view.attrs["shift"],
        "held": int(view.attrs["held"]),
    }
    return lowered("difference_s16", fields, (Scratch(), In(0), Out(0)), op_of(view, Difference).state_bytes(view), OVER_INPUT)


KERNEL = Kernel("difference_s16", ("difference",), _lower)
