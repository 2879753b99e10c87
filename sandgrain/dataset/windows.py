"""Long recordings as windows of one length, streamed from disk one recording at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Literal

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.base.text import plain
from sandgrain.dataset.records import Record
from sandgrain.dataset.unknown import Unknown, joined

LeadOf = Literal["start", "group", "before"]


@dataclass(frozen=True, slots=True)
class Windowing:
    """How a recording is cut along its first axis, all in samples.

    `length` of a window; `stride` from one to the next, 0 for `length`. `pad`: where a recording that is shorter lies in its one
    window ("center", "end": at the end stands the padding), or "none" to leave it out. `fill`: padding with zeros or with the
    first and last sample, which suits sensors that do not rest at zero. A longer recording is never padded: samples behind
    the last whole window are left out, as they would be on the board. `lead`: samples that come in front of every window, those of
    `lead_of`: the start of its stream (of the first of its group), or what is just before it. No window begins before they are over.
    """

    length: int
    stride: int = 0
    pad: Literal["center", "end", "none"] = "center"
    fill: Literal["zero", "edge"] = "zero"
    purity: float = 0.0
    lead: int = 0
    lead_of: LeadOf = "start"

    def __post_init__(self) -> None:
        if self.length < 1 or self.stride < 0:
            raise UsageError(f"windows of {self.length} samples every {self.stride}; both must be positive")
        if self.pad not in ("center", "end", "none") or self.fill not in ("zero", "edge"):
            raise UsageError(f"padding {self.pad} with {self.fill}; use center, end or none, with zero or edge")

    @classmethod
    def of(
        cls,
        seconds: float,
        stride: float,
        rate: float,
        pad: Literal["center", "end", "none"] = "center",
        fill: Literal["zero", "edge"] = "zero",
        purity: float = 0.0,
    ) -> Windowing:
        """From seconds, at `rate` Hz. Raises UsageError where a window is shorter than a sample."""
        length, step = round(seconds * rate), round(stride * rate)
        if length < 1 or (stride > 0 and step < 1):
            raise UsageError(f"a window of {seconds:g} s every {stride:g} s is less than a sample at {rate:g} Hz; make it longer")
        return cls(length, step, pad, fill, purity)


@dataclass(frozen=True, slots=True)
class Window:
    """Samples `start` to `stop` of a recording, with so many samples of padding on both sides."""

    start: int
    stop: int
    pad_before: int = 0
    pad_after: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """Recordings of one stream that follow one another without a gap; windows run over the changes from one to the next."""

    records: tuple[Record, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of all of them, one behind the other."""
        return (sum(r.shape[0] for r in self.records), *self.records[0].shape[1:])

    @property
    def before(self) -> int:
        """As `Record.before`."""
        return self.records[0].before

    @property
    def unknown(self) -> Unknown | None:
        """As `Record.unknown`."""
        return joined([(r.shape[0], r.unknown) for r in self.records])


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A window of a recording, or of a run: then `record` is that of its label. `index`: which one of it. `x`: [length, channels], or
    an image; a copy. Where windows have a lead it comes in front: [lead + length, channels]."""

    record: Record
    index: int
    x: Array


def windows_of(shape: Sequence[int], windowing: Windowing | None, before: int = 0) -> list[Window]:
    """The windows of a recording of `shape` (samples first), in order. Without `windowing` it is one window.

    `before`: samples of its stream that come before it; windows begin behind the lead.
    """
    samples = shape[0]
    if windowing is None:
        return [Window(0, samples)]
    length, stride = windowing.length, windowing.stride or windowing.length
    first = skipped(windowing, before)
    if samples - first >= length:
        return [Window(s, s + length) for s in range(first, samples - length + 1, stride)]
    if windowing.pad == "none" or samples <= first:
        return []
    missing = length - (samples - first)
    ahead = missing // 2 if windowing.pad == "center" else 0
    return [Window(first, samples, ahead, missing - ahead)]


def windows_in(item: Record | Run, windowing: Windowing | None) -> list[Window]:
    """The windows of a recording or a run, in order, but for those whose number nobody says."""
    windows, unknown = windows_of(item.shape, windowing, item.before), item.unknown
    if unknown is None or not windows:
        return windows
    without = unknown.windows(np.array([w.start for w in windows]), np.array([w.stop for w in windows])).tolist()
    return [w for w, gone in zip(windows, without, strict=True) if not gone]


def skipped(windowing: Windowing, before: int) -> int:
    """Samples at the start of what has `before` samples in front of it in which no window begins: they are in the lead."""
    return max(windowing.lead - before, 0)


def with_lead(x: Array, window: Window, windowing: Windowing | None, ahead: Array | None) -> Array:
    """The window of `x`, as `cut` gives it, with its lead in front where windows have one. `ahead`: what `Leads.ahead` says."""
    part = cut(x, window, "zero" if windowing is None else windowing.fill)
    if windowing is None or ahead is None or not windowing.lead:
        return part
    if windowing.lead_of != "before":
        return np.concatenate([ahead, part])
    missing = max(windowing.lead - window.start, 0)
    own = x[max(window.start - windowing.lead, 0) : window.start]
    return np.concatenate([ahead[len(ahead) - missing :], own, part])


def cut(x: Array, window: Window, fill: Literal["zero", "edge"] = "zero") -> Array:
    """The window of recording `x` [samples, ...], padded; a copy, of x's dtype."""
    part = x[window.start : window.stop]
    if not (window.pad_before or window.pad_after):
        return np.array(part)
    sides = [(window.pad_before, window.pad_after)] + [(0, 0)] * (x.ndim - 1)
    return np.pad(part, sides, mode="edge") if fill == "edge" else np.pad(part, sides)


def owned(run: Run, windowing: Windowing | None) -> list[tuple[Record, Window]]:
    """The windows of a run, each with the recording whose label it has: of the label with the largest share, the one that it holds most of.

    A window of which no label has the share `purity` is left out.
    """
    ends = np.cumsum([r.shape[0] for r in run.records])
    windows = windows_in(run, windowing)
    first = np.searchsorted(ends, [w.start for w in windows], "right").tolist()
    last = np.searchsorted(ends, [w.stop - 1 for w in windows], "right").tolist()
    found: list[tuple[Record, Window]] = []
    for window, a, b in zip(windows, first, last, strict=True):
        owner = run.records[a] if a == b else _owner(run, ends, window, range(a, b + 1), windowing)
        if owner is not None:
            found.append((owner, window))
    return found


def _owner(run: Run, ends: Array, window: Window, over: range, windowing: Windowing | None) -> Record | None:
    """The recording that a window over several belongs to; None where it is too mixed."""
    inside = {k: min(int(ends[k]), window.stop) - max(int(ends[k]) - run.records[k].shape[0], window.start) for k in over}
    shares: dict[str, int] = {}
    for k, samples in inside.items():
        shares[run.records[k].label] = shares.get(run.records[k].label, 0) + samples
    label = max(shares, key=lambda name: shares[name])  # of equal ones the first
    if windowing is not None and shares[label] < windowing.purity * (window.stop - window.start):
        return None
    return run.records[max((k for k in over if run.records[k].label == label), key=lambda k: inside[k])]


def owners(items: Sequence[Record | Run], windowing: Windowing | None) -> Iterator[Record]:
    """The recording of each window that `stream` gives, in order; nothing is loaded."""
    for item in items:
        if isinstance(item, Run):
            yield from (record for record, _ in owned(item, windowing))
        else:
            yield from repeat(item, count([item], windowing))


def count(items: Sequence[Record | Run], windowing: Windowing | None) -> int:
    """How many windows `stream` gives; nothing is loaded, and of recordings none is made."""
    return sum(len(owned(r, windowing)) if isinstance(r, Run) else _number(r, windowing) for r in items)


def _number(record: Record, windowing: Windowing | None) -> int:
    """How many windows `windows_in` gives for a recording."""
    if windowing is not None and record.unknown is None:
        samples = record.shape[0] - skipped(windowing, record.before)
        if samples >= windowing.length:
            return (samples - windowing.length) // (windowing.stride or windowing.length) + 1
    return len(windows_in(record, windowing))


def stream(
    items: Sequence[Record | Run],
    load: Callable[[Record], Array],
    windowing: Windowing | None = None,
    *,
    seed: int | None = None,
    epoch: int = 0,
    buffer: int = 4096,
    ahead: Callable[[Record | Run], Array] | None = None,
) -> Iterator[Cut]:
    """Every window of every record and run once. `load` gives a record's samples, of the shape that the record states, and
    `ahead` the lead of its windows, see `leads.Leads`.

    One recording, or run, is held at a time. Without `seed` windows come in order. With one, recordings come in an order that `seed` and
    `epoch` decide, and windows are mixed by a buffer: each comes from a random place among `buffer` that wait (their samples
    are held: that, times a window's bytes, is the memory it takes). The same arguments give the same order.
    """
    if seed is None:
        yield from _in_order(items, load, windowing, ahead)
        return
    rng = generator(seed, epoch, "order")
    shuffled = [items[int(k)] for k in rng.permutation(len(items))]
    waiting: list[Cut] = []
    for item in _in_order(shuffled, load, windowing, ahead):
        if len(waiting) < max(buffer, 1):
            waiting.append(item)
            continue
        place = int(rng.integers(len(waiting)))
        ready, waiting[place] = waiting[place], item
        yield ready
    for k in rng.permutation(len(waiting)):
        yield waiting[int(k)]


def generator(*parts: object) -> np.random.Generator:
    """A generator seeded by a hash of `parts` (numbers and strings): the same on every machine, whatever ran before."""
    text = "\0".join(str(p) for p in parts).encode("utf-8", "surrogatepass")
    return np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")))


def _in_order(
    items: Sequence[Record | Run],
    load: Callable[[Record], Array],
    windowing: Windowing | None,
    ahead: Callable[[Record | Run], Array] | None,
) -> Iterator[Cut]:
    for item in items:
        records = item.records if isinstance(item, Run) else (item,)
        windows = owned(item, windowing) if isinstance(item, Run) else [(item, w) for w in windows_in(item, windowing)]
        if not windows:
            continue
        x = np.concatenate([_loaded(r, load) for r in records]) if len(records) > 1 else _loaded(records[0], load)
        lead = ahead(item) if ahead is not None else None
        number: dict[str, int] = {}  # windows that each recording has had
        for record, window in windows:
            index = number.get(record.key, 0)
            number[record.key] = index + 1
            yield Cut(record, index, with_lead(x, window, windowing, lead))
        del x  # before the next one is loaded


def _loaded(record: Record, load: Callable[[Record], Array]) -> Array:
    x = load(record)
    if x.shape != tuple(record.shape):
        raise UsageError(
            f"{plain(record.key)}: has the shape {list(x.shape)}, and {list(record.shape)} when it was read first; read the data again"
        )
    return x
