"""A keyword project small enough to be built in a test: rising and falling chirps, and noise that is neither."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

RATE = 2000  # Hz

PROJECT = """\
[data]
path = "sounds"
kind = "audio"
window_s = 0.5
stride_s = 0.1
pad = "center"
classes = ["rise", "fall"]
rest = "other"
{data}

[data.split]
validation = 0.15
test = 0.4

[[features]]
block = "log-mel"
window_ms = 64
hop_ms = 50
bands = 8

[model]
name = "mlp"
width = 12

[train]
epochs = 6
batch = 16
lr = 0.02
qat = false

[decide]
{decide}

[target]
board = "arduino-nano-33-ble-sense"
"""


def sound(label: str, rng: np.random.Generator, seconds: float = 0.4) -> np.ndarray:
    """int16 [samples]."""
    t = np.arange(round(seconds * RATE)) / RATE
    low, high = rng.uniform(100, 200), rng.uniform(600, 800)
    start, end = (low, high) if label == "rise" else (high, low)
    x = np.sin(2 * np.pi * (start * t + (end - start) * t * t / (2 * seconds)))
    noise = rng.normal(0, 1, len(t))
    return ((0.6 * noise if label == "other" else x + 0.05 * noise) * 9000).astype(np.int16)


def save(path: Path, x: np.ndarray, rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(x.astype("<i2").tobytes())


def project(folder: Path, decide: str = "", data: str = "", count: int = 24) -> Path:
    """Write the project to `folder`: `count` recordings of each label. `decide`, `data`: lines of these sections."""
    rng = np.random.default_rng(0)
    for label in ("rise", "fall", "other"):
        for k in range(count):
            save(folder / "sounds" / label / f"{k}.wav", sound(label, rng))
    (folder / "sandgrain.toml").write_text(PROJECT.format(decide=decide, data=data))
    return folder
