"""Cycles and energy follow from what ran and from the core's table."""

from __future__ import annotations

import re

import pytest

from sandgrain.device import targets
from sandgrain.device.cost import Decoder, Edge, Image, count, energy_uj, milliseconds
from sandgrain.device.cost.cycles import OVERHEAD, instruction_cycles
from tests.support import toy_firmware

TABLE = {"alu": 1, "load": 2, "load_next": 1, "store": 1, "branch": 1, "branch_taken": 3, "call": 3, "div": 7}


def _decoder(core: str, assembly: str) -> tuple[Decoder, int, int]:
    """A decoder and the (address, bytes) of a block with these instructions."""
    before = f'__attribute__((naked, noinline, used)) void block(void) {{ __asm volatile("{assembly}"); }}\nvoid block(void);'
    image = Image(toy_firmware.program(core, "block(); return 0;", before=before))
    function = image.function("block")
    assert function is not None
    return Decoder(image, targets.load_core(core).features), function.address, function.size


def _one_line(*instructions: str) -> str:
    return "\\n\\t".join(instructions)


@pytest.mark.parametrize(
    ("assembly", "kinds"),
    [
        ("ldr r0, [r1]; ldrb r2, [r3, #1]; str r0, [r1]; bx lr", "load load store branch"),
        ("muls r0, r1, r0; smull r0, r1, r2, r3; smlad r0, r1, r2, r3; sdiv r0, r1, r2; bx lr", "mul mul_long alu div branch"),
        ("ldm r0!, {r1, r2, r3}; strd r0, r1, [r2]; push {r4, lr}; pop {r4, pc}", "multiple multiple multiple multiple"),
        (
            "vldr s0, [r0]; vmla.f32 s0, s1, s2; vadd.f32 s0, s1, s2; vdiv.f32 s0, s1, s2; bx lr",
            "fpu_load fpu_mla fpu fpu_div branch",
        ),
        ("it eq; addeq r0, r0, #1; cbz r0, 1f; nop; 1: bl block; bx lr", "it alu branch alu call branch"),
    ],
)
def test_instructions_have_classes(assembly: str, kinds: str) -> None:
    decoder, address, size = _decoder("cortex-m4", _one_line(*re.split("; ", assembly)))
    assert [i.kind for i in decoder.block(address, size)] == kinds.split()


def test_registers_of_a_multiple_are_counted() -> None:
    decoder, address, size = _decoder(
        "cortex-m4", _one_line("push {r4-r7, lr}", "ldrd r0, r1, [r2]", "vpush {d8-d9}", "pop {r4-r7, pc}")
    )
    assert [i.registers for i in decoder.block(address, size)] == [5, 2, 4, 5]


def test_riscv_instructions_have_classes() -> None:
    lines = ("lw a0, 0(a1)", "sb a0, 1(a1)", "mul a0, a0, a1", "mulhsu a0, a0, a1", "remu a0, a0, a1", "addi a0, a0, 1", "ret")
    decoder, address, size = _decoder("rv32imc", _one_line(*lines))
    assert [i.kind for i in decoder.block(address, size)] == ["load", "store", "mul", "mul_long", "div", "alu", "branch"]


def test_a_load_behind_a_load_is_pipelined() -> None:
    decoder, address, size = _decoder(
        "cortex-m4", _one_line("ldr r0, [r1]", "ldr r2, [r1, #4]", "adds r0, r0, r2", "ldr r3, [r1]", "bx lr")
    )
    block = decoder.block(address, size)
    assert [instruction_cycles(i, b, TABLE) for i, b in zip(block, [None, *block], strict=False)] == [2, 1, 1, 2, 3]


def test_a_branch_costs_by_where_it_went() -> None:
    decoder, address, _ = _decoder("cortex-m4", _one_line("1: subs r0, r0, #1", "bne 1b", "bx lr"))
    loop, rest = (address, 4), (address + 4, 2)
    edges = [Edge(0, (0, 0), loop, 1), Edge(0, loop, loop, 9), Edge(0, loop, rest, 1)]
    by_layer, by_function = count(decoder, edges, TABLE)
    assert by_layer[0].instructions == by_function["block"].instructions == 21
    assert by_layer[0].cycles == 10 * 1 + 9 * 3 + 1 + 3
    assert by_layer[0].opcodes == {"sub": 10, "b": 10, "bx": 1}


def test_layers_and_functions_both_add_up() -> None:
    decoder, address, _ = _decoder("cortex-m4", _one_line("nop", "nop", "bx lr"))
    edges = [Edge(OVERHEAD, (0, 0), (address, 4), 2), Edge(3, (0, 0), (address, 4), 5)]
    by_layer, by_function = count(decoder, edges, TABLE)
    assert {layer: cost.instructions for layer, cost in by_layer.items()} == {OVERHEAD: 4, 3: 10}
    assert by_function["block"].instructions == 14


def test_energy_is_time_times_power() -> None:
    assert milliseconds(64_000_000, 64_000_000) == 1000
    # A second at 3.3 V and 10 mA is 33 mJ.
    assert energy_uj(64_000_000, 64_000_000, 3.3, 10.0) == pytest.approx(33_000)
