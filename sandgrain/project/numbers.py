"""The numbers that a project's model is to give: those of windows, and how they lie on each side of the split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset import ingest, targets
from sandgrain.dataset.records import SPLITS, Manifest, Record
from sandgrain.dataset.targets import TargetOptions
from sandgrain.dataset.windows import Windowing
from sandgrain.project.features import windowing_of

if TYPE_CHECKING:
    from sandgrain.project.inspection import Inspection


@dataclass(frozen=True, slots=True)
class Spread:
    """Of the windows of one side, in their unit."""

    windows: int
    least: float
    median: float
    largest: float


def of_windows(manifest: Manifest, records: Sequence[Record], windowing: Windowing | None) -> Array:
    """float64 [n]: the number of each window of some records. Raises UsageError where one has none."""
    how = manifest.layout.get(TargetOptions).target_of
    return targets.of_windows(records, partial(ingest.open_numbers, manifest), windowing, how)


def spreads(found: Inspection) -> Mapping[str, Spread]:
    """Side of the split -> how its numbers lie; none where the data has labels. Raises UsageError as `of_windows` does."""
    if not targets.asked(found.manifest.layout):
        return {}
    made = {}
    for side in SPLITS:
        records = [r for r in found.records if found.sides[r.key] == side]
        own = of_windows(
            found.manifest, records, windowing_of(found.loaded.project.data, found.loaded.blocks, found.records[0].rate)
        )
        if len(own):
            made[side] = Spread(len(own), float(own.min()), float(np.median(own)), float(own.max()))
    return made
