"""Boards people own: what may stand for a target, what is said where none does, and a board of one's own."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

import sandgrain
from sandgrain import UsageError
from sandgrain.bundle import budget
from sandgrain.cli import app
from sandgrain.compiler.emit import bundle
from sandgrain.compiler.emit.model import Options
from sandgrain.compiler.pipeline import compile_bytes
from sandgrain.device import targets
from sandgrain.device.toolchain import build_object
from sandgrain.formats import text
from sandgrain.graph.ops import OPS
from sandgrain.project.file import load as project_file
from tests.support.draws import SeededDraw, rare

OWN = 'core = "cortex-m4"\nram_bytes = 0x10000\nflash_bytes = 0x40000\nclock_hz = 80_000_000\n'
OWNED = (
    "stm32f401",
    "stm32f411",
    "stm32f446",
    "stm32f4",
    "stm32l0",
    "stm32g0",
    "stm32g4",
    "stm32l4",
    "stm32u5",
    "stm32h7",
    "nrf52832",
    "nrf52840",
    "nrf54l15",
    "xiao-nrf52840",
    "rp2040",
    "rp2350",
    "pico",
    "pico2",
    "samd21",
    "samd51",
    "esp32-c3",
    "esp32-c6",
    "esp32-h2",
    "lpc55",
    "lpc55s69",
    "imxrt1060",
    "teensy4",
    "teensy-4.1",
    "apollo3",
    "apollo4",
    "max32690",
    "max78000",
    "gd32f303",
    "gd32vf103",
    "ch32v203",
    "ch32v307",
    "ch32v003",
    "nano-33-ble",
    "microbit",
    "bluepill",
    "blackpill",
)


@cache
def small() -> bytes:
    """A model of one layer, as text."""
    return text.write(OPS["softmax"].sample(SeededDraw(1)))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "small.txt"
    path.write_bytes(small())
    return path


def refusal(target: str) -> str:
    with pytest.raises(UsageError) as caught:
        targets.load(target)
    return str(caught.value)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "node-c.toml"
    path.write_text(OWN)
    return path


# --- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chip", OWNED)
def test_friction_a_chip_is_a_target(chip: str) -> None:
    board = targets.load(chip)
    assert board.core.runs_firmware and chip in (*board.aliases, board.name)
    assert targets.load(chip.upper()) is targets.load(f" {chip.replace('-', '_')} ") is board


def test_friction_no_two_targets_share_a_name() -> None:
    known = targets.aliases()
    names = [n for b in map(targets.load, targets.boards()) for n in (b.name, *b.aliases)]
    assert len(names) == len(set(names)) and set(names) <= set(known)
    assert all(name == name.lower() and not set(name) & set(" _") for name in known)


@pytest.mark.parametrize("name", targets.boards())
def test_friction_a_board_says_what_is_not_certain_and_what_its_system_takes(name: str) -> None:
    board = targets.load(name)
    assert 0 < board.usable_ram <= board.ram_bytes and 0 < board.usable_flash <= board.flash_bytes
    assert bool(board.system) == bool(board.lessened)
    if board.lessened:
        assert board.system in board.system_note and "leaves" in board.system_note


@rare
@pytest.mark.parametrize("core", [c for c in targets.cores() if targets.load_core(c).runs_firmware])
def test_friction_a_model_compiles_for_a_board_of_every_core(core: str, tmp_path: Path) -> None:
    board = next(b for b in map(targets.load, targets.boards()) if b.core.name == core)
    bundle.write(compile_bytes(small(), board, Options("small")).source, tmp_path / "out")
    made = build_object(tmp_path / "out" / "small.c", [tmp_path / "out"], board, tmp_path / "small.o")
    assert made.stat().st_size > 500


# --- names that there are none of ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "core"),
    [
        ("cortex-m0", "cortex-m0plus"),
        ("cortex-m1", "cortex-m0plus"),
        ("Cortex-M23", "cortex-m0plus"),
        ("cortex-m35p", "cortex-m33"),
        ("cortex-m85", "cortex-m55"),
        ("stm32f030", "cortex-m0plus"),
        ("STM32L152RE", "cortex-m3"),
        ("stm32f303k8", "cortex-m4"),
        ("nrf51822", "cortex-m0plus"),
        ("nrf9160", "cortex-m33"),
        ("esp32-c2", "rv32imc"),
        ("ch32v006", "rv32ec"),
        ("nucleo-f767zi", "cortex-m7"),
    ],
)
def test_23_the_nearest_is_near_by_meaning(name: str, core: str) -> None:
    said = refusal(name)
    assert f"use {core}" in said
    assert "--max-ram" in said and "--max-flash" in said and "targets --new" in said
    assert re.search(rf"use {core}\b(?!-)", said) or core == "cortex-m0plus"
    suggested = [b for b in targets.boards() if f" {b} " in said.replace(",", " ")]
    assert {targets.load(b).core.name for b in suggested} <= {core}


@pytest.mark.parametrize("name", ["esp32", "esp32-s3", "ESP32-S2", "esp8266", "xtensa-lx7", "xiao-esp32s3"])
def test_23_xtensa_says_why_and_what_works(name: str) -> None:
    said = refusal(name)
    assert "Xtensa" in said and "--target host" in said and "esp32-c3" in said
    assert "stm32" not in said
    targets.load("host")


@pytest.mark.parametrize(
    ("name", "why"), [("atmega328p", "8-bit"), ("arduino-uno", "8-bit"), ("msp430", "16-bit"), ("raspberry-pi-4", "host")]
)
def test_23_what_is_no_microcontroller_of_32_bits_says_why(name: str, why: str) -> None:
    assert why in refusal(name)


@pytest.mark.parametrize(
    ("name", "board"), [("nucleo-f411", "nucleo-f411re"), ("raspberry-pi-pic", "raspberry-pi-pico"), ("portenta", "portenta-h7")]
)
def test_23_a_slip_of_the_pen_is_told_the_board(name: str, board: str) -> None:
    assert targets.aliases().get(name) == board or board in refusal(name)


def test_23_any_other_word_is_told_what_stands_in_for_any_chip() -> None:
    said = refusal("frobnicator")
    assert "cortex-m4" in said and "--max-ram and --max-flash" in said and "host" not in said


# --- a board of one's own --------------------------------------------------------------------------------------------


@rare
def test_23_a_board_of_ones_own_is_a_file_anywhere(own: Path, model: Path, tmp_path: Path) -> None:
    for target in (str(own), own):
        board = targets.load(target)
        assert (board.name, board.core.name, board.ram_bytes, board.clock_hz) == ("node-c", "cortex-m4", 0x10000, 80_000_000)
    made = sandgrain.compile(model, target=str(own), out=tmp_path / "out", measure=False)
    assert made.report.target == "node-c"
    own.unlink()  # the bundle keeps it
    assert sandgrain.verify(tmp_path / "out", on="host").identical
    header = (tmp_path / "out" / "small.h").read_text()
    assert "--target proof/board.toml" in header and str(tmp_path) not in header


def test_23_a_project_names_its_board_from_its_own_folder(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "sandgrain.toml").write_text('[data]\npath = "x"\nkind = "audio"\n\n[target]\nboard = "../node-c.toml"\n')
    monkeypatch.chdir("/")
    loaded = project_file.load(folder)
    assert loaded.board.name == "node-c" and loaded.board.identity == targets.load(own).identity != "node-c"
    own.write_text(OWN.replace("0x10000", "0x8000"))
    assert loaded.board.ram_bytes == 0x8000, "a file that was edited is read again"
    own.unlink()
    with pytest.raises(UsageError, match="no board file"):
        project_file.load(folder)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("core = ", "not TOML"),
        (OWN.replace("ram_bytes", "ram"), "no key 'ram'"),
        (OWN.replace("clock_hz = 80_000_000\n", ""), "'clock_hz' is missing"),
        (OWN.replace("0x10000", '"64K"'), "ram_bytes: should be a whole number"),
        (OWN.replace("0x10000", "true"), "ram_bytes: should be a whole number"),
        (OWN.replace("0x10000", "-5"), "ram_bytes: -5 is not between 256"),
        (OWN.replace("cortex-m4", "cortex-m99"), "core: there is no core called 'cortex-m99'; choose one of cortex-m0plus"),
        (OWN.replace("cortex-m4", "host"), "no core called 'host'"),
        (OWN.replace("cortex-m4", "pico"), "no core called 'pico'"),
        (OWN + "ram_base = 0x20000010\n", "4 KiB page"),
        (OWN + "ram_base = 0x08001000\n", "overlap"),
        (OWN + "system_ram_bytes = 0x10000\n", "leaves no ram"),
        (OWN + "system_ram_bytes = 0x1000\n", "system is missing"),
        (OWN + 'name = "pico"\n', "'pico' is a target that Sandgrain has"),
        (OWN + 'name = "../../x"\n', "use lower-case letters"),
        (OWN + "active_ma = nan\n", "active_ma: nan is not between"),
        (OWN + "sleep_ma = 1\n", "belong together"),
        (OWN + "[wait_states]\nfactor = 1.2\n", "[wait_states]: 'error' is missing"),
        (OWN + "wait_states = 3\n", "should be a table"),
        (OWN + "title = [" + "[" * 5000 + "]" * 5000 + "]\n", "not TOML"),
        ("# " + "x" * (1 << 17), "larger than 65536"),
    ],
)
def test_23_a_board_file_that_is_wrong_says_where(tmp_path: Path, words: str, said: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(words)
    message = refusal(str(path))
    assert said in message and "bad.toml" in message and "\n" not in message


def test_23_a_path_without_a_board_says_how_to_write_one(tmp_path: Path) -> None:
    assert "sandgrain targets --new none.toml" in refusal(str(tmp_path / "none.toml"))
    assert "is a folder" in refusal(f"{tmp_path}/")
    (tmp_path / "raw.toml").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in refusal(str(tmp_path / "raw.toml"))
    with pytest.raises(UsageError, match="not int"):
        targets.load(3)  # type: ignore[arg-type]


def test_23_a_new_board_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    done = CliRunner().invoke(app, ["targets", "--new", str(path)], input="m4\n64K\n256 KiB\n80MHz\n")
    assert done.exit_code == 0, done.output
    board = targets.load(path)
    assert (board.core.name, board.ram_bytes, board.flash_bytes, board.clock_hz) == ("cortex-m4", 65536, 262144, 80_000_000)


def test_23_a_new_board_is_written_from_flags_and_python_and_never_half(tmp_path: Path) -> None:
    path, flags = tmp_path / "mine.toml", ["--core", "rv32imc", "--ram", "20K", "--flash", "64K", "--clock", "144MHz"]
    done = CliRunner().invoke(app, ["targets", "--new", str(path), *flags, "--ram-base", "0x20000000", "--json"])
    assert done.exit_code == 0 and json.loads(done.stdout)["boards"][0]["clock_hz"] == 144_000_000
    before = path.read_bytes()
    fields = {"core": "cortex-m4", "ram_bytes": "64K", "flash_bytes": 1 << 18, "clock_hz": "80 MHz", "title": 'A "board"\\'}
    with pytest.raises(UsageError, match="exists"):
        sandgrain.targets(new=path, board=fields)
    for key, value in (("core", "z80"), ("ram_bytes", "lots"), ("clock_hz", "fast"), ("colour", 1), ("ram_bytes", None)):
        with pytest.raises(UsageError, match=key):
            sandgrain.targets(new=path, board={**fields, key: value}, force=True)
        assert path.read_bytes() == before
    made = sandgrain.targets(new=path, board=fields, force=True)
    assert made.boards[0].title == 'A "board"\\' and targets.load(path).ram_bytes == 65536
    with pytest.raises(UsageError, match=r"does not end in \.toml"):
        sandgrain.targets(new=tmp_path / "mine.txt", board=fields)


def test_23_a_question_that_nobody_answers_names_the_option(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["targets", "--new", str(tmp_path / "x.toml"), "--core", "m4"], input="")
    assert isinstance(done.exception, UsageError) and "give --ram" in str(done.exception)
    assert not (tmp_path / "x.toml").exists()


# --- what an operating system takes ----------------------------------------------------------------------------------


def test_friction_the_build_says_what_the_system_of_a_board_takes(model: Path, tmp_path: Path) -> None:
    made = sandgrain.compile(model, target="nano-33-ble", out=tmp_path / "out", measure=False)
    assert any("Mbed OS" in note and "212 KiB of 256 KiB RAM" in note for note in made.report.notes)
    assert not any("leaves" in n for n in sandgrain.compile(model, target="pico", out=tmp_path / "b", measure=False).report.notes)


def test_friction_a_limit_is_what_the_system_leaves(own: Path, model: Path, tmp_path: Path) -> None:
    own.write_text(OWN + 'system = "an operating system"\nsystem_ram_bytes = 0xfffc\n')
    with pytest.raises(sandgrain.BudgetError, match=r"exceeds 4 B \(node-c less its system\)"):
        sandgrain.compile(model, target=own, out=tmp_path / "out", measure=False)
    board = targets.load(own)
    assert budget.ram_limit(budget.Limits(), board) == 4


def test_23_a_name_that_is_like_none_gets_no_board_proposed() -> None:
    with pytest.raises(UsageError) as caught:
        targets.load("nope")
    assert "did you mean" not in str(caught.value)
