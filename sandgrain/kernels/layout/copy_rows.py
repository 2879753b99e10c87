"""Runs of bytes copied from one place to another, row after row: joins, splits, crops."""

from __future__ import annotations

from sandgrain.graph.ir import View
from sandgrain.graph.ops.layout.movement import halves
from sandgrain.kernels.base import Call, In, Kernel, Lowered, Out, before


def copy_rows(
    index_in: int, index_out: int, rows: int, run: int, in_start: int, in_step: int, out_start: int, out_step: int
) -> Call:
    """`rows` runs of `run` bytes; starts and steps in bytes."""
    fields = {
        "rows": rows,
        "run": run,
        "in_start": in_start,
        "in_step": in_step,
        "out_start": out_start,
        "out_step": out_step,
    }
    return Call("copy_rows", fields, (In(index_in), Out(index_out)))


def _concatenation(view: View) -> Lowered:
    out, axis = view.out, view.attrs["axis"]
    outer, inner = halves(out.shape, axis)
    inner *= out.dtype.item_bytes
    line, start, calls = out.shape[axis] * inner, 0, []
    for k in range(len(view.inputs)):
        run = view.input(k).shape[axis] * inner
        calls.append(copy_rows(k, 0, outer, run, 0, run, start, line))
        start += run
    return Lowered(tuple(calls))


def _split(view: View) -> Lowered:
    x, axis = view.input(0), view.attrs["axis"]
    outer, inner = halves(x.shape, axis)
    line = x.shape[axis] * inner * x.dtype.item_bytes
    run = line // len(view.outputs)
    return Lowered(tuple(copy_rows(0, k, outer, run, k * run, line, 0, run) for k in range(len(view.outputs))))


def _crop(view: View) -> Lowered:
    top, left, height, width = view.attrs["box"]
    _, _, in_w, channels = view.input(0).shape
    start, line = (top * in_w + left) * channels, in_w * channels
    if width == in_w:
        call = copy_rows(0, 0, 1, height * line, start, 0, 0, 0)
    else:
        call = copy_rows(0, 0, height, width * channels, start, line, 0, width * channels)
    # Rows are copied in order to where they lay or before, and forwards, so the kernel may run over its input.
    return Lowered((call,), sharing=(before(0),))


CONCATENATION = Kernel("copy_rows", ("concatenation",), _concatenation)
SPLIT = Kernel("copy_rows", ("split",), _split)
CROP = Kernel("copy_rows", ("crop_image",), _crop)
