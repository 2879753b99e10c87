"""Long recordings with the truth about them: pieces that a reader cut at each change of label are put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.dataset.changes import runs
from sandgrain.dataset.names import split_key
from sandgrain.dataset.records import Layout, Record
from sandgrain.dataset.tracks import Stretch
from sandgrain.dataset.windows import Run

TOUCHING = 1e-6  # seconds: stretches of one label that are no further apart are one


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """One long recording. `open`: its samples, int16 [n, channels]. `truth`: its labelled stretches by their start, in seconds; what
    none covers has no label. `group`: its speaker, subject or device, or "". `ahead`: what a model that measures the samples against a start
    hears first, int16 [lead, channels], where that is the start of another recording."""

    name: str
    rate: float
    length: int  # samples
    open: Callable[[], Array]
    truth: tuple[Stretch, ...]
    group: str = ""
    numbers: Callable[[], Array] | None = None  # what is true of each sample, float64 [n], NaN where nobody says it
    ahead: Callable[[], Array] | None = None

    @property
    def seconds(self) -> float:
        return self.length / self.rate


def joined(
    records: Sequence[Record], opened: Callable[[Record], Array], numbers: Callable[[Record], Array] | None = None
) -> list[Stream]:
    """The files of these records, each as one stream of its pieces in their order; a file that is one piece is one stretch.

    `numbers`: what is true of each of a record's samples; then pieces stay apart, for none was cut at a change of label. A file whose pieces have several groups is one stream for each. Stretches of a record cut by time stay apart.
    """
    files: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        part = "" if record.part is None and numbers is None else record.key
        files.setdefault((split_key(record.key)[0], record.group, part), []).append(record)
    return [_joined(sorted(pieces, key=lambda r: split_key(r.key)[1] or 0), opened, numbers) for pieces in files.values()]


def _joined(
    pieces: Sequence[Record], opened: Callable[[Record], Array], numbers: Callable[[Record], Array] | None = None
) -> Stream:
    rate, at, truth = pieces[0].rate, 0, []
    for piece in pieces:
        truth.append(Stretch(at / rate, (at + piece.shape[0]) / rate, piece.label))
        at += piece.shape[0]
    name = pieces[0].key if numbers is not None else split_key(pieces[0].key)[0]

    def of_all(load: Callable[[Record], Array]) -> Callable[[], Array]:
        return lambda: np.concatenate([load(piece) for piece in pieces])

    told = None if numbers is None else of_all(numbers)
    return Stream(name, rate, at, of_all(opened), merged(truth), pieces[0].group, told)


def behind_the_first(found: Sequence[Stream], owners: Sequence[str], lead: int) -> list[Stream]:
    """The streams, those of one of `owners` (one a stream, "": nobody's) behind the start of the first of them by name, `lead` samples."""
    order = sorted(range(len(found)), key=lambda k: found[k].name)
    firsts: dict[str, list[Stream]] = {}
    made = list(found)
    for k in order:
        before = firsts.setdefault(owners[k], []) if owners[k] else []
        if before and sum(s.length for s in before) >= lead:
            made[k] = replace(found[k], ahead=partial(_start, tuple(before), lead))
        elif owners[k]:
            before.append(found[k])
    return made


def _start(streams: Sequence[Stream], lead: int) -> Array:
    return np.concatenate([s.open()[:lead] for s in streams])[:lead]


def with_changes(records: Sequence[Record], layout: Layout, opened: Callable[[Record], Array], lead: int = 0) -> list[Stream]:
    """The streams of these records, see `whole`, in which the label changes."""
    return [stream for stream in whole(records, layout, opened, lead) if len({s.label for s in stream.truth}) > 1]


def whole(records: Sequence[Record], layout: Layout, opened: Callable[[Record], Array], lead: int = 0) -> list[Stream]:
    """The streams of these records: a file that a reader cut at changes of its label is one, up to a gap or to a piece that is left out.

    `lead`: samples that a model measures all others against. What begins after the first sample of its stream is then left out: the C, which
    hears it from its own start, would measure it against another lead than the one that its windows have.
    """
    items = [item.records if isinstance(item, Run) else (item,) for item in runs([r for r in records if r.rate], layout)]
    return [_joined(pieces, opened) for pieces in items if not (lead and pieces[0].before)]


def merged(truth: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Stretches by their start, those of one label that touch or overlap as one."""
    last: dict[str, int] = {}
    found: list[Stretch] = []
    for s in sorted(truth, key=lambda s: (s.start, s.end)):
        k = last.get(s.label)
        if k is not None and s.start <= found[k].end + TOUCHING:
            found[k] = Stretch(found[k].start, max(found[k].end, s.end), s.label)
        else:
            last[s.label] = len(found)
            found.append(s)
    return tuple(found)


def shares(truth: Sequence[Stretch], labels: Sequence[str], starts: Array, ends: Array) -> Array:
    """The share of each span of time, `starts` to `ends` in seconds [n], that each label covers: float64 [n, labels]."""
    length = np.maximum(ends - starts, 1e-12)
    columns = []
    for label in labels:
        edges, covered = _coverage([s for s in truth if s.label == label])
        columns.append((np.interp(ends, edges, covered) - np.interp(starts, edges, covered)) / length)
    return np.stack(columns, 1) if columns else np.zeros((len(starts), 0))


def _coverage(stretches: Sequence[Stretch]) -> tuple[Array, Array]:
    """(points in time, seconds that are covered up to each), for `np.interp`."""
    edges, covered = [0.0], [0.0]
    for start, end in _apart(stretches):
        edges += [start, end]
        covered += [covered[-1], covered[-1] + end - start]
    return np.array(edges), np.array(covered)


def _apart(stretches: Sequence[Stretch]) -> Iterator[tuple[float, float]]:
    """Start and end of stretches of one label, overlaps counted once."""
    for s in merged(stretches):
        yield s.start, s.end
