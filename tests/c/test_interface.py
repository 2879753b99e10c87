"""What a firmware author calls: run with status codes, slots, an arena of the caller's, a section, quantize and dequantize."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

from sandgrain.api import compile
from sandgrain.bundle import on_host
from sandgrain.compiler import pipeline
from sandgrain.compiler.emit import bundle
from sandgrain.compiler.emit.model import Options, Source, generate
from sandgrain.compiler.plan import plan
from sandgrain.device import targets
from sandgrain.device.toolchain.build import build_object
from sandgrain.graph import interpret
from sandgrain.graph.ir import Graph
from sandgrain.graph.quantization import dequantize, per_tensor
from tests.conftest import ROOT
from tests.support.c_programs import STRICT, driver, flat, host_compilers, mixed_graph, run_compiler, run_program, unary, write
from tests.support.draws import random_inputs, rare
from tests.support.integers import to_int8

DIGITS = (ROOT / "sandgrain" / "demo" / "digits.tflite").read_bytes()
SANITIZE = ("-fsanitize=undefined", "-fno-sanitize-recover=all")


def made(graph: Graph, name: str = "model", arena: str = "static", section: str | None = None) -> Source:
    return generate(plan(graph, ()), Options(name, arena, section))


def program(place: Path, main: str, models: list[Source]) -> Path:
    """A program of all models and `main`, clean under every warning (the driver's own code aside) and under UBSan."""
    compiler = next((c for name, c in host_compilers().items() if name != "zig"), None)
    if compiler is None:
        pytest.skip("neither gcc nor clang is installed")
    write(models, place)
    (place / "main.c").write_text(main)
    assert (
        run_compiler([*compiler, "-std=c99", "-Wall", "-Wextra", "-Werror", *SANITIZE, "-O1", "main.c", "-o", "program"], place)
        == ""
    )
    return place / "program"


def run_one(source: Source, place: Path, inputs: list[np.ndarray]) -> bytes:
    return run_program(program(place, driver([source]), [source]), flat(inputs))


@pytest.mark.parametrize("arena", ["static", "caller"])
def test_float_and_int8_inputs_and_outputs_go_through_buffers(arena: str, tmp_path: Path) -> None:
    source = made(mixed_graph(), "mixed", arena)
    inputs = [x[0] for x in random_inputs(source.plan.graph, 5, 1)]
    assert run_one(source, tmp_path, inputs) == flat(interpret.run(mixed_graph(), inputs))


def test_float_and_int8_inputs_and_outputs_go_through_slots() -> None:
    inputs = random_inputs(mixed_graph(), 6, 3)
    got = on_host.loaded(made(mixed_graph())).run(inputs)
    for s in range(3):
        assert flat([y[s] for y in got]) == flat(interpret.run(mixed_graph(), [x[s] for x in inputs]))


def test_an_input_may_be_an_output_too(tmp_path: Path) -> None:
    graph = replace(unary(0.1, 4), outputs=(1, 0))
    x = np.array([[-128, 3, 4, 127]], np.int8)
    assert run_one(made(graph), tmp_path, [x]) == flat(interpret.run(graph, [x]))


CALLER = """
#include <stdio.h>
static union { int64_t alignment; uint8_t bytes[%(arena)s + 16]; } shared;
int main(void)
{
    static int8_t x[64], y[10], once[10];
    if (one_run(0, x, y) != ONE_ERROR_NULL || one_run(shared.bytes, 0, y) != ONE_ERROR_NULL || one_run(shared.bytes, x, 0) != ONE_ERROR_NULL) {
        return 1;
    }
    for (int k = 1; k < 8; k++) {
        if (one_run(shared.bytes + k, x, y) != ONE_ERROR_ALIGNMENT) {
            return 2;
        }
    }
    if (fread(x, 1, 64, stdin) != 64 || one_run(shared.bytes, x, once) != ONE_OK) {
        return 3;
    }
    if (two_run(shared.bytes + 8, x, y) != TWO_OK || one_run(shared.bytes, x, y) != ONE_OK) { /* the same memory by turns */
        return 4;
    }
    for (int k = 0; k < 10; k++) {
        if (once[k] != y[k] || ONE_OUTPUT_0_SLOT(shared.bytes)[k] != y[k]) {
            return 5;
        }
    }
    fwrite(y, 1, 10, stdout);
    return 0;
}
"""


@rare
def test_two_models_share_an_arena_of_the_callers(tmp_path: Path) -> None:
    graph = pipeline.compile_bytes(DIGITS, targets.load("host"), Options("x")).graph
    models = [made(graph, "one", "caller"), made(graph, "two", "caller")]
    x = np.load(ROOT / "sandgrain" / "demo" / "digits.npz")["x"][:1]
    main = '#include "all.c"\n' + CALLER % {"arena": "ONE_ARENA_BYTES"}
    assert run_program(program(tmp_path, main, models), x.tobytes()) == flat(interpret.run(graph, [x]))


@rare
def test_two_models_with_static_arenas_do_not_disturb_each_other(tmp_path: Path) -> None:
    graph = pipeline.compile_bytes(DIGITS, targets.load("host"), Options("x")).graph
    models = [made(graph, "one"), made(mixed_graph(), "two"), made(graph, "three")]
    inputs = [[x[0] for x in random_inputs(s.plan.graph, k, 1)] for k, s in enumerate(models)]
    expected = b"".join(flat(interpret.run(s.plan.graph, x)) for s, x in zip(models, inputs, strict=True))
    assert run_program(program(tmp_path, driver(models), models), b"".join(map(flat, inputs))) == expected


def test_a_null_pointer_gives_a_status_code(tmp_path: Path) -> None:
    main = (
        '#include "all.c"\nint main(void)\n{\n    static int8_t v[4];\n'
        "    return model_run(0, v) != MODEL_ERROR_NULL || model_run(v, 0) != MODEL_ERROR_NULL || model_run(v, v) != MODEL_OK;\n}\n"
    )
    run_program(program(tmp_path, main, [made(unary(0.1, 0))]), b"")


@pytest.mark.parametrize("target", ["cortex-m7", "rv32imc"])
def test_the_arena_lies_in_the_section_that_the_user_names(target: str, tmp_path: Path) -> None:
    source = made(mixed_graph(), section=".dtcm.arena")
    bundle.write(source, tmp_path)
    board = targets.load(target)
    file = ELFFile(io.BytesIO(build_object(tmp_path / "model.c", [tmp_path], board, tmp_path / "model.o").read_bytes()))
    section = file.get_section_by_name(".dtcm.arena")
    assert section["sh_size"] == -(-source.plan.arena_bytes // 8) * 8
    assert section["sh_addralign"] >= 8
    assert file.get_section_by_name(".bss.model_arena") is None


@rare
@pytest.mark.parametrize("target", ["cortex-m7", "rv32imc"])
def test_the_tables_lie_in_the_section_that_the_user_names(target: str, tmp_path: Path) -> None:
    board, options = targets.load(target), Options("kept", weights_section=".ext_flash")
    source = pipeline.compile_bytes(DIGITS, board, options).source
    bundle.write(source, tmp_path)
    file = ELFFile(io.BytesIO(build_object(tmp_path / "kept.c", [tmp_path], board, tmp_path / "kept.o").read_bytes()))
    section = file.get_section_by_name(".ext_flash")
    assert 0.9 * source.weight_bytes < section["sh_size"] < source.weight_bytes + 200  # what the compiler folds is left out
    assert not section["sh_flags"] & 1  # not writable


@rare
def test_tables_in_a_section_count_as_flash_and_not_as_ram(tmp_path: Path) -> None:
    plain, kept = (
        compile.compile(
            ROOT / "sandgrain" / "demo" / "digits.tflite", out=tmp_path / name, optimize="speed", weights_section=section
        ).report
        for name, section in (("plain", None), ("kept", ".ext_flash"))
    )
    assert kept.ram_bytes == plain.ram_bytes and abs(kept.flash_bytes - plain.flash_bytes) < 64
    assert kept.instructions == plain.instructions


def test_macros_say_sizes_scales_and_zero_points() -> None:
    header = made(mixed_graph()).header
    for line in (
        "#define MODEL_INPUT_COUNT 2",
        "#define MODEL_OUTPUT_COUNT 3",
        "#define MODEL_INPUT_0_SIZE 30",
        "#define MODEL_INPUT_1_ZERO_POINT (-7)",
        "#define MODEL_INPUT_1_SCALE 2.0e-02f",
        "#define MODEL_OUTPUT_1_SCALE 5.0e-02f",
        "#define MODEL_OUTPUT_1_ZERO_POINT (3)",
        "int model_run(const float input_0[30], const int8_t input_1[30], float output_0[30], int8_t output_1[30], int8_t output_2[30]);",
    ):
        assert line in header
    assert "INPUT_0_SCALE" not in header  # a float has none


QUANTIZATIONS = ((0.1, 0), (1 / 256, -128), (0.0039215689, 127), (3.7, -1), (1e-30, 5), (1e30, -77), (0.1, -128))


def sweep(scale: float) -> np.ndarray:
    """Floats where rounding is hard: halves and their neighbours, the ends, and what is no number."""
    steps = np.arange(-300, 301, 0.5) * scale
    near = np.float32(steps)
    hard = [
        0.0,
        -0.0,
        np.nan,
        np.inf,
        -np.inf,
        3.4e38,
        -3.4e38,
        1e-45,
        -1e-45,
        2**31 * scale,
        -(2**31) * scale,
        0.49999997 * scale,
    ]
    with np.errstate(over="ignore"):
        around = [np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))]
        rng = np.random.default_rng(0)
        return np.concatenate([near, *around, np.float32(hard), np.float32(rng.uniform(-300, 300, 2000) * scale)])


def test_quantize_and_dequantize_helpers_equal_the_definition(tmp_path: Path) -> None:
    models = [made(unary(scale, zero), f"q_{k}") for k, (scale, zero) in enumerate(QUANTIZATIONS)]
    parts = ['#include "all.c"\n#include <stdio.h>\nint main(void)\n{\n    uint32_t count;\n    float x;\n']
    for source in models:
        name = source.options.name
        parts.append(
            f"    if (fread(&count, 4, 1, stdin) != 1) {{ return 1; }}\n"
            f"    for (uint32_t k = 0; k < count; k++) {{\n        if (fread(&x, 4, 1, stdin) != 1) {{ return 1; }}\n"
            f"        const int8_t q = {name}_quantize_input_0(x);\n        fwrite(&q, 1, 1, stdout);\n    }}\n"
            f"    for (int32_t v = -128; v < 128; v++) {{\n        x = {name}_dequantize_output_0((int8_t)v);\n        fwrite(&x, 4, 1, stdout);\n    }}\n"
        )
    values = [sweep(scale) for scale, _ in QUANTIZATIONS]
    answer = run_program(
        program(tmp_path, "".join([*parts, "    return 0;\n}\n"]), models),
        b"".join(struct.pack("<I", len(v)) + v.tobytes() for v in values),
    )
    at, every = 0, np.arange(-128, 128)
    for (scale, zero), x in zip(QUANTIZATIONS, values, strict=True):
        with np.errstate(all="ignore"):
            wanted = to_int8(x, per_tensor(scale, zero))
        got = np.frombuffer(answer[at : at + len(x)], np.int8)
        assert np.array_equal(got, wanted), [
            (float(a), int(b), int(c)) for a, b, c in zip(x, got, wanted, strict=True) if b != c
        ][:5]
        at += len(x)
        assert np.array_equal(np.frombuffer(answer[at : at + 1024], np.float32), dequantize(every, per_tensor(scale, zero)))
        at += 1024
    assert at == len(answer)


def test_the_strict_flags_are_those_that_the_project_promises() -> None:
    for flag in (
        "-std=c99",
        "-pedantic",
        "-Wconversion",
        "-Wsign-conversion",
        "-Wshadow",
        "-Wdouble-promotion",
        "-Wvla",
        "-Werror",
    ):
        assert flag in STRICT
