"""The last step: features to the numbers that the model sees."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sandgrain.base.errors import UsageError
from sandgrain.frontend.blocks.base import Block, Stage
from sandgrain.frontend.build import Builder
from sandgrain.frontend.signal import Kind


class Normalize(Block):
    """Mean and deviation of the training set, then int8. Added by itself where a project does not name it.

    With `scale`, nothing is learned: value * scale + offset, as a model that was trained elsewhere wants it.
    """

    summary: ClassVar[str] = (
        "subtract the training set's mean, divide by its deviation, quantize; or a fixed scale, offset and range"
    )
    kinds: ClassVar[tuple[Kind, ...]] = ("audio", "motion", "image")
    stage: ClassVar[Stage] = "window"

    block: Literal["normalize"] = "normalize"
    per: Literal["auto", "all", "column"] = Field(
        "auto", description="one mean for all features or one per column (channel); auto: all for spectra, column otherwise"
    )
    clip: float = Field(4.0, gt=0.5, le=64, description="int8 reaches from minus to plus this many deviations")
    scale: float | None = Field(
        None, gt=1e-20, lt=1e20, description="a fixed factor of the block's values; nothing is then learned"
    )
    offset: float = Field(0.0, gt=-1e20, lt=1e20, description="added after `scale`")
    low: float | None = Field(None, gt=-1e20, lt=1e20, description="with `scale`: what is lower becomes this")
    high: float | None = Field(None, gt=-1e20, lt=1e20, description="with `scale`: what is higher becomes this")

    def add(self, builder: Builder) -> None:
        """Nothing here: `Pipeline.graph` adds the node once mean and deviation are known."""
        learned, fixed = ("per", "clip"), ("offset", "low", "high")
        for name in learned if self.scale is not None else fixed:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise UsageError(
                    f"normalize: `{name}` {'does not go with' if name in learned else 'needs'} `scale`; leave it out"
                )
        if (self.low is None) != (self.high is None):
            raise UsageError("normalize: `low` and `high` go together; give both or none")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise UsageError(f"normalize: a range from {self.low:g} to {self.high:g}; low < high")
