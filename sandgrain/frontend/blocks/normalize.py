"""The last step: features to the numbers that the model sees."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sandgrain.frontend.blocks.base import Block, Stage
from sandgrain.frontend.build import Builder
from sandgrain.frontend.signal import Kind


class Normalize(Block):
    """Mean and deviation of the training set, then int8. Added by itself where a project does not name it."""

    summary: ClassVar[str] = "subtract the training set's mean, divide by its deviation, quantize"
    kinds: ClassVar[tuple[Kind, ...]] = ("audio", "motion", "image")
    stage: ClassVar[Stage] = "window"

    block: Literal["normalize"] = "normalize"
    per: Literal["auto", "all", "column"] = Field(
        "auto", description="one mean for all features or one per column (channel); auto: all for spectra, column otherwise"
    )
    clip: float = Field(4.0, gt=0.5, le=64, description="int8 reaches from minus to plus this many deviations")

    def add(self, builder: Builder) -> None:
        """Nothing here: `Pipeline.graph` adds the node once mean and deviation are known."""
