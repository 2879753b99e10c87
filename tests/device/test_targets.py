"""Cores and boards load from their files, and say what the rest of the program needs."""

from __future__ import annotations

import ast
import re
import shutil
from pathlib import Path

import pytest

from sandgrain.base.errors import UsageError
from sandgrain.device import targets
from sandgrain.device.cost import decode

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
    assert not board.core.runs_firmware or ram[1] <= flash[0] or flash[1] <= ram[0], "RAM and flash overlap"


@pytest.mark.parametrize("name", targets.cores())
def test_a_core_says_where_its_cycles_come_from(name: str) -> None:
    core = targets.load_core(name)
    if not core.runs_firmware:
        assert not core.cycles
        return
    assert set(core.cycles) == targets.cycle_classes(core.arch, core.features)
    assert "Technical Reference Manual" in core.cycles_source or core.cycles_source.startswith("approximation")
    assert core.compilers["zig"]["target"] and core.compilers["zig"]["cpu"]


def test_the_cortex_m4_follows_its_reference_manual() -> None:
    cycles = targets.load_core("cortex-m4").cycles
    assert (cycles["load"], cycles["load_next"], cycles["branch"], cycles["branch_taken"], cycles["mul_long"]) == (2, 1, 1, 3, 1)


def test_a_core_loads_as_a_generic_board() -> None:
    board = targets.load("cortex-m4")
    assert board.core is targets.load_core("cortex-m4")
    assert board.ram_bytes >= 1 << 20


def test_an_unknown_board_names_close_matches() -> None:
    with pytest.raises(UsageError, match=r"no board or core called 'openmv-h'; did you mean openmv-h7"):
        targets.load("openmv-h")
    with pytest.raises(UsageError, match="choose one of"):
        targets.load("!!")


def test_a_board_is_a_value() -> None:
    board = targets.load("microbit-v2")
    assert board == targets.load("microbit-v2") and hash(board) == hash(targets.load("microbit-v2"))
    with pytest.raises(AttributeError):
        board.ram_bytes = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        board.core.cycles["alu"] = 0  # type: ignore[index]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files, which `load_core.__wrapped__` (without its cache) reads."""
    shutil.copytree(Path(targets.__file__).parent, tmp_path / "targets")
    monkeypatch.setattr(targets, "_HERE", tmp_path / "targets")
    return tmp_path / "targets" / "cores"


@pytest.mark.parametrize("name", [c for c in targets.cores() if targets.load_core(c).runs_firmware])
def test_a_class_without_a_figure_is_an_error_and_not_an_estimate(name: str, files: Path) -> None:
    path = files / f"{name}.toml"
    text = path.read_text()
    for kind in targets.load_core(name).cycles:
        path.write_text(re.sub(rf"(?m)^{kind} = .*\n", "", text))
        with pytest.raises(UsageError, match=rf"{name}.toml gives no cycles for {kind};"):
            targets.load_core.__wrapped__(name)
    path.write_text(text + "mull = 1\n")
    with pytest.raises(UsageError, match="cycles for mull, which"):
        targets.load_core.__wrapped__(name)


def test_the_classes_are_those_that_the_decoder_tells_apart() -> None:
    thumb = targets.cycle_classes("thumb", ("fpu", "mve"))
    made = set(re.findall(r'made\("[\w.]+", "(\w+)"', Path(decode.__file__).read_text()))
    assert made >= {"loop_end", "mve_load"}
    assert thumb == {*decode._THUMB_KINDS.values(), *made, "alu", "fpu", "load_next", "branch_taken", "multiple_register"}
    kinds = {kind for _, kind in decode._RISCV_KINDS}
    assert targets.cycle_classes("riscv", ()) == {*kinds, "alu", "load_next", "branch_taken"}


def test_only_a_core_says_whether_it_runs_firmware() -> None:
    package = Path(targets.__file__).parents[1]
    for path in package.rglob("*.py"):
        text = path.read_text("utf-8")
        if path.parent.name == "targets" or '"host"' not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Compare):
                words = [c.value for c in (node.left, *node.comparators) if isinstance(c, ast.Constant)]
                assert not ("host" in words and "arch" in ast.unparse(node)), f"{path.name}:{node.lineno}"
