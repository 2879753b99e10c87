"""What a kind of data is: how its recordings are called, compared, judged and drawn, and what a first project does with them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset import fingerprint


class Kind(ABC):
    """One kind of data. A file of this folder defines a subclass and `KIND`, its one instance.

    `samples` are as ingest decodes them: int16 [n, channels], or uint8 [height, width, channels]. `rate`: Hz, 0 for pictures.
    """

    name: ClassVar[str]
    noun: ClassVar[str] = "recordings"  # what several of them are called
    windows: ClassVar[str] = "windows"  # what a model sees of them
    expected: ClassVar[str]  # what a file of this kind is: "an image"
    sampled: ClassVar[bool] = True  # samples over time, at a rate; else pictures
    mono: ClassVar[bool] = False  # one channel: others are mixed down; floats are from -1 to 1
    silence_between: ClassVar[bool] = False  # recordings with silence between make a long one
    near: ClassVar[float]  # cosine of fingerprints from which two recordings count as copies
    silent_rule: ClassVar[str]  # when `is_silent` says so, for people
    channels_alike: ClassVar[bool] = False  # channels are sensors of one kind: one that never changes is stuck
    padding: ClassVar[Literal["zero", "edge"]] = "edge"  # what stands around a recording that is shorter than its window
    rate_advice: ClassVar[str] = ""  # what to do about files of several rates, after their list
    unlike_advice: ClassVar[str] = "the recordings differ in length; set window_s, in seconds"  # if windows have no common shape
    shown: ClassVar[int] = 5  # pictures per label on the page, the odd ones included
    shown_name: ClassVar[int] = 24  # characters of a recording's name below its picture

    # --- what the checks compare

    @abstractmethod
    def outline(self, samples: Array, rate: float) -> Array:
        """At most `fingerprint.SIZE` numbers that copies share and others do not."""

    def fingerprint(self, samples: Array, rate: float) -> Array:
        """float32 [d], d <= fingerprint.SIZE, of length 1 (0 for a recording that never changes)."""
        return fingerprint.normalized(self.outline(samples, rate)) if samples.size else np.zeros(0, np.float32)

    @abstractmethod
    def statistics(self, windows: Array) -> Array:
        """float64 [n, d]: a few numbers of each window [n, ...], for a first look at whether labels can be told apart."""

    @abstractmethod
    def is_silent(self, samples: Array, rate: float) -> bool:
        """Whether there is nothing in a recording to learn from."""

    @abstractmethod
    def draw(self, samples: Array, rate: float) -> str:
        """Markup (an <svg> or <img>) that shows one recording, not empty; nothing in it comes from outside but numbers."""

    def picture(self, samples: Array, rate: float) -> str:
        """`draw`, or "" for an empty recording."""
        return self.draw(samples, rate) if samples.size else ""

    def player(self, samples: Array, rate: float) -> str:
        """Markup with which a page plays one recording; "" for what cannot be heard."""
        return ""

    def is_small(self, shapes: Sequence[tuple[int, ...]]) -> bool:
        """Whether pictures of these shapes are so small that their pixels are shown as squares."""
        return not self.sampled and max(max(shape[:2]) for shape in shapes) < 96

    # --- what `sandgrain init` writes

    guesses_rate: ClassVar[bool] = False  # whether a rate is written where the files have none
    watched_from: ClassVar[int] = 0  # files from which on some of the recordings watch the training and are not trained with
    variation: ClassVar[tuple[str, str, str]]  # (kind of [[augment]], its option, why): one that does no harm to any data

    @abstractmethod
    def first_block(self, rate: float, shape: tuple[int, ...], whole: bool) -> list[str]:
        """Lines of a first [[features]] block. `rate`: Hz. `shape`: of a picture, or (). `whole`: a window is a whole recording."""

    @abstractmethod
    def first_model(self, rate: float, shape: tuple[int, ...], whole: bool) -> str:
        """A name for [model]; see `first_block`."""

    def rate_lines(self, rate: float, resample: bool, guess: float) -> list[str]:
        """Lines of [data] about the sampling rate, Hz (0: not known); `resample`: some files have another; `guess`: Hz."""
        return []
