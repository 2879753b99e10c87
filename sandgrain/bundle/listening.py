"""A bundle's C as a stream over long recordings, on this computer: what it gives after how many samples, and what it decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.bundle import store
from sandgrain.compiler.emit.model import harness
from sandgrain.compiler.plan.stream import lead_of
from sandgrain.device.run.host import HostModel
from sandgrain.graph.ir import Graph, Tensor

HERE = Path(__file__).parent
PIECE = 512  # samples at most that the C takes at a time: their buffer is a KiB
BATCH = 1024  # pieces that are held
Heard = dict[str, Array]  # "scores" [n, outputs], "samples" int64 [n]: up to each result, "decisions" int64 [n], -1: none


@dataclass(frozen=True, slots=True, eq=False)
class Driver:
    """The C around a bundle; `ports` has the shapes of what goes in and out of a piece."""

    text: str
    ports: Graph
    piece: int
    channels: int


def driver(bundle: store.Bundle, piece: int, channels: int) -> Driver:
    """C that pushes pieces of `piece` samples into a bundle that is a stream."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(HERE), undefined=StrictUndefined, trim_blocks=True, autoescape=False)
    source = bundle.compiled.source
    out = source.plan.graph.tensors[source.plan.graph.outputs[0]]
    text = environment.get_template("listening.c.j2").render(
        name=source.options.name,
        upper=source.options.name.upper(),
        caller=source.options.arena == "caller",
        decides=source.has("decide"),
        ctype=out.dtype.c_type,
        piece=piece,
        channels=channels,
    )
    ports = (
        Tensor("samples", (piece, channels), "int16"),
        Tensor("count", (1,), "int32"),
        Tensor("scores", (out.size,), out.dtype),
        Tensor("found", (2,), "int32"),
    )
    return Driver(text, Graph("listening", ports, (), (0, 1), (2, 3)), piece, channels)


def cut(parts: Iterable[Array], driver: Driver, progress: Callable[[int], None]) -> Iterator[tuple[Array, Array]]:
    """(int16 [n, piece, channels], int32 [n, 1] samples of each that count), BATCH pieces at most at a time.

    `progress` is told how many samples are cut.
    """
    room, done = driver.piece * BATCH, 0
    held = np.zeros((0, driver.channels), np.int16)
    for part in parts:
        held = np.concatenate([held, part])
        while len(held) >= room:
            yield padded(held[:room], driver)
            held, done = held[room:], done + room
            progress(done)
    if len(held):
        yield padded(held, driver)


def padded(x: Array, driver: Driver) -> tuple[Array, Array]:
    """A stretch of samples, int16 [n, channels], as pieces, the last one filled up, and the samples of each that count."""
    count = -(-len(x) // driver.piece)
    room = np.zeros((count * driver.piece, driver.channels), np.int16)
    room[: len(x)] = x
    lengths = np.full((count, 1), driver.piece, np.int32)
    lengths[-1] = len(x) - (count - 1) * driver.piece
    return room.reshape(count, driver.piece, driver.channels), lengths


def on_host(driver: Driver, code: Path, batches: Iterable[tuple[Array, Array]]) -> Iterator[list[Array]]:
    """What the C gives for each batch of pieces, one recording from its start."""
    host = HostModel(code, driver.ports, driver.text)
    for batch in batches:
        yield host.run(batch)


def results(driver: Driver, batches: Iterable[list[Array]]) -> Heard:
    """The pieces that had a result, put together."""
    out = driver.ports.tensors[2]
    scores, ends, decisions, at = [np.zeros((0, out.size), out.dtype.numpy)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for given, found in batches:
        there = found[:, 0] > 0
        scores.append(given[there])
        ends.append((at + np.arange(len(found)) * driver.piece + found[:, 0])[there])
        decisions.append(found[there, 1].astype(np.int64))
        at += len(found) * driver.piece
    return {"scores": np.concatenate(scores), "samples": np.concatenate(ends), "decisions": np.concatenate(decisions)}


@dataclass(frozen=True, slots=True)
class Cutter:
    """Whole windows of a recording as a graph takes them, each behind its lead. `room`: samples of both."""

    room: int
    lead: int
    follows: bool  # the lead is what comes just before each window, not the recording's start

    @property
    def window(self) -> int:
        """Samples without the lead."""
        return self.room - self.lead

    def starts(self, x: Array, spacing: int) -> Array:
        """Where windows begin: int64 [n]."""
        return np.arange(self.lead, max(len(x) - self.window + 1, self.lead), spacing)

    def cut(self, x: Array, start: int) -> Array:
        """The window that begins at `start`, behind its lead."""
        if self.follows:
            return x[start - self.lead : start + self.window]
        return np.concatenate([x[: self.lead], x[start : start + self.window]])


class Listener:
    """A bundle with a signal, compiled once for this computer, that hears recordings one after another.

    A bundle that is no stream is given whole windows, a quarter of a window apart. Raises ToolchainError without a compiler.
    """

    def __init__(self, bundle: store.Bundle) -> None:
        source = bundle.compiled.source
        room, self._channels = source.plan.graph.tensors[source.plan.graph.inputs[0]].shape[1:]
        settle = bundle.origin.front.pipeline.settle if bundle.origin.front else None
        self._cutter = Cutter(room, lead_of(source.plan.graph), settle is not None and settle.of == "before")
        self._window = self._cutter.window
        stream = source.plan.stream
        self._driver: Driver | None = None
        if stream is None:
            self.spacing = max(self._window // 4, 1)
            self._host = HostModel(bundle.code, source.plan.graph, harness(source))
        else:
            self.spacing = max(stream.stride * stream.hop, 1)
            self._driver = driver(bundle, min(self.spacing, PIECE), self._channels)
            self._host = HostModel(bundle.code, self._driver.ports, self._driver.text)

    def hear(self, x: Array) -> Heard:
        """One recording from its start, int16 [samples, channels]."""
        if self._driver is None:
            return self._windows(x)
        anew = np.zeros((1, self._driver.piece, self._channels), np.int16), np.full((1, 1), -1, np.int32)
        self._host.run(anew)
        return results(self._driver, map(self._host.run, cut([x], self._driver, lambda done: None)))

    def _windows(self, x: Array) -> Heard:
        starts = self._cutter.starts(x, self.spacing)
        out = self._host.graph.tensors[self._host.graph.outputs[0]]
        rows = [np.zeros((0, out.size), out.dtype.numpy)]
        for k in range(0, len(starts), BATCH):
            windows = np.stack([self._cutter.cut(x, s) for s in starts[k : k + BATCH]])
            rows.append(self._host.run([windows[:, np.newaxis]])[0].reshape(len(windows), -1))
        return {"scores": np.concatenate(rows), "samples": starts + self._window, "decisions": np.full(len(starts), -1, np.int64)}
