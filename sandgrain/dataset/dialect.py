"""How a table of text is written: its encoding, delimiter and decimal mark, and what stands above its values.

All of it is found from the first lines of a file, by trying what there is and taking what gives the most numbers in rows of one
width. What cannot be decided is a BadFileError that names the line and the key of [data] that decides it.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sandgrain.dataset.readers.base import MAX_CHANNELS, MAX_LINE, BadFileError

HEAD = 1 << 18  # bytes of a file that are looked at
LOOKED = 400  # lines of them
ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252", "cp1250", "cp1251", "shift_jis", "gb18030")
MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "-", "?"))  # cells without a value
COMMENTS = ("#", "%", "//")
# (delimiter, decimal mark), the likelier of two that fit alike first. A blank stands for any run of blanks.
WAYS = (("\t", "."), (";", "."), ("|", "."), (",", "."), (" ", "."), ("\t", ","), (";", ","), ("|", ","), (" ", ","), (",", ","))
SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
THOUSANDS = re.compile(r"[-+]?\d{1,3}(\.\d{3})+,\d+")
TIME = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]\d.*)?|\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[AaPp][Mm])?")
UNITS = frozenset(
    [
        "s",
        "sec",
        "ms",
        "us",
        "µs",
        "ns",
        "min",
        "h",
        "g",
        "mg",
        "m/s2",
        "m/s^2",
        "m/s²",
        "m/s",
        "mm/s",
        "dps",
        "deg/s",
        "°/s",
        "mdps",
        "rad/s",
        "c",
        "°c",
        "degc",
        "k",
        "f",
        "°f",
        "%",
        "%rh",
        "v",
        "mv",
        "uv",
        "a",
        "ma",
        "ua",
        "pa",
        "kpa",
        "hpa",
        "bar",
        "mbar",
        "psi",
        "ppm",
        "ppb",
        "lux",
        "lx",
        "hz",
        "khz",
        "db",
        "dba",
        "n",
        "nm",
        "m",
        "cm",
        "mm",
        "um",
        "rpm",
        "ut",
        "gauss",
        "w",
        "kw",
        "wh",
        "deg",
        "°",
        "rad",
        "l/min",
        "kg",
        "counts",
        "lsb",
        "raw",
        "-",
        "1",
    ]
)


class TextOptions(Protocol):
    """What `[data]` says of tables of text; empty and 0: it is found."""

    @property
    def delimiter(self) -> str: ...
    @property
    def decimal(self) -> str: ...
    @property
    def encoding(self) -> str: ...
    @property
    def header_line(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Given:
    """`TextOptions` of somebody who says nothing."""

    delimiter: str = ""
    decimal: str = ""
    encoding: str = ""
    header_line: int = 0


NOTHING = Given()


@dataclass(frozen=True, slots=True)
class Dialect:
    """`names`: of the columns. `first`: line of the first values, from 1. `headless`: the columns have no names of their own.

    `notes`: what a reader of the table should know, one short sentence each.
    """

    encoding: str
    delimiter: str
    decimal: str
    names: tuple[str, ...]
    first: int
    headless: bool = False
    units: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find(head: bytes, whole: bool, given: TextOptions = NOTHING) -> Dialect:
    """The dialect of a table that begins with `head`; `whole`: nothing follows it. Raises BadFileError."""
    text, encoding = _decoded(head, whole, given.encoding)
    notes = [f"read as {_SAID[encoding]} text"] if encoding in _SAID and not given.encoding else []
    lines = list(_lines(text, whole))
    if not lines:
        raise BadFileError("it holds no samples")
    separator = SEPARATOR.fullmatch(lines[0][1])
    if separator:
        lines = lines[1:]
    if not lines:
        raise BadFileError("it holds no samples")  # it says how its cells are separated, and has none
    delimiter, decimal, width = _way(lines, given, separator[1] if separator else "")
    if decimal == "," and not given.decimal:
        notes.append("its decimal mark is the comma")
    rows = [(number, cells(line, delimiter, number)) for number, line in lines if not _is_comment(line)]
    if not rows:
        raise BadFileError("it holds no samples")  # comments alone
    at = _first_values(rows, width, decimal)
    if given.header_line:
        at = max(at, next((k + 1 for k, (number, _) in enumerate(rows) if number == given.header_line), at))
    names, units, above = _header(rows, at, width, given.header_line)
    if above and not given.header_line:
        notes.append(f"{above} lines above its header are passed over")
    if names is None:
        names = _commented(lines, rows[at][0] if at < len(rows) else 0, delimiter, width)
    width = _used_width(rows[at:], width, names)
    headless = names is None
    titles = list(names or [str(k + 1) for k in range(width)])
    if len(titles) == width - 1 and not headless:
        titles = ["", *titles]  # as R and spreadsheets write tables: the numbers of the rows have no name
    _check_width(rows, at, width, titles, delimiter)
    first = rows[at][0] if at < len(rows) else rows[-1][0] + 1
    return Dialect(encoding, delimiter, decimal, _distinct(titles[:width]), first, headless, units, tuple(notes))


_SAID = {"cp1252": "Windows-1252", "latin-1": "Latin-1", "utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}


def _decoded(head: bytes, whole: bool, given: str) -> tuple[str, str]:
    """Its text, and the encoding."""
    if given:
        if given.lower() not in ENCODINGS:
            raise BadFileError(f"encoding {given[:40]!r} is not known; use one of {', '.join(ENCODINGS)}")
        encoding = "utf-8-sig" if given.lower() == "utf-8" else given.lower()
        return _try(head, whole, encoding, f"is not {given} text"), encoding
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _try(head, whole, "utf-16", "begins as UTF-16 text and is none; set encoding"), "utf-16"
    if wide := utf16(head):
        return _try(head, whole, wide, "is no text"), wide
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(head, whole), "utf-8-sig"
    except UnicodeDecodeError as error:
        if head[: error.start].count(b"\0") or sum(byte < 9 for byte in head):
            raise BadFileError(f"line {head.count(10, 0, error.start) + 1} holds bytes that are no text") from None
    try:
        return head.decode("cp1252"), "cp1252"
    except UnicodeDecodeError:
        return head.decode("latin-1"), "latin-1"


def _try(head: bytes, whole: bool, encoding: str, why: str) -> str:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(head, whole)
    except UnicodeDecodeError:
        raise BadFileError(why) from None


def utf16(head: bytes) -> str:
    """ "utf-16-le" or "-be" where every other byte of ordinary text is a zero, otherwise ""."""
    head = head[:4096]
    even, odd, half = head[::2].count(0), head[1::2].count(0), len(head) // 2
    if half >= 4 and odd > 0.6 * half and not even:
        return "utf-16-le"
    return "utf-16-be" if half >= 4 and even > 0.6 * half and not odd else ""


def _lines(text: str, whole: bool) -> Iterator[tuple[int, str]]:
    """(number from 1, line) of the first lines that are not blank; a last one that may be cut is left out."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not whole and len(lines) > 1:
        lines.pop()
    shown = 0
    for number, line in enumerate(lines, 1):
        check_line(line, number)
        if line.strip():
            yield number, line
            shown += 1
            if shown >= LOOKED:
                return


def check_line(line: str, number: int) -> None:
    """Raises BadFileError for a line that no table of recordings has."""
    if len(line) > MAX_LINE:
        columns = max(map(line.count, ",;\t")) + 1
        many = f"line {number} has more than {MAX_CHANNELS} columns" if columns > MAX_CHANNELS else f"line {number} is longer"
        raise BadFileError(f"{many}; lines of at most {MAX_LINE} bytes are read")
    if "\0" in line:
        raise BadFileError(f"line {number} holds a zero byte: this is no text")


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith(COMMENTS)


def cells(line: str, delimiter: str, number: int) -> list[str]:
    """The cells of a line, without the blanks around them. Raises BadFileError.

    A semicolon that ends a line of commas is no cell's.
    """
    if delimiter == "," and line.endswith(";"):
        line = line.rstrip(";")
    if '"' not in line:
        return line.split() if delimiter == " " else [cell.strip() for cell in line.split(delimiter)]
    try:
        return [
            cell.strip() for cell in next(csv.reader([line.strip()], delimiter=delimiter, skipinitialspace=True, strict=True))
        ]
    except csv.Error:
        raise BadFileError(f"line {number}: a quotation mark is not closed") from None


def is_missing(text: str) -> bool:
    """Whether a cell says that there is no value."""
    return text.strip().lower() in MISSING


def number(text: str, decimal: str = ".") -> float | None:
    """The value of a cell, or None where it is no number."""
    if decimal == ",":
        if "." in text:
            if not THOUSANDS.fullmatch(text):
                return None
            text = text.replace(".", "")
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return None


def _way(lines: Sequence[tuple[int, str]], given: TextOptions, separator: str) -> tuple[str, str, int]:
    """Delimiter, decimal mark, and how many cells a row of values has."""
    delimiter = _named(given.delimiter) or separator
    if given.decimal not in ("", ".", ","):
        raise BadFileError(f"decimal {given.decimal[:10]!r} is not a decimal mark; write . or ,")
    ways = WAYS if not delimiter else [(delimiter, "."), (delimiter, ",")]
    ways = [way for way in ways if given.decimal in ("", way[1])]
    if given.decimal != "," and not delimiter:
        ways = [way for way in ways if way != (";", ",") or any(";" in line for _, line in lines)]
    body = [(n, line) for n, line in lines if not _is_comment(line)]
    found = [(_fit(body, d, m), -k, d, m) for k, (d, m) in enumerate(ways)]
    (_, width), _, delimiter, decimal = max(found)
    if delimiter == "," and width == 2 and not given.delimiter and _is_one_column(body):
        return ";", ",", 1
    return delimiter, decimal, max(width, 1)


def _is_one_column(lines: Sequence[tuple[int, str]]) -> bool:
    """Whether a name without a comma stands above numbers with decimal commas."""
    name, *values = (line.strip() for _, line in lines)
    return not set(name) & set(",;") and number(name) is None and all(number(text, ",") is not None for text in values)


def _named(delimiter: str) -> str:
    """A delimiter as people write it. Raises BadFileError."""
    known = {"tab": "\t", "\\t": "\t", "blank": " ", "blanks": " ", "space": " ", "comma": ",", "semicolon": ";"}
    delimiter = known.get(delimiter.lower(), delimiter)
    if len(delimiter) > 1 or delimiter in ("\n", "\r", '"'):
        raise BadFileError(f"delimiter {delimiter[:10]!r} is not one character")
    return delimiter


def _fit(lines: Sequence[tuple[int, str]], delimiter: str, decimal: str) -> tuple[float, int]:
    """How well a delimiter and a decimal mark fit, and the usual number of cells of a line."""
    rows = []
    for n, line in lines:
        try:
            rows.append(cells(line, delimiter, n))
        except BadFileError:
            rows.append([])  # the reader says so, with the line's number
    if not rows:
        return 0.0, 0
    widths = Counter(map(len, rows))
    width = max(widths, key=lambda w: (widths[w], w))
    numbers = texts = 0
    for row in rows:
        if len(row) == width:
            good = sum(is_value(cell, decimal) for cell in row)
            numbers += good
            texts += sum(map(bool, row)) - good
    if decimal == "," and width == 1 and delimiter != ";":
        return 0.0, 0  # 1,2 is two numbers, unless somebody says otherwise
    share = numbers / max(1, numbers + texts)
    return round(widths[width] / len(rows) * (share + 0.25 * (width > 1)), 3), width


def is_value(cell: str, decimal: str) -> bool:
    """Whether a cell holds a number or a time."""
    return number(cell, decimal) is not None or bool(TIME.fullmatch(cell))


def _first_values(rows: Sequence[tuple[int, list[str]]], width: int, decimal: str) -> int:
    """Which of the rows is the first with values; all of them where none has."""
    filled = [(k, sum(is_value(c, decimal) for c in row)) for k, (_, row) in enumerate(rows) if len(row) == width]
    counts = Counter(count for _, count in filled if count)
    usual = max(counts, key=lambda count: (counts[count], count), default=0)
    if not usual:  # text alone: the first line is the header
        return min(len(rows), next((k + 1 for k, (_, row) in enumerate(rows) if len(row) == width), 1))
    return next((k for k, count in filled if 2 * count >= usual), len(rows))


def _header(
    rows: Sequence[tuple[int, list[str]]], at: int, width: int, line: int
) -> tuple[list[str] | None, tuple[str, ...], int]:
    """The names above row `at`, the units between, and how many lines stand above the names."""
    above = [(n, row) for n, row in rows[:at] if n >= line]
    if line and (not above or above[0][0] != line or all(number(cell) is not None for cell in above[0][1])):
        raise BadFileError(f"header_line = {line} is not a line of text above the values")
    fitting = [
        k for k, (_, row) in enumerate(above) if len(row) in (width - 1, width, width + 1) and sum(map(bool, row)) * 2 >= width
    ]
    if not fitting:
        return (above[-1][1], (), len(above) - 1) if above and len(above[-1][1]) > 1 else (None, (), len(above))
    k = fitting[0] if line else fitting[-1]
    units: tuple[str, ...] = ()
    if k and k - 1 in fitting and not line and _are_units(above[k][1]) and len(above[k - 1][1]) >= width:
        k, units = k - 1, tuple(above[k][1])
    elif line and len(fitting) > 1 and _are_units(above[fitting[1]][1]):
        units = tuple(above[fitting[1]][1])
    return above[k][1], units, k


def _are_units(row: Sequence[str]) -> bool:
    """Whether every cell is empty, a unit, or something in brackets; and one of them is there."""
    return any(row) and all(not c or c.lower() in UNITS or c[0] + c[-1] in ("[]", "()") for c in row)


def _commented(lines: Sequence[tuple[int, str]], first: int, delimiter: str, width: int) -> list[str] | None:
    """The names in the comment just above the values, as numpy.savetxt writes them."""
    before = [line for n, line in lines if n < first and _is_comment(line)]
    if not before:
        return None
    text = before[-1].strip().lstrip("#%/ ")
    names = cells(text, delimiter, 0)
    if len(names) != width and delimiter != " ":
        names = text.split()
    return names if len(names) == width and all(number(n) is None for n in names) else None


def _used_width(rows: Sequence[tuple[int, list[str]]], width: int, names: Sequence[str] | None) -> int:
    """The width without a last column that is empty in every row, as delimiters at the ends of lines make it."""
    last_is_empty = all(len(row) < width or not row[width - 1] for _, row in rows)
    nameless = names is None or len(names) < width or not names[width - 1]
    return width - 1 if rows and width > 1 and last_is_empty and nameless else width


def _check_width(rows: Sequence[tuple[int, list[str]]], at: int, width: int, titles: Sequence[str], delimiter: str) -> None:
    """Raises BadFileError where the header has other columns than the values."""
    extra = titles[width:]
    if len(titles) >= width and not any(extra):
        return
    line = rows[at][0] if at < len(rows) else rows[-1][0]
    if delimiter == "," and width == 2 * len(titles):
        raise BadFileError(
            f"line {line} has {width} cells, the header {len(titles)}: its commas are both decimal marks and delimiters; "
            'save it with semicolons between the columns and set delimiter = ";"'
        )
    if at < len(rows):
        raise BadFileError(
            f"line {line} has {width} columns, the header {len(titles)}; mend it, or name the header with header_line"
        )


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Names for columns without one, and another for one that comes again."""
    made: dict[str, None] = {}
    last: dict[str, int] = {}  # name -> the number of its last one: a line may hold tens of thousands of one name
    for k, name in enumerate(names, 1):
        base = " ".join(name.split()) or f"column {k}"
        again, now = last.get(base, 1), base
        while now in made:
            again += 1
            now = f"{base} ({again})"
        last[base] = again
        made[now] = None
    return tuple(made)
