"""The block that measures a recording against itself: against its first seconds, or those just before each sample."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field

from sandgrain.base.errors import UsageError
from sandgrain.frontend.blocks.base import Block, Stage
from sandgrain.frontend.build import Builder
from sandgrain.frontend.signal import Kind
from sandgrain.graph.ops.signal.moments import MAX_SAMPLES
from sandgrain.graph.ops.signal.settle import REACH


class Settle(Block):
    """Each channel less its own mean, over its own deviation.

    The window that a model sees begins behind `seconds` of the recording (the lead), which the C takes in front of the first window.
    """

    summary: ClassVar[str] = "measure each channel against a recording's first seconds, or those just before"
    kinds: ClassVar[tuple[Kind, ...]] = ("audio", "motion")
    stage: ClassVar[Stage] = "samples"

    block: Literal["settle"] = "settle"
    seconds: float = Field(gt=0, le=1e7, description="whose mean and deviation are taken; no window begins before they are over")
    of: Literal["start", "group", "before"] = Field(
        "start",
        description="start: the first seconds of each recording; group: those of the first recording of its group, such as a person; "
        "before: the seconds just before each sample, which are kept in RAM",
    )
    divide: bool = Field(True, description="by the deviation; without it, the mean alone is taken off, in the signal's own unit")

    def lead(self, rate: float) -> int:
        """Samples that come in front of a window, at `rate` Hz. Raises UsageError where they are none or too many."""
        count = round(self.seconds * rate)
        if not 1 <= count <= MAX_SAMPLES:
            raise UsageError(
                f"settle: {self.seconds:g} s are {count} samples at {rate:g} Hz; choose up to {MAX_SAMPLES / rate:.4g} s, one sample at least"
            )
        return count

    def add(self, builder: Builder) -> None:
        lead = self.lead(builder.rate)
        builder.lead(lead)
        builder.add("settle", lead=lead, follows=self.of == "before", scaled=self.divide)
        if self.divide:
            builder.channels = [replace(c, unit="deviations", full_scale=float(REACH)) for c in builder.channels]
