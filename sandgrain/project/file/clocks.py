"""Files of a data set whose rows are not equally far apart: one rate for all of them is the slowest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from sandgrain.base.text import plain
from sandgrain.dataset import times
from sandgrain.dataset.dialect import Dialect

APART = 1.1  # from here on two files have other rates


class Glanced(Protocol):
    """A look into a table, see `tables.Glance`."""

    form: Dialect
    stretches: tuple[list[list[str]], ...]


def of_files(seen: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Rate, resampling and a note, as fields of `look.Look`, where the times of files rise by other steps; nothing where they do not."""
    table = dict(found.get("table", ()))
    names = table.get("time_column", ())
    columns = (names,) if isinstance(names, str) else tuple(names)
    if not columns or len(seen) < 2:
        return {}
    steps = {name: step for name, one in seen.items() if (step := _step(one, columns, table.get("time_unit", "s"))) > 0}
    if not steps or max(steps.values()) < APART * min(steps.values()):
        return {}
    slow, fast = max(steps, key=lambda n: steps[n]), min(steps, key=lambda n: steps[n])
    said = (
        f"files have other rates: {plain(fast, 60)} has a row every {steps[fast]:.4g} s, {plain(slow, 60)} every {steps[slow]:.4g} s; rate is the "
        "slowest, for rows between those of a file would be invented; or take files of one rate (files, rate, resample)"
    )
    return {"rate": float(f"{1 / steps[slow]:.4g}"), "resample": True, "notes": (*found.get("notes", ()), said)}


def _step(seen: Glanced, columns: Sequence[str], unit: str) -> float:
    """Seconds from row to row as a rule; 0 where the times do not say."""
    places = [seen.form.names.index(name) for name in columns if name in seen.form.names]
    made = []
    for stretch in seen.stretches:
        values = [times.seconds(" ".join(row[k] for k in places), unit) for row in stretch]
        rise = np.diff(np.array([np.nan if v is None else v for v in values], np.float64))
        made.append(rise[np.isfinite(rise) & (rise > 0)])
    steps = np.concatenate([*made, np.zeros(0)])
    return float(np.median(steps)) if len(steps) else 0.0
