"""`sandgrain.ops`: the operators that can be compiled."""

from __future__ import annotations

from dataclasses import dataclass

from sandgrain.graph.ops import OPS


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator of the graph: its names in .tflite files (none where the format has no such operator) and its kernels."""

    op: str
    tflite: tuple[str, ...]
    kernels: tuple[str, ...]
    summary: str


def ops() -> tuple[Operator, ...]:
    """Every operator that can be compiled, by name."""
    return tuple(
        Operator(op.name, tuple(f.name for f in op.foreign), tuple(k.name for k in op.kernels), op.summary) for op in OPS.values()
    )
