"""Blocks that describe a whole window of a sensor by a few numbers."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from sandgrain.base.errors import UsageError
from sandgrain.frontend.blocks.audio import Fft
from sandgrain.frontend.blocks.base import Block, Stage, fft_size, samples_of
from sandgrain.frontend.build import Builder
from sandgrain.frontend.signal import Kind, Signal
from sandgrain.graph.ops.signal import beats
from sandgrain.graph.ops.signal.correlation import MAX_CHANNELS
from sandgrain.graph.ops.signal.vibration import attributes

LEAST = 16  # samples of a window from which on a spectrum or a distribution is tried
Statistic = Literal[
    "mean",
    "std",
    "rms",
    "min",
    "max",
    "range",
    "mean_abs",
    "mean_step",
    "median",
    "skewness",
    "kurtosis",
    "crest",
    "zero_crossings",
    "mean_crossings",
]


def _paired(block: Statistics | Vibration, builder: Builder) -> dict[str, Any]:
    """What asks for the correlations. Raises UsageError where a signal has too few or too many channels."""
    channels = builder.tensor.shape[2]
    if block.correlation and not 2 <= channels <= MAX_CHANNELS:
        raise UsageError(f"{block.name()}: `correlation` of {channels} channels; it takes 2 to {MAX_CHANNELS}")
    return {"correlation": True} if block.correlation else {}


class Statistics(Block):
    """Numbers that say how a window's samples are distributed."""

    summary: ClassVar[str] = "mean, deviation, extremes and moments of a window, per channel"
    kinds: ClassVar[tuple[Kind, ...]] = ("audio", "motion")
    stage: ClassVar[Stage] = "window"

    block: Literal["statistics"] = "statistics"
    which: tuple[Statistic, ...] = Field(
        ("mean", "std", "min", "max", "skewness", "kurtosis", "zero_crossings"),
        min_length=1,
        description="which of them, in order",
    )
    correlation: bool = Field(False, description="also the correlation of each pair of channels")

    @classmethod
    def tries(cls, signal: Signal) -> tuple[Block, ...]:
        """For sensors whose windows have something to count."""
        return (cls(),) if signal.kind == "motion" and signal.shape[0] >= LEAST else ()

    def add(self, builder: Builder) -> None:
        if len(set(self.which)) != len(self.which):
            raise UsageError("statistics: `which` names one twice; name each once")
        builder.add("statistics", which=self.which, **_paired(self, builder))


class Vibration(Block):
    """Spectral features of vibration and motion."""

    summary: ClassVar[str] = "band powers, peaks, RMS, skewness, kurtosis and zero crossings of a window, per channel"
    kinds: ClassVar[tuple[Kind, ...]] = ("audio", "motion")
    stage: ClassVar[Stage] = "window"

    block: Literal["vibration"] = "vibration"
    fft: Fft | None = Field(None, description="FFT points; by default the next power of two that holds the window, 512 at most")
    edges: tuple[float, ...] = Field(
        (), max_length=65, description="band edges in Hz, rising; by default eight bands of equal width"
    )
    peaks: int = Field(2, ge=0, le=8, description="how many of the largest peaks are described by frequency and power")

    which: tuple[Statistic, ...] = Field(
        ("rms", "skewness", "kurtosis", "zero_crossings"), description="statistics of the samples that stand beside the spectrum"
    )
    correlation: bool = Field(False, description="also the correlation of each pair of channels")

    @classmethod
    def tries(cls, signal: Signal) -> tuple[Block, ...]:
        """With the statistics of its own, and with the level and the extremes, too."""
        if signal.kind != "motion" or signal.shape[0] < LEAST:
            return ()
        return cls(which=("mean", "std", "min", "max", "skewness", "kurtosis", "zero_crossings")), cls()

    def add(self, builder: Builder) -> None:
        samples = builder.tensor.shape[1]
        fft = self.fft or min(512, fft_size(samples, None))
        half = builder.rate / 2
        edges = self.edges or tuple(half * k / 8 for k in range(9))
        builder.add(
            "vibration",
            **attributes(samples, builder.rate, fft=fft, edges=edges, peaks=self.peaks, which=self.which),
            **_paired(self, builder),
        )


class Beats(Block):
    """The beat in the middle of a window against its neighbours: see `graph/ops/signal/beats.py` for each number."""

    summary: ClassVar[str] = "when a window's middle beat comes, how strong it is and how much like the others, per channel"
    kinds: ClassVar[tuple[Kind, ...]] = ("audio", "motion")
    stage: ClassVar[Stage] = "window"

    block: Literal["beats"] = "beats"
    span_ms: float = Field(100.0, gt=0, description="how long a beat's change is summed up; where it is most lies the beat")
    gap_ms: float = Field(250.0, gt=0, description="no two beats are closer")
    share: float = Field(0.35, gt=0, le=1, description="of the strongest change of the window; what changes less is no beat")
    shape_ms: float = Field(300.0, gt=0, description="what of a beat is compared with the others, its middle in the middle")
    slack_ms: float = Field(45.0, ge=0, description="how far two of them are moved to lie on each other")
    points: int = Field(15, ge=0, le=beats.MAX_POINTS, description="means of equal parts that describe the shape itself")

    def add(self, builder: Builder) -> None:
        half = max(samples_of(self.shape_ms, builder, "beats: shape_ms") // 2, 1)
        if 2 * half + 1 > builder.tensor.shape[1]:
            held = 1000 * builder.tensor.shape[1] / builder.rate
            raise UsageError(
                f"beats: a shape of {self.shape_ms:g} ms in windows of {held:g} ms; a window has to hold several beats"
            )
        if self.points > 2 * half + 1:
            raise UsageError(
                f"beats: {self.points} points of a shape of {2 * half + 1} samples; choose fewer, or a larger shape_ms"
            )
        builder.add(
            "beats",
            **beats.attributes(
                span=min(samples_of(self.span_ms, builder, "beats: span_ms"), beats.MAX_SPAN),
                gap=min(samples_of(self.gap_ms, builder, "beats: gap_ms"), builder.tensor.shape[1]),
                share=round(256 * self.share),
                half=half,
                slack=round(self.slack_ms * builder.rate / 1000),
                points=self.points,
                rate=builder.rate,
            ),
        )
