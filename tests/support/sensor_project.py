"""A project small enough to be built in a test: slow and fast sines of a sensor with one channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np

PROJECT = """\
[data]
path = "."
kind = "motion"
files = ["waves.npz"]
rate = 64

[data.split]
validation = 0.2
test = 0.3

[[features]]
block = "raw"

[[augment]]
kind = "scaling"
factor = [0.8, 1.2]

[model]
name = "cnn1d"
width = 4

[train]
epochs = 4
batch = 16
lr = 0.02

[target]
board = "arduino-nano-33-ble-sense"
battery_mah = 220
period_s = 0.25

[budget]
ram = "16K"
flash = "64K"
latency = "20ms"
"""


def waves(count: int = 80, samples: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """int16 [count, samples, 1] of 3 and 7 Hz with noise, and which of the two."""
    rng = np.random.default_rng(0)
    y = np.arange(count) % 2
    t = np.arange(samples) / samples
    x = np.sin(2 * np.pi * (np.where(y == 0, 3, 7)[:, np.newaxis] * t + rng.random((count, 1))))
    x = x * rng.uniform(0.3, 0.9, (count, 1)) * 20000 + rng.normal(0, 1500, x.shape)
    return x.astype(np.int16)[:, :, np.newaxis], y


def project(folder: Path, **changed: str) -> Path:
    """Write the project to `folder`; `changed`: key -> another value, as TOML has it."""
    folder.mkdir(parents=True, exist_ok=True)
    x, y = waves()
    np.savez(folder / "waves.npz", x=x, y=y, labels=np.array(["slow", "fast"]))
    lines = []
    for line in PROJECT.splitlines():
        key = line.partition(" = ")[0]
        lines.append(f"{key} = {changed.pop(key)}" if key in changed else line)
    assert not changed, changed
    (folder / "sandgrain.toml").write_text("\n".join(lines) + "\n")
    return folder
