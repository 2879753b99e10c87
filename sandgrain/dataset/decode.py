"""One file to its recordings: what it is by its content, who reads it, and what is kept of a recording."""

from __future__ import annotations

import codecs
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandgrain.base.errors import UsageError
from sandgrain.dataset import intervals, joined, kinds, peaks, sensors, shared_tracks, tracks
from sandgrain.dataset.dialect import utf16
from sandgrain.dataset.names import PACKED, clean, escape, suffix
from sandgrain.dataset.peaks import CenterOptions
from sandgrain.dataset.readers import for_suffix, readers
from sandgrain.dataset.readers.base import BadFileError, Reader, Sample, check_rate, digest, one_line
from sandgrain.dataset.records import Layout
from sandgrain.dataset.unknown import edges_of
from sandgrain.dataset.unpack import unpacked
from sandgrain.dataset.walk import open_inside

HEAD = 64  # bytes that tell what a file is
MAX_TEXT = 1 << 25  # bytes of all that is kept of one file's recordings
MAX_NOTE = 300  # characters of what is said about one
# What is often met under a wrong name: where in the file, the bytes, what it is called.
FOREIGN = (
    (0, b"ID3", "an MP3 file"), (0, b"\xff\xfb", "an MP3 file"), (0, b"OggS", "an Ogg file"), (0, b"FORM", "an AIFF file"),
    (0, b"\x1f\x8b", "a gzip file"), (0, b"BZh", "a bzip2 file"), (0, b"\xfd7zXZ", "an xz file"), (0, b"7z\xbc\xaf", "a 7z archive"),
    (0, b"Rar!", "a RAR archive"), (0, b"PK", "a ZIP archive"), (0, b"%PDF", "a PDF document"), (0, b"GIF8", "a GIF image"),
    (0, b"BM", "a BMP image"), (0, b"II*\0", "a TIFF image"), (0, b"MM\0*", "a TIFF image"), (8, b"WEBP", "a WebP image"),
    (4, b"ftyp", "an MP4 file"), (0, b"\x7fELF", "a program"), (0, b"MZ", "a program"), (0, b"#!", "a script"),
    (0, b"\x89HDF", "an HDF5 file"), (0, b"SQLite", "a database"), (0, b"\x80\x04", "a pickle"),
    (0, b"RIFX", "a big-endian WAV file"), (0, b"RF64", "a WAV file of more than 4 GiB"), (257, b"ustar", "a tar archive"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Description:
    """What a manifest keeps of one recording of a file; see `Sample` and `Record`."""

    index: int
    label: str | None
    group: str | None
    rate: float
    shape: tuple[int, ...]
    sha256: str
    clipped: int
    note: str = ""
    unknown: tuple[int, ...] = ()  # see `unknown.Unknown`


def decode(root: Path, path: str, layout: Layout) -> Iterator[Sample]:
    """The recordings of file `path` below `root`, or the stretches that its label track names. Raises BadFileError."""
    try:
        options = layout.get(tracks.TrackOptions)
        track = _track(root, path, options, layout) if options.label_tracks else None
        samples = joined.read(root, path, layout, _read) if sensors.joins(layout) else _read(root, path, layout)
        samples = samples if track is None else tracks.cut_all(samples, track, options.rest_label)
        yield from peaks.around(samples, layout) if layout.get(CenterOptions).center else samples
    except (BadFileError, MemoryError):
        raise
    except OSError as error:
        raise BadFileError(f"cannot be read ({one_line(error)})") from None
    except Exception as error:  # a hostile file found a way that no reader foresaw: one line, never a traceback
        raise BadFileError(f"cannot be decoded ({type(error).__name__}: {one_line(error)})") from None


def _read(root: Path, path: str, layout: Layout) -> Iterator[Sample]:
    """The recordings of one file."""
    with open_inside(root, path, layout.links) as stream:
        inner, size = unpacked(stream, path)
        head = inner.read(HEAD)
        reader = choose(head, suffix(path), layout)
        inner.seek(0)
        yield from reader.read(inner, size, layout)


def _track(root: Path, path: str, options: tracks.TrackOptions, layout: Layout) -> tracks.Track:
    """The label track of a recording: of its own, or its part of one for all. Raises BadFileError."""
    if options.track_file:
        return shared_tracks.track(root, path, options.track_file, options.stretch_label, layout.links)
    return intervals.track(root, sensors.track_of(path, layout), layout.links)


def describe(root: Path, path: str, layout: Layout) -> list[Description]:
    """What is kept of each recording of a file; one recording is in memory at a time. Raises BadFileError."""
    found: list[Description] = []
    size = 0
    for sample in decode(root, path, layout):
        label, group = (None if t is None else clean(t, w) for t, w in ((sample.label, "label"), (sample.group, "group")))
        unknown = edges_of(sample.numbers, len(sample.data))
        by_row = sample.numbers is not None and len(sample.numbers) > 1  # one number for all: whoever cuts windows says it
        note = escape(_noted(sample.note, unknown if by_row else ()), MAX_NOTE)
        size += 256 + len(label or "") + len(group or "") + len(note) + 16 * len(unknown)
        if size > MAX_TEXT:
            raise BadFileError("has too many recordings with long labels")
        rate = check_rate(sample.rate) if sample.rate else 0.0
        data = sample.data
        sha256 = digest(data, sample.numbers)
        found.append(Description(sample.index, label, group, float(rate), data.shape, sha256, sample.clipped, note, unknown))
    return found


def _noted(note: str, unknown: tuple[int, ...]) -> str:
    """What is odd about a recording, with the rows that have no number."""
    rows = sum(unknown[1::2]) - sum(unknown[::2])
    return f"{rows} rows have no number, and stay input of windows that have one{f'; {note}' if note else ''}" if rows else note


def choose(head: bytes, suffix: str, layout: Layout) -> Reader:
    """Who reads a file that begins with `head`: its content decides, and must be of the kind. Raises BadFileError."""
    usual = for_suffix(suffix)
    expected = usual.WHAT if usual else kinds.of(layout.kind).expected
    for reader in readers():
        if what := reader.sniff(head):
            if layout.kind not in reader.KINDS or usual not in (None, reader):
                raise BadFileError(f"is {what}, not {expected}")
            return reader
    for start, magic, what in FOREIGN:
        if head[start : start + len(magic)] == magic and not (usual and _is_text(usual) and magic.isalnum()):
            raise BadFileError(f"is {what}, not {expected}")
    if usual is None or layout.kind not in usual.KINDS:
        raise BadFileError(f"is not {kinds.of(layout.kind).expected} in a format that is read here")
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or utf16(head)
    text = bool(wide) or (b"\0" not in head and not any(byte < 9 for byte in head))
    if not _is_text(usual):
        raise BadFileError(f"is text, not {expected}" if text else f"is not {expected}: it does not begin as such a file does")
    if not text:
        raise BadFileError(f"is not {expected}: its bytes are no text")
    return usual


def _is_text(reader: Reader) -> bool:
    return bool({".csv", ".json"} & set(reader.SUFFIXES))


def in_own_code(suffixes: Sequence[str]) -> bool:
    """Whether files of these suffixes meet no native library, and are not larger than they look."""
    return not any(suffix.endswith(PACKED) for suffix in suffixes) and all(
        getattr(for_suffix(suffix), "OWN_CODE", False) for suffix in suffixes
    )


def modules(suffixes: Sequence[str], layout: Layout) -> tuple[str, ...]:
    """The modules that files of these suffixes are read with. Raises UsageError where one is not installed."""
    found: dict[str, None] = {}
    for end in suffixes:
        reader = for_suffix(end)
        for name in reader.needs(end, layout) if reader else ():
            if importlib.util.find_spec(name.partition(".")[0]) is None:
                raise UsageError(f"reading {escape(end)} files needs {name.partition('.')[0]}; pip install 'sandgrain[data]'")
            found[name] = None
    return tuple(found)
