"""The number that a model is to give: where a data set says it, and which number a window has.

A table says one a row (a column), an .npz one a row of a stream or one a recording (an array), an index file or a file's name
(`{target}`) one a recording.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.base.text import plain
from sandgrain.dataset.names import PLACEHOLDER, escape
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.dataset.records import Layout, Record, option
from sandgrain.dataset.unknown import WAYS
from sandgrain.dataset.windows import Run, Window, Windowing, owned, windows_in

PLACE = "target"  # what a recording's number is called among its fields


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """Where the number is that a model is to give, and what it is."""

    target_column: str = option(
        "",
        "The column with the number that the model is to give, instead of a label: of the index file where `labels` names one and it has such "
        "a column, else of tables. It is no channel. Or write `{target}` into `name`.",
    )
    target_array: str = option(
        "", "NPZ: the array with the number that the model is to give: one a recording, or one a row of a `stream`."
    )
    target_of: str = option(
        "last",
        "Where each row has a number: the one of a window is that of its `last` row, the `mean` of its rows, or their `max`. A row without "
        "one stays input; a window whose last row, or more than half of whose rows have none is left out.",
    )
    target_unit: str = option("", 'Unit of the number, such as `"mg/m3"`; for the report, NAME.h and report.json.')


def asked(layout: Layout) -> bool:
    """Whether the model is to give a number."""
    options = layout.get(TargetOptions)
    return bool(options.target_column or options.target_array or PLACE in PLACEHOLDER.findall(layout.name))


def check(layout: Layout) -> None:
    """Raises UsageError for options that contradict themselves."""
    options = layout.get(TargetOptions)
    if options.target_of not in WAYS:
        raise UsageError(f"target_of {escape(options.target_of, 40)!r}: choose {', '.join(WAYS)}")
    if options.target_column and options.target_array:
        raise UsageError("target_column and target_array both say where the number is; take one away")


def number(text: str, what: str = "number") -> float:
    """A finite number as people write it, with a decimal point or comma. Raises BadFileError."""
    try:
        found = float(text.strip().replace(",", ".") if text.count(",") == 1 and "." not in text else text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise BadFileError(f"its {what} {escape(text.strip(), 40)!r} is not a number")
    return found


def of_recording(record: Record) -> float | None:
    """The number that an index file or its name says of a recording."""
    text = record.fields.get(PLACE)
    return None if text is None else number(text)


def of_windows(
    items: Sequence[Record | Run], load: Callable[[Record], Array | None], windowing: Windowing | None, how: str
) -> Array:
    """float64 [n]: the number of each window, in the order of `windows.stream`. `load` gives the numbers of a recording's rows, float64
    [samples], or one for all, [1]; None where nobody says. Raises UsageError."""
    found = [np.zeros(0)]
    for item in items:
        windows = [w for _, w in owned(item, windowing)] if isinstance(item, Run) else windows_in(item, windowing)
        if windows:
            found.append(of_these(item, windows, load, how))
    return np.concatenate(found)


def of_these(item: Record | Run, windows: Sequence[Window], load: Callable[[Record], Array | None], how: str) -> Array:
    """float64 [n]: the number of each of some windows of a record or a run. Raises UsageError."""
    rows = np.concatenate([of_rows(r, load) for r in item.records]) if isinstance(item, Run) else of_rows(item, load)
    return np.array([WAYS[how](rows[w.start : w.stop]) for w in windows], np.float64)


def of_rows(record: Record, load: Callable[[Record], Array | None]) -> Array:
    """float64 [samples]: the number of each row of a recording. Raises UsageError."""
    whole = of_recording(record)
    rows = load(record) if whole is None else np.array([whole])
    if rows is None:
        raise UsageError(f"{plain(record.key)}: nobody says its number; see target_column, target_array and {{target}} in name")
    return np.broadcast_to(rows, record.shape[:1])
