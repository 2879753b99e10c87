"""Executed instructions and estimated cycles, from how often each block followed each other block."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sandgrain.device.cost.decode import Decoder, Instruction

OVERHEAD = -1  # the "layer" of what runs between layers


@dataclass(frozen=True, slots=True)
class Edge:
    """A block ran `times` times right after another, while `layer` was running. Blocks are (address, bytes)."""

    layer: int
    previous: tuple[int, int]  # (0, 0) at the start
    block: tuple[int, int]
    times: int


@dataclass(slots=True)
class Cost:
    """Instructions are exact counts, cycles an estimate by the core's table."""

    instructions: int = 0
    cycles: float = 0.0
    opcodes: Counter[str] = field(default_factory=Counter)  # executed instructions by mnemonic


def count(decoder: Decoder, edges: Iterable[Edge], table: Mapping[str, float]) -> tuple[dict[int, Cost], dict[str, Cost]]:
    """What ran, by layer (OVERHEAD for what is between layers) and by function.

    `table`: cycles by instruction class. A load or store right behind another
    in its block costs `load_next` where it would cost more. A conditional branch costs `branch_taken` or `branch` by
    what followed it; blocks begin with empty pipelines.
    """
    by_layer: dict[int, Cost] = {}
    by_function: dict[str, Cost] = {}
    edges = tuple(edges)
    blocks = {block: _Block(decoder, *block, table) for block in {edge.block for edge in edges}}
    for edge in edges:
        block = blocks[edge.block]
        penalty = blocks[edge.previous].leave(edge.block[0], table) if edge.previous in blocks else 0.0
        for cost in (by_layer.setdefault(edge.layer, Cost()), by_function.setdefault(block.function, Cost())):
            cost.instructions += edge.times * len(block.instructions)
            cost.cycles += edge.times * (block.cycles + penalty)
            for name, times in block.opcodes.items():
                cost.opcodes[name] += edge.times * times
    return by_layer, by_function


def instruction_cycles(instruction: Instruction, before: Instruction | None, table: Mapping[str, float]) -> float:
    """Cycles of one instruction; a branch that is not always taken costs nothing here (see `_Block.leave`).

    `table` has every class that the core can execute: loading a core checks that (`sandgrain.device.targets.cycle_classes`).
    """
    kind = instruction.kind
    if kind in ("load", "store") and before is not None and before.kind in ("load", "store"):
        cost = min(table["load_next"], table[kind])
    elif kind == "multiple":
        cost = table["multiple"] + instruction.registers * table["multiple_register"]
    elif kind in ("branch", "loop_end"):
        return 0.0 if instruction.conditional else table["branch_taken"]
    else:
        cost = table[kind]
    leaves = instruction.flow in ("return", "indirect", "jump")
    return cost + (table["branch_taken"] - table["branch"] if leaves else 0.0)


class _Block:
    """One block, decoded: its instructions, and the cycles that do not depend on where it goes next."""

    def __init__(self, decoder: Decoder, address: int, size: int, table: Mapping[str, float]) -> None:
        self.instructions = decoder.block(address, size)
        self.end = address + size
        function = decoder.image.function_at(address)
        self.function = function.name if function else f"{address:#010x}"
        self.opcodes = Counter(i.mnemonic for i in self.instructions)
        before: list[Instruction | None] = [None, *self.instructions]
        self.cycles = sum(instruction_cycles(i, b, table) for i, b in zip(self.instructions, before, strict=False))

    def leave(self, to: int, table: Mapping[str, float]) -> float:
        """Cycles of the conditional branch at the end, given that the block at `to` ran next."""
        last = self.instructions[-1]
        if last.kind not in ("branch", "loop_end") or not last.conditional:
            return 0.0
        if last.kind == "loop_end":
            return table["loop_end"]
        return table["branch" if to == self.end else "branch_taken"]
