"""A check of NAME_push over several results: what one window cannot show. Rings turn over, filters keep their state, a second stream is
fed in between, and the arena is overwritten, which belongs to nobody between two calls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.compiler.emit.part import Check
from sandgrain.compiler.emit.unit import Unit
from sandgrain.compiler.plan.stream import StreamPlan
from sandgrain.compiler.plan.streaming import results, rows, samples_per_sample

MOST = 9  # results,
MACS = 20_000_000  # and fewer where they cost more
PIECE = 97  # samples at a time, at most
TRIED = 3  # signals, of which the one is taken whose results differ most
AT_ONCE = 4096  # int16 of the last push, at most
KIND = 256  # samples of one kind

# The signal: every KIND samples another kind (noise, a square, a ramp, faint noise) at another level. `at` counts values.
SIGNAL = """\
            seed = seed * 1664525u + 1013904223u;
            if (at % 256u == 0u) {
                kind = seed >> 30;
                level = 1 << ((seed >> 26) & 7u);
                period = ((seed >> 16) & 63u) + 2u;
            }
            value = (int32_t)(seed >> 16) - 32768;
            if (kind == 1u) {
                value = (at / period) % 2u == 0u ? 32767 : -32767;
            } else if (kind == 2u) {
                value = (int32_t)(at % period * (65535u / period)) - 32768;
            } else if (kind == 3u) {
                value /= 64;
            } else {
                /* noise as it is */
            }
            samples[i] = (int16_t)(value / level);
            at++;"""

CHECK = """\
    static struct {name}_stream one, other;
    static int16_t samples[{room}];
    static {ctype} scores[{units}];
    uint32_t seed = {seed}u, at = 0u, kind = 0u, period = 2u;
    int32_t level = 1, value, done = 0, others = 0, piece = 0, results = 0, got;
    {name}_start(&one);
    {name}_start(&other);
    while (done < {total}) {{
        const int32_t end = done < {large_at} ? {large_at} : {total};
        int32_t n;
        piece = piece < {piece} ? piece + 1 : 1;
        n = done == {large_at} && {large} > 0 ? {large} : end - done < piece ? end - done : piece;
        for (int32_t i = 0; i < n * {channels}; i++) {{
{signal}
        }}
        if (piece % 3 != 0 && n < {first}) {{ /* another stream, which never gets as far as a result */
            if (others + n >= {first}) {{
                {name}_start(&other);
                others = 0;
            }}
            others += n;
            got = {name}_push({memory}&other, samples, n, scores);
            if (got != 0) {{
                sg_put(&got, 4);
            }}
        }}
        if (piece % 8 == 0) {{ /* nothing is kept in the arena */
            for (uint32_t i = 0; i < {upper}_ARENA_BYTES; i++) {{
                {arena}[i] = (uint8_t)(seed >> (i & 15u));
            }}
        }}
        got = {name}_push({memory}&one, samples, n, scores);
        results += got;
        if (got != 0) {{
            sg_put(scores, {nbytes}u);
        }}
        done += n;
    }}
    sg_put(&results, 4);"""


@dataclass(frozen=True, slots=True)
class Length:
    """Samples of every channel: of a window, from one result to the next. `results` of the whole signal; `first`: with fewer samples
    there is no result yet; `large`: samples of the one push that gives two results, 0 where those are too many."""

    window: int
    every: int
    results: int
    first: int
    large: int

    @property
    def total(self) -> int:
        return self.window + (self.results - 1) * self.every

    @property
    def piece(self) -> int:
        """Of any other push, at most: no more than one result."""
        return min(PIECE, self.every)

    @property
    def large_at(self) -> int:
        """Where the large push comes: behind two results, with others to follow."""
        return self.window + self.every

    def given(self, found: list[Array]) -> list[Array]:
        """Those of all results that somebody sees: of a push that gives two, the newest."""
        return [y for k, y in enumerate(found) if not (self.large and k == 2)]


def check(unit: Unit, stream: StreamPlan, memory: str, rng: np.random.Generator) -> Check:
    """`memory`: the argument that a caller's arena is, with its comma."""
    out = unit.graph.tensors[unit.graph.outputs[0]]
    _, _, channels = unit.graph.tensors[unit.graph.inputs[0]].shape
    length = _length(unit, stream)
    seed, found = _drawn(unit, stream, length, rng)
    code = CHECK.format(
        name=unit.name,
        upper=unit.upper,
        ctype=out.dtype.c_type,
        units=out.units,
        nbytes=out.nbytes,
        channels=channels,
        memory=memory,
        arena="memory.bytes" if unit.caller else f"{unit.name}_arena.bytes",
        seed=seed,
        room=max(length.large, length.piece) * channels,
        total=length.total,
        large=length.large,
        large_at=length.large_at,
        piece=length.piece,
        first=length.first,
        signal=SIGNAL,
    )
    expected = [out.dtype.pack(y) for y in length.given(found)] + [np.array([length.results], np.int32).tobytes()]
    return Check(f"{unit.name}_push over {length.results} results", code, np.frombuffer(b"".join(expected), np.uint8))


def _length(unit: Unit, stream: StreamPlan) -> Length:
    """Long enough for the ring of rows to turn over, where that is not too many results."""
    _, window, channels = unit.graph.tensors[unit.graph.inputs[0]].shape
    factor = samples_per_sample(unit.graph, stream)
    every = stream.stride * stream.hop * factor
    large = 2 * every if 2 * every * channels <= AT_ONCE else 0
    macs = sum(layer.macs for layer in unit.layers)
    least = 6 if large else 4
    count = min(max(-(-window // every) + 2, least), max(min(MOST, MACS // max(macs, 1)), least))
    left = factor * (1 if stream.frame is None else stream.hop)  # of a window, fewer lie behind its last row
    return Length(window, every, count, max(window - left + 1, 0), large)


def _drawn(unit: Unit, stream: StreamPlan, length: Length, rng: np.random.Generator) -> tuple[int, list[Array]]:
    """The seed of a signal, and its results."""
    _, _, channels = unit.graph.tensors[unit.graph.inputs[0]].shape
    best: tuple[int, int, list[Array]] | None = None
    for _ in range(TRIED):
        seed = int(rng.integers(1 << 32))
        found = results(unit.graph, stream, rows(unit.graph, stream, signal(seed, length.total, channels)))
        assert len(found) == length.results
        distinct = len({y.tobytes() for y in found})
        if best is None or distinct > best[0]:
            best = distinct, seed, found
        if distinct == length.results:
            break
    assert best is not None
    return best[1], best[2]


def signal(seed: int, samples: int, channels: int) -> Array:
    """int16 [samples, channels]: what SIGNAL makes."""
    values = np.empty(samples * channels, np.int16)
    kind, level, period = 0, 1, 2
    for at in range(len(values)):
        seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
        if at % KIND == 0:
            kind, level, period = seed >> 30, 1 << ((seed >> 26) & 7), ((seed >> 16) & 63) + 2
        value = (seed >> 16) - 32768
        if kind == 1:
            value = 32767 if at // period % 2 == 0 else -32767
        elif kind == 2:
            value = at % period * (65535 // period) - 32768
        elif kind == 3:
            value = _divided(value, 64)
        values[at] = _divided(value, level)
    return values.reshape(samples, channels)


def _divided(value: int, by: int) -> int:
    """As C divides: towards zero."""
    return value // by if value >= 0 else -(-value // by)
