"""Sound: int16 [samples, 1] after mixing down."""

from __future__ import annotations

import base64
import io
import wave
from typing import ClassVar, Literal

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset import fingerprint, pictures, statistics
from sandgrain.dataset.kinds.base import Kind

SILENT_DBFS = -60.0  # loudest 20 ms, RMS over full scale
HEARD_S = 5.0  # seconds that a page holds of a recording
SILENT_RMS = 32768 * 10 ** (SILENT_DBFS / 20)


class Audio(Kind):
    """See the head of this file."""

    name: ClassVar[str] = "audio"
    expected: ClassVar[str] = "audio"
    mono: ClassVar[bool] = True
    silence_between: ClassVar[bool] = True
    near: ClassVar[float] = 0.995
    silent_rule: ClassVar[str] = f"loudest 20 ms below {SILENT_DBFS:g} dBFS"
    padding: ClassVar[Literal["zero", "edge"]] = "zero"
    rate_advice: ClassVar[str] = "; set rate and resample"
    variation: ClassVar[tuple[str, str, str]] = ("time-shift", "share = 0.1", "earlier or later; noise and gain are others")

    def outline(self, samples: Array, rate: float) -> Array:
        """See `Kind.outline`."""
        return fingerprint.of_sound(samples, rate)

    def statistics(self, windows: Array) -> Array:
        """See `Kind.statistics`."""
        return statistics.of_sound(windows)

    def is_silent(self, samples: Array, rate: float) -> bool:
        """Whether no 20 ms are louder than SILENT_DBFS."""
        return quiet(samples[:, 0], rate)

    def draw(self, samples: Array, rate: float) -> str:
        """The wave above its spectrogram."""
        return pictures.wave(samples[:, 0]) + pictures.spectrogram(samples[:, 0], rate)

    def player(self, samples: Array, rate: float) -> str:
        """The browser's own player, with the samples in the page."""
        if not samples.size:
            return ""
        sound = base64.b64encode(_wav(samples[: round(HEARD_S * rate), 0], round(rate))).decode("ascii")
        return f'<audio controls preload="none" src="data:audio/wav;base64,{sound}"></audio>'

    def first_block(self, rate: float, shape: tuple[int, ...], whole: bool) -> list[str]:
        """A log-mel spectrogram."""
        bands, window, hop = (40, 30, 20) if rate >= 16_000 else (32, 32, 16)
        return ["[[features]]", 'block = "log-mel"', f"window_ms = {window}", f"hop_ms = {hop}", f"bands = {bands}"]

    def first_model(self, rate: float, shape: tuple[int, ...], whole: bool) -> str:
        """See `Kind.first_model`."""
        return "dscnn"

    def rate_lines(self, rate: float, resample: bool, guess: float) -> list[str]:
        """See `Kind.rate_lines`."""
        lines = [f"rate = {rate:g}  # Hz" if rate else "# rate = 16000  # Hz"]
        return [*lines, "resample = true  # some files have another rate"] if resample else lines


def quiet(x: Array, rate: float) -> bool:
    """Whether no 20 ms of `x` are louder than SILENT_DBFS."""
    size = max(1, min(len(x), round(rate * 0.02)))
    steady = x.astype(np.float64) - x.mean()
    total = np.concatenate([[0.0], np.cumsum(steady * steady)])
    return bool((total[size:] - total[:-size]).max() < size * SILENT_RMS**2)


def _wav(samples: Array, rate: int) -> bytes:
    """int16 [n] as a WAV file."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return data.getvalue()


KIND = Audio()
