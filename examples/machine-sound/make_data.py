"""Writes data/ beside this file: synthetic sound of four small machines, normal and with three faults, made by formulas.

Nothing here was recorded. The sound is what textbooks say a geared motor does, so that the example can run anywhere and the
faults are known; figures on it say nothing about a real machine. Put recordings of yours in the same folders instead:
data/train/normal, data/test/normal, data/test/FAULT.

A machine has a shaft frequency f (Hz), a gear of z teeth and a housing with two resonances.
  normal     harmonics of f, falling with their number; the gear mesh z*f with side bands at +-f; noise through the resonances;
             load and speed differ a little from recording to recording, and drift within one
  imbalance  the harmonic at f is up to 8 times as strong, and modulates everything
  bearing    a shock 3.57 times a turn (an outer race of 9 balls), which rings at 3.1 kHz for 2 ms
  tooth      a shock once a turn, which rings at the first resonance, and stronger side bands
How far a fault has gone is drawn for each recording, from one that has just begun (0.1) to all of the above (1).
"""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np

RATE, SECONDS = 16_000, 2.0
MACHINES = {"a": (24.2, 23, 910.0), "b": (29.6, 19, 1240.0), "c": (33.1, 27, 780.0), "d": (41.5, 17, 1530.0)}
TRAIN, TEST, FAULTY = 60, 15, 10  # recordings a machine: normal to train, normal to test, of each fault


def resonate(x: np.ndarray, hertz: float, ring_s: float) -> np.ndarray:
    """`x` through a resonance at `hertz` that falls to 1/e in `ring_s`, as a convolution with its response."""
    t = np.arange(int(6 * ring_s * RATE)) / RATE
    response = np.exp(-t / ring_s) * np.sin(2 * np.pi * hertz * t)
    size = 1 << (len(x) + len(response)).bit_length()
    return np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(response, size), size)[: len(x)]


def shocks(turns: np.ndarray, per_turn: float, rng: np.random.Generator) -> np.ndarray:
    """An impulse each time that `turns` (turns of the shaft so far) passes a multiple of 1 / per_turn; strengths vary."""
    hit = np.diff(np.floor(turns * per_turn), prepend=0) > 0
    return hit * rng.uniform(0.6, 1.4, len(turns))


def record(machine: str, fault: str, rng: np.random.Generator, least: float = 0.1) -> np.ndarray:
    """int16 [RATE * SECONDS]. `least`: how far a fault has gone at least; 1 is all of it."""
    shaft, teeth, resonance = MACHINES[machine]
    count = int(RATE * SECONDS)
    drift = np.interp(np.arange(count), np.linspace(0, count, 9), rng.normal(0, 0.002, 9))
    speed = shaft * (1 + rng.normal(0, 0.01) + drift)
    turns = np.cumsum(speed) / RATE + rng.uniform()
    load = rng.uniform(0.8, 1.2)
    angle = 2 * np.pi * turns
    gone = np.exp(rng.uniform(np.log(least), 0.0)) if fault != "normal" else 0.0  # how far the fault has gone
    imbalance = 1.0 + 7.0 * gone if fault == "imbalance" else 1.0
    x = sum(np.sin(k * angle + rng.uniform(0, 6.28)) * (imbalance if k == 1 else 1.0) / k**1.5 for k in range(1, 9))
    sides = 0.15 + 0.45 * gone if fault == "tooth" else 0.15
    x = x + load * (1 + sides * np.sin(angle)) * np.sin(teeth * angle)
    noise = rng.normal(size=count)
    x = x + 0.25 * resonate(noise, resonance, 0.004) * load + 0.1 * resonate(noise, 2.7 * resonance, 0.002) + 0.3 * noise
    if fault == "bearing":
        x = x + 4.0 * gone * resonate(shocks(turns, 3.57, rng), 3100.0, 0.002)
    if fault == "tooth":
        x = x + 5.0 * gone * resonate(shocks(turns, 1.0, rng), resonance, 0.004)
    if fault == "imbalance":
        x = x * (1 + 0.1 * gone * np.sin(angle))
    return np.clip(np.rint(x * 1500 * rng.uniform(0.8, 1.25)), -32768, 32767).astype("<i2")


def write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())


def main(folder: Path, say: Callable[[str], None] = print) -> None:
    """The same files on every run."""
    rng = np.random.default_rng(2024)
    plan = [
        ("train", "normal", TRAIN),
        ("test", "normal", TEST),
        *(("test", f, FAULTY) for f in ("bearing", "imbalance", "tooth")),
    ]
    for machine in MACHINES:
        for side, label, count in plan:
            for k in range(count):
                write(folder / side / label / f"{machine}_{k:03}.wav", record(machine, label, rng))
    say(f"{sum(n for *_, n in plan) * len(MACHINES)} recordings of {SECONDS:g} s in data/: synthetic, see make_data.py")


if __name__ == "__main__":
    main(Path(__file__).parent / "data")
