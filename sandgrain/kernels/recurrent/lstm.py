"""What both kernels of lstm share: their parameters."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.recurrent import gates
from sandgrain.graph.ops.recurrent.lstm import GATES, clip_of, products_of
from sandgrain.graph.quantization import quantize_multiplier
from sandgrain.kernels.base import ONE_INPUT_AND_SCRATCH, Fit, lowered
from sandgrain.kernels.recurrent.gate_fields import refused_dsp, scratch_bytes, sequence_fields


def lower(kernel: str, view: View, *, dsp: bool) -> Fit:
    """The call of `kernel`."""
    from_x, from_h = products_of(view)
    if dsp and (refused := refused_dsp((from_x, from_h))):
        return refused
    scale = quantize_multiplier(gates.GATE_SCALE**2 / view.out.scale)
    bits = view.attrs["cell_bits"]
    fields = {
        **sequence_fields(view, {"x": from_x, "h": from_h}, scale, dsp),
        "input_shift": 29 - bits,
        "cell_left": max(0, 12 - bits),
        "cell_right": max(0, bits - 12),
        "clip": clip_of(view),
    }
    return lowered(kernel, fields, ONE_INPUT_AND_SCRATCH, scratch_bytes(view, GATES))
