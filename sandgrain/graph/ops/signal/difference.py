"""Each sample less a part of the one before: pre-emphasis of speech, and the difference of neighbours.

y = round((x - coefficient * x1) / 2^shift), saturated to int16; the coefficient is in Q15, 2^15 being 1. With a shift of 1, y comes in
units of 2 of the signal's, and only the very largest value saturates, by one. Before the first sample there is 0, or, with
`held`, the first sample itself: a constant then has the difference 0 from the start.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.graph.ir import Array, Attrs, Graph, Tensor, View, attrs
from sandgrain.graph.ops.attributes import kinds
from sandgrain.graph.ops.base import Draw, Shape, Step, need, need_inputs
from sandgrain.graph.ops.samples import one_op
from sandgrain.graph.ops.signal.base import SignalOp, need_scale, need_signal
from sandgrain.graph.quantization import per_tensor

Q15 = 15
WHOLE = 1 << Q15  # the coefficient 1


class Difference(SignalOp):
    name = "difference"
    summary = "each sample less a part of the one before: pre-emphasis, or the difference of neighbours"
    attributes = kinds(coefficient=int, held=bool, shift=int)

    def shapes(self, inputs: Sequence[Tensor | None], attrs: Attrs) -> tuple[Shape, ...]:
        need_inputs(inputs, 1)
        return (need_signal(inputs[0]).shape,)

    def check(self, view: View) -> None:
        need(view.attrs["shift"] in (0, 1), f"a shift of {view.attrs['shift']}; choose 0 or 1")
        need_scale(self, view)
        need(0 <= view.attrs["coefficient"] <= WHOLE, f"a coefficient of {view.attrs['coefficient']}; 0 to {WHOLE}, which is 1")

    def reference(self, view: View, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        x = inputs[0]
        assert x is not None
        now = x[0].astype(np.int64)
        first = now[:1] if view.attrs["held"] else np.zeros_like(now[:1])
        before = np.concatenate([first, now[:-1]])
        bits = Q15 + view.attrs["shift"]
        y = ((now << Q15) - view.attrs["coefficient"] * before + (1 << (bits - 1))) >> bits
        return (view.out.dtype.saturated(y).reshape(view.out.shape),)

    def macs(self, view: View) -> int:
        return view.out.size

    def fixed_scale(self, view: View) -> float:
        quant = view.input(0).quant
        return (1.0 if quant is None else quant.scale[0]) * float(2 ** view.attrs["shift"])

    def state_bytes(self, view: View) -> int:
        """Bytes that live from one chunk of a stream to the next; zero at its start."""
        return 4 * (1 + view.out.shape[2])

    def step(self, view: View) -> Step:
        """`count` samples of every channel in any chunks give what one call with all of them gives; `out` may be `in`."""
        return Step("samples", self.state_bytes(view))

    def sample(self, draw: Draw) -> Graph:
        shape = (1, draw.choice((1, 2, 3, 17, 64)), draw.choice((1, 2, 3, 6)))
        quant = draw.choice((None, per_tensor(2.0**-15, 0)))
        coefficient, shift = draw.choice((0, 1, 31785, WHOLE, draw.integer(0, WHOLE))), draw.choice((0, 1))
        out = None if quant is None else per_tensor(quant.scale[0] * 2**shift, 0)
        x, y = Tensor("x", shape, "int16", quant), Tensor("y", shape, "int16", out)
        return one_op(self.name, (x,), (y,), attrs(coefficient=coefficient, held=draw.choice((False, True)), shift=shift))
