"""What the kernels of gru share: their parameters, and which of the op's two forms each computes."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.recurrent import gates
from sandgrain.graph.ops.recurrent.gru import GATES, NEW, products_of
from sandgrain.graph.quantization import quantize_multiplier
from sandgrain.kernels.base import ONE_INPUT_AND_SCRATCH, Fit, Refused, lowered
from sandgrain.kernels.recurrent.gate_fields import refused_dsp, scratch_bytes, sequence_fields


def lower(kernel: str, view: View, *, reset_first: bool, dsp: bool) -> Fit:
    """The call of `kernel`, which is for one of the forms."""
    if view.attrs["reset_first"] != reset_first:
        return Refused(f"the reset gate acts {'after' if reset_first else 'before'} the matrix product")
    from_x, from_h = products_of(view)
    if dsp and (refused := refused_dsp((from_x, from_h))):
        return refused
    parts = {"x": from_x, "h": from_h}
    if reset_first:
        parts = {"x": from_x, "h": from_h.part(0, NEW), "r": from_h.part(NEW, GATES)}
    scale = quantize_multiplier(gates.GATE_SCALE / view.out.scale)
    return lowered(kernel, sequence_fields(view, parts, scale, dsp), ONE_INPUT_AND_SCRATCH, scratch_bytes(view, GATES))
