"""What the kernels of spectrograms share: one of them per precision of the FFT."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.signal.base import finish_fields
from sandgrain.graph.ops.signal.fft import twiddles_f32, twiddles_s32
from sandgrain.graph.ops.signal.frames import taper_of, window_shift
from sandgrain.graph.ops.signal.spectrogram import PRECISIONS, Spectrogram, floor_of, fraction_of, unit_bits
from sandgrain.kernels.base import ONE_INPUT_AND_SCRATCH, Fit, Refused, lowered, op_of


def lower(kind: str, view: View) -> Fit:
    """The call of the kernel for FFTs of a `kind`: s16, s32 or f32."""
    a = view.attrs
    if PRECISIONS[a["precision"]] != kind:
        return Refused(f"the spectrum is computed in {a['precision']}")
    floor, floor_shift = floor_of(a) if a["log"] else (0, 0)
    fft, channels = int(a["fft"]), view.input(0).shape[2]
    scale = {"s32": window_shift(fft), "s16": fraction_of(a), "f32": 2 * fraction_of(a) - 30}[kind]
    fields = {
        "frames": view.out.shape[1],
        "window": a["window"],
        "hop": a["hop"],
        "fft": fft,
        "channels": channels,
        "first": a["bins"][0],
        "bins": a["bins"][1] - a["bins"][0] + 1,
        "power": a["power"],
        "log": int(a["log"]),
        "unit": unit_bits(a),
        "floor": floor,
        "floor_shift": floor_shift,
        "wide": int(view.out.dtype == "int16"),
        **finish_fields(op_of(view, Spectrogram), view),
        "scale": scale,
        "taper": taper_of(a),
        "twiddle": twiddles_f32(fft) if kind == "f32" else twiddles_s32(fft),
    }
    scratch = (2 if kind == "s16" else 4) * fft  # one frame and its spectrum
    return lowered(f"spectrogram_{kind}", fields, ONE_INPUT_AND_SCRATCH, scratch)
