"""RAM, flash, MACs, cycles, energy: one object behind the CLI, the JSON and the budgets.

Every figure says where it comes from: "planned" (decided by the compiler), "linked" (read from the firmware's ELF),
"emulated" (counted while the firmware ran) or "estimated" (from a model named in `sources`). None: not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class LayerReport:
    """One layer. `shape`: of inputs and output, as text; `output_shape`: of its first output, with the batch of 1 in front.
    `ram_bytes`: arena bytes alive while it runs.
    """

    index: int
    op: str
    name: str
    kernel: str
    shape: str
    macs: int
    weight_bytes: int
    ram_bytes: int
    instructions: int | None = None
    cycles: float | None = None
    latency_ms: float | None = None
    energy_uj: float | None = None
    instructions_min: int | None = None  # over seeded inputs; None where every input takes the same number
    instructions_mean: float | None = None
    instructions_max: int | None = None
    output_shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What one inference of one model costs on one board."""

    model: str
    name: str
    target: str
    core: str
    compiler: str
    build_id: str
    macs: int  # planned
    arena_bytes: int  # planned; inputs, outputs and scratch included
    static_bytes: int | None  # linked; writable memory of the model beside the arena
    stack_bytes: int | None  # emulated; painted peak
    stack_bound_bytes: int | None  # linked; static worst case
    ram_bytes: int  # arena + static + worst-case stack + stream
    weight_bytes: int  # planned; constant tables
    code_bytes: int | None  # linked; instructions, parameter tables and compiler helpers, without start-up code
    flash_bytes: int  # code + weights
    instructions: int | None  # emulated
    cycles: float | None  # estimated
    latency_ms: float | None  # estimated
    energy_uj: float | None  # estimated
    layers: tuple[LayerReport, ...]
    sources: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    stream_bytes: int = 0  # planned; the state of a stream: its ring of samples, its rows, its filters
    window_bytes: int = 0  # planned; a whole window in the caller's memory, which a stream does without: not part of ram_bytes
    cycles_zero_wait: float | None = None  # estimated; `cycles` before the board's wait states
    instructions_min: int | None = None  # emulated; over seeded inputs, None where every input takes the same number
    instructions_mean: float | None = None
    instructions_max: int | None = None
    result_samples: int = 0  # planned; of a stream, from one result to the next; 0 where it is not known
    result_cycles: float | None = None  # estimated; what one result of a running stream takes, where `cycles` is a whole window's
    result_ms: float | None = None  # estimated
    cycles_error: float | None = None  # share of `cycles` and `latency_ms` that they may be off by, either way; None: unknown

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        return asdict(self)

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Report:
        """The inverse of `to_json`."""
        layers = tuple(LayerReport(**{**layer, "output_shape": tuple(layer["output_shape"])}) for layer in facts["layers"])
        return cls(**{**facts, "layers": layers, "notes": tuple(facts["notes"])})
