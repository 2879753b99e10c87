"""Windows that hang over the edge of an image: no pointer is made from an index outside it, which C does not define even if nothing is
read there. The image lies so low in memory that such a pointer would wrap below address 0, and UBSan stops at that."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.c_programs import host_compilers, run_compiler
from tests.support.draws import rare

KERNELS = ROOT / "sandgrain" / "kernels"
UBSAN = (
    "-std=c99",
    "-DSG_ANY_CORE",
    "-O1",
    "-fsanitize=undefined,pointer-overflow",
    "-fno-sanitize-recover=all",
    "-Wno-unused-function",
)
COMPILERS = ("gcc", "clang", "zig")  # gcc makes one sum of two indices and sees less
NO_ROOM = 77  # exit code: the address is not to be had here
CHANNELS = 80000  # bytes of a pixel, more than the address of the image
BEFORE = f"""
#define _DEFAULT_SOURCE
#include <sys/mman.h>
#include "%s"
enum {{ C = {CHANNELS} }};
static int8_t blank[C], weights[4], scratch[20 * C];
int main(void)
{{
    int8_t *const in = (int8_t *)mmap((void *)0x10000, C, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    (void)blank;
    (void)weights;
    if (in == MAP_FAILED) {{
        return {NO_ROOM};
    }}
"""
AFTER = "    return 0;\n}\n"
GATHERED = """
    const struct sg_conv_window_dsp_s8 p = {.blank = blank, .words = C / 2, .in_h = 1, .in_w = 1, .in_c = C, .kernel_h = 2, .kernel_w = 1,
                                        .dilation_h = 1, .dilation_w = 1, .row_bytes = C};
    const struct sg_place above = {-1, 0};
    static uint32_t words[8 * C];
    sg_conv_window_pair(&p, in, above, above, words);
"""
COPIED = """
    const struct sg_conv_2d_pair_s8 p = {.depth = 2 * C, .in_h = 1, .in_w = 1, .in_c = C, .kernel_h = 1, .kernel_w = 2, .dilation_h = 1};
    sg_conv_2d_pair_s8_edge(&p, in, scratch, scratch + 4 * C, 0, -1);
"""
SEEN = """
    scratch[0] = in[0];
    const volatile int32_t at = -C;
    const int8_t *const outside = in + at;
    scratch[1] = (int8_t)(outside == scratch);
"""


def run(compiler: str, header: str, body: str, place: Path) -> subprocess.CompletedProcess[str]:
    command = host_compilers().get(compiler)
    if command is None:
        pytest.skip(f"{compiler} is not installed")
    (place / "main.c").write_text(BEFORE % header + body + AFTER)
    includes = [f"-I{folder}" for folder in sorted(p for p in KERNELS.iterdir() if p.is_dir())]
    said = run_compiler([command[0], *command[1:2], *UBSAN, *includes, "main.c", "-o", "program"], place)
    if "cannot find -l" in said or "libclang_rt" in said:
        pytest.skip(f"{compiler} has no sanitizer libraries here")
    assert said == ""
    done = subprocess.run([place / "program"], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode == NO_ROOM:
        pytest.skip("this computer lets no program have address 0x10000")
    return done


@rare
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(("header", "body"), [("conv_window_dsp_s8.h", GATHERED), ("conv_2d_pair_s8.h", COPIED)])
def test_no_pointer_is_made_before_the_image(header: str, body: str, compiler: str, tmp_path: Path) -> None:
    done = run(compiler, header, body, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_pointer_before_the_image_would_be_seen(compiler: str, tmp_path: Path) -> None:
    done = run(compiler, "sg_math.h", SEEN, tmp_path)
    assert done.returncode != 0 and "pointer" in done.stderr
