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


def size(value: int) -> str:
    """Bytes for people: 812 B, 22.3 KiB, 256 KiB."""
    if value < 10 * KIB:
        return f"{value} B"
    return f"{value // KIB} KiB" if value % KIB == 0 else f"{value / KIB:.1f} KiB"


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
