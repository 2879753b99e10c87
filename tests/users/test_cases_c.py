"""What the emitted C says and does on another core, in another mood of the compiler, on another computer."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sandgrain.compiler import pipeline
from sandgrain.compiler.emit import ctext
from sandgrain.compiler.emit.model import Options, Source
from sandgrain.device import targets
from sandgrain.device.toolchain import zig
from sandgrain.frontend.blocks import parse
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.frontend.pipeline import Normalization, Pipeline
from sandgrain.frontend.signal import Signal
from sandgrain.graph.interpret import run
from tests.support.c_bundles import DIGITS, streaming
from tests.support.c_programs import driver, flat, run_compiler, write
from tests.support.draws import random_inputs, rare

LABELS = ("up", "größer", "Up!", "up", "count", "", "no. 1", "no-1", "漢字", "0")


def for_core(core: str) -> Source:
    return pipeline.compile_bytes(DIGITS, targets.load(core), Options("digits")).source


def zig_cc(*arguments: str) -> list[str]:
    if zig.binary() is None:
        pytest.skip("zig is not installed")
    return [str(zig.binary()), "cc", "-std=c99", "-fno-sanitize=all", *arguments]


# --- the wrong core --------------------------------------------------------------------------------------------------


@rare
@pytest.mark.parametrize(("core", "words"), [("cortex-m4", "DSP extension"), ("cortex-m55", "made for a core with")])
@pytest.mark.parametrize(
    "other", ["thumb-freestanding-eabi -mcpu=cortex_m0plus", "thumb-freestanding-eabi -mcpu=cortex_m3", "x86_64-linux-musl"]
)
def test_24_c_for_a_faster_core_says_so_once(core: str, words: str, other: str, tmp_path: Path) -> None:
    write([for_core(core)], tmp_path)
    command = zig_cc("-target", *other.split(), "-ffreestanding", "-c", "digits/digits.c", "-o", "digits.o")
    said = run_compiler(command, tmp_path)
    assert said.count("[-W#warnings]") == 1 and words in said
    assert "compile the model for this core" in said and "error:" not in said
    assert run_compiler([*command, "-DSG_ANY_CORE", "-Werror"], tmp_path) == ""


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "rv32imc", "host"])
def test_24_c_that_depends_on_no_core_warns_nowhere(core: str, tmp_path: Path) -> None:
    write([for_core(core)], tmp_path)
    assert (
        run_compiler(
            zig_cc("-target", "x86_64-linux-musl", "-Wall", "-Werror", "-c", "digits/digits.c", "-o", "digits.o"), tmp_path
        )
        == ""
    )


@pytest.mark.parametrize(("target", "cpu"), [("avr-freestanding", "atmega328p"), ("msp430-freestanding", "msp430")])
def test_24_an_int_of_16_bits_is_an_error_that_says_why(target: str, cpu: str, tmp_path: Path) -> None:
    write([for_core("host")], tmp_path)
    said = run_compiler(
        zig_cc("-target", target, f"-mcpu={cpu}", "-ffreestanding", "-c", "digits/digits.c", "-o", "digits.o"), tmp_path
    )
    assert "needs an int of at least 32 bits" in said


# --- the header ------------------------------------------------------------------------------------------------------


def test_25_a_static_arena_is_said_to_be_not_reentrant_and_a_callers_is() -> None:
    assert "Not reentrant" in for_core("host").header and "--arena caller" in for_core("host").header
    callers = pipeline.compile_bytes(DIGITS, targets.load("host"), Options("digits", "caller")).source
    assert " * Reentrant" in callers.header and "Not reentrant" not in callers.header


def test_friction_labels_are_constants() -> None:
    made = pipeline.compile_bytes(DIGITS, targets.load("host"), Options("digits"), LABELS).source
    assert "enum digits_label {\n    DIGITS_LABEL_UP_0 = 0," in made.header
    for word in ("DIGITS_LABEL_GROSSER", "DIGITS_LABEL_UP_2 = 2", "DIGITS_LABEL_COUNT_4 = 4", "DIGITS_LABEL_0 = 9"):
        assert word in made.header, word


@pytest.mark.parametrize(
    "labels", [LABELS, ("A", "a", "a_0", "A_1"), ("x" * 80, "x" * 81), ("a_1", "a", "a"), ("", " ", "_"), ("1", "", "é", "e")]
)
def test_friction_constants_of_labels_are_identifiers_and_differ(labels: tuple[str, ...]) -> None:
    words = ctext.constants(labels, ("COUNT",))
    assert len(set(words)) == len(labels) and "COUNT" not in words
    assert all(word and set(word) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") and len(word) <= 50 for word in words)


@pytest.mark.parametrize("rate", [16000.0, 62.5])
def test_friction_the_header_has_the_rate_and_the_window(rate: float) -> None:
    signal = Signal("motion", (400, 3), rate)
    front = FrontEnd(Pipeline(signal, parse([{"block": "statistics"}])), Normalization((0.0,), (1.0,)), 0)
    header = pipeline.compile_bytes(None, targets.load("host"), Options("kw"), front=front).source.header
    word = header.partition("#define KW_SAMPLE_RATE ")[2].partition("\n")[0]
    assert word.endswith("f") == (rate != int(rate)) and float(word.removesuffix("f")) == rate
    assert "#define KW_WINDOW_SAMPLES 400\n" in header and "#define KW_CHANNELS 3\n" in header
    assert "KW_SAMPLE_RATE" not in for_core("host").header


def test_friction_a_stream_has_them_too() -> None:
    assert "#define S_SAMPLE_RATE 2000\n" in streaming(Options("s")).header


# --- other compilers' moods, other computers -------------------------------------------------------------------------

MOODS = {
    "unsigned char": ["-funsigned-char"],
    "link-time optimization": ["-flto", "-O3"],
    "overflow traps": ["-ftrapv"],
}
# Zig builds a C library first.
COMPUTERS = {"32 bits": "x86-linux-musl", "big-endian": "s390x-linux-musl"}


def same_bytes(core: str, command: list[str], emulator: list[str], place: Path) -> None:
    """A program of the demo's model, built by `command` and run by `emulator`, answers what the reference says."""
    made = for_core(core)
    write([made], place)
    (place / "main.c").write_text(driver([made]))
    assert run_compiler([*command, "-DSG_ANY_CORE", "main.c", "-o", "program"], place) == ""
    graph, answers = made.plan.graph, []
    for seed in range(3):
        x = [rows[0] for rows in random_inputs(graph, seed, 1)]
        done = subprocess.run([*emulator, str(place / "program")], input=flat(x), capture_output=True, check=True, timeout=120)
        assert done.stdout == flat(run(graph, x))
        answers.append(done.stdout)
    assert len(set(answers)) > 1


@rare
@pytest.mark.parametrize("core", ["host", "cortex-m4"])
@pytest.mark.parametrize("mood", MOODS)
def test_34_the_same_bytes_in_every_mood(mood: str, core: str, tmp_path: Path) -> None:
    compiler = ["gcc", "-std=c99"] if shutil.which("gcc") else zig_cc()
    same_bytes(core, [*compiler, *MOODS[mood]], [], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("core", ["host", "cortex-m4"])
@pytest.mark.parametrize("computer", COMPUTERS)
def test_34_the_same_bytes_on_another_computer(computer: str, core: str, tmp_path: Path) -> None:
    target, emulator = COMPUTERS[computer], list[str]()
    if computer == "big-endian":
        emulator = [path for name in ("qemu-s390x", "qemu-s390x-static") if (path := shutil.which(name))][:1]
        if not emulator:
            pytest.skip("qemu-s390x is not installed (Debian: qemu-user)")
    same_bytes(core, zig_cc("-target", target, "-O2"), emulator, tmp_path)
