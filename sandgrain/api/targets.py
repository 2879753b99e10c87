"""`sandgrain.targets`: the boards and cores."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sandgrain.api._verb import verb
from sandgrain.base.tables import Line, Row, Shown, Table
from sandgrain.base.text import size
from sandgrain.device import targets as known


@dataclass(frozen=True, slots=True)
class BoardInfo:
    """A board. `clock_hz`: Hz; `supply_v`: volts; `active_ma`, `sleep_ma`: milliamperes of the whole chip, running and asleep
    (None: not known).

    `emulator`: what runs its firmware here. `data_sheet`: where the figures are from.
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


@dataclass(frozen=True, slots=True, repr=False)
class Targets(Shown):
    """What `target` options take. `cores`: names of cores, each a generic board."""

    boards: tuple[BoardInfo, ...]
    cores: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        return {"boards": [asdict(board) for board in self.boards], "cores": list(self.cores)}

    def rows(self) -> list[Row]:
        """The boards."""
        return [asdict(board) for board in self.boards]

    def lines(self) -> list[Line]:
        rows = [
            [b.name, b.core, size(b.ram_bytes), size(b.flash_bytes), f"{b.clock_hz / 1e6:g} MHz", b.emulator] for b in self.boards
        ]
        table = Table(["name", "core", "RAM", "flash", "clock", "runs on"], rows, title="Boards")
        return [table, "Cores, each a generic board: " + ", ".join(self.cores)]


@verb
def targets() -> Targets:
    """The boards, with memory, clock and emulator, and the cores, which are targets too."""
    return Targets(tuple(_info(known.load(name)) for name in known.boards()), tuple(known.cores()))


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
    )
