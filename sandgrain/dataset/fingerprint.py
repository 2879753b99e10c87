"""Fingerprints: 256 numbers or fewer that stay almost the same when a recording is copied, and near-duplicates found by them.

A fingerprint is a vector of length 1, so that the product of two is their cosine. Gain and offset change nothing; noise at
30 dB, a change of rate and back, or JPEG at quality 75 change less than `Kind.near` allows; a shift of 5 ms or of a pixel
changes more. It lies between such copies and what is alike by nature: in 2,500 spoken digits, 800 strokes in the air,
5,500 photographs and 1,797 handwritten digits the closest two that are not copies have a cosine of 0.991, 0.9994, 0.989 and
0.994.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from sandgrain.base.arrays import Array

SIZE = 256  # numbers in a fingerprint, at most
SLICES, BANDS = 16, 16
LOW_HZ, HIGH_HZ = 80.0, 3800.0
FLOOR = 1e-3  # of the loudest cell, -30 dB: what is quieter says little about a recording
MAX_EDGES = 1_000_000  # pairs that are kept; beyond, a data set has other problems
LEAF = 512  # fingerprints compared at a time
AXES = 8  # principal axes by which far blocks are told apart
SCREEN = 48  # principal axes by which far rows are told apart
AT_ONCE = 8  # blocks that one block is compared with at a time


def normalized(outline: Array) -> Array:
    """float32 [d]: the numbers less their mean, of length 1 (0 if they are all the same)."""
    values = outline.astype(np.float64).reshape(-1)
    values -= values.mean()
    length = float(np.sqrt((values * values).sum()))
    return np.asarray(values / length if length > 1e-9 else values * 0, np.float32)


def of_sound(samples: Array, rate: float) -> Array:
    """Logarithm of the energy in SLICES of the time and BANDS between LOW_HZ and HIGH_HZ, spaced as the ear does."""
    size = int(np.clip(2 ** round(np.log2(max(rate, 1.0) * 0.032)), 16, 4096))
    x = samples[:, 0].astype(np.float32)
    if len(x) < size:
        x = np.pad(x, (0, size - len(x)))
    frames = np.lib.stride_tricks.sliding_window_view(x, size)[:: size // 2]
    taper, bands = _tables(size, rate)
    energy = np.empty((len(frames), BANDS), np.float32)
    for start in range(0, len(frames), 256):  # a long recording is not transformed at once
        spectrum = np.fft.rfft(frames[start : start + 256] * taper, axis=1)
        energy[start : start + 256] = (spectrum.real**2 + spectrum.imag**2) @ bands
    edges = np.arange(SLICES) * len(frames) // SLICES  # a short recording repeats its frames
    cells = np.add.reduceat(energy.astype(np.float64), edges, axis=0) / np.maximum(np.diff(edges, append=len(frames)), 1)[:, None]
    return np.asarray(np.log(cells + FLOOR * cells.max() + 1e-9))


@lru_cache(maxsize=8)
def _tables(size: int, rate: float) -> tuple[Array, Array]:
    """A Hann window [size], and which band each bin of the FFT belongs to, as a matrix [size / 2 + 1, BANDS] of 0 and 1."""
    edges = _mel_edges(LOW_HZ, HIGH_HZ, BANDS + 1) * size / max(rate, 1.0)
    owner = np.searchsorted(edges, np.arange(size // 2 + 1)) - 1
    return np.hanning(size).astype(np.float32), (owner[:, None] == np.arange(BANDS)).astype(np.float32)


def _mel_edges(low: float, high: float, count: int) -> Array:
    """Frequencies, Hz, evenly spaced in O'Shaughnessy's mel (2595 log10(1 + f / 700))."""
    mel = np.linspace(np.log10(1 + low / 700), np.log10(1 + high / 700), count)
    return np.asarray(700 * (10**mel - 1))


def of_channels(samples: Array) -> Array:
    """Each channel without its mean, averaged down to as many points as fit."""
    points = max(1, min(64, SIZE // samples.shape[1]))
    x = samples[:, :SIZE].astype(np.float64)
    return _averaged(x - x.mean(axis=0), points)


def of_picture(samples: Array) -> Array:
    """A thumbnail: 16x16 where the image is grey, 9x9 where it has colours."""
    x = samples[:, :, :3].astype(np.float64)
    side = int(np.sqrt(SIZE // x.shape[2]))
    rows = _averaged(x.reshape(x.shape[0], -1), side).reshape(side, x.shape[1], x.shape[2])
    return _averaged(rows.transpose(1, 0, 2).reshape(x.shape[1], -1), side)


def _averaged(x: Array, points: int) -> Array:
    """float64 [n, c] to [points, c]: means over `points` equal spans (of the line through the values, where n is small)."""
    total = np.vstack([np.zeros((1, x.shape[1])), np.cumsum(x, axis=0)])
    at = np.linspace(0, len(x), points + 1)
    low = np.minimum(at.astype(int), len(x) - 1)
    ends = total[low] + (at - low)[:, None] * x[low]
    return np.asarray(np.diff(ends, axis=0) * (points / len(x)))


def near_pairs(prints: Array, threshold: float) -> tuple[Array, Array]:
    """All pairs i < j of rows of float32 [n, d] whose cosine is `threshold` or more: int32 [pairs, 2] and float32 [pairs].

    Vectors of length 1 with a cosine of t or more are at most sqrt(2 - 2t) apart, and no further along any axes. So rows are put
    into blocks of neighbours; blocks whose bounds come that close are compared along SCREEN axes, and only what is close
    there in full: exact, and n^2 neither in memory nor, as a rule, in time. Rows of zeros match nothing. About MAX_EDGES pairs at
    most.
    """
    rows = np.flatnonzero((prints * prints).sum(axis=1) > 0.5)
    if len(rows) < 2:
        return np.zeros((0, 2), np.int32), np.zeros(0, np.float32)
    x = np.ascontiguousarray(prints[rows], np.float32)
    along = _axes(x)
    blocks = list(_leaves(along[:, :AXES], np.arange(len(rows))))
    low = np.stack([along[b, :AXES].min(axis=0) for b in blocks])
    high = np.stack([along[b, :AXES].max(axis=0) for b in blocks])
    reach = 2 - 2 * threshold + 1e-4  # squared distance, and what float32 may be off
    half = (along * along).sum(axis=1, keepdims=True) / 2
    one = np.ones_like(half)
    left, right = np.hstack([along, -half, one]), np.hstack([along, one, -half])  # left . right = -distance^2 / 2
    pairs, cosines, count = [], [], 0
    for k, block in enumerate(blocks):
        gap = np.maximum(0, np.maximum(low[k:] - high[k], low[k] - high[k:]))
        near = np.flatnonzero((gap * gap).sum(axis=1) <= reach) + k
        for part in range(0, len(near), AT_ONCE):
            others = np.concatenate([blocks[n] for n in near[part : part + AT_ONCE]])
            a, b = np.nonzero(left[block] @ right[others].T >= -reach / 2)
            first, second = block[a], others[b]
            own = b < len(block) if part == 0 else np.zeros(len(b), bool)  # the nearest block is the block itself
            keep = ~own | (first < second)
            first, second = first[keep], second[keep]
            product = np.concatenate(
                [np.einsum("ij,ij->i", x[first[i : i + 4096]], x[second[i : i + 4096]]) for i in range(0, len(first) or 1, 4096)]
            )
            sure = product >= threshold
            pairs.append(np.stack([first[sure], second[sure]], axis=1))
            cosines.append(product[sure])
            count += int(sure.sum())
        if count >= MAX_EDGES:
            break
    found = np.sort(rows[np.concatenate(pairs)], axis=1).astype(np.int32)
    order = np.lexsort((found[:, 1], found[:, 0]))[:MAX_EDGES]
    return found[order], np.concatenate(cosines)[order].astype(np.float32)


def _axes(x: Array) -> Array:
    """Positions of the rows along the SCREEN directions in which they differ most, largest first; [n, SCREEN] or fewer."""
    some = x[:: max(1, len(x) // 4096)].astype(np.float64)
    _, vectors = np.linalg.eigh(some.T @ some - len(some) * np.outer(some.mean(axis=0), some.mean(axis=0)))
    return np.asarray(x @ vectors[:, ::-1][:, :SCREEN].astype(np.float32))


def _leaves(along: Array, rows: Array) -> Iterator[Array]:
    """The rows in blocks of LEAF or fewer, halved again and again along the axis in which they spread most."""
    if len(rows) <= LEAF:
        yield rows
        return
    here = along[rows]
    axis = int(np.argmax(here.max(axis=0) - here.min(axis=0)))
    order = rows[np.argsort(here[:, axis], kind="stable")]
    yield from _leaves(along, order[: len(order) // 2])
    yield from _leaves(along, order[len(order) // 2 :])


def groups(count: int, pairs: Array) -> Array:
    """int32 [count]: for each row, the smallest row that it is linked with by `pairs`, itself where it is alone."""
    parent = np.arange(count, dtype=np.int32)

    def find(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = int(parent[k])
        return k

    for a, b in pairs.tolist():
        one, two = find(a), find(b)
        parent[max(one, two)] = min(one, two)
    return np.asarray([find(k) for k in range(count)], np.int32)
