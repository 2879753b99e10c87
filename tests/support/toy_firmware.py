"""Firmware for tests: the hand-written model in tests/e2e/toy, and one-function programs, built once a process."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from sandgrain.device import targets
from sandgrain.device.toolchain import Extras, Toolchain, available_compilers, build_firmware

TOY = Path(__file__).parents[1] / "e2e" / "toy" / "harness.c"
EMULATED = tuple(name for name in targets.cores() if targets.load_core(name).emulator == "unicorn")
COMPILED = tuple(name for name in targets.cores() if targets.load_core(name).runs_firmware)
_WEIGHTS = (1, -2, 3, -4, 5, -6, 7, -8)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="sandgrain-tests-")


@cache
def toy(target: str, compiler: str = "zig", opt: str = "-O2", rounds: int = 1) -> Path:
    """The toy model for a board or core."""
    out = Path(_folder().name) / f"toy-{target}-{compiler}{opt}-{rounds}.elf"
    return build_firmware([TOY], [], targets.load(target), out, Toolchain(compiler, opt), Extras({"ROUNDS": rounds}))


@cache
def program(target: str | targets.Board, body: str, compiler: str = "zig", before: str = "") -> Path:
    """A program whose sg_infer consists of `body`, with no inputs and outputs; `before` are declarations."""
    board = targets.load(target) if isinstance(target, str) else target
    name = f"program-{abs(hash((board.name, board.ram_bytes, body, compiler, before)))}"
    source = Path(_folder().name) / f"{name}.c"
    source.write_text(
        f"#include <stdint.h>\nint sg_infer(void);\n{before}\n"
        f"int sg_infer(void)\n{{\n{body}\n}}\n"
        "const uint32_t sg_input_count = 0, sg_output_count = 0;\n"
        "void *const sg_inputs[1] = {0};\nvoid *const sg_outputs[1] = {0};\n"
        "const uint32_t sg_input_bytes[1] = {0}, sg_output_bytes[1] = {0};\n",
        encoding="utf-8",
    )
    return build_firmware([source], [], board, source.with_suffix(".elf"), Toolchain(compiler))


def compilers(target: str) -> tuple[str, ...]:
    """The compilers that are installed for a board or core."""
    return available_compilers(targets.load(target))


def toy_reference(x: np.ndarray) -> bytes:
    """What the toy model answers to 64 int8 values."""

    def divide(a: int, b: int) -> int:
        return abs(a) // b * (1 if a >= 0 else -1)

    values = [int(v) for v in x]
    sums = [100 + sum(values[(i + k) & 63] * w for k, w in enumerate(_WEIGHTS)) for i in range(64)]
    sums = [s + 3 if s & 1 else s for s in sums]
    wide = [divide(divide(s, i + 3) * 1234567, i + 9) for i, s in enumerate(sums)]
    return bytes((w >> 12) & 0xFF for w in wide)
