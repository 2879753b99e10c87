"""Any function of one int8 value on any core: a table of 256 bytes, baked on the host."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import View
from sandgrain.graph.ops import OPS
from sandgrain.graph.ops.table.unary import UnaryOp, table
from sandgrain.kernels.base import ANY_CORE, OVER_INPUT, Fit, Kernel, Refused, lowered, op_of


def _lower(view: View) -> Fit:
    if view.input(0).dtype != "int8":
        return Refused(f"a {view.input(0).dtype} input; the table has an entry per int8")
    op = op_of(view, UnaryOp)
    # The device indexes by the byte read as unsigned (0 .. 127, then -128 .. -1): no addition per element.
    fields = {"table": np.roll(table(op.evaluate, view), 128), "count": view.out.size}
    return lowered("lut_s8", fields, sharing=OVER_INPUT)


KERNEL = Kernel(
    "lut_s8",
    tuple(name for name, op in OPS.items() if isinstance(op, UnaryOp) and not op.only_clamps),
    _lower,
    "int8 input",
    ANY_CORE + 10,
)
