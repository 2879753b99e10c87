"""The generated C is clean under every compiler at hand, with every warning that the project promises, for every core."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sandgrain.compiler.emit.model import Options, generate
from sandgrain.compiler.plan import plan
from sandgrain.device import targets
from sandgrain.device.toolchain import available_compilers
from sandgrain.device.toolchain.build import COMPILERS
from sandgrain.graph.ops import OPS
from tests.support.c_programs import ANY_CORE, STRICT, host_compilers, run_compiler, sources, write
from tests.support.draws import SeededDraw, rare, turns
from tests.support.toy_firmware import COMPILED

HOST = ("gcc", "clang", "zig")
OPT = ("-O0", "-O2", "-Os")
ALIASING = ("-O3", "-fstrict-aliasing", "-Wstrict-aliasing=2", "-Wcast-align")  # what a user's own flags may say


@cache
def _kept() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="sandgrain-c-")


@cache
def folder(features: frozenset[str], whole: bool = False) -> Path:
    """all.c for a core with `features`, written once: a few of every op, and whole models."""
    place = Path(_kept().name) / ("-".join(sorted(features)) + str(whole))
    write(sources(features, whole), place)
    return place


@pytest.mark.parametrize(("compiler", "opt"), turns([(c, o) for c in HOST for o in OPT], same=lambda pair: pair[0]))
def test_no_compiler_of_this_computer_has_a_warning(compiler: str, opt: str, tmp_path: Path) -> None:
    command = host_compilers().get(compiler)
    if command is None:
        pytest.skip(f"{compiler} is not installed")
    place = folder(frozenset(), whole=opt == "-O2")
    assert run_compiler([*command, *STRICT, opt, "-c", "all.c", "-o", str(tmp_path / "all.o")], place) == ""


@rare
@pytest.mark.parametrize(("compiler", "features"), turns([(c, f) for c in HOST for f in ("", "dsp", "mve")]))
def test_no_cast_breaks_the_rules_on_aliasing_and_alignment(compiler: str, features: str, tmp_path: Path) -> None:
    """The kernels for cores with DSP and Helium have a plain C form, which any computer compiles."""
    command = host_compilers().get(compiler)
    if command is None:
        pytest.skip(f"{compiler} is not installed")
    place = folder(frozenset(features.split()))
    assert run_compiler([*command, *STRICT, *ALIASING, "-c", "all.c", "-o", str(tmp_path / "all.o")], place) == ""


def test_a_cast_that_breaks_the_rules_would_be_seen(tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    (tmp_path / "bad.c").write_text("float f(int x);\nfloat f(int x) { return *(float *)&x; }\n")
    assert "strict-aliasing" in run_compiler(["gcc", *STRICT, *ALIASING, "-c", "bad.c"], tmp_path)


@rare
@pytest.mark.parametrize(("target", "compiler"), turns([(t, c) for t in COMPILED for c in COMPILERS], same=lambda pair: pair[1]))
def test_no_cross_compiler_has_a_warning(target: str, compiler: str, tmp_path: Path) -> None:
    board = targets.load(target)
    if compiler not in available_compilers(board):
        pytest.skip(f"{compiler} for {target} is not installed")
    chosen = COMPILERS[compiler]
    command = [*chosen.command(board.core), *chosen.flags(board.core), *STRICT, "-ffreestanding", "-O2", "-c", "all.c"]
    command += [] if "dsp" in board.core.features else [ANY_CORE]  # all.c has every compact kernel, those for other cores too
    assert run_compiler([*command, "-o", str(tmp_path / "all.o")], folder(board.core.features, whole=target == "cortex-m4")) == ""


@pytest.mark.parametrize(("op", "seed"), [("conv_2d", 882114119604), ("conv_2d", 173618623807), ("transpose_conv", 5006)])
def test_a_last_loop_that_has_no_turn_is_no_warning(op: str, seed: int, tmp_path: Path) -> None:
    """As many output channels as fill whole blocks. gcc kept the loop for the others, and found that it would count too far."""
    board = targets.load("cortex-m0plus")
    if "gcc" not in available_compilers(board):
        pytest.skip("gcc for cortex-m0plus is not installed")
    write([generate(plan(OPS[op].sample(SeededDraw(seed)), board.core.features), Options("alone"))], tmp_path)
    command = [*COMPILERS["gcc"].command(board.core), *COMPILERS["gcc"].flags(board.core), *STRICT, "-ffreestanding", "-O2", "-c"]
    assert run_compiler([*command, "all.c", "-o", "all.o"], tmp_path) == ""


@pytest.mark.parametrize(
    "arguments", [["gcc", "-std=c99"], ["gcc", "-std=c17"], ["gcc", "-std=gnu11"], ["g++", "-x", "c++", "-std=c++17"]]
)
def test_the_header_is_read_by_every_dialect(arguments: list[str], tmp_path: Path) -> None:
    if shutil.which(arguments[0]) is None:
        pytest.skip(f"{arguments[0]} is not installed")
    place = folder(frozenset())
    headers = sorted(f"{p.parent.name}/{p.name}" for p in place.glob("*/*.h"))
    (tmp_path / "headers.c").write_text("".join(f'#include "{name}"\n#include "{name}"\n' for name in headers))
    said = run_compiler(
        [*arguments, "-Wall", "-Wextra", "-pedantic", "-Werror", f"-I{place}", "-fsyntax-only", "headers.c"], tmp_path
    )
    assert said == ""


def test_a_warning_would_be_seen(tmp_path: Path) -> None:
    command = next(iter(host_compilers().values()), None)
    if command is None:
        pytest.skip("no C compiler for this computer is installed")
    (tmp_path / "bad.c").write_text("int f(long x);\nint f(long x) { return (int)1 + (short)x * x; }\n")
    assert "conversion" in run_compiler([*command, *STRICT, "-c", "bad.c"], tmp_path)
