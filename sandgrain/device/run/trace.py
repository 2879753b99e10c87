"""What one inference on an emulated core did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sandgrain.device.cost import Cost

GUARD = 64  # bytes at the far end of the stack that must keep what was put there


@dataclass(frozen=True, slots=True)
class Trace:
    """One inference on an emulated core. Instruction counts are exact, cycles estimated by the core's table."""

    outputs: list[bytes]  # the output tensors' bytes, in order
    layers: dict[int, Cost]  # by layer number
    overhead: Cost  # what ran between the layers: the top-level function, copies of inputs
    functions: dict[str, Cost]  # by function, helpers apart from their callers
    stack_bytes: int | None  # deepest use of the stack, painted; None when it was not measured

    @property
    def instructions(self) -> int:
        """Executed instructions from the entry of sg_infer to its return."""
        return self.overhead.instructions + sum(cost.instructions for cost in self.layers.values())

    @property
    def cycles(self) -> float:
        """Estimated cycles, memory without wait states."""
        return self.overhead.cycles + sum(cost.cycles for cost in self.layers.values())

    @property
    def opcodes(self) -> Counter[str]:
        """Executed instructions by mnemonic."""
        return sum((cost.opcodes for cost in self.layers.values()), Counter(self.overhead.opcodes))


@dataclass(frozen=True, slots=True)
class Slot:
    """An input or output buffer in the device's memory."""

    address: int
    size: int = field(default=0)
