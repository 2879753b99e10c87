"""Firmware on an emulated core: right answers, exact counts, and faults that say where."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
import unicorn

from sandgrain.base.errors import RunError, UsageError
from sandgrain.device import targets
from sandgrain.device.run.unicorn_core import Emulator
from tests.support import toy_firmware
from tests.support.draws import rare

SAMPLES = np.random.default_rng(7).integers(-128, 128, (3, 64)).astype(np.int8)
EVERY_BUILD = [(core, compiler) for core in toy_firmware.EMULATED for compiler in toy_firmware.compilers(core)]


def emulator(target: str, compiler: str = "zig", **options: Any) -> Emulator:
    return Emulator(toy_firmware.toy(target, compiler), targets.load(target), **options)


@rare
@pytest.mark.parametrize(("core", "compiler"), EVERY_BUILD)
def test_the_core_computes_what_the_source_says(core: str, compiler: str) -> None:
    core_ = emulator(core, compiler)
    for x in SAMPLES:
        expected = [toy_firmware.toy_reference(x)]
        assert core_.infer([x]) == expected
        assert core_.profile([x]).outputs == expected
        assert core_.infer([x.tobytes()]) == expected


def _boards() -> list[Any]:
    """Every board that Unicorn runs; one of each core in the quick tests, for the others only differ in where memory is."""
    seen: set[str] = set()
    found = []
    for board in map(targets.load, targets.boards()):
        if board.core.emulator == "unicorn":
            found.append(pytest.param(board.name, marks=[pytest.mark.slow] if board.core.name in seen else []))
            seen.add(board.core.name)
    return found


@pytest.mark.parametrize("board", _boards())
def test_every_board_boots(board: str) -> None:
    assert emulator(board).infer([SAMPLES[0]]) == [toy_firmware.toy_reference(SAMPLES[0])]


@rare
@pytest.mark.parametrize(("core", "compiler"), EVERY_BUILD)
def test_instruction_counts_are_exact(core: str, compiler: str) -> None:
    """Against a hook on every instruction. That hook leaves out what an IT block skips, which the core does issue."""
    emulated = emulator(core, compiler)
    counted = emulated.profile([SAMPLES[0]])
    seen: Counter[int] = Counter()
    emulated._uc.hook_add(unicorn.UC_HOOK_CODE, lambda core, address, size, data: seen.update([address]))
    emulated._uc.ctl_flush_tb()
    emulated.infer([SAMPLES[0]])
    issued = emulated._counter
    assert issued is not None
    blocks: Counter[int] = Counter()
    for edge in issued.edges():
        for instruction in emulated._decoder.block(*edge.block):
            blocks[instruction.address] += edge.times
    assert blocks.total() == counted.instructions
    for address, times in blocks.items():
        if emulated._decoder.at(address).conditional:
            assert seen[address] <= times
        else:
            assert seen[address] == times
    assert set(seen) <= set(blocks)
    assert sum(counted.opcodes.values()) == counted.instructions
    assert sum(cost.instructions for cost in counted.functions.values()) == counted.instructions
    assert sum(cost.cycles for cost in counted.functions.values()) == pytest.approx(counted.cycles)


def test_helpers_count_for_the_layer_that_calls_them() -> None:
    trace = emulator("cortex-m0plus").profile([SAMPLES[0]])
    assert set(trace.layers) == {0, 1}
    assert trace.functions["toy_layer_1"].instructions < trace.layers[1].instructions
    assert trace.functions["toy_layer_0"].instructions == trace.layers[0].instructions
    assert 0 < trace.overhead.instructions < 60


def test_profiling_twice_counts_the_same() -> None:
    core = emulator("cortex-m4")
    assert core.profile([SAMPLES[0]]) == core.profile([SAMPLES[0]])
    core.trace([SAMPLES[0]], {0: []})
    first = core.profile([SAMPLES[0]])
    core.infer([SAMPLES[1]])
    assert first == core.profile([SAMPLES[0]])


@pytest.mark.parametrize("core", toy_firmware.EMULATED)
def test_memory_can_be_read_after_a_layer(core: str) -> None:
    core_ = emulator(core)
    arena = core_.address("toy_arena")
    found = core_.trace([SAMPLES[0]], {0: [(arena, 128), (core_.outputs[0].address, 1)], 1: [(core_.outputs[0].address, 64)]})
    x = SAMPLES[0].astype(int)
    sums = 100 + sum(np.roll(x, -k) * w for k, w in enumerate((1, -2, 3, -4, 5, -6, 7, -8)))
    assert np.array_equal(np.frombuffer(found[0][0], "<i2"), np.where(sums & 1, sums + 3, sums))
    assert found[1][0] == toy_firmware.toy_reference(SAMPLES[0])
    assert core_.infer([SAMPLES[1]]) == [toy_firmware.toy_reference(SAMPLES[1])]


def test_a_sample_of_the_wrong_size_is_refused() -> None:
    core = emulator("cortex-m4")
    with pytest.raises(UsageError, match="input 0 has 63 bytes, the model takes 64"):
        core.infer([bytes(63)])
    with pytest.raises(UsageError, match="the model has 1 inputs, the sample 2"):
        core.infer([bytes(64), bytes(64)])
    with pytest.raises(UsageError, match="no layer 9"):
        core.trace([bytes(64)], {9: []})


LAYER = "__attribute__((noinline)) void m_layer_3(void);\n__attribute__((noinline)) int helper(volatile int *p);\n"
HELPER = "int helper(volatile int *p) { return *p = *p + 1; }\nvoid m_layer_3(void) { helper((volatile int *)ADDRESS); }\n"


@rare
@pytest.mark.parametrize("core", toy_firmware.EMULATED)
@pytest.mark.parametrize("where", ["past the RAM", "flash", "null"])
def test_a_stray_access_names_function_layer_and_address(core: str, where: str) -> None:
    board = targets.load(core)
    address = {"past the RAM": board.ram_base + board.ram_bytes, "flash": board.flash_base + 64, "null": 0}[where]
    before = LAYER + HELPER.replace("ADDRESS", hex(address))
    path = toy_firmware.program(core, "m_layer_3(); return 0;", before=before)
    with pytest.raises(RunError, match=rf"helper.*|m_layer_3.*{address:#010x}") as caught:
        Emulator(path, board).infer([])
    message = str(caught.value)
    assert f"{address:#010x}" in message and re.search(r"\(layer 3\)|m_layer_3", message), message
    assert ("write to" in message) == (where == "flash")


@rare
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4", "rv32imc"])
def test_ram_that_ends_inside_a_page_ends_there(core: str) -> None:
    board = dataclasses.replace(targets.load(core), ram_bytes=0x10200)
    end = board.ram_base + board.ram_bytes
    for address, outside in ((end - 0x400, False), (end, True), (end + 0x800, True)):
        before = LAYER + HELPER.replace("ADDRESS", hex(address))
        core_ = Emulator(toy_firmware.program(board, "m_layer_3(); return 0;", before=before), board)
        if outside:
            with pytest.raises(RunError, match=rf"read of {address:#010x}, which is outside the memory"):
                core_.infer([])
        else:
            assert core_.infer([]) == []


@pytest.mark.parametrize(
    ("instruction", "missing"),
    [
        ("sdiv r0, r0, r1", {"cortex-m0plus"}),
        ("movw r0, #1234", {"cortex-m0plus"}),
        ("uxtab16 r0, r0, r1", {"cortex-m0plus", "cortex-m3"}),
        ("vadd.f32 s0, s1, s2", {"cortex-m0plus", "cortex-m3"}),
    ],
)
@pytest.mark.parametrize("core", [name for name in toy_firmware.EMULATED if name.startswith("cortex")])
def test_an_instruction_that_the_core_lacks_stops_the_run(core: str, instruction: str, missing: set[str]) -> None:
    # Thumb-1 startup code, so that every core gets as far as the instruction; its bytes come from the Cortex-M4's assembler.
    words = {"sdiv": "0xf0f1fb90", "movw": "0x40d2f240", "uxta": "0xf081fa30", "vadd": "0x0a81ee30"}[instruction[:4]]
    path = toy_firmware.program("cortex-m0plus", f'__asm volatile(".word {words}" ::: "r0"); return 0;', before="/* aligned */")
    emulated = Emulator(path, targets.load(core))
    if core in missing:
        with pytest.raises(RunError, match=f"sg_infer.*{core} cannot execute this instruction"):
            emulated.infer([])
    else:
        emulated.infer([])


def test_a_loop_without_end_is_stopped() -> None:
    path = toy_firmware.program("cortex-m4", "for (;;) { x++; }", before="extern volatile int x; volatile int x;")
    with pytest.raises(RunError, match=r"not reached in 0.2 s, the core is at sg_infer"):
        Emulator(path, targets.load("cortex-m4"), timeout_s=0.2).infer([])


def test_a_status_of_the_model_is_an_error() -> None:
    with pytest.raises(RunError, match="sg_infer returned -3"):
        Emulator(toy_firmware.program("cortex-m4", "return -3;"), targets.load("cortex-m4")).infer([])


def test_a_stack_that_runs_into_static_memory_is_an_error() -> None:
    board = targets.load("microbit-v2")
    before = "__attribute__((noinline)) int deep(int n);\nint deep(int n) { volatile char a[3000]; for (int i = 0; i < 3000; ++i) a[i] = 1; return a[n] - 1; }"
    size = board.ram_bytes - 2048
    path = toy_firmware.program(
        "microbit-v2",
        "fill[5] = 1; return deep(5);",
        before=f"extern volatile char fill[]; volatile char fill[{size}];\n" + before,
    )
    with pytest.raises(RunError, match="the stack ran into static memory"):
        Emulator(path, board).infer([])


def test_firmware_for_another_board_is_refused() -> None:
    with pytest.raises(RunError, match="build it for this board"):
        Emulator(toy_firmware.toy("microbit-v2"), targets.load("nucleo-l4r5zi"))
    with pytest.raises(RunError, match="another kind of core"):
        Emulator(toy_firmware.toy("rv32imc"), targets.load("cortex-m4"))
    with pytest.raises(UsageError, match="does not run in Unicorn"):
        Emulator(toy_firmware.toy("cortex-m55"), targets.load("cortex-m55"))
