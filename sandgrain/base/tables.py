"""What people are shown of a result: lines and tables as values, drawn in a terminal, in a notebook, as CSV or as a DataFrame.

The command line prints the same lines that `print(result)` does.
"""

from __future__ import annotations

import csv
import html
import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandgrain.base.errors import UsageError
from sandgrain.base.words import spoken

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

WIDTH = 80  # columns of `str`


@dataclass(frozen=True, slots=True)
class Table:
    """A table in 80 columns. `numeric`: columns that are aligned to the right; they and `fixed` are never wrapped."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[int] = ()
    fixed: Sequence[int] = (0,)
    title: str = ""

    def rich(self) -> Trimmed:
        """As rich prints it: no lines, header in bold, nothing but text at the ends of rows."""
        from rich.table import Table as Drawn

        shown = Drawn(title=self.title, title_justify="left", box=None, pad_edge=False, header_style="bold")
        for k, column in enumerate(self.columns):
            kept = k in (*self.numeric, *self.fixed)
            shown.add_column(column, justify="right" if k in self.numeric else "left", overflow="fold", no_wrap=kept)
        for row in self.rows:
            shown.add_row(*row)
        return Trimmed(shown)


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What rich prints, without the blanks that it fills lines up with."""

    inner: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        from rich.segment import Segment

        for line in console.render_lines(self.inner, options.update(markup=False), pad=False):  # "[budget]" is text
            while line and not line[-1].text.strip():
                line.pop()
            if line:
                line[-1] = Segment(line[-1].text.rstrip(), line[-1].style)
            yield from (*line, Segment.line())


Line = str | Table  # a line of text, "" for an empty one, or a table
Row = Mapping[str, Any]  # column -> number, text or None


class Shown:
    """A result that people look at: it prints as a short page, and gives its rows to other tools.

    A subclass defines `lines`, `to_json`, and `rows` where it has rows.
    """

    __slots__ = ()

    def lines(self) -> Sequence[Line]:
        """The page of text, in lines and tables."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        raise NotImplementedError

    def rows(self) -> Sequence[Row]:
        """One mapping a row, all with the same keys: what `to_frame` and `to_csv` hold."""
        return [{k: v for k, v in self.to_json().items() if not isinstance(v, list | dict)}]

    def to_dict(self) -> dict[str, Any]:
        """A plain object of numbers, texts, lists and dicts."""
        return self.to_json()

    def to_frame(self) -> Any:
        """A pandas DataFrame, one row a layer, board or setting. Raises UsageError where pandas is not installed."""
        try:
            import pandas as pd
        except ImportError:
            raise UsageError("to_frame needs pandas; pip install pandas, or use to_dict() or to_csv()") from None
        return pd.DataFrame([dict(row) for row in self.rows()])

    def to_csv(self) -> str:
        """The rows of `to_frame` as CSV text with a header; what is not known is an empty cell."""
        return csv_text(self.rows())

    def __str__(self) -> str:
        return drawn(self._said())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return "".join(_markup(self._said()))

    def _said(self) -> list[Line]:
        """The lines, options as the caller writes them."""
        return [spoken(line) if isinstance(line, str) else line for line in self.lines()]


def drawn(lines: Sequence[Line], width: int = WIDTH) -> str:
    """Lines and tables as text of at most `width` columns."""
    from rich.console import Console

    stream = io.StringIO()
    console = Console(file=stream, width=width, color_system=None, highlight=False, legacy_windows=False)
    for line in lines:
        if isinstance(line, str):
            shown = textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False) if len(line) > width else line
            console.print(shown, markup=False, soft_wrap=True)
        else:
            console.print(line.rich(), end="")
    return "\n".join(row.rstrip() for row in stream.getvalue().rstrip().split("\n"))


def csv_text(rows: Sequence[Row]) -> str:
    """Rows as CSV: a header, one line a row, decimal points, "" for None, tuples with x between their numbers."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    if rows:
        writer.writerow(rows[0])
        writer.writerows([_cell(v) for v in row.values()] for row in rows)
    return stream.getvalue()


def _cell(value: Any) -> Any:
    """A cell: shapes as 1x8x8, words with blanks between them.

    Text that a spreadsheet would take for a formula gets an apostrophe, as names come from models.
    """
    if value is None:
        return ""
    if isinstance(value, tuple | list):
        value = ("x" if all(isinstance(v, int) for v in value) else " ").join(map(str, value))
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


def _markup(lines: Sequence[Line]) -> Iterator[str]:
    """HTML of its own, without styles or scripts; every text is escaped."""
    text: list[str] = []
    for line in [*lines, None]:
        if isinstance(line, str):
            text.append(line)
            continue
        if any(text):
            yield f"<pre>{html.escape(chr(10).join(text).strip(chr(10)))}</pre>"
        text.clear()
        if line is not None:
            yield from _table(line)


def _table(table: Table) -> Iterator[str]:
    yield "<table>"
    if table.title:
        yield f"<caption>{html.escape(table.title)}</caption>"
    if any(table.columns):
        yield f"<tr>{''.join(f'<th>{html.escape(c)}</th>' for c in table.columns)}</tr>"
    for row in table.rows:
        cells = (
            f'<td style="text-align: {"right" if k in table.numeric else "left"}">{html.escape(c)}</td>'
            for k, c in enumerate(row)
        )
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</table>"
