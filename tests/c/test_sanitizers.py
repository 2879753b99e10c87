"""The generated C under AddressSanitizer and UBSan, as a program of its own: right bytes, not a word from the sanitizers."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from sandgrain.graph import interpret
from tests.support.c_programs import DRIVER, driver, flat, run_compiler, run_program, sources, write
from tests.support.draws import random_inputs, turns

SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-std=c99", "-ffp-contract=off", "-DSG_ANY_CORE")
ROUNDS = 2


def build(place: Path, compiler: str, opt: str) -> Path:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    said = run_compiler([compiler, *SANITIZE, opt, "main.c", "-o", "program"], place)
    if "cannot find -l" in said or "libclang_rt" in said:
        pytest.skip(f"{compiler} has no sanitizer libraries here: {said.splitlines()[0][:100]}")
    assert said == ""
    return place / "program"


SETTINGS = [
    ("gcc", "-O1", "static", ""),
    ("clang", "-O1", "caller", ""),
    ("gcc", "-O1", "caller", "dsp"),
    ("gcc", "-O1", "caller", "mve"),
    ("gcc", "-O3", "static", "dsp"),  # with the optimizations that rely on the rules on aliasing
]


@pytest.mark.parametrize(("compiler", "opt", "arena", "features"), turns(SETTINGS))
def test_every_op_and_model_runs_clean_and_right(compiler: str, opt: str, arena: str, features: str, tmp_path: Path) -> None:
    """`features`: the plain C form of the kernels for cores with DSP or Helium, which differs from them in the inner blocks alone."""
    made = sources(features.split(), whole=not features, arena=arena)
    write(made, tmp_path)
    (tmp_path / "main.c").write_text(driver(made), "ascii")
    program = build(tmp_path, compiler, opt)
    for round_ in range(ROUNDS):
        inputs = [[x[0] for x in random_inputs(s.plan.graph, k + 1000 * round_, 1)] for k, s in enumerate(made)]
        expected = [interpret.run(s.plan.graph, x) for s, x in zip(made, inputs, strict=True)]
        answer = run_program(program, b"".join(map(flat, inputs)))
        at = 0
        for source, outputs in zip(made, expected, strict=True):
            for y in outputs:
                got = np.frombuffer(answer[at : at + y.nbytes], y.dtype).reshape(y.shape)
                assert np.array_equal(got, y, equal_nan=y.dtype.kind == "f"), source.options.name
                at += y.nbytes
        assert at == len(answer)


def test_the_sanitizers_would_see_a_byte_too_far(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text(
        f"{DRIVER}int main(void)\n{{\nchar *p = take(3);\nvoid *q = room(4);\np[3] = 1;\ngive(q, 4);\ngive(p, 3);\nreturn 0;\n}}\n"
    )
    program = build(tmp_path, "gcc", "-O1")
    with pytest.raises(AssertionError, match=r"heap-buffer-overflow|insufficient space"):
        run_program(program, b"abc")
