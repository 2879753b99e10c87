"""The numbers that a project's model is to give: those of windows, and how they lie on each side of the split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset import ingest, targets
from sandgrain.dataset.records import SPLITS, Manifest, Record
from sandgrain.dataset.targets import TargetOptions
from sandgrain.dataset.windows import Run, Window, Windowing, count
from sandgrain.project.features import items_of, windowing_of

if TYPE_CHECKING:
    from sandgrain.project.inspection import Inspection


@dataclass(frozen=True, slots=True)
class Spread:
    """Of the windows of one side, in their unit. `unknown`: windows that are left out, for nobody says their number."""

    windows: int
    least: float
    median: float
    largest: float
    unknown: int


def of_windows(manifest: Manifest, items: Sequence[Record | Run], windowing: Windowing | None) -> Array:
    """float64 [n]: the number of each window of some records and runs. Raises UsageError where one has none."""
    how = manifest.layout.get(TargetOptions).target_of
    return targets.of_windows(items, partial(ingest.open_numbers, manifest), windowing, how)


def of_these(manifest: Manifest, item: Record | Run, windows: Sequence[Window]) -> Array:
    """float64 [n]: the numbers of some windows of a record or a run. Raises UsageError where it has none."""
    how = manifest.layout.get(TargetOptions).target_of
    return targets.of_these(item, windows, partial(ingest.open_numbers, manifest), how)


def spreads(found: Inspection) -> Mapping[str, Spread]:
    """Side of the split -> how its numbers lie; none where the data has labels. Raises UsageError as `of_windows` does."""
    if not targets.asked(found.manifest.layout):
        return {}
    made = {}
    for side, items, windowing in _sides(found):
        own = of_windows(found.manifest, items, windowing)
        if len(own):
            made[side] = Spread(len(own), float(own.min()), float(np.median(own)), float(own.max()), _unknown(items, windowing))
    return made


def notes(found: Inspection) -> list[str]:
    """What there is to say about windows that are left out, for nobody says their number; nothing is read."""
    data = found.loaded.project.data
    if all(r.unknown is None for r in found.records) or (data.window_s and not found.records[0].rate):
        return []
    left = sum(_unknown(items, windowing) for _, items, windowing in _sides(found))
    how = "their last row has none" if data.target_of == "last" else "more than half of their rows have none"
    return [f"{left:,} windows are left out, for {how} of the numbers to give"] if left else []


def _sides(found: Inspection) -> Iterator[tuple[str, Sequence[Record | Run], Windowing | None]]:
    """(side, what its windows are cut from, how)."""
    data = found.loaded.project.data
    windowing = windowing_of(data, found.loaded.blocks, found.records[0].rate)
    for side in SPLITS:
        yield side, items_of([r for r in found.records if found.sides[r.key] == side], data), windowing


def _unknown(items: Sequence[Record | Run], windowing: Windowing | None) -> int:
    whole = [
        Run(tuple(replace(r, unknown=None) for r in i.records)) if isinstance(i, Run) else replace(i, unknown=None) for i in items
    ]
    return count(whole, windowing) - count(items, windowing)
