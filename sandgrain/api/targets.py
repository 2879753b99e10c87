"""`sandgrain.targets`: the boards and cores, and a board of one's own."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sandgrain.api._verb import verb
from sandgrain.base.errors import UsageError
from sandgrain.base.tables import Line, Row, Shown, Table
from sandgrain.base.text import plain, size
from sandgrain.bundle.budget import parse_size
from sandgrain.device import targets as known

_CLOCK = re.compile(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*(|hz|khz|mhz|ghz)\s*", re.ASCII | re.IGNORECASE)
_HERTZ = {"": 1, "hz": 1, "khz": 1e3, "mhz": 1e6, "ghz": 1e9}
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{1,8}|\d{1,10}", re.ASCII)


@dataclass(frozen=True, slots=True)
class BoardInfo:
    """A board. `clock_hz`: Hz; `supply_v`: volts; `active_ma`, `sleep_ma`: milliamperes of the whole chip, running and asleep
    (None: not known).

    `usable_ram_bytes`, `usable_flash_bytes`: less what `system` takes, an operating system or a boot loader. `aliases`: other names
    that it may be called by, such as its chip's. `emulator`: what runs its firmware here. `data_sheet`: where the figures are from.
    """

    name: str
    title: str
    core: str
    ram_bytes: int
    flash_bytes: int
    clock_hz: int
    supply_v: float
    active_ma: float
    sleep_ma: float | None
    emulator: str
    data_sheet: str
    notes: str
    aliases: tuple[str, ...] = ()
    usable_ram_bytes: int = 0
    usable_flash_bytes: int = 0
    system: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Targets(Shown):
    """What `target` options take. `cores`: names of cores, each a generic board.

    `written`: the file of a board of one's own that was asked for.
    """

    boards: tuple[BoardInfo, ...]
    cores: tuple[str, ...]
    written: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        written = {} if self.written is None else {"written": str(self.written)}
        return {"boards": [asdict(board) for board in self.boards], "cores": list(self.cores), **written}

    def rows(self) -> list[Row]:
        """The boards."""
        return [asdict(board) for board in self.boards]

    def lines(self) -> list[Line]:
        rows = [
            [b.name, b.core, size(b.usable_ram_bytes), size(b.usable_flash_bytes), f"{b.clock_hz / 1e6:g} MHz", _short(b.aliases)]
            for b in self.boards
        ]
        title = "Boards; RAM and flash less what an operating system or boot loader takes"
        return [
            Table(["name", "core", "RAM", "flash", "clock", "also called"], rows, fixed=(0, 1), title=title),
            "Cores, each a generic board: " + ", ".join(self.cores),
            "Any other chip: its core with --max-ram and --max-flash, or sandgrain targets --new my-board.toml",
        ]


def _short(names: tuple[str, ...]) -> str:
    return min(names, key=len, default="")


@verb
def targets(*, new: str | os.PathLike[str] | None = None, board: Mapping[str, Any] | None = None, force: bool = False) -> Targets:
    """The boards, with memory, clock and emulator, and the cores, which are targets too; or a file for a board of your own.

    `new`: a TOML file to write; its path is then a target. The boards returned are that one alone.
    `board`: what is in it: at least `core`, `ram_bytes`, `flash_bytes` (bytes, or text such as "64K") and `clock_hz` (Hz, or text
        such as "80MHz"); docs/guide/boards.md has all keys.
    `force`: replace a file that exists.

    Raises UsageError where a field is missing, not known or out of its range, or `new` exists and `force` is not set.
    """
    if new is None:
        if board is not None or force:
            raise UsageError("targets: board and force describe a new file; give its path as new")
        return Targets(tuple(_info(known.load(name)) for name in known.boards()), tuple(known.cores()))
    path = Path(new)
    made = known.write(path, {key: _number(key, value) for key, value in (board or {}).items()}, force=force)
    return Targets((_info(made),), tuple(known.cores()), path)


def _number(key: str, value: Any) -> Any:
    """A field of a board, sizes and clocks from how people write them. Raises UsageError."""
    if not isinstance(value, str):
        return value
    if key.endswith("_bytes"):
        return parse_size(value, key)
    if key.endswith("_base"):
        if not _ADDRESS.fullmatch(value.strip()):
            raise UsageError(f"{key} {plain(value)!r} is not an address; write 0x20000000")
        return int(value, 0)
    if key == "clock_hz":
        match = _CLOCK.fullmatch(value)
        if match is None:
            raise UsageError(f"{key} {plain(value)!r} is not a clock; write 80MHz or a number of Hz")
        return round(float(match[1]) * _HERTZ[match[2].lower()])
    return value


def _info(board: known.Board) -> BoardInfo:
    return BoardInfo(
        name=board.name,
        title=board.title,
        core=board.core.name,
        ram_bytes=board.ram_bytes,
        flash_bytes=board.flash_bytes,
        clock_hz=board.clock_hz,
        supply_v=board.supply_v,
        active_ma=board.active_ma,
        sleep_ma=board.sleep_ma,
        emulator=board.core.emulator,
        data_sheet=board.data_sheet,
        notes=board.notes,
        aliases=board.aliases,
        usable_ram_bytes=board.usable_ram,
        usable_flash_bytes=board.usable_flash,
        system=board.system,
    )
