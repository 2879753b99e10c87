"""Blocks that turn a stream of samples into another: filters, decimation, differences, magnitudes. They carry state from window to window."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

from pydantic import Field

from sandgrain.base.errors import UsageError
from sandgrain.base.text import plain
from sandgrain.frontend.blocks.base import Block, Stage
from sandgrain.frontend.build import Builder
from sandgrain.frontend.signal import Kind, Signal
from sandgrain.graph.ops.signal.biquad import attributes
from sandgrain.graph.ops.signal.decimate import attributes as decimation
from sandgrain.graph.ops.signal.difference import WHOLE
from sandgrain.graph.ops.signal.vector_length import MAX_MEASURED

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


class PreEmphasis(Block):
    """The usual first step of speech features: what is high becomes louder."""

    summary: ClassVar[str] = "each sample less a part of the one before, as speech models like it"
    kinds: ClassVar[tuple[Kind, ...]] = ("audio", "motion")
    stage: ClassVar[Stage] = "samples"

    block: Literal["pre-emphasis"] = "pre-emphasis"
    coefficient: float = Field(0.97, gt=0, le=1, description="of the sample before, which is 0 before the first")
    headroom: bool = Field(
        False, description="halve the samples, so that even the loudest signal does not saturate; quiet ones lose a bit"
    )

    def add(self, builder: Builder) -> None:
        builder.add("difference", coefficient=round(self.coefficient * WHOLE), held=False, shift=int(self.headroom))


class Differences(Block):
    """How fast a signal changes."""

    summary: ClassVar[str] = "each sample less the one before, per channel"
    kinds: ClassVar[tuple[Kind, ...]] = ("audio", "motion")
    stage: ClassVar[Stage] = "samples"

    block: Literal["difference"] = "difference"

    def add(self, builder: Builder) -> None:
        builder.add("difference", coefficient=WHOLE, held=True, shift=0)


class Magnitude(Block):
    """What a sensor of several axes says whichever way it is turned."""

    summary: ClassVar[str] = "Euclidean length of some channels, beside the channels or in their place"
    kinds: ClassVar[tuple[Kind, ...]] = ("audio", "motion")
    stage: ClassVar[Stage] = "samples"

    block: Literal["magnitude"] = "magnitude"
    channels: tuple[int | str, ...] = Field(
        (), max_length=16, description="their names or numbers, from 0 on; by default all of them"
    )
    keep: bool = Field(False, description="keep them; the magnitude comes behind the channels that stay")

    def add(self, builder: Builder) -> None:
        chosen = self._numbers([c.name for c in builder.channels])
        kinds = {(c.unit, c.full_scale) for c in (builder.channels[k] for k in chosen)}
        if len(kinds) > 1:
            units = " and ".join(sorted(plain(f"{scale:g} {unit}".strip(), 20) for unit, scale in kinds)[:4])
            raise UsageError(f"magnitude: channels whose full scales are {units}; name those that are alike in `channels`")
        if len(chosen) > MAX_MEASURED:
            raise UsageError(f"magnitude: of {len(chosen)} channels; name {MAX_MEASURED} at most in `channels`")
        builder.add("vector_length", channels=chosen, keep=self.keep)
        length = dataclasses.replace(builder.channels[chosen[0]], name="magnitude")
        builder.channels = [c for k, c in enumerate(builder.channels) if self.keep or k not in chosen] + [length]

    def _numbers(self, names: list[str]) -> tuple[int, ...]:
        """The channels by number. Raises UsageError for one that is not there, or there twice."""
        asked = self.channels or tuple(range(len(names)))
        found = [names.index(c) if isinstance(c, str) and names.count(c) == 1 else c for c in asked]
        numbers = tuple(c for c in found if isinstance(c, int) and 0 <= c < len(names))
        if len(numbers) != len(asked) or len(set(numbers)) != len(numbers):
            known = ", ".join(plain(f"{c} {name}".strip(), 20) for c, name in enumerate(names[:12]))
            raise UsageError(f"magnitude: channels {plain(str(list(asked)), 80)}; name each once, of {known}")
        return numbers


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
