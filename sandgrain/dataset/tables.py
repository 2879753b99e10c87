"""Rows of numbers become recordings: cut where the label, the group or a segment ends, checked, and scaled to int16."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset.readers.base import (
    INT16_MAX,
    INT16_MIN,
    MAX_CHANNELS,
    MAX_RECORDS,
    BadFileError,
    Sample,
    check_rate,
    check_values,
    to_int16,
)
from sandgrain.dataset.records import Layout, option


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What readers of tables are told."""

    columns: tuple[str, ...] = option((), "Tables: the columns that are channels, in order. Empty: all that hold numbers.")
    label_column: str = option("", "Tables: the column with the label.")
    group_column: str = option("", "Tables: the column with the speaker, subject or device.")
    time_column: str = option("", "Tables: the column with the time, seconds; it is checked against `rate`.")
    segment: int = option(0, "Tables: rows per recording. 0: as many as share label and group.", ge=0)


@dataclass(frozen=True, slots=True)
class Scale:
    """What the values of a table stand for."""

    full_scale: tuple[float, ...] = option(
        (), "Value, in `units`, that the largest int16 stands for: one per channel, or one for all. Empty: integers as they are."
    )
    units: tuple[str, ...] = option((), 'Units of the channels, such as `["g", "deg/s"]`; for the report only.')


JITTER = 0.2  # of a step: beyond it, samples were lost or doubled
RATE_ERROR = 0.05  # how far the measured rate may be from the one that the layout names


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the layout's columns are in a table: indices, and the channels' names. `time`, `label`, `group`: -1 for none."""

    channels: tuple[int, ...]
    names: tuple[str, ...]
    time: int
    label: int
    group: int


def find_columns(header: Sequence[str], layout: Layout) -> Columns:
    """The layout's columns in a table with this header; all that have no other use when it names none. Raises BadFileError."""
    if len(header) > MAX_CHANNELS:
        raise BadFileError(f"has {len(header)} columns; at most {MAX_CHANNELS} are read")
    where = {name: k for k, name in enumerate(header)}
    if len(where) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise BadFileError(f"has two columns called {twice[:40]!r}")
    table = layout.get(TableOptions)
    special = [table.time_column, table.label_column, table.group_column]
    names = table.columns or tuple(name for name in header if name not in special)
    for name in [*names, *filter(None, special)]:
        if name not in where:
            raise BadFileError(f"has no column {name!r}; it has {', '.join(header)[:80]}")
    if not names:
        raise BadFileError("has no column of samples")
    time, label, group = (where[name] if name else -1 for name in special)
    return Columns(tuple(where[name] for name in names), tuple(names), time, label, group)


def check_full_scale(layout: Layout, channels: int) -> Array | None:
    """float64 [channels], or None when values are counts already. Raises BadFileError."""
    scale = layout.get(Scale).full_scale
    if not scale:
        return None
    if len(scale) not in (1, channels):
        raise BadFileError(f"has {channels} channels, full_scale has {len(scale)} values")
    return np.broadcast_to(np.asarray(scale, np.float64), (channels,))


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """A block of rows: float64 [n, channels], where they stand ("line" 7, 8, ...), and what they have of label, group, time."""

    values: Array
    word: str
    numbers: Sequence[int]
    labels: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    times: Array | None = None

    def place(self, row: int) -> str:
        """Where a row stands, for people."""
        return f"{self.word} {self.numbers[row]}"

    def cut(self, start: int, end: int) -> Rows:
        """Rows `start` to `end`."""
        labels, groups = (None if texts is None else texts[start:end] for texts in (self.labels, self.groups))
        times = None if self.times is None else self.times[start:end]
        return Rows(self.values[start:end], self.word, self.numbers[start:end], labels, groups, times)


def to_counts(rows: Rows, scale: Array | None, names: Sequence[str]) -> tuple[Array, int]:
    """int16 counts [n, channels] of the values, and how many were clipped. Raises BadFileError with row and column."""
    values = rows.values
    good = np.isfinite(values)
    if not good.all():
        row, channel = np.argwhere(~good)[0]
        raise BadFileError(f"{rows.place(row)}, column {names[channel]}: {values[row, channel]} is not a finite number")
    if scale is not None:
        return to_int16(values / scale * 32768.0)
    good = (values == np.rint(values)) & (values >= INT16_MIN) & (values <= INT16_MAX)
    if not good.all():
        row, channel = np.argwhere(~good)[0]
        value = values[row, channel]
        raise BadFileError(f"{rows.place(row)}, column {names[channel]}: {value:g} is no int16 integer; give full_scale")
    return values.astype(np.int16), 0


@dataclass(slots=True)
class _Open:
    """The recording that is being put together."""

    place: str
    label: str | None
    group: str | None
    blocks: list[Array] = field(default_factory=list)
    rows: int = 0
    clipped: int = 0
    first: float = math.nan  # times, in seconds
    last: float = math.nan
    shortest: float = math.inf  # steps between them
    longest: float = -math.inf


def assemble(blocks: Iterable[Rows], layout: Layout, names: Sequence[str]) -> Iterator[Sample]:
    """The recordings of a table whose channels are `names`, given as blocks of rows. Raises BadFileError."""
    scale, now, made = check_full_scale(layout, len(names)), None, 0
    segment = layout.get(TableOptions).segment
    for block in blocks:
        start = 0
        while start < len(block.values):
            label, group = (None if texts is None else texts[start] for texts in (block.labels, block.groups))
            if now is not None and (label, group) != (now.label, now.group):
                yield _finished(now, layout, made := made + 1)
                now = None
            now = now or _Open(block.place(start), label, group)
            end = _same_until(block, start)
            if segment:
                end = min(end, start + segment - now.rows)
            _append(now, block.cut(start, end), scale, names)
            start = end
            if now.rows == segment:
                yield _finished(now, layout, made := made + 1)
                now = None
    if now is not None:
        yield _finished(now, layout, made := made + 1)
    if not made:
        raise BadFileError("it holds no samples")


def _same_until(rows: Rows, start: int) -> int:
    """Where the label or the group of row `start` ends."""
    end = len(rows.values)
    for texts in (rows.labels, rows.groups):
        if texts is not None:
            end = next((k for k in range(start + 1, end) if texts[k] != texts[start]), end)
    return end


def _append(now: _Open, rows: Rows, scale: Array | None, names: Sequence[str]) -> None:
    counts, clipped = to_counts(rows, scale, names)
    if rows.times is not None:
        _check_times(now, rows)
    now.blocks.append(counts)
    now.rows += len(counts)
    now.clipped += clipped
    check_values(now.rows, len(names))


def _check_times(now: _Open, rows: Rows) -> None:
    times = rows.times
    assert times is not None
    if not np.isfinite(times).all():
        raise BadFileError(f"{rows.place(int(np.argmin(np.isfinite(times))))}: the time is not a finite number")
    steps = np.diff(times, prepend=times[:1] if not now.rows else [now.last])[0 if now.rows else 1 :]
    if (steps <= 0).any():
        place = rows.place(int(np.argmax(steps <= 0)) + (not now.rows))
        raise BadFileError(f"{place}: the time does not grow")
    if len(steps):
        now.shortest, now.longest = min(now.shortest, float(steps.min())), max(now.longest, float(steps.max()))
    now.first = now.first if now.rows else float(times[0])
    now.last = float(times[-1])


def _rate(now: _Open, layout: Layout) -> float:
    """Hz: measured where there is a time column (three digits), otherwise the layout's. Raises BadFileError."""
    if math.isnan(now.first) or now.rows < 2:
        return layout.rate
    step, column = (now.last - now.first) / (now.rows - 1), layout.get(TableOptions).time_column
    if not math.isfinite(step) or max(now.longest / step - 1, 1 - now.shortest / step) > JITTER:
        raise BadFileError(
            f"its times jump: steps of {now.shortest:.4g} to {now.longest:.4g} s where {step:.4g} s are usual (column"
            f" {column}, in seconds)"
        )
    rate = check_rate(1 / step)
    if layout.rate and abs(rate / layout.rate - 1) > RATE_ERROR:
        raise BadFileError(f"is sampled at {rate:.4g} Hz, the data set at {layout.rate:g} Hz (column {column}, in seconds)")
    return layout.rate or float(f"{rate:.3g}")


def _finished(now: _Open, layout: Layout, index: int) -> Sample:
    table = layout.get(TableOptions)
    if table.segment and now.rows != table.segment:
        raise BadFileError(f"{now.place}: the recording that begins here has {now.rows} rows, not {table.segment}")
    if index > MAX_RECORDS:
        raise BadFileError(f"has more than {MAX_RECORDS} recordings")
    several = table.segment or table.label_column or table.group_column
    data = np.concatenate(now.blocks)
    return Sample(data, _rate(now, layout), index if several else 0, now.label, now.group, now.clipped)
