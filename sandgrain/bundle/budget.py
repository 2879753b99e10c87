"""Budgets: the limits of the board and of the user, and the one sentence when one cannot be kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from sandgrain.base.errors import BudgetError, UsageError
from sandgrain.base.text import size
from sandgrain.bundle.report import LayerReport, Report
from sandgrain.device.targets import Board

_NUMBER = re.compile(r"\s*(\d{1,15}(?:\.\d{1,15})?)\s*([a-zA-Z]*)\s*", re.ASCII)
_SIZE = {"": 1, "b": 1, "k": 1024, "kb": 1024, "kib": 1024, "m": 1024**2, "mb": 1024**2, "mib": 1024**2}
_TIME = {"": 1.0, "us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper limits: bytes of RAM and flash, milliseconds per inference. None: the board's own limit, or no limit."""

    ram_bytes: int | None = None
    flash_bytes: int | None = None
    latency_ms: float | None = None


def parse_size(text: str | None, option: str) -> int | None:
    """ "64K", "256 KiB", "1M", "900" to bytes. Raises UsageError."""
    if text is None:
        return None
    match = _NUMBER.fullmatch(text)
    if match is None or match[2].lower() not in _SIZE:
        raise UsageError(f"{option} {text[:40]!r} is not a size; write 64K, 256KiB or a number of bytes")
    return int(float(match[1]) * _SIZE[match[2].lower()])


def parse_time(text: str | None, option: str) -> float | None:
    """ "50ms", "800us", "1.5s" to milliseconds. Raises UsageError."""
    if text is None:
        return None
    match = _NUMBER.fullmatch(text)
    if match is None or match[2].lower() not in _TIME:
        raise UsageError(f"{option} {text[:40]!r} is not a time; write 50ms, 800us or 1.5s")
    return float(match[1]) * _TIME[match[2].lower()]


def limits(max_ram: int | str | None, max_flash: int | str | None, max_latency: float | str | None) -> Limits:
    """Limits as people give them: bytes or "64K", milliseconds or "50ms". Raises UsageError."""
    ram, flash = (
        value if isinstance(value, int) else parse_size(value, option)
        for value, option in ((max_ram, "--max-ram"), (max_flash, "--max-flash"))
    )
    latency = float(max_latency) if isinstance(max_latency, int | float) else parse_time(max_latency, "--max-latency")
    return Limits(ram, flash, latency)


def check(report: Report, limits: Limits, board: Board) -> None:
    """Raise BudgetError for the first limit that `report` exceeds: which, by how much, and the layer to blame."""
    check_memory(report, limits, board)
    if limits.latency_ms is None:
        return
    if report.latency_ms is None:
        raise UsageError(
            f"--max-latency needs a run on an emulated core, and there was none for {board.name}; choose another target"
        )
    if report.latency_ms > limits.latency_ms:
        excess = f"{report.latency_ms - limits.latency_ms:.2f} ms"
        fact = f"latency {report.latency_ms:.2f} ms (estimated) exceeds {limits.latency_ms:g} ms (--max-latency) by {excess}"
        _fail(report, fact, "latency_ms", lambda worst: f"takes {worst.latency_ms or 0:.2f} ms")


def check_memory(report: Report, limits: Limits, board: Board) -> None:
    """`check` without the time limit, for a report of what was not run."""
    own_ram, own_flash = (board.usable_ram, board.usable_flash) if board.core.runs_firmware else (None, None)
    ram, ram_of = _tighter(limits.ram_bytes, own_ram, board, "--max-ram")
    flash, flash_of = _tighter(limits.flash_bytes, own_flash, board, "--max-flash")
    if ram is not None and report.ram_bytes > ram:
        detail = f"arena {size(report.arena_bytes)} + static and stack {size(report.ram_bytes - report.arena_bytes)}"
        fact = f"RAM {size(report.ram_bytes)} exceeds {size(ram)} ({ram_of}) by {size(report.ram_bytes - ram)}"
        _fail(report, fact, "ram_bytes", lambda worst: f"needs {size(worst.ram_bytes)} of arena; {detail}")
    if flash is not None and report.flash_bytes > flash:
        fact = f"flash {size(report.flash_bytes)} exceeds {size(flash)} ({flash_of}) by {size(report.flash_bytes - flash)}"
        _fail(report, fact, "weight_bytes", lambda worst: f"holds {size(worst.weight_bytes)} of weights")


def ram_limit(limits: Limits, board: Board) -> int | None:
    """The bytes of RAM that a model may use: the given limit or the board's, whichever is less; None on the host."""
    own = board.usable_ram if board.core.runs_firmware else None
    return _tighter(limits.ram_bytes, own, board, "--max-ram")[0]


def _tighter(given: int | None, own: int | None, board: Board, option: str) -> tuple[int | None, str]:
    """The limit that binds, and whose it is."""
    if given is not None and (own is None or given <= own):
        return given, option
    return own, f"{board.name}{' less its system' if own in board.lessened else ''}"


def _fail(report: Report, fact: str, key: str, why: Callable[[LayerReport], str]) -> NoReturn:
    """Raise BudgetError with `fact`, and the layer whose `key` is largest to blame."""
    worst = max(report.layers, key=lambda layer: getattr(layer, key) or 0, default=None)
    blame = f": layer {worst.index} ({worst.op} {worst.shape}) {why(worst)}" if worst else ""
    raise BudgetError(f"{fact}{blame}")
