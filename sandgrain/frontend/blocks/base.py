"""What a feature block is: options that a project file sets, and how they become nodes of a graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from sandgrain.base.errors import UsageError
from sandgrain.frontend.build import Builder
from sandgrain.frontend.signal import Kind, Signal

Stage = Literal["samples", "frames", "window", "image"]


class Block(BaseModel, ABC):
    """One step from the sensor towards the model.

    `kinds`: the signals it takes. `stage`: "samples" blocks turn a stream into a stream (filters), "frames" blocks turn each
    short window that slides over it into a row, "window" blocks look at the whole window at once, "image" blocks at a
    picture. `finishes`: its op can write the model's int8 input itself.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    summary: ClassVar[str]
    kinds: ClassVar[tuple[Kind, ...]]
    stage: ClassVar[Stage]
    finishes: ClassVar[bool] = False

    @classmethod
    def name(cls) -> str:
        """The word that `block` holds."""
        value = cls.model_fields["block"].default
        assert isinstance(value, str)
        return value

    @classmethod
    def tries(cls, signal: Signal) -> tuple[Block, ...]:
        """Itself with the options that are worth a try on such windows, where nobody chose; () where it is no first guess."""
        return ()

    @abstractmethod
    def add(self, builder: Builder) -> None:
        """Append this block's nodes. Raises UsageError where its options do not fit the signal."""


MOST = 1 << 24  # samples of a frame


def samples_of(milliseconds: float, builder: Builder, what: str) -> int:
    """A duration in samples at the builder's rate, rounded. Raises UsageError when it is none."""
    exact = milliseconds * builder.rate / 1000
    if not exact < MOST:
        raise UsageError(f"{what} of {milliseconds:g} ms is more than {MOST} samples at {builder.rate:g} Hz; make it shorter")
    count = round(exact)
    if count < 1:
        raise UsageError(f"{what} of {milliseconds:g} ms is less than one sample at {builder.rate:g} Hz; make it longer")
    return count


def fft_size(window: int, asked: int | None) -> int:
    """The FFT's points: as asked, or the next power of two that holds the window, 32 at least."""
    return asked or max(32, 1 << (window - 1).bit_length())
