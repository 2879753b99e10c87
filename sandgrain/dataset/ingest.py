"""From a folder of files to a manifest of hashed recordings.

Nothing is held but the list of what was found: files are decoded by a few processes with limits (`pool`), one recording at a
time, and each gives back its shape, its rate and its hash. Whatever is wrong with a file becomes a line in `Manifest.bad`.
"""

from __future__ import annotations

import posixpath
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress, silent
from sandgrain.dataset import ambiguous, decode, kinds, names, peaks, sensors, targets
from sandgrain.dataset.cache import Cache
from sandgrain.dataset.labels import Names, read_labels
from sandgrain.dataset.lines import Lines, read_lines
from sandgrain.dataset.manifest import EMPTY, load_manifest, make_manifest, save
from sandgrain.dataset.names import Pattern, Place, escape
from sandgrain.dataset.opening import open_numbers, open_record
from sandgrain.dataset.pool import Reply, decode_all, decode_here
from sandgrain.dataset.readers import suffixes
from sandgrain.dataset.readers.base import BadFileError, RateOptions, check_rate
from sandgrain.dataset.records import BadFile, Layout, Manifest, Note, Record
from sandgrain.dataset.tables import Scale, TableOptions
from sandgrain.dataset.targets import TargetOptions
from sandgrain.dataset.tracks import TrackOptions
from sandgrain.dataset.unknown import Unknown
from sandgrain.dataset.walk import MAX_FILES, Found, walk

__all__ = ["ingest", "load_manifest", "open_numbers", "open_record", "save"]

MAX_RECORDS = MAX_FILES  # of a data set
NAMED = 3  # bad files that a refusal shows
MEASURED = 0.05  # how far rates that were measured by time columns may lie apart
PACKED_COUNT = 10  # bytes of a table in a byte that gzip has packed, about
EVERY = 64  # files between two reports of progress


@dataclass(frozen=True, slots=True)
class Few:
    """A part of a data set: at most so many files, from all over the list, and bytes; those of packed files count PACKED_COUNT times."""

    files: int
    size: int

    def of(self, found: Sequence[Found]) -> list[Found]:
        """The files; one too large for the rest of the bytes is passed over, and so may be all of them."""
        if len(found) > self.files:
            found = [found[k * (len(found) - 1) // max(1, self.files - 1)] for k in range(self.files)]
        taken, left = [], self.size
        for size, file in sorted(((_inside(f), f) for f in found), key=lambda pair: pair[0]):
            if size <= left:
                taken.append(file)
                left -= size
        return sorted(taken, key=lambda f: f.path)


def _inside(file: Found) -> int:
    """Bytes that are likely to be read."""
    return file.size * (PACKED_COUNT if file.path.lower().endswith(names.PACKED) else 1)


def ingest(
    root: Path,
    layout: Layout,
    *,
    bad: Literal["skip", "refuse"] = "skip",
    workers: int = 2,
    progress: Progress = silent,
    cache: Path | None = None,
    few: Few | None = None,
) -> Manifest:
    """Read every recording below `root` once, and list it with its hash.

    `bad`: "skip" lists the files that cannot be used in `Manifest.bad`; "refuse" raises UsageError when there is one.
    `workers`: processes that decode. `progress` is told files done and files there are. `cache`: a folder in which results are
    kept, so that only files that changed are decoded the next time. `few`: read only these many, and in this
    process where no native library meets them. Raises UsageError for what concerns the whole data set: no folder, no files, a
    layout that contradicts itself, a package that is not installed.
    """
    root = Path(root)
    pattern = check_layout(layout)
    if not root.is_dir():
        raise UsageError(f"{escape(str(root))}: no such folder; name the folder that holds the recordings")
    if bad not in ("skip", "refuse") or workers < 1:
        raise UsageError("bad is skip or refuse, and at least one worker is needed")
    root = root.resolve()
    by_row = bool(layout.labels and layout.row_column)
    listed, wrong = read_labels(root, layout) if layout.labels and not by_row else (None, [])
    lines, wrong = read_lines(root, layout) if by_row else (None, wrong)
    files, unread, others = _files(root, layout)
    wrong += unread
    if lines is not None:
        wrong += lines.files(f.path for f in files)
    if listed is not None:
        listed, unclear = Names((f.path for f in files), layout.labels).resolve(listed, layout.labels)
        wrong += unclear
        wrong += _missing(listed, files, wrong, layout)
    pattern, unclear_name = ambiguous.settle(pattern, [f.path for f in files]) if pattern else (None, None)
    places: dict[str, Place] = {}
    for file in files:
        try:
            place = names.place_of(file.path, layout, pattern, listed)
            if targets.asked(layout) and (said := dict(place.fields).get(targets.PLACE)) is not None:
                targets.number(said, "target")
            places[file.path] = place
        except BadFileError as error:
            wrong.append(BadFile(escape(file.path), str(error)))
    records: list[Record] = []
    notes = [Note(escape(unclear_name[0]), unclear_name[1])] if unclear_name else []
    chosen = [f for f in files if f.path in places]
    if few:
        chosen, workers = few.of(chosen), 0
    for file, reply in _replies(root, layout, chosen, workers, progress, cache):
        if isinstance(reply, str):
            wrong.append(BadFile(escape(file.path), reply))
        else:
            records += _records(file, reply, places[file.path], layout, lines)
            notes += [Note(escape(file.path), d.note) for d in reply if d.note]
        if len(records) > MAX_RECORDS:
            raise UsageError(f"{escape(str(root))} holds more than {MAX_RECORDS} recordings; take a part with files = [...]")
    if lines is not None and not few:
        wrong += lines.left()
    good, outliers = _agreeing(records, layout)
    wrong += outliers
    if not good and not wrong and not (few and files):  # none of them may be small enough for a few
        kinds = ", ".join(layout.files or suffixes(layout.kind))
        raise UsageError(f"{escape(str(root))} holds no {layout.kind} files ({escape(kinds)}); see files in [data]")
    if wrong and bad == "refuse":
        shown = "; ".join(f"{b.path}: {b.reason}" for b in sorted(wrong, key=lambda b: b.path)[:NAMED])
        raise UsageError(f"{len(wrong)} of {len(files) + len(unread)} files cannot be used: {shown}; mend them or skip them")
    return make_manifest(root, layout, good, wrong, notes, others)


def check_layout(layout: Layout) -> Pattern | None:
    """The name pattern, compiled. Raises UsageError for a layout that contradicts itself."""
    if layout.get(RateOptions).resample and not layout.rate:
        raise UsageError("resample needs a rate to resample to; set rate")
    scale = layout.get(Scale).full_scale
    if layout.get(TableOptions).segment < 0 or any(not 0 < abs(s) < float("inf") for s in scale):
        raise UsageError("segment is a number of rows, and full_scale a positive number a channel")
    if layout.row_column and not layout.labels:
        raise UsageError("row_column is a column of an index file; name that in labels")
    targets.check(layout)
    if sensors.joins(layout) and layout.get(TargetOptions).target_column and not layout.labels:
        raise UsageError(
            "target_column does not go with sensors that are joined; give a number for each recording in an index file (labels)"
        )
    for label in layout.label_names:
        names.clean(label, "name in label_names")
    if layout.rate:
        try:
            check_rate(layout.rate)
        except BadFileError as error:
            raise UsageError(f"rate: {error}") from None
    if layout.name:
        names.compile_pattern(layout.name)
    sensors.check(layout)
    peaks.check(layout)
    return sensors.pattern_of(layout)


def _files(root: Path, layout: Layout) -> tuple[list[Found], list[BadFile], Counter[tuple[str, str]]]:
    """The data set's files, those that cannot be read, and how many others there are by suffix and first folder."""
    known, others = suffixes(layout.kind), Counter[tuple[str, str]]()

    def wanted(path: str) -> bool:
        if path in (layout.labels, layout.get(TrackOptions).track_file, names.PROJECT_FILE):
            return False
        aside = (*layout.background, *layout.negatives)
        if aside and names.fits(path, aside):
            return False
        if names.wanted(path, layout, known):
            return True
        others[names.suffix(path)[:20], path.partition("/")[0] if "/" in path else ""] += 1
        return False

    files, bad = walk(root, wanted, layout.links)
    if sensors.in_files(layout):
        files, lacking = sensors.gathered(files, layout, others)
        bad += lacking
    if layout.get(TrackOptions).label_tracks:
        files = [_with_track(root, file, layout, others) for file in files]
    return files, bad, +others


def _with_track(root: Path, file: Found, layout: Layout, others: Counter[tuple[str, str]]) -> Found:
    """The file with its label track in its size and time, so that a change of either is seen; the track is no other file."""
    try:
        about = (root / sensors.track_of(file.path, layout)).stat()
    except OSError:
        return file  # decoding says that it is not there
    options = layout.get(TrackOptions)
    if not options.track_file:
        end = posixpath.splitext(f"x{options.track_suffix}")[1].lower()
        others[end, file.path.partition("/")[0] if "/" in file.path else ""] -= 1
    return replace(file, size=file.size + about.st_size, mtime_ns=file.mtime_ns + about.st_mtime_ns)


def _missing(listed: dict[str, Place], files: list[Found], wrong: list[BadFile], layout: Layout) -> Iterator[BadFile]:
    """What the labels file names and nobody found."""
    there = {f.path for f in files} | {b.path for b in wrong}
    for path in listed:
        if path not in there and escape(path) not in there:
            yield BadFile(escape(path), f"{escape(layout.labels, 60)} names it, but it is not there")


def _replies(
    root: Path,
    layout: Layout,
    files: list[Found],
    workers: int,
    progress: Progress,
    folder: Path | None,
) -> Iterator[tuple[Found, Reply]]:
    """Each file with what is in it, from the cache or from the processes that decode; no `workers`: in this one where that is safe."""
    done, left = 0, files
    with ExitStack() as stack:
        cache = stack.enter_context(Cache(folder, root, layout)) if folder else None
        if cache:
            left = []
            for file in files:
                known = cache.get(file)
                if known is None:
                    left.append(file)
                    continue
                done += 1
                yield file, known
        progress("reading", done, len(files))
        found = sorted({names.suffix(f.path) for f in left})
        modules = decode.modules(found, layout)
        here = not workers and decode.in_own_code(found)
        answers = decode_here(root, layout, left) if here else decode_all(root, layout, left, modules, max(1, workers))
        for file, reply, same_again in answers:
            if cache and same_again:
                cache.put(file, reply)
            done += 1
            if done % EVERY == 0 or done == len(files):
                progress("reading", done, len(files))
            yield file, reply


def _records(
    file: Found, reply: list[decode.Description], by_file: Place, layout: Layout, lines: Lines | None = None
) -> Iterator[Record]:
    folder = file.path.partition("/")[0] if "/" in file.path else ""
    how = layout.get(TargetOptions).target_of
    for d in reply:
        place = by_file
        if lines is not None:
            said = lines.of(file.path, d.index)
            if said is None:
                continue
            place = names.over(said, by_file)
        label = place.label if layout.labels and place.label is not None else (d.label if d.label is not None else place.label)
        if label is None:
            label = "" if layout.name else names.clean(folder, "label")
        label = names.named(label, layout.label_names)
        group = place.group if layout.labels and place.group else (d.group if d.group is not None else place.group)
        yield Record(
            names.make_key(file.path, d.index), sys.intern(label), sys.intern(group or ""), layout.kind, d.shape, d.rate,
            d.sha256, dict(place.fields) or EMPTY, place.split, d.clipped,
            unknown=Unknown(d.unknown, how) if d.unknown else None,
        )  # fmt: skip


def _agreeing(records: list[Record], layout: Layout) -> tuple[list[Record], list[BadFile]]:
    """The records that are like most of them, and the files of the others: without a label, of another rate or width."""
    bad: list[BadFile] = []
    if any(r.label for r in records):
        bad += _files_of((r for r in records if not r.label), lambda r: "has no label, while others have one")
        records = [r for r in records if r.label]
    usual = _most(r.rate for r in records)
    near = MEASURED * usual if layout.get(TableOptions).time_column else 0.0

    def mixed(r: Record) -> str:
        if not r.rate:
            return f"does not say its sampling rate, most of the data has {usual:g} Hz; set rate"
        advice = kinds.of(layout.kind).rate_advice
        return f"is sampled at {r.rate:g} Hz, most of the data at {usual:g} Hz{advice}"

    bad += _files_of((r for r in records if abs(r.rate - usual) > near), mixed)
    records = [r for r in records if abs(r.rate - usual) <= near]
    width = _most(r.shape[-1] for r in records)
    bad += _files_of(
        (r for r in records if r.shape[-1] != width), lambda r: f"has {r.shape[-1]} channels, most of the data has {width:g}"
    )
    return [r for r in records if r.shape[-1] == width], bad


def _most(values: Iterable[float]) -> float:
    """The most frequent value, the smaller of two; 0 where there are no values."""
    counts = Counter(values)
    return min(counts, key=lambda v: (-counts[v], v), default=0)


def _files_of(records: Iterable[Record], why: Callable[[Record], str]) -> list[BadFile]:
    """A bad file for each file, not for each of its records."""
    return list({(path := names.split_key(r.key)[0]): BadFile(escape(path), why(r)) for r in records}.values())
