"""Log-mel filterbank energies: int16 [1, samples, 1] to [1, frames, bands]. The meaning is in mel_frames.py."""

from __future__ import annotations

from collections.abc import Sequence

from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.base import Draw, Shape
from sandgrain.graph.ops.samples import draw_quant, one_op
from sandgrain.graph.ops.signal.base import finish
from sandgrain.graph.ops.signal.mel_frames import LOG_BITS, MelOp, draw_attributes, log_bands, signal_of
from sandgrain.graph.quantization import per_tensor


class LogMel(MelOp):
    name = "log_mel"
    summary = "natural logarithm of mel filterbank energies of sliding frames"

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        return ((1, self.rows(inputs, attrs), int(attrs["bands"])),)

    def fixed_scale(self, view: View) -> float:
        return 2.0**-LOG_BITS

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        return (finish(self, view, log_bands(view.attrs, x.reshape(-1))),)

    def sample(self, draw: Draw) -> Graph:
        a = draw_attributes(draw)
        x = signal_of(draw, a)
        shape = self.shapes((x,), a)[0]
        wide = Tensor("y", shape, "int16", per_tensor(2.0**-LOG_BITS, 0))
        out = draw.choice((wide, Tensor("y", shape, ACTIVATION, draw_quant(draw))))
        return one_op(self.name, (x,), (out,), attrs(**a))
