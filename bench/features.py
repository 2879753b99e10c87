"""The feature blocks' part of the benchmark: what a front end costs on each core, whole and as a stream.

    python bench/features.py [--cores cortex-m4 ...]

Instructions are counted on the emulated core over one window of seeded noise. A hop is one row of a stream that is pushed in
pieces of 1 to 97 samples.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from sandgrain.base.arrays import Array
from sandgrain.base.scratch import scratch
from sandgrain.bundle import measure
from sandgrain.compiler.emit.model import Options, Source, harness
from sandgrain.compiler.pipeline import emit
from sandgrain.compiler.plan import Choice
from sandgrain.device import targets
from sandgrain.device.run import emulator_missing
from sandgrain.device.toolchain import Toolchain
from sandgrain.frontend.blocks import parse
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.frontend.pipeline import Normalization, Pipeline
from sandgrain.frontend.signal import Signal

CORES = tuple(c for c in targets.cores() if c != "host" and not emulator_missing(targets.load(c)))
AUDIO = Signal("audio", (16000, 1), 16000.0)
MOTION = Signal("motion", (119, 6), 119.0)
IMAGE = Signal("image", (96, 96, 3))
MLPERF = {"window_ms": 30, "hop_ms": 20, "fft": 512, "bands": 40, "low": 20, "high": 4000, "power": 1}

# name -> (signal, blocks, samples between two results of a stream; 0: none)
FRONTS: dict[str, tuple[Signal, list[dict[str, Any]], int]] = {
    "log-mel 40": (AUDIO, [{"block": "log-mel", "fft": 512, "bands": 40}], 320),
    "mfcc 10 (MLPerf Tiny)": (AUDIO, [{"block": "mfcc", "coefficients": 10, **MLPERF}], 320),
    "spectrogram int32": (AUDIO, [{"block": "spectrogram", "fft": 512}], 320),
    "spectrogram int16": (AUDIO, [{"block": "spectrogram", "fft": 512, "precision": "int16"}], 320),
    "spectrogram float": (AUDIO, [{"block": "spectrogram", "fft": 512, "precision": "float"}], 320),
    "high-pass, decimate 2": (
        AUDIO,
        [{"block": "filter", "type": "high-pass", "cutoff": 50}, {"block": "decimate", "factor": 2}, {"block": "raw"}],
        0,
    ),
    "raw motion": (MOTION, [{"block": "raw"}], 0),
    "statistics": (MOTION, [{"block": "statistics"}], 0),
    "vibration": (MOTION, [{"block": "vibration", "fft": 64}], 0),
    "grey 96 to 48": (IMAGE, [{"block": "grey"}, {"block": "resize", "height": 48, "width": 48}], 0),
    "area 96 to 32": (IMAGE, [{"block": "resize", "height": 32, "width": 32, "method": "area"}], 0),
}

Row = dict[str, Any]


def rows(cores: list[str]) -> list[Row]:
    """A row for each front end on each core."""
    return [row(name, core) for name in FRONTS for core in cores if not emulator_missing(targets.load(core))]


def row(name: str, core: str) -> Row:
    signal, blocks, stride = FRONTS[name]
    front = FrontEnd(Pipeline(signal, parse(blocks)), Normalization((0.0,), (1.0,)), stride)
    board, raw = targets.load(core), front.graph()
    build = measure.Build(emit(raw, raw, board, Options("front"), Choice(), stride), board, Toolchain(opt="-O3"))
    source = build.compiled.source
    graph = source.plan.graph
    whole = instructions(build, stream=False)
    frames = graph.tensors[graph.outputs[0]].shape[1]
    hop = round(instructions(build, stream=True) / frames) if stride else None
    constants = sum(layer.weight_bytes for layer in source.layers)
    stream = source.plan.stream
    ring = 2 * stream.window * stream.channels if stream is not None else 0
    state = source.stream_bytes
    return {
        "front": name, "core": core, "instructions": whole, "instructions_per_hop": hop,
        "arena_bytes": source.plan.arena_bytes, "stream_bytes": state, "ring_bytes": ring, "table_bytes": constants, "macs": source.macs,
    }  # fmt: skip


def instructions(build: measure.Build, *, stream: bool) -> int:
    source = build.compiled.source
    with scratch() as work:
        core = measure.emulated(build, work / "firmware.elf", harness(source, stream=stream))
        return core.profile([window(source)]).instructions


def window(source: Source) -> bytes:
    tensor = source.plan.graph.tensors[source.plan.graph.inputs[0]]
    rng = np.random.default_rng(0)
    if tensor.dtype == "uint8":
        return rng.integers(0, 256, tensor.shape, dtype=np.uint8).tobytes()
    noise: Array = rng.normal(0, 3000, tensor.shape)
    return noise.astype(np.int16).tobytes()


def show(found: list[Row]) -> None:
    if not found:
        return
    table = Table("front end", "core", "instructions", "a hop", "arena B", "stream B", "tables B")
    for r in found:
        hop = "-" if r["instructions_per_hop"] is None else f"{r['instructions_per_hop']:,}"
        table.add_row(
            r["front"],
            r["core"],
            f"{r['instructions']:,}",
            hop,
            str(r["arena_bytes"]),
            str(r["stream_bytes"]),
            str(r["table_bytes"]),
        )
    Console(highlight=False, width=120).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", nargs="*", default=list(CORES), choices=CORES, metavar="CORE")
    show(rows(parser.parse_args().cores))
