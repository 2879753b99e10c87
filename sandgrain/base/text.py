"""Text that came from outside, made fit to be shown: one line, no control or direction characters, not too long.

`printable` is for C and for messages (ASCII that cannot end a comment or a string), `ascii_line` for messages that quote other
tools, `plain` for tables and pages, which show every script.
"""

from __future__ import annotations

import math

from sandgrain.base.errors import printable as printable

KIB = 1024


def plain(text: object, limit: int = 60) -> str:
    """`text` as at most `limit` printable characters of one line; what is not printable becomes "?"."""
    safe = "".join(ch if ch.isprintable() else "?" for ch in str(text)[: 4 * limit])
    return safe if len(safe) <= limit else safe[: limit - 3] + "..."


def ascii_line(text: str, limit: int = 60) -> str:
    """`text` as printable ASCII, other characters as "?", cut to `limit`: safe in a terminal, a log and a message."""
    clean = "".join(c if " " <= c <= "~" else "?" for c in text[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


def internal(error: Exception) -> str:
    """What a message says where Sandgrain itself slipped on an input that nobody foresaw. The fuzzers count it as a fault of ours."""
    fact = ascii_line(" ".join(f"{type(error).__name__} {error}".split()), 100)
    return f"an error inside Sandgrain ({fact}); please report it with the model"


def size(value: int) -> str:
    """Bytes for people: 812 B, 22.3 KiB, 256 KiB."""
    if value < 10 * KIB:
        return f"{value} B"
    return f"{value // KIB} KiB" if value % KIB == 0 else f"{value / KIB:.1f} KiB"


def number(value: float) -> str:
    """Three significant digits and never an exponent: 0.0123, 10.3, 34, 3,340."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = 2 - math.floor(math.log10(abs(value)))
    shown = f"{round(value, decimals):,.{max(decimals, 0)}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def duration(milliseconds: float) -> str:
    """A time for people: 12 us, 10.3 ms, 1.5 s."""
    return _in_units(milliseconds, ((1e-3, "us"), (1.0, "ms"), (1e3, "s")))


def span(seconds: float) -> str:
    """How long recordings are, for people: 4.2 s, 12.5 min, 3.1 h."""
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"


def energy(microjoules: float) -> str:
    """An energy for people: 40 nJ, 214 uJ, 3.34 mJ, 1.2 J."""
    return _in_units(microjoules, ((1e-3, "nJ"), (1.0, "uJ"), (1e3, "mJ"), (1e6, "J")))


def _in_units(value: float, units: tuple[tuple[float, str], ...]) -> str:
    """In the largest unit that the value has at least one of, a tenth of it for the one that it is given in."""
    rounded = float(f"{value:.3g}")
    factor, unit = units[0]
    for size_of, name in units[1:]:
        if abs(rounded) >= (0.1 if size_of == 1.0 else size_of):
            factor, unit = size_of, name
    if rounded == 0:
        factor, unit = next(u for u in units if u[0] == 1.0)
    return f"{number(value / factor)} {unit}"


def percent(share: float, digits: int = 2) -> str:
    """A share in percent with `digits` significant digits, never an exponent: 0.12 %, 3.4 %, 100 %."""
    value = 100 * share
    decimals = 0 if value == 0 else max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    shown = f"{value:.{decimals}f}"
    return f"{shown.rstrip('0').rstrip('.') if '.' in shown else shown} %"


def tenths(share: float | None) -> str:
    """A share in percent with one decimal, as results are compared: 98.1 %; "-" for what is not known."""
    return "-" if share is None else f"{100 * share:.1f} %"


def count(value: float | None) -> str:
    """Large counts for people: 812, 22.3 k, 7.70 M; "-" for what is not known."""
    if value is None:
        return "-"
    if value < 10_000:
        return f"{value:.0f}"
    return f"{value / 1e3:.1f} k" if value < 1e6 else f"{value / 1e6:.2f} M"


def decibels(value: float) -> str:
    """A signal-to-noise ratio; inf is a perfect copy."""
    return "exact" if value == math.inf else f"{value:.1f}"


def finite(value: float) -> float | None:
    """A number as JSON has it: None for inf and NaN."""
    return value if math.isfinite(value) else None
