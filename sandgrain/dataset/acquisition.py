"""Edge Impulse's data acquisition format, as JSON or CBOR: one recording with its sensors, their units and the distance of rows.

    {"payload": {"interval_ms": 10, "sensors": [{"name": "accX", "units": "m/s2"}], "values": [[9.81], [9.79]]}}

https://docs.edgeimpulse.com/reference/data-ingestion/data-acquisition-format. A signature is not checked: it is of whoever sent it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sandgrain.dataset import kinds
from sandgrain.dataset.readers.base import MAX_CHANNELS, BadFileError, Sample, check_rate, check_values
from sandgrain.dataset.records import Layout
from sandgrain.dataset.rows import RowOptions, Rows
from sandgrain.dataset.tables import RATE_ERROR, TableOptions, check_full_scale, to_counts


def is_one(document: Any) -> bool:
    """Whether a parsed document is an acquisition."""
    payload = document.get("payload") if isinstance(document, dict) else None
    return isinstance(payload, dict) and {"values", "sensors"} <= payload.keys() and isinstance(payload["values"], list)


def sensors(document: Any) -> tuple[str, ...]:
    """The names of an acquisition's sensors. Raises BadFileError."""
    found = document["payload"]["sensors"]
    if not isinstance(found, list) or not 0 < len(found) <= MAX_CHANNELS:
        raise BadFileError("its payload has no list of sensors")
    return tuple(str(s.get("name", k + 1))[:100] if isinstance(s, dict) else str(k + 1) for k, s in enumerate(found))


def rate_of(document: Any) -> float:
    """Hz. Raises BadFileError."""
    payload = document["payload"]
    interval, rate = payload.get("interval_ms"), payload.get("frequency")
    if isinstance(interval, int | float) and not isinstance(interval, bool) and interval > 0:
        rate = 1000 / interval
    if not isinstance(rate, int | float) or isinstance(rate, bool):
        raise BadFileError("its payload has no interval_ms")
    return float(f"{check_rate(float(rate)):.6g}")


def sample(document: Any, layout: Layout) -> Sample:
    """The recording, its channels as the layout names them, or all. Raises BadFileError."""
    rate, names = rate_of(document), sensors(document)
    if layout.rate and abs(rate / layout.rate - 1) > RATE_ERROR:
        raise BadFileError(f"is sampled at {rate:g} Hz, the data set at {layout.rate:g} Hz; correct rate, or leave the file out")
    values = document["payload"]["values"]
    rows = np.array([_row(v, len(names), k + 1) for k, v in enumerate(values)], np.float64).reshape(len(values), len(names))
    check_values(*rows.shape)
    chosen = layout.get(TableOptions).columns or names
    if missing := [name for name in chosen if name not in names]:
        raise BadFileError(f"has no sensor {missing[0]!r}; it has {', '.join(names)[:80]}")
    if kinds.of(layout.kind).mono:
        chosen = chosen[:1]
    block = Rows(rows[:, [names.index(name) for name in chosen]], "value", range(1, len(rows) + 1))
    data, clipped = to_counts(block, check_full_scale(layout, len(chosen)), chosen, layout.get(RowOptions).missing)
    return Sample(data, layout.rate or rate, clipped=clipped)


def _row(value: Any, width: int, number: int) -> list[float]:
    row = value if isinstance(value, list) else [value]
    good = len(row) == width and all(type(v) in (int, float) for v in row)
    try:
        if good and all(math.isfinite(v) for v in row):
            return [float(v) for v in row]
    except OverflowError:
        pass
    raise BadFileError(f"value {number} is not {width} finite numbers, one for each sensor")
