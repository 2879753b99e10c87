"""The stack bound is never below what was used, tight on plain code, and refuses what it cannot follow."""

from __future__ import annotations

import numpy as np
import pytest

from sandgrain.base.errors import RunError
from sandgrain.device import targets
from sandgrain.device.cost import Decoder, Image, stack_bound
from sandgrain.device.run.unicorn_core import Emulator
from tests.support import toy_firmware
from tests.support.draws import rare, turns

EVERY_BUILD = [(core, compiler) for core in toy_firmware.EMULATED for compiler in toy_firmware.compilers(core)]


@rare
@pytest.mark.parametrize(
    ("core", "compiler", "opt"), turns([(*b, opt) for b in EVERY_BUILD for opt in ("-O2", "-Os", "-O0")], same=lambda o: o[:2])
)
def test_the_bound_is_never_below_the_painted_stack(core: str, compiler: str, opt: str) -> None:
    path = toy_firmware.toy(core, compiler, opt)
    used = Emulator(path, targets.load(core)).profile([np.arange(64, dtype=np.int8)]).stack_bytes
    bound = stack_bound(Image(path), features=targets.load_core(core).features)
    assert used is not None and used <= bound.bytes <= used + 64
    assert sum(size for _, size in bound.chain) == bound.bytes
    assert bound.chain[0][0] == "sg_infer"


@rare
@pytest.mark.parametrize("core", toy_firmware.COMPILED)
def test_a_large_frame_is_followed(core: str) -> None:
    before = (
        "extern volatile int n; volatile int n;\n"
        "__attribute__((noinline)) static int deep(int i) { volatile int a[3000]; a[i] = i; a[n] = i; return a[i + n] - i; }"
    )
    for compiler in toy_firmware.compilers(core):
        path = toy_firmware.program(core, "return deep(n);", compiler, before)
        assert 12000 <= stack_bound(Image(path), features=targets.load_core(core).features).bytes <= 12100


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4", "rv32imc"])
def test_recursion_is_refused_by_name(core: str) -> None:
    before = (
        "__attribute__((noinline)) int again(volatile int n);\nint again(volatile int n) { return n < 1 ? 0 : again(n - 1) + n; }"
    )
    with pytest.raises(RunError, match="again calls itself"):
        stack_bound(Image(toy_firmware.program(core, "return again(3);", before=before)))


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4", "rv32imc"])
def test_a_call_through_a_pointer_is_refused(core: str) -> None:
    with pytest.raises(RunError, match="sg_infer: it jumps through a pointer"):
        stack_bound(
            Image(
                toy_firmware.program(
                    core, "return pointer() + 1;", before="extern int (*volatile pointer)(void); int (*volatile pointer)(void);"
                )
            )
        )


def test_a_stack_of_variable_size_is_refused() -> None:
    before = "extern volatile int n; volatile int n;\nint sink(char *p); __attribute__((noinline)) int sink(char *p) { return *(volatile char *)p; }"
    with pytest.raises(RunError, match="stack pointer"):
        stack_bound(Image(toy_firmware.program("cortex-m4", "char a[n]; return sink(a);", before=before)))


def test_an_aligned_array_costs_its_alignment() -> None:
    before = (
        "int sink(char *p); __attribute__((noinline)) int sink(char *p) { return *(volatile char *)p = 1; }\n"
        "__attribute__((noinline)) static int f(void) { __attribute__((aligned(64))) char a[64]; return sink(a); }"
    )
    path = toy_firmware.program("cortex-m4", "return f() * 0;", before=before)
    used = Emulator(path, targets.load("cortex-m4")).profile([]).stack_bytes
    assert used is not None and used <= stack_bound(Image(path)).bytes <= 64 + 3 * 64


@rare
def test_a_far_jump_inside_a_function_is_no_call() -> None:
    """On Armv6-M, compilers reach beyond 2 KiB inside a function with BL."""
    lines = "volatile_sink += x * volatile_sink; volatile_sink ^= x << 3;\n" * 200
    before = (
        "extern volatile int volatile_sink; volatile int volatile_sink;\n"
        f"__attribute__((noinline)) static int far(int x) {{ while (volatile_sink < 5) {{ if (x > volatile_sink) {{ {lines} }} x -= 7; }} return 0; }}"
    )
    for compiler in toy_firmware.compilers("cortex-m0plus"):
        image = Image(toy_firmware.program("cortex-m0plus", "return far(volatile_sink);", compiler, before))
        function = image.function("far")
        assert function is not None
        inside = [i for i in Decoder(image).function(function) if i.flow == "call"]
        assert inside, "the program is too small to show the case"
        assert 8 <= stack_bound(image).bytes <= 64
