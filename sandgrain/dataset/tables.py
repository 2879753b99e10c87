"""Rows of numbers become recordings: cut where the label, the group or a segment ends, checked, and scaled to int16."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset.grid import on_grid, uneven
from sandgrain.dataset.readers.base import (
    INT16_MAX,
    INT16_MIN,
    MAX_CHANNELS,
    MAX_RECORDS,
    BadFileError,
    RateOptions,
    Sample,
    Series,
    check_rate,
    check_values,
    to_int16,
)
from sandgrain.dataset.records import Layout, option
from sandgrain.dataset.rows import LeftOut, Rows, gaps, why
from sandgrain.dataset.targets import TargetOptions


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What readers of tables are told."""

    columns: tuple[str, ...] = option((), "Tables: the columns that are channels, in order. Empty: all that have no other use.")
    label_column: str = option("", "The column with the label: of the index file where `labels` names one, else of tables.")
    group_column: str = option("", "The column with the speaker, subject or device, as `label_column`.")
    time_column: tuple[str, ...] = option(
        (),
        'Tables: the column with the time, or two, such as `["Date", "Time"]`; it gives the rate, and is checked against `rate`.',
    )
    time_unit: str = option(
        "",
        "Tables: what the time is given in: `s`, `ms`, `us`, `ns`, `min`, `h`, `day`; `iso` for dates with the year first or times of "
        "day, `dmy` and `mdy` for other dates. Empty: `s` for numbers, otherwise `iso`.",
    )
    segment: int = option(
        0,
        "Tables: rows per recording. 0: as many as share label and group. 1: each row is a sample of its own, such as features made before.",
        ge=0,
    )


@dataclass(frozen=True, slots=True)
class Scale:
    """What the values of a table stand for."""

    full_scale: tuple[float, ...] = option(
        (), "Value, in `units`, that the largest int16 stands for: one per channel, or one for all. Empty: integers as they are."
    )
    units: tuple[str, ...] = option(
        (), 'Units of the channels, such as `["g", "deg/s"]`; for the report, NAME.h and report.json.'
    )


@dataclass(frozen=True, slots=True)
class Whole:
    """No key of the user's: a table is read as one recording whose rows keep their time and label (`Sample.series`), to be joined."""

    on: bool = False
    labels_only: bool = False  # it has no channels
    only: str = ""  # rows of this group alone; "": of all


def table_options(layout: Layout) -> TableOptions:
    """What tables are told: where an index file is given, `label_column` and `group_column` are columns of that."""
    table = layout.get(TableOptions)
    return replace(table, label_column="", group_column="") if layout.labels else table


def cuts_at_changes(layout: Layout) -> bool:
    """Whether `assemble` ends a recording where the label changes, and the next one goes on from there."""
    table = table_options(layout)
    return bool(table.label_column) and not table.segment


RATE_ERROR = 0.05  # how far the measured rate may be from the one that the layout names


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the layout's columns are in a table: indices, and the channels' names. `label`, `group`: -1 where there is none.

    `numbers`: the columns that are read as numbers, with their names: the channels, and behind them the target where there is one.
    """

    channels: tuple[int, ...]
    names: tuple[str, ...]
    time: tuple[int, ...]
    label: int
    group: int
    numbers: tuple[tuple[int, str], ...] = ()

    @property
    def target(self) -> int:
        """Which of `numbers` is the target: an index, or -1."""
        return len(self.channels) if len(self.numbers) > len(self.channels) else -1


def find_columns(header: Sequence[str], layout: Layout) -> Columns:
    """The layout's columns in a table with this header; all that have no other use when it names none. Raises BadFileError."""
    if len(header) > MAX_CHANNELS:
        raise BadFileError(f"has {len(header)} columns; at most {MAX_CHANNELS} are read")
    where = {name: k for k, name in enumerate(header)}
    if len(where) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise BadFileError(f"has two columns called {twice[:40]!r}")
    table = table_options(layout)
    target = _target(where, layout)
    special = [*table.time_column, target, table.label_column, table.group_column]
    names = table.columns or tuple(name for name in header if name not in special)
    names = () if layout.get(Whole).labels_only else names
    for name in [*names, *filter(None, special)]:
        if name not in where:
            raise BadFileError(f"has no column {name!r}; it has {_some(header)}")
    if not names and not layout.get(Whole).labels_only:
        raise BadFileError("has no column of samples")
    label, group = (where[name] if name else -1 for name in special[-2:])
    channels, time = tuple(where[n] for n in names), tuple(where[n] for n in table.time_column)
    if target in names:
        raise BadFileError(f"has column {target[:40]!r} among its channels, and it is the number to give; take it out of columns")
    read = tuple((where[n], n) for n in (*names, *filter(None, [target])))
    return Columns(channels, tuple(names), time, label, group, read)


def _target(where: Mapping[str, int], layout: Layout) -> str:
    """The column with the number to give, "" where there is none: beside an index file it may be a column of that."""
    name = layout.get(TargetOptions).target_column
    return "" if layout.labels and name not in where else name


def check_full_scale(layout: Layout, channels: int) -> Array | None:
    """float64 [channels], or None when values are counts already. Raises BadFileError."""
    scale = layout.get(Scale).full_scale
    if not scale:
        return None
    if len(scale) not in (1, channels):
        raise BadFileError(f"has {channels} channels, full_scale has {len(scale)} values")
    return np.broadcast_to(np.asarray(scale, np.float64), (channels,))


def to_counts(rows: Rows, scale: Array | None, names: Sequence[str], missing: Sequence[float] = ()) -> tuple[Array, int]:
    """int16 counts [n, channels] of the values, and how many were clipped. `missing`: numbers that are no values.

    Raises BadFileError with row and column.
    """
    values = rows.values
    bad = gaps(values, missing)
    if bad.any():
        raise BadFileError(why(rows, int(bad.any(axis=1).argmax()), names, missing))
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
    numbers: list[Array] = field(default_factory=list)  # what a model is to give at each row
    times: list[Array] = field(default_factory=list)  # kept where the rows are put on a grid
    rows: int = 0
    clipped: int = 0
    first: float = math.nan  # times, in seconds
    last: float = math.nan
    span: int = 0  # steps from the first row to the last, with those that were left out
    shortest: float = math.inf  # steps between rows
    longest: float = -math.inf


def assemble(blocks: Iterable[Rows], layout: Layout, names: Sequence[str], note: str = "") -> Iterator[Sample]:
    """The recordings of a table whose channels are `names`, given as blocks of rows. Raises BadFileError.

    The last of them carries `note`, and what there is to say about rows that were left out.
    """
    if layout.get(Whole).on:
        yield _whole(blocks, layout, names, note)
        return
    left, made, held = LeftOut(layout, names), _Made(layout), None
    for sample in _recordings(map(left.kept, blocks), layout, names, made):
        if held is not None:
            yield held
        held = sample
    said = left.note()
    if held is None:
        raise BadFileError("has no two rows with growing times" if made.short else "it holds no samples")
    alone = f"{made.short} recordings of rows that stand alone left out" if made.short else ""
    yield replace(held, note="; ".join(filter(None, (note, said, held.note, alone))))


def _whole(blocks: Iterable[Rows], layout: Layout, names: Sequence[str], note: str) -> Sample:
    """All rows of a table as one recording, with their series; see `Whole`."""
    left, scale, clipped, rows = LeftOut(layout, names), check_full_scale(layout, len(names)), 0, 0
    data, times = list[Array](), list[Array]()
    labels, only = _Texts(), layout.get(Whole).only
    for block in map(left.kept, blocks):
        block = _of_group(block, only) if only else block
        counts, lost = to_counts(block, scale, names)
        clipped, rows = clipped + lost, rows + len(counts)
        if rows:
            check_values(rows, len(names) + TIMED)
        data.append(counts)
        labels.add(block.labels)
        if block.times is not None:
            times.append(block.times)
    said = "; ".join(filter(None, (note, left.note())))
    if not rows:
        raise BadFileError(f"has no rows of {only}" if only else "it holds no samples")
    series = Series(np.concatenate(times) if times else None, *labels.made())
    return Sample(np.concatenate(data), layout.rate, clipped=clipped, note=said, series=series)


def _some(header: Sequence[str]) -> str:
    """The first columns, as many as a line holds, and how many more there are."""
    shown = 1
    while shown < len(header) and len(", ".join(header[: shown + 1])) <= MAX_SHOWN:
        shown += 1
    more = f" and {len(header) - shown} more" if shown < len(header) else ""
    return ", ".join(name[:MAX_SHOWN] for name in header[:shown]) + more


MAX_SHOWN = 80  # characters of a table's columns in a message
TIMED = 4  # values of a row that its time, label and group take the memory of
MAX_TEXTS = 1 << 12  # labels of one table


def _of_group(rows: Rows, group: str) -> Rows:
    """The rows of one group."""
    return rows.at(np.flatnonzero(np.array([text == group for text in rows.groups or ()], bool)))


@dataclass(slots=True)
class _Texts:
    """Texts of rows, each kept once."""

    known: dict[str, int] = field(default_factory=dict)
    codes: list[Array] = field(default_factory=list)

    def add(self, texts: Sequence[str] | None) -> None:
        if texts is not None:
            self.codes.append(np.fromiter((self.known.setdefault(t, len(self.known)) for t in texts), np.int32, len(texts)))
            if len(self.known) > MAX_TEXTS:
                raise BadFileError(f"has more than {MAX_TEXTS} labels in one column; a column of numbers is none (label_column)")

    def made(self) -> tuple[Array | None, tuple[str, ...]]:
        return (np.concatenate(self.codes) if self.codes else None), tuple(self.known)


def _recordings(blocks: Iterable[Rows], layout: Layout, names: Sequence[str], made: _Made) -> Iterator[Sample]:
    scale, now = check_full_scale(layout, len(names)), None
    segment = layout.get(TableOptions).segment
    for block in blocks:
        start = 0
        while start < len(block.values):
            label, group = (None if texts is None else texts[start] for texts in (block.labels, block.groups))
            if now is not None and (label, group) != (now.label, now.group):
                yield from made.finished(now)
                now = None
            now = now or _Open(block.place(start), label, group)
            end = _same_until(block, start)
            if segment:
                end = min(end, start + segment - now.rows)
            _append(now, block.cut(start, end), scale, names, layout)
            start = end
            if now.rows == segment:
                yield from made.finished(now)
                now = None
    if now is not None:
        yield from made.finished(now)


def _same_until(rows: Rows, start: int) -> int:
    """Where the label or the group of row `start` ends."""
    end = len(rows.values)
    for texts in (rows.labels, rows.groups):
        if texts is not None and texts[start:end].count(texts[start]) < end - start:
            end = next((k for k in range(start + 1, end) if texts[k] != texts[start]), end)
    return end


def _append(now: _Open, rows: Rows, scale: Array | None, names: Sequence[str], layout: Layout) -> None:
    if rows.values.shape[1] > len(names):
        now.numbers.append(rows.values[:, len(names)])
        rows = replace(rows, values=rows.values[:, : len(names)])
    counts, clipped = to_counts(rows, scale, names)
    if rows.times is not None:
        if layout.get(RateOptions).resample:
            now.times.append(rows.times)
        else:
            _check_times(now, rows)
    now.blocks.append(counts)
    now.rows += len(counts)
    now.clipped += clipped
    check_values(now.rows, len(names))


def _check_times(now: _Open, rows: Rows) -> None:
    times = rows.times
    assert times is not None
    steps = np.diff(times, prepend=times[:1] if not now.rows else [now.last])[0 if now.rows else 1 :]
    if (steps <= 0).any():
        place = rows.place(int(np.argmax(steps <= 0)) + (not now.rows))
        raise BadFileError(f"{place}: the time does not grow; resample = true leaves such rows out")
    jumps = np.ones(len(times), np.int64) if rows.skipped is None else rows.skipped + 1
    jumps = jumps[0 if now.rows else 1 :]
    if len(steps):
        each = steps / jumps
        now.shortest, now.longest = min(now.shortest, float(each.min())), max(now.longest, float(each.max()))
    now.span += int(jumps.sum())
    now.first = now.first if now.rows else float(times[0])
    now.last = float(times[-1])


def _rate(now: _Open, layout: Layout) -> float:
    """Hz: measured where there is a time column (three digits), otherwise the layout's. Raises BadFileError."""
    if math.isnan(now.first) or now.rows < 2:
        return layout.rate
    step, column = (now.last - now.first) / now.span, " ".join(layout.get(TableOptions).time_column)
    if uneven(now.shortest, now.longest, step):
        raise BadFileError(
            f"its times jump: steps of {now.shortest:.4g} to {now.longest:.4g} s where {step:.4g} s are usual (column {column}); "
            "set time_unit if that is not what they are, or resample = true to put its rows on an even grid"
        )
    rate = check_rate(1 / step)
    if layout.rate and abs(rate / layout.rate - 1) > RATE_ERROR:
        raise BadFileError(
            f"is sampled at {rate:.4g} Hz, the data set at {layout.rate:g} Hz (column {column}); correct rate or time_unit"
        )
    return layout.rate or float(f"{rate:.3g}")


@dataclass(slots=True)
class _Made:
    """Turns what was put together into recordings, and numbers them."""

    layout: Layout
    count: int = 0
    short: int = 0  # stretches of one label and group without two rows whose time grows: nothing lies on a grid between them

    def finished(self, now: _Open) -> Iterator[Sample]:
        """The recording, or the parts of it that long gaps leave."""
        table, layout = table_options(self.layout), self.layout
        if table.segment and now.rows != table.segment:
            raise BadFileError(f"{now.place}: the recording that begins here has {now.rows} rows, not {table.segment}")
        data = np.concatenate(now.blocks)
        numbers = np.concatenate(now.numbers) if now.numbers else None
        if not now.times:
            several = table.segment or table.label_column or table.group_column
            rate = _rate(now, layout)
            index = self._next() if several else 0
            yield Sample(data, rate, index, now.label, now.group, now.clipped, start=now.first, numbers=numbers)
            return
        parts, note = on_grid(np.concatenate(now.times), data, layout.rate, numbers)
        if not parts:
            self.short, self.count = self.short + 1, self.count + 1
        for k, part in enumerate(parts):
            self.count += k > 0  # behind a gap a number is left out: what lies there does not follow
            said = note if k + 1 == len(parts) else ""
            clipped = now.clipped if not k else 0
            made = Sample(part.data, layout.rate, self._next(), now.label, now.group, clipped, said, part.start)
            yield replace(made, numbers=part.numbers)

    def _next(self) -> int:
        self.count += 1
        if self.count > MAX_RECORDS:
            raise BadFileError(f"has more than {MAX_RECORDS} recordings")
        return self.count
