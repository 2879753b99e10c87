"""Compilers: firmware comes out alike every time, laid out for the board, and failures are one line."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import pytest

from sandgrain.base.errors import ToolchainError, UsageError
from sandgrain.device import targets, toolchain
from sandgrain.device.cost import Image
from sandgrain.device.run import elf
from sandgrain.device.toolchain import build
from sandgrain.device.toolchain.process import compile_in, explain
from tests.support import toy_firmware
from tests.support.draws import rare


def test_zig_is_always_there() -> None:
    assert toolchain.available_compilers()[0] == "zig"
    assert toolchain.available_compilers(targets.load("host")) == ()


@pytest.mark.parametrize("board", ["nucleo-l4r5zi", "esp32-c3"])
def test_two_builds_give_the_same_bytes(board: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    copy = tmp_path / "elsewhere" / "harness.c"
    copy.write_bytes(toy_firmware.TOY.read_bytes())
    again = toolchain.build_firmware(
        [copy], [], targets.load(board), tmp_path / "again.elf", extras=toolchain.Extras({"ROUNDS": 1})
    )
    assert again.read_bytes() == toy_firmware.toy(board).read_bytes()
    assert str(tmp_path).encode() not in again.read_bytes()


@rare
@pytest.mark.parametrize("core", toy_firmware.COMPILED)
def test_firmware_lies_in_the_boards_memory(core: str) -> None:
    board = targets.load(core)
    for compiler in toy_firmware.compilers(core):
        image = Image(toy_firmware.toy(core, compiler))
        for segment in image.segments:
            assert board.flash_base <= segment.load_address
            assert segment.load_address + len(segment.data) <= board.flash_base + board.flash_bytes
        assert image.symbols["sg_stack_top"] == board.ram_base + board.ram_bytes
        assert {0, 1} == set(image.layers())
        assert image.function("sg_infer") is not None


def test_a_section_is_the_sum_of_its_symbols() -> None:
    path = toy_firmware.toy("cortex-m4")
    sizes, data, code = elf.sections(path), elf.data_sizes(path), elf.code_sizes(path)
    assert data["toy_arena"] == 128 and data["input"] == 64
    assert sizes["bss"] >= data["toy_arena"] + data["input"] + data["output"]
    padding = 4 * (len(code) + 2)
    assert sizes["text"] - padding <= sum(code.values()) + data["sg_vectors"] <= sizes["text"]


def test_a_compiler_error_is_one_line(tmp_path: Path) -> None:
    source = tmp_path / "bad.c"
    source.write_text("int sg_infer(void) { return missing_name; }\n")
    for compiler in toy_firmware.compilers("cortex-m4"):
        with pytest.raises(ToolchainError, match="missing_name") as caught:
            toolchain.build_firmware([source], [], targets.load("cortex-m4"), tmp_path / "x.elf", toolchain.Toolchain(compiler))
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "x.elf").exists()


def test_a_program_too_large_for_the_board_says_so(tmp_path: Path) -> None:
    source = tmp_path / "large.c"
    source.write_text("char sg_big[1 << 20]; int sg_infer(void) { return sg_big[0]; }\n")
    for compiler in toy_firmware.compilers("microbit-v2"):
        with pytest.raises(ToolchainError, match="does not fit the board's memory"):
            toolchain.build_firmware([source], [], targets.load("microbit-v2"), tmp_path / "x.elf", toolchain.Toolchain(compiler))


def test_a_missing_compiler_is_named() -> None:
    with pytest.raises(ToolchainError, match="no-such-compiler could not be started"):
        compile_in(Path(), ["./no-such-compiler"], 5)
    with pytest.raises(UsageError, match="no compiler called 'tcc'"):
        toolchain.build_firmware([], [], targets.load("cortex-m4"), Path("x"), toolchain.Toolchain("tcc"))
    with pytest.raises(UsageError, match="not firmware"):
        toolchain.build_firmware([], [], targets.load("host"), Path("x"))


def test_a_failure_without_an_error_line_still_says_something() -> None:
    assert explain("cc", "", 3) == "cc: it ended with status 3"


@pytest.mark.parametrize("compiler", [None, "cc"])
def test_a_shared_library_loads(compiler: str | None, tmp_path: Path) -> None:
    source = tmp_path / "add.c"
    source.write_text("int add(int a, int b);\nint add(int a, int b) { return a + b + EXTRA; }\n")
    library = toolchain.build_shared([source], tmp_path / "out" / "add.so", ["-DEXTRA=5"], compiler=compiler)
    assert ctypes.CDLL(str(library)).add(2, 3) == 10


def test_the_memory_functions_do_what_the_c_standard_says(tmp_path: Path) -> None:
    source = tmp_path / "memops.c"
    text = (build.FIRMWARE / "memops.c").read_text()
    for name in ("memcpy", "memmove", "memset"):
        text = text.replace(f"*{name}(", f"*sg_{name}(")
    source.write_text(text)
    flags = ["-fno-builtin", "-fno-strict-aliasing"]
    library = ctypes.CDLL(str(toolchain.build_shared([source], tmp_path / "memops.so", flags)))
    for function in (library.sg_memcpy, library.sg_memmove, library.sg_memset):
        function.restype = ctypes.c_void_p
    for size in (0, 1, 3, 4, 5, 7, 15, 16, 17, 40):
        for to in range(4):
            for start in range(4):
                data = bytearray(range(128))
                memory = (ctypes.c_ubyte * 128).from_buffer(data)
                base = ctypes.addressof(memory)
                expected = bytearray(data)
                expected[64 + to : 64 + to + size] = expected[start : start + size]
                library.sg_memcpy(ctypes.c_void_p(base + 64 + to), ctypes.c_void_p(base + start), ctypes.c_size_t(size))
                assert data == expected
                for shift in (-9, -4, -1, 1, 4, 9):
                    moved = bytearray(data)
                    at = 40 + start
                    moved[at + shift : at + shift + size] = moved[at : at + size]
                    library.sg_memmove(ctypes.c_void_p(base + at + shift), ctypes.c_void_p(base + at), ctypes.c_size_t(size))
                    assert data == moved
            filled = bytearray(data)
            filled[to : to + size] = b"\xc3" * size
            library.sg_memset(ctypes.c_void_p(base + to), 0x1C3, ctypes.c_size_t(size))
            assert data == filled


def test_a_compiler_is_a_module_that_names_itself_and_a_table_of_each_core() -> None:
    modules = {p.stem for p in Path(build.__file__).parent.glob("*.py") if "\nNAME = " in p.read_text("utf-8")}
    assert set(build.COMPILERS) == modules >= {"zig", "gcc"}
    for name in toy_firmware.COMPILED:
        assert set(targets.load_core(name).compilers) <= modules
    assert targets.load_core("host").compilers == {}


def test_a_third_compiler_is_one_more_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "another_cc.py").write_text('NAME = "another_cc"\n')
    monkeypatch.setattr(toolchain, "__path__", [*toolchain.__path__, str(tmp_path)])
    try:
        assert list(build._find_compilers()) == ["zig", "another_cc", "gcc"]
    finally:
        sys.modules.pop("sandgrain.device.toolchain.another_cc", None)
