"""The FFTs and integer roots: numpy = C byte for byte (host under UBSan, emulated cores), and both near float64."""

from __future__ import annotations

import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sandgrain.base.errors import UsageError
from sandgrain.device import targets
from sandgrain.device.run import open_emulator
from sandgrain.device.toolchain import build_firmware
from sandgrain.graph.ops.signal.fft import (
    bit_reversed,
    max_sample_s32,
    rfft_f32,
    rfft_s16,
    rfft_s32,
    twiddles_f32,
    twiddles_s32,
    unpack,
)
from sandgrain.graph.ops.signal.frames import TAPERS, frame, lifts, taper_q15, windowed_s16, windowed_s32
from sandgrain.graph.ops.signal.roots import isqrt, log2_q16
from tests.conftest import ROOT
from tests.support.c_programs import DRIVER, host_compilers, run_compiler, run_program
from tests.support.draws import rare

Array = npt.NDArray[Any]

SIZES = (32, 64, 128, 256, 512, 1024, 2048)
INCLUDES = (ROOT / "sandgrain" / "kernels" / "signal", ROOT / "sandgrain" / "kernels" / "shared")
HEADERS = "".join(f'#include "{name}"\n' for name in ("sg_fft_s32.h", "sg_fft_s16.h", "sg_fft_f32.h", "sg_isqrt.h", "sg_log2.h"))
WORD = {"s32": "int32_t", "s16": "uint32_t", "f32": "float"}
KINDS = tuple(WORD)


# --- inputs -----------------------------------------------------------------------------------------------------------


def shapes_of_signals(n: int, count: int = 12) -> npt.NDArray[np.float64]:
    """[signals, n] within [-1, 1]: constants, impulses, square waves, sines and noise, loud and quiet."""
    rng, i = np.random.default_rng(n), np.arange(n)
    rows = [np.zeros(n), np.ones(n), -np.ones(n), np.where(i % 2, -1, 1), np.where(i % 4 < 2, -1, 1), np.where(i == n - 1, -1, 0)]
    for _ in range(count):
        level, f = 2.0 ** -rng.uniform(0, 14), rng.uniform(0, n / 2)
        rows += [rng.uniform(-1, 1, n), level * rng.uniform(-1, 1, n), level * np.cos(2 * np.pi * f * i / n)]
        rows += [np.sign(np.cos(2 * np.pi * f * i / n) + 1e-9), rng.choice((-1.0, 1.0), n), (rng.random(n) < 0.02) * 1.0]
    return np.array(rows, np.float64)


def samples(kind: str, n: int) -> Array:
    rows = shapes_of_signals(n)
    if kind == "f32":
        return np.concatenate([rows, 1e-38 * rows[-9:], 1e30 * rows[-9:]]).astype(np.float32)
    if kind == "s32":
        return np.rint(rows * max_sample_s32(n)).astype(np.int32)
    return np.clip(np.rint(rows * 32768), -32768, 32767).astype(np.int16)


def reference(kind: str, x: Array) -> bytes:
    """What the C writes: the packed spectra; and, for int16, the exponents behind them."""
    if kind == "s16":
        packed, exponent = rfft_s16(x)
        return packed.tobytes() + exponent.tobytes()
    return (rfft_s32(x) if kind == "s32" else rfft_f32(x)).tobytes()


# --- programs ---------------------------------------------------------------------------------------------------------


def transform(kind: str, n: int) -> str:
    """A C function `<kind>_<n>` of the samples, with its table."""
    table = twiddles_f32(n) if kind == "f32" else twiddles_s32(n)
    ctype = "float" if kind == "f32" else "int16_t"
    numbers = ", ".join(f"{float(v)!r}f" if kind == "f32" else str(v) for v in table)
    give = f"return sg_rfft_s16(x, {n}, t);" if kind == "s16" else f"sg_rfft_{kind}(x, {n}, t);\n    return 0;"
    return f"static int32_t {kind}_{n}({WORD[kind]} *x)\n{{\n    static const {ctype} t[] = {{{numbers}}};\n    {give}\n}}\n"


MAIN = """\
static int64_t word(void)
{
    int64_t *p = take(8), v = *p;
    free(p);
    return v;
}
static void roots(int64_t count)
{
    uint64_t *v = take((size_t)count * 8);
    uint32_t *y = room((size_t)count * 8);
    for (int64_t i = 0; i < count; i++) {
        y[2 * i] = (uint32_t)sg_log2_q16(v[i]);
        y[2 * i + 1] = (v[i] >> 32) != 0 ? sg_isqrt64(v[i]) : sg_isqrt32((uint32_t)v[i]);
    }
    free(v);
    give(y, (size_t)count * 8);
}
int main(void)
{
    for (int64_t what = word(); what != 0; what = word()) {
        const int64_t count = word();
        if (what == 1) {
            roots(count);
        }
"""


def case(kind: str, n: int) -> str:
    size = n * (2 if kind == "s16" else 4)
    give = "give(e, (size_t)count * 4);" if kind == "s16" else "free(e);"
    return (
        f"        if (what == {KINDS.index(kind) * 10000 + n}) {{\n            char *x = take((size_t)count * {size});\n"
        f"            int32_t *e = room((size_t)count * 4);\n            for (int64_t i = 0; i < count; i++) {{\n"
        f"                e[i] = {kind}_{n}(({WORD[kind]} *)(void *)(x + i * {size}));\n            }}\n"
        f"            give(x, (size_t)count * {size});\n            {give}\n        }}\n"
    )


@cache
def kept() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="sandgrain-fft-")


@cache
def host_program() -> Path:
    """Every transform in one program that reads commands from stdin, under UBSan."""
    command = host_compilers().get("gcc")
    if command is None:
        pytest.skip("gcc is not installed")
    folder = Path(kept().name)
    functions = "".join(transform(k, n) for k in KINDS for n in SIZES)
    cases = "".join(case(k, n) for k in KINDS for n in SIZES)
    (folder / "main.c").write_text(f"{HEADERS}{DRIVER}{functions}{MAIN}{cases}    }}\n    return 0;\n}}\n", "ascii")
    flags = ["-std=c99", "-O1", "-ffp-contract=off", "-fsanitize=undefined", "-fno-sanitize-recover=all", "-Wall", "-Wextra"]
    said = run_compiler([*command, *flags, *(f"-I{i}" for i in INCLUDES), "main.c", "-o", "program"], folder)
    if "cannot find -l" in said:
        pytest.skip(f"gcc has no UBSan here: {said.splitlines()[0][:100]}")
    assert said == ""
    return folder / "program"


def ask(what: int, count: int, data: bytes) -> bytes:
    header = np.array([what, count], np.int64).tobytes()
    return run_program(host_program(), header + data + np.zeros(1, np.int64).tobytes())


# --- the transforms ---------------------------------------------------------------------------------------------------


@rare
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", SIZES)
def test_the_c_gives_numpys_bytes(kind: str, n: int) -> None:
    x = samples(kind, n)
    assert ask(KINDS.index(kind) * 10000 + n, len(x), x.tobytes()) == reference(kind, x)


@cache
def firmware(core: str) -> Path:
    """Transforms of 64 and 512 points in place in one buffer: s32, then s16, then f32."""
    lines, at = [], 0
    for kind in KINDS:
        for n in (64, 512):
            exponent = f"*(int32_t *)(void *)(buffer + {at + n * 2}) = " if kind == "s16" else "(void)"
            lines.append(f"    {exponent}{kind}_{n}(({WORD[kind]} *)(void *)(buffer + {at}));\n")
            at += n * 2 + 4 if kind == "s16" else n * 4
    functions = "".join(transform(k, n) for k in KINDS for n in (64, 512))
    source = Path(kept().name) / f"{core}.c"
    source.write_text(
        f"{HEADERS}int sg_infer(void);\nstatic union {{ int64_t align; char bytes[{at}]; }} memory;\n{functions}"
        f"int sg_infer(void)\n{{\n    char *buffer = memory.bytes;\n{''.join(lines)}    return 0;\n}}\n"
        "const uint32_t sg_input_count = 1, sg_output_count = 1;\n"
        "void *const sg_inputs[1] = {&memory};\nvoid *const sg_outputs[1] = {&memory};\n"
        f"const uint32_t sg_input_bytes[1] = {{{at}}}, sg_output_bytes[1] = {{{at}}};\n",
        "ascii",
    )
    return build_firmware([source], INCLUDES, targets.load(core), source.with_suffix(".elf"))


@rare
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4", "rv32imc"])
def test_the_firmware_gives_numpys_bytes(core: str) -> None:
    emulator = open_emulator(firmware(core), targets.load(core))
    rows = {(k, n): samples(k, n) for k in KINDS for n in (64, 512)}
    for i in range(0, min(map(len, rows.values())), 7 if core == "cortex-m0plus" else 2):
        parts, expected = [], []
        for (kind, _), x in rows.items():
            parts.append(x[i].tobytes() + bytes(4 if kind == "s16" else 0))
            expected.append(reference(kind, x[i]))
        assert emulator.infer([b"".join(parts)]) == [b"".join(expected)]


def error_db(kind: str, x: Array) -> npt.NDArray[np.float64]:
    """Signal-to-error ratio of every row's spectrum, dB."""
    if kind == "s16":
        packed, exponent = rfft_s16(x)
        got = unpack(packed) * 2.0 ** exponent[:, None]
    else:
        got = unpack(rfft_s32(x) if kind == "s32" else rfft_f32(x))
    exact = np.fft.rfft(x.astype(np.float64))
    noise = np.maximum((abs(got - exact) ** 2).sum(axis=-1), 1e-30)
    return np.asarray(10 * np.log10((abs(exact) ** 2).sum(axis=-1) / noise))


@pytest.mark.parametrize("n", SIZES)
def test_the_transforms_are_near_float64(n: int) -> None:
    rng, i = np.random.default_rng(5), np.arange(n)
    loud = np.stack(
        [rng.uniform(-1, 1, n) for _ in range(20)] + [np.cos(2 * np.pi * f * i / n) for f in rng.uniform(1, n / 2, 20)]
    )
    assert error_db("s32", np.rint(loud * max_sample_s32(n)).astype(np.int32)).min() > 88
    assert error_db("f32", loud.astype(np.float32)).min() > 135
    for level in (1.0, 2.0**-5, 2.0**-10):  # block floating point keeps its precision
        x = np.rint(loud * level * 32767)
        assert error_db("s16", x[np.any(x != 0, axis=1)].astype(np.int16)).min() > 50


def test_a_spectrum_is_packed_as_documented() -> None:
    x = np.random.default_rng(2).integers(-(2**24), 2**24, (3, 64)).astype(np.int32)
    packed, exact = rfft_s32(x), np.fft.rfft(x)
    assert np.array_equal(packed[:, 0], exact[:, 0].real) and np.array_equal(packed[:, 1], exact[:, -1].real)
    near = 2.0**14  # 16-bit twiddles
    assert np.abs(packed[:, 2::2] - exact[:, 1:-1].real).max() < near
    assert np.abs(packed[:, 3::2] - exact[:, 1:-1].imag).max() < near


def test_only_the_sizes_of_the_kernels_are_taken() -> None:
    for n in (16, 48, 4096):
        with pytest.raises(UsageError, match="power of two from 32 to 2048"):
            rfft_s32(np.zeros(n, np.int32))


def test_a_table_is_a_quarter_wave() -> None:
    for n in SIZES:
        assert twiddles_s32(n).nbytes == n // 2 + 2
        assert twiddles_s32(n)[0] == 32767 and twiddles_s32(n)[-1] == 0
    assert bit_reversed(8).tolist() == [0, 4, 2, 6, 1, 5, 3, 7]


# --- roots ------------------------------------------------------------------------------------------------------------


def numbers() -> npt.NDArray[np.uint64]:
    """Integers of all widths, squares and their neighbours, powers of two and theirs."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 2**64, 60000, dtype=np.uint64) >> rng.integers(0, 64, 60000).astype(np.uint64)
    squares = (drawn[:20000] & np.uint64(0xFFFFFFFF)) ** 2
    powers = np.uint64(1) << np.arange(64, dtype=np.uint64)
    close = np.concatenate([squares, powers])
    last = np.uint64(2**64 - 1) - np.arange(100, dtype=np.uint64)
    return np.concatenate([drawn, close, close - np.minimum(close, 1), close + 1, np.arange(1000, dtype=np.uint64), last])


def test_roots_and_logarithms_in_c_are_numpys() -> None:
    v = numbers()
    answer = np.frombuffer(ask(1, len(v), v.tobytes()), np.uint32).reshape(-1, 2)
    assert np.array_equal(answer[:, 0].astype(np.int32), log2_q16(v))
    assert np.array_equal(answer[:, 1], isqrt(v))


def test_a_root_is_the_largest_whose_square_fits() -> None:
    for v, root in zip(numbers()[::40].tolist(), isqrt(numbers()[::40]).tolist(), strict=True):
        assert root**2 <= v < (root + 1) ** 2


def test_a_logarithm_is_within_a_quarter_of_a_thousandth() -> None:
    v = np.maximum(numbers(), 1)
    assert np.abs(log2_q16(v) / 65536 - np.log2(v.astype(np.float64))).max() < 0.00025
    powers = np.uint64(1) << np.arange(64, dtype=np.uint64)
    assert np.array_equal(log2_q16(powers), np.arange(64) << 16)
    assert log2_q16(0) == 0


# --- frames -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symmetric", [False, True])
def test_tapers_are_scipys(symmetric: bool) -> None:
    from scipy.signal import get_window

    for name in TAPERS:
        for window in (1, 2, 31, 480):
            theirs = get_window({"rect": "boxcar", "povey": "hann"}.get(name, name), window, fftbins=not symmetric)
            wanted = np.maximum(theirs, 0) ** (0.85 if name == "povey" else 1)
            assert np.abs(taper_q15(name, window, symmetric) / 2**15 - wanted).max() <= 2**-15


def test_frames_start_every_hop_and_none_is_cut() -> None:
    x = np.arange(10)
    assert frame(x, 4, 3).tolist() == [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]]
    assert frame(x, 10, 1).shape == (1, 10) and frame(x, 11, 1).shape == (0, 11)


def test_a_windowed_frame_never_exceeds_what_the_fft_bears() -> None:
    worst = np.full(2048, -32768)
    for n in SIZES:
        assert np.abs(windowed_s32(worst[:n], taper_q15("rect", n), n)).max() == max_sample_s32(n)


def test_a_quiet_frame_is_lifted() -> None:
    x = np.stack([np.full(32, 3), np.full(32, -32768), np.zeros(32), np.full(32, -1)])
    assert lifts(x).tolist() == [12, -1, 14, 14]
    assert windowed_s16(x, taper_q15("rect", 32), 32)[0].min() == -16383  # times 32767 / 32768, halves up


def test_the_steps_without_twiddles_are_the_same_text_for_both_types() -> None:
    """They stand twice, as MISRA's 20.5 refuses the `#undef` that one text for both would need; a change is made in both."""

    def steps(kind: str, real: str) -> dict[str, str]:
        text = (ROOT / "sandgrain" / "kernels" / "signal" / f"sg_fft_{kind}.h").read_text()
        found = re.findall(r"^(static inline void sg_fft_\w+\(.*?^\}\n)", text, re.MULTILINE | re.DOTALL)
        plain = [f.replace(f"sg_fft_{kind}", "sg_fft").replace("int32_t", "real").replace(real, "real") for f in found]
        return {f.partition("(")[0].split()[-1]: f for f in plain}

    whole, floats = steps("s32", "int32_t"), steps("f32", "float")
    for name in ("swap", "reorder", "twos", "fours", "plain"):
        assert whole[f"sg_fft_{name}"] == floats[f"sg_fft_{name}"], name
