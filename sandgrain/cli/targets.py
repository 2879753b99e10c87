"""sandgrain targets: the boards and cores, and a board of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import sandgrain
from sandgrain.base.errors import UsageError
from sandgrain.base.text import plain, size
from sandgrain.cli import _csv, _terminal
from sandgrain.cli._csv import Csv

EXAMPLE = "Example: sandgrain targets --new my-board.toml --core cortex-m4 --ram 64K --flash 256K --clock 80MHz"
# What a board must have, how it is asked for, and the option that answers.
_QUESTIONS = {
    "core": ("Core ({cores})", "--core"),
    "ram_bytes": ("RAM, its largest piece (such as 64K)", "--ram"),
    "flash_bytes": ("Flash (such as 256K)", "--flash"),
    "clock_hz": ("Clock (such as 80MHz)", "--clock"),
}


def command(
    new: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a board of your own; asks for what is not given.")
    ] = None,
    core: Annotated[str | None, typer.Option(help="Of the new board: its core.")] = None,
    ram: Annotated[str | None, typer.Option(help="Of the new board: its largest piece of RAM, such as 64K.")] = None,
    flash: Annotated[str | None, typer.Option(help="Of the new board: its flash, such as 256K.")] = None,
    clock: Annotated[str | None, typer.Option(help="Of the new board: its clock, such as 80MHz.")] = None,
    ram_base: Annotated[str | None, typer.Option(help="Of the new board: where RAM starts; the core's usual place.")] = None,
    flash_base: Annotated[str | None, typer.Option(help="Of the new board: where flash starts; the core's usual place.")] = None,
    force: Annotated[bool, typer.Option(help="Replace a file that exists.")] = False,
    as_csv: Csv = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the boards, with memory, clock and emulator, and the cores, which are targets too; or write a board of your own.

    A name, a chip's name (stm32f411, nrf52840, pico) or the path of a board's file may stand wherever a command takes a target.
    """
    given = {
        "core": core,
        "ram_bytes": ram,
        "flash_bytes": flash,
        "clock_hz": clock,
        "ram_base": ram_base,
        "flash_base": flash_base,
    }
    if new is None:
        if any(value is not None for value in given.values()):
            raise UsageError("--core, --ram, --flash and --clock describe a new board; give --new FILE")
        _csv.show(sandgrain.targets(), as_json, as_csv)
        return
    if new.exists() and not force:
        raise UsageError(f"{plain(str(new), 120)} exists; name another file, or replace it with --force")
    answers = {key: value for key, value in _asked(given).items() if value is not None}
    made = sandgrain.targets(new=new, board=answers, force=force)
    if as_json:
        _terminal.emit_json(made.to_json())
        return
    path = new if new.is_absolute() or "/" in str(new) else f"./{new}"
    _terminal.line(
        f"{plain(str(new), 120)} written: {made.boards[0].core}, {size(made.boards[0].ram_bytes)} RAM, "
        f"{size(made.boards[0].flash_bytes)} flash. Then: sandgrain compile MODEL --target {path}"
    )


def _asked(given: dict[str, str | None]) -> dict[str, str | None]:
    """`given` with an answer to each question that is open. Raises UsageError where nobody answers."""
    answers = dict(given)
    for key, (question, option) in _QUESTIONS.items():
        if answers[key] is not None:
            continue
        text = question.format(cores=", ".join(name for name in sandgrain.targets().cores if name != "host"))
        try:
            answers[key] = str(typer.prompt(text, err=True))
        except typer.Abort:
            raise UsageError(f"no answer to: {text}; give {option}") from None
    return answers
