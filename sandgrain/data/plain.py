"""Text that came from outside, made fit to be shown: one line, no control or direction characters, not too long."""

from __future__ import annotations


def plain(text: object, limit: int = 60) -> str:
    """`text` as at most `limit` printable characters of one line; what is not printable becomes "?"."""
    safe = "".join(ch if ch.isprintable() else "?" for ch in str(text)[: 4 * limit])
    return safe if len(safe) <= limit else safe[: limit - 3] + "..."
