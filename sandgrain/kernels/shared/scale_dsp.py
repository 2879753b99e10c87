"""The house rounding as sg_scale_dsp.h reads it: pairs of words."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sandgrain.graph.quantization import Int32, wrap_int32

MAX_LEFT, MAX_RIGHT = 30, 15


def fits(multiplier: npt.ArrayLike, shift: npt.ArrayLike) -> bool:
    """Whether every (multiplier, shift) has such a pair."""
    m, s = np.asarray(multiplier, np.int64), np.asarray(shift, np.int64)
    return bool((s <= MAX_LEFT).all() and (s >= -MAX_RIGHT).all() and (m >= 1 << 30).all())


def refusal(shift: npt.ArrayLike) -> str:
    """Why some of the shifts have none."""
    s = np.asarray(shift, np.int64)
    return f"a rescaling shifts right by {-s.min()} and by {-s.max()}; the kernel by {-MAX_LEFT} to {MAX_RIGHT}"


def pairs(multiplier: npt.ArrayLike, shift: npt.ArrayLike) -> Int32:
    """(doubled, code) along a new last axis."""
    m, s = np.asarray(multiplier, np.int64), np.asarray(shift, np.int64)
    left, right = np.maximum(s, 0), np.maximum(-s, 0)
    code = left | right << 8 | ((np.int64(1) << right) >> 1) << 16 | (right > 0).astype(np.int64) << 31
    return np.stack([wrap_int32(2 * m), wrap_int32(code)], axis=-1)
