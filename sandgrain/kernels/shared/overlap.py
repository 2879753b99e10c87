"""How far before its input a window kernel's output must start at least, to run into it safely.

The kernel walks forwards over the output's pixels. It gathers one pixel's window, or two, and then writes them: after that the
output's end may not pass the lowest input byte that a later pixel reads.
"""

from __future__ import annotations

import numpy as np

from sandgrain.graph.ir import View
from sandgrain.graph.quantization import Int64


def window_lead(view: View, at_once: int = 2) -> int:
    """Bytes for kernels that gather `at_once` pixels (1 or 2) of one image."""
    batch, in_h, in_w, in_c = view.input(0).shape
    out = view.out
    top, _, left, _ = view.attrs["padding"]
    kernel = view.input(1).shape[1:3]
    rows = _first_inside(out.shape[1], view.attrs["stride"][0], view.attrs["dilation"][0], kernel[0], top, in_h)
    columns = _first_inside(out.shape[2], view.attrs["stride"][1], view.attrs["dilation"][1], kernel[1], left, in_w)
    outside = batch * in_h * in_w * in_c
    start = np.where((rows[:, None] < 0) | (columns[None] < 0), outside, (rows[:, None] * in_w + columns[None]) * in_c)
    images = np.arange(batch)[:, None] * (in_h * in_w * in_c)
    pixels = np.minimum(images + start.reshape(1, -1), outside)
    starts = pixels[:, 0::at_once]  # of each pair, the lower of its pixels
    odd = pixels[:, 1::at_once] if at_once > 1 else pixels[:, :0]
    starts[:, : odd.shape[1]] = np.minimum(starts[:, : odd.shape[1]], odd)
    count = pixels.shape[1]
    written = np.minimum(np.arange(1, starts.shape[1] + 1) * at_once, count) + np.arange(batch)[:, None] * count
    needed = _lowest_from_here(starts.reshape(-1))[1:]
    return max(0, int((written.reshape(-1)[:-1] * out.shape[3] - needed).max(initial=0)))


def _first_inside(count: int, stride: int, dilation: int, taps: int, before: int, size: int) -> Int64:
    """Along one axis, for each of `count` windows: the lowest position inside the input that it reads, -1 for none."""
    start = np.arange(count, dtype=np.int64) * stride - before
    skipped = np.maximum(-(start // dilation), 0)
    position = start + skipped * dilation
    return np.where((skipped < taps) & (position < size), position, -1)


def pair_lead(view: View) -> int:
    """Bytes for kernels that gather two pixels, across rows and images, with the taps of a row side by side."""
    n, in_h, in_w, in_c = view.input(0).shape
    _, out_h, out_w, out_c = view.out.shape
    (top, _, left, _), (stride_h, stride_w) = view.attrs["padding"], view.attrs["stride"]
    dilation_h = view.attrs["dilation"][0]
    y = np.arange(out_h) * stride_h - top
    y += -(-np.maximum(-y, 0) // dilation_h) * dilation_h  # the first row inside
    x = np.maximum(np.arange(out_w) * stride_w - left, 0)
    # A window with nothing inside reads nothing; taking it to start early errs on the safe side.
    first = (np.clip(y, 0, in_h)[:, None] * in_w + np.clip(x, 0, in_w)).reshape(-1) * in_c
    reads = (np.arange(n)[:, None] * in_h * in_w * in_c + first).reshape(-1)
    needed = _lowest_from_here(reads)
    done = np.arange(2, reads.size, 2)  # pixels written while more are to come
    return int(max((done * out_c - needed[done]).max(initial=0), reads.size * out_c - view.input(0).size, 0))


def _lowest_from_here(reads: Int64) -> Int64:
    """For each element the least of it and all behind it."""
    return np.asarray(np.minimum.accumulate(reads[::-1])[::-1], np.int64)
