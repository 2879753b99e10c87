"""A model's output as a number in the user's unit: fixed point, the same integers in numpy and in C (kernels/runtime/sg_number.h)."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError, printable
from sandgrain.graph.ir import Tensor
from sandgrain.graph.quantization import INT32_MAX, INT32_MIN, quantize_multiplier

MAX_PARTS = 10**6
MAX_UNIT = 40  # characters
WRITTEN = re.compile(r"(\d{1,9}),(-?\d{1,10})(?:,(.*))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Number:
    """`parts`: of the unit that the C counts in: 1000 for thousandths. `offset`: what an output of 0 stands for, in these parts.
    `unit`: for people."""

    parts: int = 1000
    offset: int = 0
    unit: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.parts <= MAX_PARTS or not INT32_MIN <= self.offset <= INT32_MAX or len(self.unit) > MAX_UNIT:
            raise UsageError(
                f"a number in parts of 1/{self.parts} from {self.offset} on: choose 1 to {MAX_PARTS} parts, an int32 offset, and a unit "
                f"of {MAX_UNIT} characters at most"
            )

    def __str__(self) -> str:
        return ",".join([str(self.parts), str(self.offset), *([self.unit] if self.unit else [])])

    @classmethod
    def parse(cls, text: str) -> Number:
        """From "1000,-250,mg/m3": parts, offset, and perhaps a unit. Raises UsageError."""
        found = WRITTEN.fullmatch(text)
        if found is None:
            raise UsageError(
                f"{printable(text, 40)} is no number's form; write PARTS,OFFSET or PARTS,OFFSET,UNIT, such as 1000,0,mg/m3"
            )
        return cls(int(found[1]), int(found[2]), found[3] or "")


def factor(out: Tensor, number: Number) -> tuple[int, int]:
    """(multiplier, shift): parts that a step of the output stands for, as multiplier / 2^shift. Raises UsageError for an output that is none."""
    if out.dtype != "int32" or out.size != 1 or out.quant is None or any(out.quant.zero_point):
        raise UsageError(f"a number from an output {out.dtype} {list(out.shape)}; it goes with one int32 with a scale")
    multiplier, exponent = quantize_multiplier(out.scale * number.parts)
    if not 0 < 31 - exponent <= 62 or not multiplier:
        raise UsageError(f"an output in steps of {out.scale:g} does not go with 1/{number.parts} of the unit; choose other parts")
    return multiplier, 31 - exponent


def in_parts(sums: Array, out: Tensor, number: Number) -> Array:
    """int32 [n]: outputs as numbers, in parts of the unit: rounded, halves up, and saturated."""
    multiplier, shift = factor(out, number)
    scaled = (sums.reshape(-1).astype(np.int64) * multiplier + (1 << (shift - 1))) >> shift
    found: Array = np.clip(scaled + number.offset, INT32_MIN, INT32_MAX).astype(np.int32)
    return found
