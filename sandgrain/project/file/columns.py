"""What the columns of a table are: time, index, label, group, channel, or nothing that is used; judged by their values.

Names are hints only: a column is a time because it rises evenly, and a label because it takes few values. Every column gets a
verdict with its reason, for `init` says each of its guesses and the key that overrides it.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.text import plain
from sandgrain.dataset import dialect, times
from sandgrain.dataset.grid import uneven
from sandgrain.project.file import target
from sandgrain.project.file.column import (
    EVEN,
    FEW,
    GROUP_WORDS,
    LABEL_WORDS,
    LONG_RUN,
    MOST,
    NAMES,
    NUMBERS,
    RUN,
    SOURCES,
    TIME_WORDS,
    TURNS,
    UNIT_WORDS,
    Clock,
    Column,
    Table,
)

MANY_LABELS = 12  # values of a second label
MIN_SETTINGS = 3  # values of a setting
ONCE = 1.5  # changes of a setting for each pair of its value and a label


def judge(columns: Sequence[Column]) -> Table:
    """What each of the columns is."""
    table = Table({c.name: c for c in columns})
    _empty(table)
    _label(table)
    _other_labels(table)
    _group(table, columns)
    _time(table, [c for c in columns if c.name in (*table.of("label"), *table.of("group"))])
    _rest(table, target.find(table))
    table.verdicts = {c.name: table.verdicts[c.name] for c in columns}
    return table


def _empty(table: Table) -> None:
    for name, column in list(table.left.items()):
        if not column.filled:
            table.give(name, "unused", "it is empty")


# --- label and group -----------------------------------------------------------------------------------------------------


def _label(table: Table) -> None:
    """The column with few values whose name says label; else one of text; else the last one, of few whole numbers."""
    hinted = sorted((k, c.name) for c in table.left.values() if (k := c.hint(LABEL_WORDS)) is not None)
    for _, name in hinted:
        if _is_label(table.left[name]):
            table.give(name, "label", f"its name, and it takes {table.left[name].distinct} values")
            return
    texts = [c for c in table.left.values() if c.is_text and _is_label(c) and not _is_time(c) and c.hint(GROUP_WORDS) is None]
    if texts:
        table.give(texts[-1].name, "label", f"text that takes {texts[-1].distinct} values, in runs of {texts[-1].run:.0f} rows")
        return
    ends = list(table.left.values())[-1:] + list(table.left.values())[:1] if len(table.left) > 1 else []
    for where, column in zip(("last", "first"), ends, strict=False):
        others = [c for c in table.left.values() if c is not column]
        many = sum(c.distinct > 30 for c in others) * 2 >= len(others)
        few = column.distinct <= 12 and column.hint(GROUP_WORDS) is None and _is_label(column)
        if many and few and column.run >= (RUN if where == "last" else LONG_RUN):
            why = f"the {where} column, and it takes {column.distinct} whole values in runs of {column.run:.0f} rows"
            table.give(column.name, "label", why)
            return


OTHER_LABEL = "another label by its name"


def _other_labels(table: Table) -> None:
    """Columns that say of the rows what the label says of them, in other words: a channel of them would tell the answer."""
    if not (label := table.of("label")):
        return
    for name, column in list(table.left.items()):
        if (
            column.hint(LABEL_WORDS) is not None
            and column.distinct <= MANY_LABELS
            and (_is_label(column) or column.distinct == 1)
        ):
            table.give(name, "unused", f"{OTHER_LABEL}, beside {label[0]}")


def _is_label(column: Column) -> bool:
    """Whether its values are few: text, or whole numbers."""
    if not 2 <= column.distinct <= len(column.cells) / 2 or column.run < 1.2:
        return False
    if column.is_text:
        return column.distinct <= NAMES
    whole = bool((column.flat == np.rint(column.flat)).all())
    return whole and column.distinct <= FEW and column.distinct * RUN <= len(column.cells)


def _group(table: Table, columns: Sequence[Column]) -> None:
    """The column with a name such as subject that stays the same for many rows; else one that is as constant as a setting."""
    hinted = sorted((k, c.name) for c in table.left.values() if (k := c.hint(GROUP_WORDS)) is not None)
    for _, name in hinted:
        column = table.left[name]
        if 2 <= column.distinct <= NAMES and column.run >= RUN and (column.share < 0.5 or bool((column.flat % 1 == 0).all())):
            table.give(name, "group", f"its name, and it takes {column.distinct} values in runs of {column.run:.0f} rows")
            return
    marks = [c for c in columns if c.name in table.of("label")]
    settings = [c for c in table.left.values() if marks and _is_setting(c, marks[0])]
    if settings:
        best = max(settings, key=lambda c: c.distinct)
        why = (
            f"it stays the same for {best.run:.0f} rows and takes {best.distinct} values, each once or so in a label: a setting, an id or a "
            f"subject, and what {marks[0].name} is must be told without it"
        )
        table.give(best.name, "group", why)


def _is_setting(column: Column, label: Column) -> bool:
    """Whether it is constant within long runs of rows, and takes few values over them, which several labels have: a speed, a person."""
    if (column.share < NUMBERS and column.share > 0) or not MIN_SETTINGS <= column.distinct <= FEW or column.run < LONG_RUN:
        return False
    if column.share and not bool((column.flat % 1 == 0).all()):
        return False
    pairs = {pair for a, b in zip(column.stretches, label.stretches, strict=True) for pair in zip(a, b, strict=True)}
    changes = sum(a != b for s in column.stretches for a, b in pairwise(s))
    labels = Counter(value for value, _ in pairs)
    return changes <= ONCE * len(pairs) and 2 * sum(n > 1 for n in labels.values()) >= len(labels)


# --- time ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Rise:
    """How a column grows from row to row: steps (none across a change of label or group), and shares of them."""

    steps: Array
    usual: float
    up: float
    zero: float
    down: float
    even: float

    @staticmethod
    def of(stretches: Sequence[Array], breaks: Sequence[Array]) -> _Rise | None:
        steps = np.concatenate([np.diff(s)[~b] for s, b in zip(stretches, breaks, strict=True)] or [np.zeros(0)])
        steps = steps[np.isfinite(steps)]
        if len(steps) < 2 or not (steps > 0).any():
            return None
        ups = steps[steps > 0]
        usual = float(np.median(ups))
        close = float((np.abs(ups / usual - 1) <= EVEN).mean())
        return _Rise(steps, usual, float((steps > 0).mean()), float((steps == 0).mean()), float((steps < 0).mean()), close)

    @property
    def rises(self) -> bool:
        return self.down <= 1 - MOST and self.up > 0

    @property
    def seconds(self) -> float:
        """The distance of rows: of those that are about as usual on average, or of all but long gaps where few are."""
        close = self.steps[np.abs(self.steps / self.usual - 1) <= EVEN]
        inner = self.steps[(self.steps >= 0) & (self.steps <= 5 * self.usual)]
        return float((close if 2 * len(close) >= len(self.steps) else inner).mean())


def _breaks(columns: Sequence[Column], marks: Sequence[Column]) -> list[Array]:
    """For each stretch, which steps lead over a change of label or group: bool [rows - 1]."""
    lengths = [len(s) for s in columns[0].stretches]
    made = [np.zeros(max(0, n - 1), bool) for n in lengths]
    for column in marks:
        for k, stretch in enumerate(column.stretches):
            made[k] |= np.array([a != b for a, b in pairwise(stretch)], bool)
    return made


def _is_time(column: Column) -> bool:
    """Whether its cells are dates or times of day."""
    some = column.filled[:50]
    return bool(some) and sum(bool(dialect.TIME.fullmatch(c)) for c in some) >= NUMBERS * len(some)


def _time(table: Table, marks: Sequence[Column]) -> None:
    if not table.left:
        return
    columns = list(table.left.values())
    breaks = _breaks(columns, marks)
    found = [*_dates(columns, breaks), *_numbered(columns, breaks)]
    named = [item for item in found if item[2]]
    if found:
        clock, _, _ = (named or found)[0]
        table.clock = clock
        for name in clock.columns:
            table.give(name, "time" if clock.usable else "unused", clock.why)
        if clock.doubt:
            table.doubts.append(clock.doubt)
    for column in columns:
        rise = _Rise.of(column.numbers, breaks) if column.share >= NUMBERS else None
        if column.name not in table.left or rise is None:
            continue
        if _counts(rise, column) and (len(table.left) > 1):
            table.give(column.name, "index", _count_or_time(table, rise, column))
        elif table.clock and rise.rises and rise.even >= MOST and _hints_time(column) and len(table.left) > 1:
            table.give(column.name, "unused", f"a second clock, beside {' '.join(table.clock.columns)}")
    for column in columns:
        if column.name in table.left and _is_time(column):
            table.give(column.name, "unused", "dates or times that are not needed, or do not grow")


def _counts(rise: _Rise, column: Column) -> bool:
    """Whether it is the number of the row, or of the second: whole numbers that never fall, and grow by one as a rule."""
    ones = float((rise.steps == 1).mean())
    return ones >= NUMBERS and rise.rises and bool((column.flat % 1 == 0).all()) and len(rise.steps) >= 10


def _count_or_time(table: Table, rise: _Rise, column: Column) -> str:
    """Why a column that counts is left out, and what it may be all the same."""
    gaps = "" if (rise.steps == 1).all() else ", with gaps"
    why = f"it counts the rows, by 1{gaps}"
    if table.clock is not None:
        return why
    table.doubts.append(
        f"column {column.name} rises by 1{gaps} and does not say what it counts, rows or seconds: it is taken for the number of the row; "
        f'if it is a time, time_column = "{column.name}" with time_unit = "s" makes 1 Hz of it, "ms" 1000 Hz'
    )
    return why


def _hints_time(column: Column) -> bool:
    units = {word for names in UNIT_WORDS.values() for word in names.split()}
    units |= set(TIME_WORDS.split())
    known = [word in units for word in column.words]
    long = any(len(word) > 1 and good for word, good in zip(column.words, known, strict=True))
    return bool(known) and (long or all(known))


def _numbered(columns: Sequence[Column], breaks: Sequence[Array]) -> Iterator[tuple[Clock, Column, bool]]:
    """Columns of numbers that are times: they rise, and evenly or with a name that says so."""
    for place, column in enumerate(columns):
        if column.share < NUMBERS:
            continue
        rise = _Rise.of(column.numbers, breaks)
        if rise is None or not rise.rises:
            continue
        named = _hints_time(column)
        whole = bool((column.flat % 1 == 0).all())
        if whole and rise.usual == 1 and not named and not _said_unit(column):
            continue  # the numbers of rows, or seconds: `_time` says so
        steady = rise.even >= NUMBERS and rise.zero <= 0.02 and (place == 0 or whole) and len(rise.steps) >= 10
        if not steady and not (named and rise.up + rise.zero >= MOST and (rise.up >= 0.5 or rise.zero < MOST)):
            continue
        unit, why = _unit(column, rise, whole)
        seconds = rise.seconds * times.UNITS[unit]
        how = (
            f"evenly rising by {rise.usual:g}"
            if rise.even >= NUMBERS and rise.zero <= 0.02
            else f"rising, by {rise.usual:g} as a rule"
        )
        clock = _clock((column.name,), unit, rise, seconds, f"{how}; {why}")
        if 1 <= rise.usual < 2 and not why.endswith(("as it says", "by its size")):
            other = "s" if unit != "s" else "ms"
            told = f'time_unit = "{other}" makes {1 / (rise.usual * times.UNITS[other]):.4g} Hz of it'
            clock = replace(
                clock,
                doubt=f"column {column.name} rises by {rise.usual:g} and does not say its unit: {clock.rate:g} Hz is a guess; {told}",
            )
        yield clock, column, named


def _unit(column: Column, rise: _Rise, whole: bool) -> tuple[str, str]:
    """The unit of a time, and why."""
    said = _said_unit(column)
    if said:
        return said, f"in {said}, as it says"
    first, step = float(np.median(column.flat)), rise.usual
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)):
        if 9e8 * scale < first < 4e9 * scale and 1e-4 * scale <= step <= 7200 * scale:
            return unit, f"in {unit} since 1970, by its size"
    if not whole and step < 2:
        return "s", f"in s, for {1 / step:.4g} Hz are likelier than {1000 / step:.4g}"
    unit = next((u for u, most in (("ms", 2e3), ("us", 2e6)) if step <= most), "ns")
    rate = 1 / (step * times.UNITS[unit])
    return unit, f"in {unit}, for {rate:.4g} Hz are likelier than {rate * times.UNITS[unit]:.4g} (in s)"


def _said_unit(column: Column) -> str:
    """The unit in the column's name or in the row of units, or ""."""
    words = [*re.split(r"[^a-z\u00b5\u03bc]+", column.unit.lower()), *reversed(column.words)]
    return next((unit for word in words if word for unit, names in UNIT_WORDS.items() if word in names.split()), "")


def _clock(columns: tuple[str, ...], unit: str, rise: _Rise, seconds: float, why: str) -> Clock:
    usable = rise.zero < 0.3
    if not usable:
        why += f"; {100 * rise.zero:.0f} % of the rows have the time of the row before, so the rate is their average and the times are not used"
    ups = rise.steps[rise.steps > 0]
    even = bool(rise.zero == 0 and rise.down == 0 and not uneven(float(ups.min()), float(ups.max()), rise.usual))
    return Clock(columns, unit, _nice(1 / seconds), even, usable, why)


def _nice(rate: float) -> float:
    """A whole number of Hz where one is near, otherwise four digits."""
    near = round(rate)
    return float(near) if near >= 1 and abs(rate / near - 1) < 0.001 else float(f"{rate:.4g}")


def _dates(columns: Sequence[Column], breaks: Sequence[Array]) -> Iterator[tuple[Clock, Column, bool]]:
    """Columns of dates, of times of day, or one of each."""
    found = [c for c in columns if c.share < 0.5 and _is_time(c)]
    days = [c for c in found if not any(":" in cell for cell in c.filled[:50])]
    hours = [c for c in found if c not in days and all(re.match(r"\d{1,2}:", cell) for cell in c.filled[:50])]
    pairs = [(a, b) for a in days[:1] for b in hours[:1]]
    for chosen in [*pairs, *((c,) for c in found)]:
        texts = [
            [" ".join(row) for row in zip(*parts, strict=True)] for parts in zip(*(c.stretches for c in chosen), strict=True)
        ]
        best: tuple[float, str, _Rise] | None = None
        for unit in times.DATES:
            values = [np.array([_seconds(t, unit) for t in stretch], np.float64) for stretch in texts]
            known = sum(int(np.isfinite(v).sum()) for v in values) / max(1, sum(map(len, values)))
            rise = _Rise.of(values, breaks) if known >= NUMBERS else None
            if rise is not None and rise.rises and (best is None or rise.even + rise.up > best[0]):
                best = rise.even + rise.up, unit, rise
        if best is not None:
            _, unit, rise = best
            what = "dates" if unit != "iso" else "dates or times of day"
            why = f"{what} that rise by {rise.usual:g} s as a rule"
            yield _clock(tuple(c.name for c in chosen), unit, rise, rise.seconds, why), chosen[0], True


def _seconds(text: str, unit: str) -> float:
    value = times.seconds(text, unit)
    return math.nan if value is None else value


# --- channels ------------------------------------------------------------------------------------------------------------


def _rest(table: Table, unreadable: Array | None) -> None:
    """Channels, and what is left. `unreadable`: bool [rows], with text for the number that is asked for."""
    bad = np.zeros(0, bool) if unreadable is None else unreadable
    for name, column in list(table.left.items()):
        missing = len(column.cells) - len(column.flat)
        if len(column.stretches) > 1 and column.distinct > 1 and all(len(set(s)) == 1 for s in column.stretches):
            table.give(
                name,
                "unused",
                f"it says which file or part of it a row is in: {column.distinct} values, none of which changes there",
            )
        elif column.share >= NUMBERS:
            why = "numbers"
            if missing:
                first = next(
                    cell
                    for stretch, values in zip(column.stretches, column.numbers, strict=True)
                    for cell, v in zip(stretch, values, strict=True)
                    if not math.isfinite(v)
                )
                shown = repr(first[:20]) if first else "an empty one"
                why = f"numbers, but for {missing} of {len(column.cells)} cells (such as {shown}), whose rows are left out"
                gaps = ~np.isfinite(np.concatenate(column.numbers))
                bad = bad | gaps if len(bad) else gaps
            elif column.distinct == 1:
                why = "numbers, though it never changes in the rows that were looked at"
            if column.hint(LABEL_WORDS) is not None:
                why += f"; {column.distinct} values are too many for a label"
            table.give(name, "channel", why)
        elif column.share > 0:
            table.give(name, "unused", f"{100 * (1 - column.share):.0f} % of its cells are no numbers")
        else:
            same = "the same text in every row" if column.distinct == 1 else f"text that takes {column.distinct} values"
            table.give(name, "unused", same)
            if 2 <= column.distinct <= SOURCES and column.run < TURNS:
                some = ", ".join(plain(cell, 20) for cell in sorted(set(column.filled))[:3])
                table.doubts.append(
                    f"column {name} says {some} in turn: rows of several sensors are mixed, and so is every channel; give each sensor a table or "
                    "columns of its own (columns, files)"
                )
    table.bad_share = float(bad.mean()) if len(bad) else 0.0
