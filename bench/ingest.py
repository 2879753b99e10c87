"""How fast a large data set is read: one-second recordings made on the fly, then ingested, hashed and split.

    python bench/ingest.py [--count 100000] [--rate 16000] [--workers 2] [--folder /dev/shm]

Prints files per second, the seconds that all processors spent together, and the most memory that all processes had together, for the first reading and for one that finds
everything in its cache. The recordings (16-bit mono WAV: 3.2 GB of 100,000 at 16 kHz) are deleted afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.dataset.ingest import ingest, save
from sandgrain.dataset.records import Layout, Manifest
from sandgrain.dataset.split import Draw, assign

LABELS, SPEAKERS = 10, 100
LAYOUT = Layout("audio", name="{label}/{group}_{index}")
MIB = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="recordings (100,000)")
    parser.add_argument("--rate", type=int, default=16_000, help="Hz (16,000)")
    parser.add_argument("--workers", type=int, default=2, help="processes that decode (2)")
    parser.add_argument("--folder", type=Path, help="where the recordings are made for a while")
    given = parser.parse_args()
    print(json.dumps(measure(given.count, given.rate, given.workers, given.folder), indent=1))


def measure(count: int, rate: int, workers: int = 2, folder: Path | None = None) -> dict[str, Any]:
    """Seconds, files a second and MiB of one run."""
    with tempfile.TemporaryDirectory(prefix="sandgrain-bench-", dir=folder) as work:
        root, cache = Path(work, "data"), Path(work, "cache")
        made = timed(lambda: make(root, count, rate))
        with Memory() as memory:
            before = os.times()
            first = timed(lambda: ingest(root, LAYOUT, workers=workers, cache=cache))
            cpu = sum(os.times()[:4]) - sum(before[:4])
        with Memory() as again_memory:
            again = timed(lambda: ingest(root, LAYOUT, workers=workers, cache=cache))
        manifest: Manifest = first[0]
        assert len(manifest.records) == count and not manifest.bad and again[0].sha256 == manifest.sha256
        saved = timed(lambda: save(manifest, Path(work, "manifest.jsonl")))
        size = Path(work, "manifest.jsonl").stat().st_size
    return {
        "recordings": count, "rate_hz": rate, "workers": workers, "make_seconds": round(made[1], 1),
        "ingest_seconds": round(first[1], 1), "files_per_second": round(count / first[1]),
        "cpu_seconds": round(cpu, 1), "mib_per_second": round(count * (2 * rate + 44) / first[1] / MIB), "peak_mib": round(memory.peak / MIB),
        "cached_seconds": round(again[1], 1), "cached_peak_mib": round(again_memory.peak / MIB),
        "manifest_seconds": round(saved[1], 1), "manifest_mib": round(size / MIB, 1), **split(manifest),
    }  # fmt: skip


def show(figures: dict[str, Any]) -> None:
    """One line for people: it depends on the machine, so it is printed and not kept."""
    f = figures
    print(
        f"{f['recordings']:,} recordings of 1 s, {f['workers']} processes: {f['ingest_seconds']} s, {f['files_per_second']:,} files/s, "
        f"{f['peak_mib']} MiB at most; again from the cache {f['cached_seconds']} s; split by group {f['split_seconds']} s"
    )


def timed(work: Any) -> tuple[Any, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def make(root: Path, count: int, rate: int) -> None:
    """`count` WAV files of one second: noise, each with a number of its own in it."""
    body = np.random.default_rng(1).integers(-4000, 4000, rate).astype("<i2")
    sizes = (36 + 2 * rate, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16, b"data", 2 * rate)
    head = b"RIFF" + struct.pack("<I4s4sIHHIIHH4sI", *sizes)
    for label in range(LABELS):
        (root / f"word{label}").mkdir(parents=True)
    for k in range(count):
        body[:2] = k & 0x7FFF, k >> 15
        name = f"word{k % LABELS}/speaker{k // LABELS % SPEAKERS}_{k // LABELS // SPEAKERS}.wav"
        (root / name).write_bytes(head + body.tobytes())


def split(manifest: Manifest) -> dict[str, Any]:
    """Seconds of a split by speaker, and recordings a side."""
    sides, seconds = timed(lambda: assign(manifest.records, Draw(by="group")))
    return {"split_seconds": round(seconds, 1), "sides": dict(sorted(Counter(sides.values()).items()))}


class Memory:
    """The most bytes that this process and all below it had resident together, looked at every 20 ms."""

    def __enter__(self) -> Memory:
        self.peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            self.peak = max(self.peak, resident(os.getpid()))


def resident(process: int) -> int:
    """Resident bytes of a process and all below it; pages that they share count for each."""
    total, todo = 0, [process]
    while todo:
        one = todo.pop()
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            for task in Path(f"/proc/{one}/task").iterdir():
                todo += map(int, (task / "children").read_text().split())
        except (OSError, ValueError):
            continue  # it has ended
    return total


if __name__ == "__main__":
    main()
