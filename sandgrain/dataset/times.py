"""Times in tables: numbers of a unit, or dates and times of day, to seconds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from sandgrain.dataset.readers.base import BadFileError

UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0, "h": 3600.0, "day": 86400.0}
DATES = ("iso", "dmy", "mdy")  # a date with the year, the day or the month first; "iso" is also a time of day alone
NAMES = (*UNITS, *DATES)
EPOCH = datetime(1970, 1, 1)
DAY_FIRST = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d{2})(?:[ T,]+(.*))?")
OF_DAY = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}(?:[.,]\d{1,9})?))?\s*([AaPp][Mm])?")
JOINED = re.compile(r"(\d{4})[./](\d{1,2})[./](\d{1,2})(.*)", re.DOTALL)  # 2017/12/22


def seconds(text: str, unit: str) -> float | None:
    """The seconds that a cell stands for, or None where it is no time. A date counts from 1970, a time of day from midnight."""
    if unit in UNITS:
        try:
            return float(text) * UNITS[unit]
        except ValueError:
            return None
    text = text.strip()
    if of_day := _of_day(text):
        return of_day[0]
    try:
        if found := DAY_FIRST.fullmatch(text):
            return _dated(found, unit)
        if found := JOINED.fullmatch(text):
            text = f"{found[1]}-{int(found[2]):02}-{int(found[3]):02}{found[4]}"
        whole = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    if whole.tzinfo is not None:
        whole = whole.astimezone(UTC).replace(tzinfo=None)
    return (whole - EPOCH).total_seconds()


def _of_day(text: str) -> tuple[float] | None:
    found = OF_DAY.fullmatch(text)
    if not found or int(found[1]) > 23 or int(found[2]) > 59:
        return None
    hour = int(found[1])
    if found[4]:
        hour = hour % 12 + 12 * (found[4].lower() == "pm")
    return (hour * 3600.0 + int(found[2]) * 60 + float((found[3] or "0").replace(",", ".")),)


def _dated(found: re.Match[str], unit: str) -> float | None:
    """31/12/2004 18:00:00, or 12/31/2004; where the unit does not say, the day is first unless it cannot be."""
    one, two, year = int(found[1]), int(found[2]), int(found[3])
    month_first = unit == "mdy" or (unit != "dmy" and two > 12)
    day, month = (two, one) if month_first else (one, two)
    rest = _of_day(found[4].strip()) if found[4] else (0.0,)
    if rest is None:
        return None
    return (datetime(year + 2000 * (year < 100), month, day) - EPOCH).total_seconds() + rest[0]


def unit_of(texts: Sequence[str]) -> str:
    """What a column of times is made of, where nobody says: seconds, or dates."""
    try:
        for text in texts[:8]:
            float(text)
    except ValueError:
        return "iso"
    return "s"


def check_unit(unit: str) -> str:
    """`unit` where it is known. Raises BadFileError."""
    if unit and unit not in NAMES:
        raise BadFileError(f"time_unit {unit[:20]!r} is not known; use one of {', '.join(NAMES)}")
    return unit
