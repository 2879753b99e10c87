"""Writes docs/reference/ops-and-kernels.md: every op, what it says of itself, and its kernels. Run by `make docs`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandgrain.graph.ops import Op
    from sandgrain.graph.ops.traits import Weight
    from sandgrain.kernels import Kernel

HEAD = """\
# Ops and kernels

What each op computes, how file formats call it, what passes and quantization know about it, and which kernels can run it. Generated from
the registry by `make docs`; a test fails when the two differ. `sandgrain ops OP --core CORE --model FILE` answers the same question for the
layers of a model, with a reason for each kernel that does not fit.

Kernels are listed in the order in which they are tried: the first that fits a layer runs it, unless measuring (`--optimize`) finds a better
one. "Needs" names the features that a core must have (`features` in its TOML file); "any core" needs none of them. Kernels of least code
are only considered by `--optimize size`, or if no other kernel fits.
"""
FAMILIES = {
    "cast": "Conversions of numbers",
    "conv": "Convolutions",
    "dense": "Dense layers and products",
    "detect": "Detectors of anomalies",
    "elementwise": "Element by element",
    "layout": "Layout and movement",
    "norm": "Normalization",
    "pool": "Pools and reductions",
    "recurrent": "Recurrent layers",
    "signal": "Signals and pictures",
    "table": "Functions of one value",
    "": "Schedules",
}


def render() -> str:
    """The whole page."""
    from sandgrain.graph.ops import OPS

    parts = [HEAD]
    for family in sorted({family_of(op) for op in OPS.values()}, key=lambda name: (not name, name)):
        ops = [op for op in OPS.values() if family_of(op) == family]
        parts.append(f"## {FAMILIES.get(family, family.capitalize())}\n")
        for op in ops:
            parts += _op(op)
    return "\n".join(parts)


def family_of(op: Op) -> str:
    """The folder of an op below sandgrain/graph/ops; "" for one that stands there itself."""
    pieces = type(op).__module__.split(".")
    return pieces[3] if len(pieces) > 4 else ""


def _op(op: Op) -> Iterator[str]:
    yield f"### `{op.name}`\n\n{_sentence(op.summary)}\n"
    facts = [_in_files(op), *traits(op)]
    yield "\n".join(f"- {fact}" for fact in facts) + "\n"
    yield from _kernels(op)


def _in_files(op: Op) -> str:
    from sandgrain.formats.onnx.write import FORMS

    tflite = ", ".join(f"`{f.name}`" + (" (int16 too)" if f.int16 else "") for f in op.foreign)
    pieces = [
        f".tflite: {tflite}" if tflite else "no .tflite operator",
        "written to .onnx" if op.name in FORMS else "not written to .onnx",
    ]
    return f"In files: {'; '.join(pieces)}."


def traits(op: Op) -> Iterator[str]:
    """What an op says of itself, as sentences."""
    from sandgrain.graph.ops.attributes import said

    if op.attributes or op.optional:
        may = {f"{name} (optional)": kind for name, kind in op.optional.items()}
        yield "Attributes: " + "; ".join(f"{n}: {said(k)}" for n, k in {**op.attributes, **may}.items()) + "."
    for weight in op.weights:
        yield _weight(weight)
    if op.normalizes:
        yield "Inputs 1 and 2 are trained constants, gamma and beta."
    if op.activates:
        yield "An activation can be fused: outputs are clamped to it."
    if op.fused_as:
        yield f"The layer before can do it instead, as its activation `{op.fused_as}`."
    if op.is_view:
        yield "A view: the output is the input's bytes with another shape, without code or memory."
    elif op.moves:
        yield "Moves elements without computing on them, whatever their type."
    if op.same_scale_inputs != slice(0):
        which = "All inputs have" if op.same_scale_inputs.stop is None else "Input 0 has"
        yield f"{which} the scale and zero point of the output."
    if op.fixed_output is not None:
        scale, zero = op.fixed_output.scale[0], op.fixed_output.zero_point[0]
        yield f"The int8 output always has scale {_number(scale)} and zero point {zero}."
    if op.windowed:
        yield "Windows slide over height and width" + (
            f"; padding counts as {op.pad_value.value}." if op.pad_value else "; padding is left out."
        )
    if op.indices_in:
        yield f"int32 indices come in at input {', '.join(map(str, op.indices_in))}."
    if op.indices_out:
        yield "The outputs are int32 indices."
    if op.stays_within:
        yield "Outputs lie between the smallest and the largest element of input 0."
    if op.reads_caller:
        yield "Reads a graph input where the caller keeps it."
    if op.has_real:
        yield "Has a float meaning, so that float models with it can be quantized."


def _weight(weight: Weight) -> str:
    source = "its own output of the step before" if weight.source == -1 else f"input {weight.source}"
    pieces = [f"Input {weight.position}: weights for {source}", f"output channels on axis {weight.channel_axis}"]
    if weight.depthwise:
        pieces.append("each output channel reads one input channel")
    scales = (
        f"one scale per gate ({weight.gates})" if weight.gates else "one scale per channel" if weight.per_channel else "one scale"
    )
    bias = "no bias" if weight.bias is None else f"bias in input {weight.bias}"
    return ", ".join([*pieces, scales, bias]) + "."


def _kernels(op: Op) -> Iterator[str]:
    from sandgrain.kernels import kernels_of

    kernels = kernels_of(op.name)
    if kernels:
        lines = ["| kernel | needs | for which layers |", "|---|---|---|"]
        lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in _row(kernel)) + " |" for kernel in kernels]
        yield "\n".join(lines) + "\n"
    elif not op.is_view:
        yield "No kernel: passes replace it before C is written.\n"


def _row(kernel: Kernel) -> tuple[str, str, str]:
    needs = ", ".join(f"`{f}`" for f in sorted(kernel.needs)) or "any core"
    notes = [kernel.when]
    if kernel.helped_by - kernel.needs:
        notes.append("faster with " + ", ".join(f"`{f}`" for f in sorted(kernel.helped_by - kernel.needs)))
    if kernel.compact:
        notes.append("least code")
    return f"`{kernel.name}`", needs, "; ".join(notes)


def _number(value: float) -> str:
    return f"1/{round(1 / value)}" if 0 < value < 1 and 1 / value == round(1 / value) else f"{value:g}"


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    first = text.split(" ", 1)[0]
    start = text[0].upper() if len(first) > 1 and first.isalpha() else text[0]  # not a formula
    return f"{start}{text[1:]}{'' if text.endswith('.') else '.'}"


if __name__ == "__main__":
    sys.stdout.write(render())
