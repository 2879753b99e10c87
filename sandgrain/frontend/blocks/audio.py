"""Blocks that turn short sliding windows into rows of a spectrum."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

from pydantic import Field

from sandgrain.base.errors import UsageError
from sandgrain.frontend.blocks.base import Block, Stage, fft_size, samples_of
from sandgrain.frontend.build import Builder
from sandgrain.frontend.signal import FULL_SCALE, Kind, Signal

Taper = Literal["hann", "hamming", "rect", "blackman", "povey"]
LEAST = 16  # samples of a frame that is tried
Fft = Literal[32, 64, 128, 256, 512, 1024, 2048]


class _Frames(Block):
    kinds: ClassVar[tuple[Kind, ...]] = ("audio", "motion")
    stage: ClassVar[Stage] = "frames"
    finishes: ClassVar[bool] = True

    window_ms: float = Field(30.0, gt=0, le=60000, description="length of one frame, ms")
    hop_ms: float = Field(20.0, gt=0, le=60000, description="from the start of a frame to the start of the next, ms")
    fft: Fft | None = Field(None, description="FFT points; by default the next power of two that holds a frame")
    taper: Taper = Field("hann", description="what a frame is multiplied with before the FFT")
    symmetric: bool = Field(
        False, description="taper whose last value equals its first (numpy.hanning), not periodic (scipy, librosa)"
    )

    def framing(self, builder: Builder) -> dict[str, Any]:
        """The attributes that all frame ops share."""
        window, hop = samples_of(self.window_ms, builder, "window_ms"), samples_of(self.hop_ms, builder, "hop_ms")
        fft = fft_size(window, self.fft)
        samples = builder.tensor.shape[1]
        if window > samples:
            raise UsageError(
                f"{self.name()}: frames of {self.window_ms:g} ms do not fit a signal of {samples / builder.rate:g} s"
            )
        if not window <= fft <= 2048:
            raise UsageError(
                f"{self.name()}: frames of {window} samples need an FFT of {fft}; 2048 is the largest, fft must hold them"
            )
        more: dict[str, Any] = {"symmetric": True} if self.symmetric else {}
        quant = builder.tensor.quant
        if quant is not None and (headroom := round(math.log2(quant.scale[0] / FULL_SCALE))):
            more["headroom"] = headroom
        return {"window": window, "hop": hop, "fft": fft, "taper": self.taper, **more}


class Spectrogram(_Frames):
    """A spectrum a frame."""

    summary: ClassVar[str] = "spectrum of short frames, linear or logarithmic"

    block: Literal["spectrogram"] = "spectrogram"
    power: Literal[1, 2] = Field(2, description="1: magnitude, 2: power")
    log: bool = Field(True, description="natural logarithm of the value")
    floor: float = Field(1e-6, gt=0, lt=1, description="added before the logarithm; full scale is 1")
    precision: Literal["int16", "int32", "float"] = Field("int32", description="of the FFT")
    low: float = Field(0.0, ge=0, description="lowest frequency kept, Hz")
    high: float | None = Field(None, gt=0, description="highest frequency kept, Hz; by default all")

    @classmethod
    def tries(cls, signal: Signal) -> tuple[Block, ...]:
        """For sensors: some fifteen frames that overlap by half, each at least LEAST samples."""
        frame = max(signal.shape[0] // 8, LEAST)
        if signal.kind != "motion" or signal.shape[0] < 3 * frame or frame > 2048:
            return ()
        window_ms = round(1000 * frame / signal.rate, 3)
        return (cls(window_ms=window_ms, hop_ms=round(window_ms / 2, 3)),)

    def add(self, builder: Builder) -> None:
        framing = self.framing(builder)
        fft = int(framing["fft"])
        first = int(self.low * fft / builder.rate)
        last = fft // 2 if self.high is None else min(fft // 2, int(self.high * fft / builder.rate))
        if first > last:
            raise UsageError(f"spectrogram: no bin between low {self.low:g} and high {self.high} Hz")
        builder.add(
            "spectrogram",
            **framing,
            precision=self.precision,
            power=self.power,
            log=self.log,
            floor=self.floor,
            bins=(first, last),
        )


class LogMel(_Frames):
    """Log-mel filterbank energies."""

    summary: ClassVar[str] = "logarithm of mel filterbank energies of short frames"
    kinds: ClassVar[tuple[Kind, ...]] = ("audio",)

    block: Literal["log-mel"] = "log-mel"
    bands: int = Field(40, ge=4, le=128, description="mel bands")
    low: float = Field(20.0, ge=0, description="lower edge of the first band, Hz")
    high: float | None = Field(None, gt=0, description="upper edge of the last band, Hz; by default half the rate")
    scale: Literal["htk", "htk_hertz", "slaney"] = Field(
        "htk", description="mel scale: HTK's with triangles straight in mel (as TensorFlow) or in hertz (as librosa), or Slaney's"
    )
    norm: Literal["none", "slaney"] = Field("none", description="slaney: bands of equal area")
    power: Literal[1, 2] = Field(2, description="1: magnitude, 2: power")
    floor: float = Field(1e-6, gt=0, lt=1, description="added before the logarithm; full scale is 1")
    peak: bool = Field(False, description="divide the window by its largest sample first; such a block cannot stream")

    op: ClassVar[str] = "log_mel"

    @classmethod
    def tries(cls, signal: Signal) -> tuple[Block, ...]:
        """As it is."""
        return (cls(),) if signal.kind == "audio" else ()

    def options(self, builder: Builder) -> dict[str, Any]:
        high = self.high if self.high is not None else builder.rate / 2
        if not self.low < high <= builder.rate / 2:
            raise UsageError(
                f"{self.name()}: bands from {self.low:g} to {high:g} Hz; low < high <= {builder.rate / 2:g} Hz, half the rate"
            )
        return {
            **self.framing(builder), "rate": builder.rate, "bands": self.bands, "low": self.low, "high": high,
            "scale": self.scale, "norm": self.norm, "power": self.power, "floor": self.floor, "peak": self.peak,
        }  # fmt: skip

    def add(self, builder: Builder) -> None:
        builder.add(self.op, **self.options(builder))


class Mfcc(LogMel):
    """Mel-frequency cepstral coefficients: the cosine transform of the log-mel energies."""

    summary: ClassVar[str] = "cosine transform of log-mel energies"
    op: ClassVar[str] = "mfcc"

    block: Literal["mfcc"] = "mfcc"  # type: ignore[assignment]
    coefficients: int = Field(10, ge=1, le=64, description="how many of them are kept")

    def options(self, builder: Builder) -> dict[str, Any]:
        if self.coefficients > self.bands:
            raise UsageError(f"mfcc: {self.coefficients} coefficients of {self.bands} bands; take at most as many")
        return {**super().options(builder), "coefficients": self.coefficients}
