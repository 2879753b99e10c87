"""Blocks that turn a stream of samples into another: filters and decimation. They carry state from window to window."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from sandgrain.base.errors import UsageError
from sandgrain.frontend.blocks.base import Block, Stage
from sandgrain.frontend.build import Builder
from sandgrain.frontend.signal import Kind, Signal
from sandgrain.graph.ops.signal.biquad import attributes
from sandgrain.graph.ops.signal.decimate import attributes as decimation

MOST_TRIED = 1024  # samples of a window that a network is tried on as they are


class Filter(Block):
    """A Butterworth filter."""

    summary: ClassVar[str] = "high-pass, low-pass or band-pass filter (biquads)"
    kinds: ClassVar[tuple[Kind, ...]] = ("audio", "motion")
    stage: ClassVar[Stage] = "samples"

    block: Literal["filter"] = "filter"
    type: Literal["high-pass", "low-pass", "band-pass"] = Field(description="what it lets through")
    cutoff: float | tuple[float, float] = Field(description="Hz; two values for a band-pass")
    order: Literal[2, 4] = Field(2, description="of the filter, each way")

    def add(self, builder: Builder) -> None:
        edges = self.cutoff if isinstance(self.cutoff, tuple) else (self.cutoff,)
        if (len(edges) == 2) != (self.type == "band-pass"):
            raise UsageError(f"filter: a {self.type} takes {'two cutoffs' if self.type == 'band-pass' else 'one cutoff'}")
        if any(not 0 < edge < builder.rate / 2 for edge in edges) or list(edges) != sorted(set(edges)):
            raise UsageError(
                f"filter: cutoff {list(edges)} Hz; choose between 0 and {builder.rate / 2:g} Hz, half the rate, rising"
            )
        builder.add("biquad", **attributes(self.type.replace("-", ""), self.order, edges, builder.rate))


class Decimate(Block):
    """Every n-th sample, after a low-pass filter that keeps the others from folding back."""

    summary: ClassVar[str] = "lower the sampling rate by a whole factor"
    kinds: ClassVar[tuple[Kind, ...]] = ("audio", "motion")
    stage: ClassVar[Stage] = "samples"

    block: Literal["decimate"] = "decimate"
    factor: int = Field(ge=2, le=64, description="of so many samples one stays")

    def add(self, builder: Builder) -> None:
        if self.factor > builder.tensor.shape[1]:
            raise UsageError(f"decimate: a factor of {self.factor} leaves nothing of {builder.tensor.shape[1]} samples")
        builder.add("decimate", **decimation(self.factor))
        builder.rate /= self.factor


class Raw(Block):
    """The samples themselves."""

    summary: ClassVar[str] = "the samples as they are"
    kinds: ClassVar[tuple[Kind, ...]] = ("audio", "motion", "image")
    stage: ClassVar[Stage] = "window"

    block: Literal["raw"] = "raw"

    @classmethod
    def tries(cls, signal: Signal) -> tuple[Block, ...]:
        """Where the samples are few enough for a network."""
        return (cls(),) if signal.kind == "image" or signal.shape[0] <= MOST_TRIED else ()

    def add(self, builder: Builder) -> None:
        """Nothing to compute: normalization follows."""
