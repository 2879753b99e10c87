"""Label tracks: which stretches of a long recording have which label, in a file beside it, as Audacity exports them.

`walk.wav` and `walk.txt`, a line a stretch: start and end in seconds, and the label, between tabs. Each stretch becomes a
recording of its own; what lies between is left out, or gets the label of `rest_label`. Where stretches with different labels overlap,
nobody knows what is heard, so that part is left out, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from sandgrain.dataset.names import clean, stem
from sandgrain.dataset.readers.base import MAX_RECORDS, BadFileError, Sample
from sandgrain.dataset.records import option

SUFFIX = ".txt"
MAX_TRACK = 1 << 24  # bytes
YEARS = 1e8  # seconds that no recording lasts
SHORTEST = 0.05  # seconds of a part between stretches: what is shorter is where somebody's hand was not quite still


@dataclass(frozen=True, slots=True)
class TrackOptions:
    """What is done about label tracks."""

    label_tracks: bool = option(
        False,
        "Each recording has a label track beside it, NAME.txt with start, end and label between tabs, as Audacity exports it, or another "
        "file as `track_suffix` says; each stretch is a recording of its own. A recording without a track is bad.",
    )
    track_suffix: str = option(
        SUFFIX,
        "With `label_tracks`: what a track is called behind the recording's name (with `sensors`: in the place of the sensor): `.txt`, `.csv` or `.json` (columns or keys start, end or "
        "duration, and label, in seconds; start and samples count samples), `.eaf`, or with more before it, such as `.labels.csv`.",
    )
    track_file: str = option(
        "",
        "With `label_tracks`: one file below `path` with the stretches of all recordings, instead of one beside each: a table with file, start, "
        "end and label, or JSON with a list for each recording. Times are seconds, or dates as in `time_column`.",
    )
    stretch_label: str = option("", "With `track_file`: the label of stretches that have none of their own, such as `anomaly`.")
    rest_label: str = option("", "With `label_tracks`: the label of what no stretch covers. Empty: it is left out, and counted.")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Seconds from `start` to `end`, and their label."""

    start: float
    end: float
    label: str


@dataclass(frozen=True, slots=True)
class Track:
    """The stretches of a recording, by their start; `points`: how many labels mark a moment only, `empty`: have no text."""

    stretches: tuple[Stretch, ...]
    points: int = 0
    empty: int = 0
    in_samples: bool = False  # its starts and ends count samples, not seconds
    in_dates: bool = False  # they are seconds from 1970, not from the beginning of the recording


def beside(path: str, suffix: str = SUFFIX) -> str:
    """Where the label track of a recording lies."""
    return stem(path) + suffix


def file_of(path: str, options: TrackOptions) -> str:
    """Where the stretches of a recording are said."""
    return options.track_file or beside(path, options.track_suffix)


def parse(text: str) -> Track:
    """A label track. Raises BadFileError with the line that is none."""
    found: list[Stretch] = []
    points = empty = 0
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if not line.strip() or line.startswith("\\"):  # the frequencies of the line above
            continue
        start, end, label = _line(line, number)
        if not label:
            empty += 1
        elif end == start:
            points += 1
        else:
            found.append(Stretch(start, end, label))
        if len(found) > MAX_RECORDS:
            raise BadFileError(f"its label track has more than {MAX_RECORDS} stretches")
    return Track(tuple(sorted(found, key=lambda s: (s.start, s.end, s.label))), points, empty)


def _line(line: str, number: int) -> tuple[float, float, str]:
    cells = line.split("\t")
    try:
        start, end = (float(cell.strip().replace(",", ".")) for cell in cells[:2])
    except ValueError:
        raise BadFileError(f"line {number} of its label track is not start, end and label between tabs") from None
    if not 0 <= start <= end < float("inf"):
        raise BadFileError(f"line {number} of its label track goes from {start:g} s to {end:g} s")
    return start, end, clean(" ".join(cells[2:]), "label")


def cut_all(samples: Iterable[Sample], track: Track, rest_label: str) -> Iterator[Sample]:
    """The stretches of a file's recordings, numbered on. Raises BadFileError where there are none."""
    first, count, made = math.nan, 0, False
    for sample, is_last in _with_last(samples):
        if math.isnan(first):
            first = sample.start if math.isnan(sample.origin) else sample.origin
            track = replace(track, in_dates=track.in_dates or _has_dates(track, first))
        own = _from(track, sample.start, first)
        if not is_last and sample.rate and not track.in_samples:  # what begins behind it is of the next part of the file
            length = len(sample.data) / sample.rate
            own = replace(own, stretches=tuple(replace(s, end=min(s.end, length)) for s in own.stretches if s.start < length))
        for piece in cut(sample, own, rest_label):
            count, made = count + 1, True
            yield replace(piece, index=count)
        count += 1  # what lies in the next recording does not follow
    if not made:
        raise BadFileError("its label track labels no stretch of it")


def _has_dates(track: Track, first: float) -> bool:
    """Whether a track and its recording count from 1970 both: nothing lasts for years."""
    return first >= YEARS and bool(track.stretches) and track.stretches[0].start >= YEARS


def _with_last(samples: Iterable[Sample]) -> Iterator[tuple[Sample, bool]]:
    """Each with whether it is the last one."""
    held: Sample | None = None
    for sample in samples:
        if held is not None:
            yield held, False
        held = sample
    if held is not None:
        yield held, True


def _from(track: Track, start: float, first: float) -> Track:
    """The track with its times from the beginning of a recording, which is at `start` of the clock that its file begins at `first` of."""
    if track.in_dates and not math.isfinite(start):
        raise BadFileError("its label track has dates, and its rows have no time; set time_column")
    shift = start if track.in_dates else start - first if math.isfinite(start) else 0.0
    if not shift or track.in_samples:
        return track
    moved = (replace(s, start=max(0.0, s.start - shift), end=s.end - shift) for s in track.stretches)
    return replace(track, stretches=tuple(s for s in moved if s.end > 0))


def cut(sample: Sample, track: Track, rest_label: str) -> Iterator[Sample]:
    """The stretches of a recording, each as one, none where nothing of it has a label; the last carries a note about what was left out.

    Raises BadFileError.
    """
    rate, length = sample.rate, len(sample.data)
    if track.in_samples:
        rate = 1.0
    if not rate:
        raise BadFileError("does not say its sampling rate, and its label track is in seconds; set rate")
    parts = list(_parts(track.stretches, length, rate))
    given = [(a, b, label or rest_label) for a, b, label in parts if label or (rest_label and b - a >= SHORTEST * rate)]
    if not given:
        return
    note = _note(sample, track, (length - sum(b - a for a, b, _ in given)) / rate, length / rate)
    for index, (start, end, label) in enumerate(given, 1):
        said = note if index == len(given) else ""
        part = sample.between(start, end)
        yield replace(part, index=index, label=label, note=said, clipped=sample.clipped * (index == 1))


def _parts(stretches: Sequence[Stretch], length: int, rate: float) -> Iterator[tuple[int, int, str]]:
    """(first sample, last + 1, label) of each part with one stretch, or with none (""); parts with other labels at once are passed over."""
    spans = [(min(length, round(s.start * rate)), min(length, round(s.end * rate)), s.label) for s in stretches]
    edges = sorted({0, length, *(at for start, end, _ in spans for at in (start, end))})
    active: list[int] = []
    coming = 0
    before: tuple[int, int, int] | None = None  # start, end, stretch (-1: none) of the part that is still growing
    for start, end in pairwise(edges):
        while coming < len(spans) and spans[coming][0] <= start:
            active.append(coming)
            coming += 1
        active = [k for k in active if spans[k][1] > start]
        labels = {spans[k][2] for k in active}
        owner = -2 if len(labels) > 1 else min(active, default=-1)
        if before is not None and before[2] == owner:
            before = before[0], end, owner
            continue
        if before is not None and before[2] > -2:
            yield before[0], before[1], spans[before[2]][2] if before[2] >= 0 else ""
        before = start, end, owner
    if before is not None and before[2] > -2:
        yield before[0], before[1], spans[before[2]][2] if before[2] >= 0 else ""


def _note(sample: Sample, track: Track, left: float, seconds: float) -> str:
    said = [sample.note] if sample.note else []
    if left >= SHORTEST:
        said.append(
            f"{left:.4g} of {seconds:.4g} {'samples' if track.in_samples else 's'} have no label, or several, and are left out"
        )
    if track.points:
        said.append(f"{track.points} labels mark a moment and no stretch, and are left out")
    if track.empty:
        said.append(f"{track.empty} labels have no text, and are left out")
    late = sum(s.end > seconds + SHORTEST for s in track.stretches)
    if late:
        said.append(f"{late} stretches go beyond its end")
    return "; ".join(said)
