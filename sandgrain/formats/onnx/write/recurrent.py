"""GRU and LSTM over a whole sequence. ONNX puts the steps first, and orders the gates in its own way.

The state stays a float from step to step; on the board it is rounded to int8 each time, so that long sequences differ a little more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sandgrain.base.errors import UnsupportedError
from sandgrain.formats.onnx.write.emitter import Emitter

GRU_ORDER = (1, 0, 2)  # r, z, n -> z, r, n
LSTM_ORDER = (0, 3, 1, 2)  # i, f, g, o -> i, o, f, g


def gru(e: Emitter) -> None:
    units = e.view.out.shape[-1]
    rows = [gate * units + k for gate in GRU_ORDER for k in range(units)]
    w, u, b, c = (e.weights(k, rows=rows) for k in range(1, 5))
    _run(e, "GRU", w, u, e.make("Concat", b, c, axis=0), {"linear_before_reset": int(not e.attrs["reset_first"])})


def lstm(e: Emitter) -> None:
    if e.attrs["cell_clip"]:
        raise UnsupportedError("ONNX has no LSTM with a limit on its cell; train it without cell_clip, or export as .tflite")
    w, u, b = (e.make("Concat", *_gates(e, first), axis=0) for first in (1, 5, 9))
    zeros = e.constant(np.zeros(4 * e.view.out.shape[-1]))
    _run(e, "LSTM", w, u, e.make("Concat", b, zeros, axis=0), {})


def _gates(e: Emitter, first: int) -> list[str]:
    return [e.weights(first + gate) for gate in LSTM_ORDER]


def _run(e: Emitter, kind: str, w: str, u: str, b: str, more: dict[str, int]) -> None:
    directions = e.constant([0], "int64")
    x = e.make("Transpose", e.read(0), perm=(1, 0, 2))
    constants = (e.make("Unsqueeze", v, directions) for v in (w, u, b))
    way = "reverse" if e.attrs["reverse"] else "forward"
    states, last = e.several(kind, x, *constants, outputs=2, hidden_size=e.view.out.shape[-1], direction=way, **more)
    if e.attrs["last"]:
        e.done(_squeezed(e, last, (0,)))
    else:
        e.done(e.make("Transpose", _squeezed(e, states, (1,)), perm=(1, 0, 2)))


def _squeezed(e: Emitter, value: str, axes: Sequence[int]) -> str:
    return e.make("Squeeze", value, e.constant(axes, "int64"))


FORMS = {"gru": gru, "lstm": lstm}
