"""Logarithms of mel bands of sliding frames, and their cosine transform."""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import Array, View
from sandgrain.graph.ops.signal.base import finish_fields
from sandgrain.graph.ops.signal.fft import twiddles_s32
from sandgrain.graph.ops.signal.frames import taper_of, window_shift
from sandgrain.graph.ops.signal.mel_frames import LOG_BITS, MelOp, tables
from sandgrain.graph.ops.signal.mfcc import CEPSTRUM_BITS, dct_q
from sandgrain.kernels.base import ONE_INPUT_AND_SCRATCH, Fields, Kernel, Lowered, lowered, op_of


def _fields(view: View, coefficients: int, dct: Array, dct_shift: int) -> Fields:
    """The members of `struct sg_mel`; coefficients 0: logarithms come out."""
    a, t, op = view.attrs, tables(view.attrs), op_of(view, MelOp)
    return {
        "frames": op.rows(view.inputs, a),
        "samples": view.input(0).size,
        "window": a["window"],
        "hop": a["hop"],
        "fft": a["fft"],
        "window_shift": window_shift(a["fft"]),
        "power": a["power"],
        "peak": int(a["peak"]),
        "bands": a["bands"],
        "first": t.first,
        "per_band": int(len(t.floor) > 1),
        "floor_shift": t.floor_shift,
        "coefficients": coefficients,
        "dct_shift": dct_shift,
        "wide": int(view.out.dtype == "int16"),
        **finish_fields(op, view),
        "taper": taper_of(a),
        "twiddle": twiddles_s32(a["fft"]),
        "counts": t.counts,
        "weights": t.weights,
        "floor": t.floor,
        "offset": t.offset,
        "dct": dct,
    }


def _lower_log_mel(view: View) -> Lowered:
    scratch = 4 * int(view.attrs["fft"])  # the frame's spectrum
    return lowered("mel", _fields(view, 0, np.zeros(1, np.int16), 0), ONE_INPUT_AND_SCRATCH, scratch)


def _lower_mfcc(view: View) -> Lowered:
    coefficients, bands = int(view.attrs["coefficients"]), int(view.attrs["bands"])
    table, fraction = dct_q(bands, coefficients)
    fields = _fields(view, coefficients, table, LOG_BITS + fraction - CEPSTRUM_BITS)
    scratch = 4 * int(view.attrs["fft"]) + 2 * bands  # the frame's spectrum, and its logarithms
    return lowered("mel", fields, ONE_INPUT_AND_SCRATCH, scratch)


LOG_MEL = Kernel("mel", ("log_mel",), _lower_log_mel)
MFCC = Kernel("mel", ("mfcc",), _lower_mfcc)
