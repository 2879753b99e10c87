"""The full scale of each channel, from what was seen of its readings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.text import plain
from sandgrain.project.file.column import Column

MAX_SCALE = 1e300  # of a full scale that is proposed; nothing that is measured comes near
STRAYS = 1e-3  # share of the readings, at each end, that may be strays
MIDDLE = 0.05  # share of the readings, at each end, that lies outside what they usually are
STEPS = 32  # that what readings usually are must be told in; fewer lose the signal
WORTH = 8.0  # times finer the steps must become for strays to be cut off
LEAST = 1000  # readings from which on strays are told apart


def scales(largest: Mapping[str, float]) -> tuple[float, ...]:
    """One value a column; columns that differ in their last letter only (aX, aY, aZ) share theirs."""
    family = {title: title[:-1] if title[-1:] in set("xyzXYZ") and len(title) > 1 else title for title in largest}
    tops = {name: max(v for t, v in largest.items() if family[t] == name) for name in family.values()}
    return tuple(_round_up(tops[family[title]]) for title in largest)


def from_readings(columns: Sequence[Column]) -> tuple[tuple[float, ...], list[str]]:
    """(a full scale a column, notes): that of the largest reading; but where a few strays lie so far off that all others would fall
    on a few steps of 1/32768 of it, that of the others, which the strays are clipped to."""
    tops = {c.name: float(np.abs(c.flat).max(initial=0.0)) for c in columns}
    kept = {c.name: _without_strays(c.flat, tops[c.name]) for c in columns}
    found = scales(kept)
    beyond = {
        c.name: int((np.abs(c.flat) > top).sum()) for c, top in zip(columns, found, strict=True) if kept[c.name] < tops[c.name]
    }
    if not any(beyond.values()):
        return found, []
    names, most = [plain(name, 20) for name, count in beyond.items() if count], max(beyond.values())
    some = ", ".join(names[:3]) + (f" and {len(names) - 3} more columns" if len(names) > 3 else "")
    count = "1 reading" if most == 1 else f"up to {most} readings"
    said = f"{some}: {count} of {len(columns[0].flat)} so far off that a range with them would leave few steps for all others; they are clipped"
    return found, [f"{said} (full_scale)"]


def _without_strays(values: Array, top: float) -> float:
    """The largest reading that is no stray; `top` where there are none, or where they cost nothing."""
    if len(values) < LEAST:
        return top
    low, left, right, high = np.quantile(values, (STRAYS, MIDDLE, 1 - MIDDLE, 1 - STRAYS))
    limit, width = float(max(abs(low), abs(high))), float(right - left)
    lost = 0 < width < STEPS * _round_up(top) / 32768
    return limit if lost and limit > 0 and _round_up(limit) * WORTH <= _round_up(top) else top


def _round_up(value: float) -> float:
    """1, 2, 4 or 5 times a power of ten, a little above `value` at least: 0.54 -> 1, 3.7 -> 4, 1870 -> 2000."""
    value = min(1.05 * float(value), MAX_SCALE)
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return float(next(m * power for m in (1, 2, 4, 5, 10) if m * power >= value * (1 - 1e-9)))
