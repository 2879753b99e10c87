"""Firmware in QEMU, for the core that Unicorn does not have: the same answers, counts that add up, faults that say where."""

from __future__ import annotations

import numpy as np
import pytest

from sandgrain.base.errors import RunError, UsageError
from sandgrain.device import targets
from sandgrain.device.cost import Decoder, Image, stack_bound
from sandgrain.device.run import qemu
from sandgrain.device.run.qemu import QemuEmulator
from tests.support import toy_firmware
from tests.support.draws import rare

SAMPLES = np.random.default_rng(7).integers(-128, 128, (3, 64)).astype(np.int8)
HELIUM = """
#include <arm_mve.h>
extern int8_t data[64]; int8_t data[64]; extern volatile int32_t sum; volatile int32_t sum;
"""
HELIUM_BODY = """
    for (int32_t i = 0; i < 64; i += 16) {
        const int8x16_t x = vldrbq_s8(data + i);
        sum = vmladavaq_s8(sum, x, vaddq_n_s8(x, 1));
        vstrbq_s8(data + i, vqaddq_s8(x, x));
    }
    return 0;
"""

needs_qemu = pytest.mark.skipif(not qemu.available(), reason="qemu-system-arm is not installed")
EVERY_BUILD = [(board, compiler) for board in ("corstone-300", "cortex-m55") for compiler in toy_firmware.compilers(board)]


@rare
@needs_qemu
@pytest.mark.parametrize(("board", "compiler"), EVERY_BUILD)
def test_the_core_computes_what_the_source_says(board: str, compiler: str) -> None:
    core = QemuEmulator(toy_firmware.toy(board, compiler), targets.load(board))
    expected = [[toy_firmware.toy_reference(x)] for x in SAMPLES]
    assert core.infer_all([[x] for x in SAMPLES]) == expected
    assert core.infer([SAMPLES[1].tobytes()]) == expected[1]
    trace = core.profile([SAMPLES[0]])
    assert trace.outputs == expected[0]
    assert set(trace.layers) == {0, 1} and 0 < trace.overhead.instructions < 60
    assert sum(cost.instructions for cost in trace.functions.values()) == trace.instructions == trace.opcodes.total()
    bound = stack_bound(core.image, features=core.board.core.features)
    assert trace.stack_bytes is not None and 0 < trace.stack_bytes <= bound.bytes


@needs_qemu
def test_memory_can_be_read_after_a_layer() -> None:
    core = QemuEmulator(toy_firmware.toy("cortex-m55"), targets.load("cortex-m55"))
    arena, output = core.image.symbols["toy_arena"], core.outputs[0].address
    found = core.trace([SAMPLES[0]], {0: [(arena, 128), (output, 64)], 1: [(output, 64)]})
    x = SAMPLES[0].astype(int)
    sums = 100 + sum(np.roll(x, -k) * w for k, w in enumerate((1, -2, 3, -4, 5, -6, 7, -8)))
    assert np.array_equal(np.frombuffer(found[0][0], "<i2"), np.where(sums & 1, sums + 3, sums))
    assert found[0][1] == bytes(64)
    assert found[1] == [toy_firmware.toy_reference(SAMPLES[0])]
    with pytest.raises(UsageError, match="no layer 9"):
        core.trace([SAMPLES[0]], {9: []})


@rare
@needs_qemu
def test_instructions_grow_by_a_round_of_the_loop() -> None:
    board = targets.load("cortex-m55")
    one, two, three = (
        QemuEmulator(toy_firmware.toy("cortex-m55", rounds=n), board).profile([SAMPLES[0]]).layers[0].instructions
        for n in (101, 102, 103)
    )
    assert two - one == three - two > 64 * 8


def test_helium_is_decoded_as_vector_instructions() -> None:
    image = Image(toy_firmware.program("cortex-m55", HELIUM_BODY, before=HELIUM))
    function = image.function("sg_infer")
    assert function is not None
    kinds = [i.kind for i in Decoder(image, targets.load_core("cortex-m55").features).function(function)]
    assert {"mve", "mve_load", "mve_store"} <= set(kinds)


@needs_qemu
def test_helium_runs() -> None:
    trace = QemuEmulator(toy_firmware.program("cortex-m55", HELIUM_BODY, before=HELIUM), targets.load("cortex-m55")).profile([])
    assert trace.opcodes["vldr.q"] == 4 and trace.opcodes["vstr.q"] == 4


@needs_qemu
def test_a_fault_names_the_function() -> None:
    path = toy_firmware.program("cortex-m55", "return *(volatile int *)0x08000000;")
    with pytest.raises(RunError, match=r"sg_infer.*0x08000000"):
        QemuEmulator(path, targets.load("cortex-m55")).infer([])


@needs_qemu
def test_a_status_of_the_model_is_an_error() -> None:
    with pytest.raises(RunError, match="sg_infer returned -3"):
        QemuEmulator(toy_firmware.program("cortex-m55", "return -3;"), targets.load("cortex-m55")).infer([])


@rare
@needs_qemu
def test_a_loop_without_end_is_stopped() -> None:
    path = toy_firmware.program("cortex-m55", "for (;;) { x++; }", before="extern volatile int x; volatile int x;")
    with pytest.raises(RunError, match="did not end in 1 s"):
        QemuEmulator(path, targets.load("cortex-m55"), timeout_s=1).infer([])


def test_a_missing_qemu_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    path = toy_firmware.toy("cortex-m55")
    monkeypatch.setattr(qemu.shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match="qemu-system-arm, which is not installed"):
        QemuEmulator(path, targets.load("cortex-m55"))
