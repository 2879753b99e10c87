"""RAM, flash, MACs, cycles, energy: one object behind the CLI, the JSON and the budgets.

Every figure says where it comes from: "planned" (decided by the compiler), "linked" (read from the firmware's ELF),
"emulated" (counted while the firmware ran) or "estimated" (from a model named in `sources`). None: not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sandgrain.base.tables import Line, Row, Shown, Table
from sandgrain.base.text import count, duration, energy, size


@dataclass(frozen=True, slots=True, repr=False)
class LayerReport(Shown):
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

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        return asdict(self)

    def lines(self) -> list[Line]:
        return [
            f"layer {self.index}, {self.op} {self.shape}: {size(self.ram_bytes)} alive, {count(self.instructions)} instructions"
        ]

    def cells(self) -> list[str]:
        """A row of the table of layers; the batch of 1 is left out of the shape."""
        shape = "x".join(map(str, self.output_shape[1:])) or "1"
        figures = [count(self.macs), count(self.instructions), count(self.cycles), str(self.weight_bytes), str(self.ram_bytes)]
        return [str(self.index), self.op, shape, *figures]


@dataclass(frozen=True, slots=True, repr=False)
class Report(Shown):
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

    def rows(self) -> list[Row]:
        """The layers."""
        return [layer.to_json() for layer in self.layers]

    def lines(self) -> list[Line]:
        return [*self.summary(), "", self.layer_table(), *self.unnumbered(), *self.remarks()]

    def unnumbered(self) -> list[str]:
        """Why numbers of layers are missing from the table, where they are."""
        numbers = [layer.index for layer in self.layers]
        if numbers == list(range(len(numbers))):
            return []
        return [f"#: as in {self.name}_layer_{numbers[-1]} of the C; a layer without code (a reshape) has no row"]

    def remarks(self) -> list[Line]:
        """The notes, a line each."""
        return [f"note: {note}" for note in self.notes]

    def layer_table(self) -> Table:
        """What each layer costs."""
        columns = ["#", "layer", "output", "MACs", "instr.", "cycles", "weights", "RAM"]
        return Table(columns, [x.cells() for x in self.layers], (0, 3, 4, 5, 6, 7), (1, 2), "Layers")

    def summary(self) -> list[Line]:
        """The totals; every figure with where it comes from."""
        rows = [
            ["RAM", size(self.ram_bytes), "arena + static + worst-case stack" + (" + stream" if self.stream_bytes else "")],
            ["  arena", size(self.arena_bytes), "planned; inputs and outputs included"],
            ["  stack", _bytes(self.stack_bound_bytes), f"worst case from the ELF; emulated peak {_bytes(self.stack_bytes)}"],
            *([["  stream", size(self.stream_bytes), "planned; the caller owns it"]] if self.stream_bytes else []),
            ["flash", size(self.flash_bytes), "code + weights"],
            ["  code", _bytes(self.code_bytes), "linked, start-up left out"],
            ["  weights", size(self.weight_bytes), "constant tables"],
            ["MACs", count(self.macs), "per inference"],
        ]
        if self.instructions is not None:
            rows += [
                ["instructions", count(self.instructions), "emulated, exact"],
                ["cycles", count(self.cycles), f"estimated, {self._error()}"],
                ["latency", duration(self.latency_ms or 0), "estimated, at the board's clock"],
                ["energy", energy(self.energy_uj or 0), "estimated, at the board's supply"],
            ]
        if self.result_ms is not None:
            rows.insert(
                -1, ["  a result", duration(self.result_ms), f"of a running stream: a push of {self.result_samples:,} samples"]
            )
        table = Table(["", "", "where it comes from"], rows, (1,))
        return [f"{self.model} on {self.target} ({self.core}, {self.compiler})", table]

    def _error(self) -> str:
        """How far the cycles may be off, and what they are without the board's wait states."""
        if self.cycles_error is None:
            return "no wait states; not checked on this board"
        return f"+-{100 * self.cycles_error:.0f} %; {count(self.cycles_zero_wait)} without wait states"

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Report:
        """The inverse of `to_json`."""
        layers = tuple(LayerReport(**{**layer, "output_shape": tuple(layer["output_shape"])}) for layer in facts["layers"])
        return cls(**{**facts, "layers": layers, "notes": tuple(facts["notes"])})


def _bytes(value: int | None) -> str:
    return "-" if value is None else size(value)
