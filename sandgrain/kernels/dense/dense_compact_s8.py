"""Fully connected layers, and convolutions that are, with least code: what all layers share for `--optimize size`."""

from __future__ import annotations

from dataclasses import replace

from sandgrain.graph.ir import View
from sandgrain.kernels.base import DSP, LEAST_CODE, Fit, Kernel, Refused, before, lowered
from sandgrain.kernels.shared.compact_table import rows_fields
from sandgrain.kernels.shared.windows import by_unit, is_pointwise


def _lower(view: View) -> Fit:
    rows = rows_fields(view, by_unit(view))
    if isinstance(rows, Refused):
        return rows
    units, depth = rows["units"], rows["depth"]
    runs = view.input(0).size // depth
    # All outputs of a run are written while its inputs are still read.
    lead = max(units, runs * units - (runs - 1) * depth)
    return lowered("dense_compact_s8", {"rows": rows, "runs": runs}, sharing=(before(lead),))


def _lower_convolution(view: View) -> Fit:
    return _lower(view) if is_pointwise(view) else Refused("not a 1x1 convolution with stride 1 and without padding")


WHEN = "multipliers below 1, biases of 27 bits"
DENSE = Kernel("dense_compact_s8", ("fully_connected",), _lower, WHEN, LEAST_CODE, helped_by=DSP, compact=True)
CONVOLUTION = replace(
    DENSE, ops=("conv_2d",), lower=_lower_convolution, when=f"1x1, stride 1, no padding; {WHEN}", rank=LEAST_CODE + 10
)
