"""Long recordings for a bundle, read as its signal is: rate, channels and full scale are the bundle's, the truth lies beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress
from sandgrain.base.text import plain
from sandgrain.dataset import ingest, intervals, kinds, sensors, targets
from sandgrain.dataset.names import PROJECT_FILE, split_key
from sandgrain.dataset.peaks import CenterOptions
from sandgrain.dataset.readers import make_layout, suffixes
from sandgrain.dataset.records import Layout, Manifest
from sandgrain.dataset.tables import TableOptions
from sandgrain.dataset.tracks import Stretch, TrackOptions
from sandgrain.frontend.signal import Signal, Target
from sandgrain.project.file import people
from sandgrain.project.file.load import load
from sandgrain.project.streams import Stream, behind_the_first, joined, merged

ARRAYS = (".npz",)
BAD_ROWS = 0.5  # of a recording with numbers: so many rows may lack a channel, and are left out with a note


def streams(
    places: Sequence[Path],
    signal: Signal,
    *,
    lead: int = 0,
    of: str = "",
    labels: Path | None,
    label_column: str,
    rest: str,
    resample: bool,
    target: Target | None = None,
    own: Layout | None = None,
    progress: Progress,
) -> tuple[list[Stream], tuple[str, ...]]:
    """(the recordings of `places`, files or folders; notes about what was left out).

    `labels`: a file with the stretches of the one recording; else each has its own beside it, or `label_column` in it, or the
    label of its folder. `lead`: samples that come before the first window, `of`: settle's. `rest`: the label of what no stretch covers, "": none. `resample`: other rates.
    `target`: where they say the number that is true, instead of labels. `own`: how the model's project reads recordings, see `of_project`.
    Raises UsageError.
    """
    if not kinds.of(signal.kind).sampled:
        raise UsageError(f"the bundle takes {kinds.of(signal.kind).noun}; recordings have time")
    found: list[Stream] = []
    notes: list[str] = []
    for place, root, files in _files(places, signal, own, target):
        manifest = _read(root, files, signal, label_column, resample, target, own, progress)
        notes += [f"{plain(bad.path, 80)}: {plain(bad.reason, 200)}" for bad in manifest.bad]
        notes += [f"{plain(note.path, 80)}: {plain(note.text, 200)}" for note in manifest.notes if target is not None]
        folder = f"{place.resolve().name}/" if len(places) > 1 and place.is_dir() else ""
        numbers = partial(targets.of_rows, load=partial(ingest.open_numbers, manifest)) if target is not None else None
        for stream in joined(manifest.records, partial(ingest.open_record, manifest), numbers):
            whole = stream if target is not None else _with_truth(stream, manifest.root, labels, rest)
            found.append(replace(whole, name=f"{folder}{whole.name}"))
    if of == "group" and len(found) > 1:
        owners = [_owner(s.name) for s in found]
        found = behind_the_first(found, owners, lead)
        if alone := sum(not owner for owner in owners):
            notes.append(
                f"nobody says whose {alone} of the recordings are, so each is measured against its own start; put those of a person into a folder "
                "called subject1, subject2, ..., for settle takes the start of the first"
            )
    first = lead + signal.shape[0]
    notes += [
        f"{plain(s.name, 80)} is shorter than {'a window' if not lead else 'settle and a window'} ({first / signal.rate:g} s): no result"
        for s in found
        if s.length < first - lead * (s.ahead is not None)
    ]
    if labels is not None and len(found) != 1:
        raise UsageError(f"--labels is for one recording, and there are {len(found)}; put a file with labels beside each")
    return found, tuple(notes)


def _owner(name: str) -> str:
    """The folder of a person or device that a recording lies in, by its name; "" for none."""
    parts = name.split("/")[:-1]
    return next(("/".join(parts[: k + 1]) for k, part in enumerate(parts) if people.says(part)), "")


def of_project(folder: Path) -> Layout | None:
    """How the project in `folder` reads recordings whose sensors lie in several files, or among each other in one, as whole recordings. None where there
    is no project, where it joins no sensors, and where label tracks say which stretches of them are wanted."""
    if not (folder / PROJECT_FILE).is_file():
        return None
    layout = load(folder).project.data.layout
    if not sensors.joins(layout) or layout.get(TrackOptions).label_tracks or layout.labels:
        return None
    return replace(layout, options=tuple(o for o in layout.options if not isinstance(o, CenterOptions)))


def _files(
    places: Sequence[Path], signal: Signal, own: Layout | None, target: Target | None
) -> Iterator[tuple[Path, Path, tuple[str, ...]]]:
    """(place, its folder, the files there that are read alike) of each place: where numbers are asked for, tables and arrays apart."""
    for place in places:
        root, files = _files_of(place, signal, own)
        arrays = tuple(name for name in files if name.lower().endswith(ARRAYS))
        parts = (files,) if target is None else (tuple(name for name in files if name not in arrays), arrays)
        yield from ((place, root, part) for part in parts if part)


def _files_of(place: Path, signal: Signal, own: Layout | None) -> tuple[Path, tuple[str, ...]]:
    """The folder of a place, and the recordings in it. Raises UsageError."""
    if place.is_file() and own is not None and sensors.in_files(own):
        raise UsageError(f"{plain(place, 120)}: the project's recordings lie in a file for each sensor; name their folder")
    if place.is_file():
        return place.parent, (place.name,)
    if not place.is_dir():
        raise UsageError(f"{plain(place, 120)} is not there; name a file or a folder with recordings")
    wanted = {p for s in suffixes(signal.kind) for p in place.rglob(f"*{s}") if _is_recording(p, s)}
    if not wanted:
        raise UsageError(f"{plain(place, 120)} holds no recording; name a file or a folder with recordings")
    return place, tuple(sorted(p.relative_to(place).as_posix() for p in wanted))


def _read(
    root: Path,
    files: tuple[str, ...],
    signal: Signal,
    label_column: str,
    resample: bool,
    target: Target | None,
    own: Layout | None,
    progress: Progress,
) -> Manifest:
    layout = layout_of(signal, label_column, resample)
    if own is not None:
        layout = replace(own, rate=signal.rate)
        if label_column:
            tables = replace(own.get(TableOptions), label_column=label_column)
            layout = replace(layout, options=(*(o for o in own.options if not isinstance(o, TableOptions)), tables))
    if target is not None:
        layout = _with_target(signal, resample, target, arrays=files[0].lower().endswith(ARRAYS))
    manifest = ingest.ingest(root, replace(layout, files=tuple(map(_literal, files))), workers=1, progress=progress)
    if not manifest.records:
        if not manifest.bad:
            raise UsageError("nothing was read; name a file or a folder with recordings")
        first = manifest.bad[0]
        here = " (here: --resample)" if "resample" in first.reason else _of_sensors(signal)
        if target is not None and f"has no column {target.name!r}" in first.reason:
            here = "; name the one with the number that is true (--target-column)"
        raise UsageError(f"{plain(first.path, 120)}: {first.reason}{here}")
    unlike = next((r for r in manifest.records if r.shape[1:] != signal.shape[1:]), None)
    if unlike is not None:
        raise UsageError(f"{plain(unlike.key, 120)}: has {unlike.shape[1]} channels, and the model takes {signal.shape[1]}")
    return manifest


def _of_sensors(signal: Signal) -> str:
    """What to do about recordings that lie in a file for each sensor: a bundle does not know how they are called, and a project does."""
    names = [c.name for c in signal.channels]
    if len({name.partition(".")[0] for name in names}) < 2 or not all(name.partition(".")[2] for name in names):
        return ""
    shown = ", ".join(plain(name, 40) for name in names[:8]) + (" ..." if len(names) > 8 else "")
    table = f"write those of a recording into one table at {signal.rate:g} Hz, with the columns {shown}"
    return f"; where the sensors have files of their own, name the project's folder, and not its bundle, or {table}"


def _is_recording(path: Path, suffix: str) -> bool:
    """Whether a file is one, and no file of labels beside one."""
    return path.is_file() and not path.name.endswith((f".labels{suffix}",)) and not path.name.startswith(".")


def _literal(name: str) -> str:
    """A pattern that matches this name alone."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _with_target(signal: Signal, resample: bool, target: Target, arrays: bool) -> Layout:
    """As `layout_of`, with a number for each row, or for each recording of an .npz. Raises UsageError."""
    if kinds.of(signal.kind).silence_between and not arrays:
        raise UsageError(
            "sound says no number of its own; write an .npz with the recordings in x and an array with a number for each"
        )
    said = {"target_array" if arrays else "target_column": target.name, "target_of": target.of}
    return layout_of(signal, "", resample, **said, missing=target.missing, bad_rows=BAD_ROWS)


def layout_of(signal: Signal, label_column: str, resample: bool, **more: Any) -> Layout:
    """How files are read so that they are recordings of this signal. `more`: keys of `[data]`."""
    keys: dict[str, Any] = {"rate": signal.rate, "resample": resample, **more}
    if not kinds.of(signal.kind).silence_between:
        names = tuple(c.name for c in signal.channels)
        if names and all(names):
            keys["columns"] = names
        scales = tuple(c.full_scale for c in signal.channels)
        if scales and all(scales):
            keys["full_scale"] = scales
        keys["label_column"] = label_column
    return make_layout(signal.kind, **keys)


def _with_truth(stream: Stream, root: Path, labels: Path | None, rest: str) -> Stream:
    path = labels if labels is not None else intervals.beside(root / split_key(stream.name)[0])
    truth = stream.truth if path is None else merged(intervals.read(path))
    truth = tuple(s for s in truth if s.label)
    return replace(stream, truth=_filled(truth, stream.seconds, rest) if rest else truth)


def _filled(truth: Sequence[Stretch], seconds: float, rest: str) -> tuple[Stretch, ...]:
    """The stretches, and what lies between them under the label `rest`."""
    found, at = list(truth), 0.0
    for s in sorted(truth, key=lambda s: s.start):
        if s.start > at:
            found.append(Stretch(at, s.start, rest))
        at = max(at, s.end)
    if at < seconds:
        found.append(Stretch(at, seconds, rest))
    return merged(found)
