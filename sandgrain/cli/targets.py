"""sandgrain targets: the boards and cores."""

from __future__ import annotations

from typing import Annotated

import typer

from sandgrain.bundle.report import size
from sandgrain.cli import _out
from sandgrain.device import targets

EXAMPLE = "Example: sandgrain targets"


def command(as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False) -> None:
    """List the boards, with memory, clock and emulator, and the cores, which are targets too."""
    boards = [targets.load(name) for name in targets.boards()]
    if as_json:
        rows = [
            {"name": b.name, "title": b.title, "core": b.core.name, "ram_bytes": b.ram_bytes, "flash_bytes": b.flash_bytes,
             "clock_hz": b.clock_hz, "supply_v": b.supply_v, "active_ma": b.active_ma, "sleep_ma": b.sleep_ma, "emulator": b.core.emulator,
             "data_sheet": b.data_sheet, "notes": b.notes}
            for b in boards
        ]  # fmt: skip
        _out.emit_json({"boards": rows, "cores": list(targets.cores())})
        return
    _out.table(
        "Boards",
        ["name", "core", "RAM", "flash", "clock", "runs on"],
        [
            [b.name, b.core.name, size(b.ram_bytes), size(b.flash_bytes), f"{b.clock_hz / 1e6:g} MHz", b.core.emulator]
            for b in boards
        ],
    )
    _out.line("Cores, each a generic board: " + ", ".join(targets.cores()))
