"""A detector's project small enough to be built in a test: a hum of two tones, and hums with a third one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

PROJECT = """\
[data]
path = "."
kind = "motion"
files = ["hums.npz"]
rate = 64

[data.split]
validation = 0.25
test = 0.3

[[features]]
block = "raw"

[model]
name = "{name}"
options = {{ {options} }}

[train]
epochs = 3

[target]
board = "arduino-nano-33-ble-sense"

[budget]
{budget}
"""


def hums(count: int = 160, samples: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """int16 [count, samples, 2] and labels: 1 is normal, 0 has a tone too many, of a strength from little to plain."""
    rng = np.random.default_rng(0)
    y = (np.arange(count) % 5 != 0).astype(np.int64)
    t = np.arange(samples) / samples

    def tone(cycles: int) -> np.ndarray:
        return np.sin(2 * np.pi * (cycles * t + rng.random((count, 1))))

    strange = np.where(y == 0, rng.uniform(0.1, 0.8, count), 0.0)[:, np.newaxis] * tone(9)
    x = np.stack([tone(2) + strange, 0.5 * tone(3) - strange], axis=2)
    return ((x + rng.normal(0, 0.08, x.shape)) * 9000).astype(np.int16), y


def project(folder: Path, name: str = "kmeans", options: str = "", budget: str = 'ram = "16K"\nauc = 0.6') -> Path:
    """Write the project to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    x, y = hums()
    np.savez(folder / "hums.npz", x=x, y=y, labels=np.array(["rattle", "normal"]))
    (folder / "sandgrain.toml").write_text(PROJECT.format(name=name, options=options, budget=budget))
    return folder
