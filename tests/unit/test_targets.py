"""Cores and boards load from their files, and say what the rest of the program needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandgrain import targets
from sandgrain.errors import UsageError

CYCLE_CLASSES = {"alu", "load", "load_next", "store", "branch", "branch_taken", "call", "mul", "mul_long", "div"}
EVERY = targets.boards() + targets.cores()


def test_the_files_are_the_list() -> None:
    folder = Path(targets.__file__).parent
    assert targets.boards() == tuple(sorted(p.stem for p in (folder / "boards").iterdir()))
    assert targets.cores() == tuple(sorted(p.stem for p in (folder / "cores").iterdir()))
    assert not set(targets.boards()) & set(targets.cores())


@pytest.mark.parametrize("name", EVERY)
def test_a_board_has_memory_a_clock_and_a_source(name: str) -> None:
    board = targets.load(name)
    assert board.name == name
    assert board.ram_bytes > 0 and board.flash_bytes > 0 and board.clock_hz > 0
    assert board.supply_v > 0 and board.active_ma >= 0
    assert board.title and board.data_sheet
    assert (board.sleep_ma is None) == (board.sleep_source == "") and (board.sleep_ma or 0) <= board.active_ma
    ram, flash = (board.ram_base, board.ram_base + board.ram_bytes), (board.flash_base, board.flash_base + board.flash_bytes)
    assert board.core.arch == "host" or ram[1] <= flash[0] or flash[1] <= ram[0], "RAM and flash overlap"


@pytest.mark.parametrize("name", targets.cores())
def test_a_core_says_where_its_cycles_come_from(name: str) -> None:
    core = targets.load_core(name)
    if core.arch == "host":
        assert not core.cycles
        return
    assert set(core.cycles) >= CYCLE_CLASSES
    assert "Technical Reference Manual" in core.cycles_source or core.cycles_source.startswith("approximation")
    assert core.zig_target and core.zig_cpu


def test_the_cortex_m4_follows_its_reference_manual() -> None:
    cycles = targets.load_core("cortex-m4").cycles
    assert (cycles["load"], cycles["load_next"], cycles["branch"], cycles["branch_taken"], cycles["mul_long"]) == (2, 1, 1, 3, 1)


def test_a_core_loads_as_a_generic_board() -> None:
    board = targets.load("cortex-m4")
    assert board.core is targets.load_core("cortex-m4")
    assert board.ram_bytes >= 1 << 20


def test_an_unknown_board_names_close_matches() -> None:
    with pytest.raises(UsageError, match=r"no board or core called 'nucleo-l4'; did you mean nucleo-l4r5zi"):
        targets.load("nucleo-l4")
    with pytest.raises(UsageError, match="choose one of"):
        targets.load("!!")


def test_a_board_is_a_value() -> None:
    board = targets.load("microbit-v2")
    assert board == targets.load("microbit-v2") and hash(board) == hash(targets.load("microbit-v2"))
    with pytest.raises(AttributeError):
        board.ram_bytes = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        board.core.cycles["alu"] = 0  # type: ignore[index]
