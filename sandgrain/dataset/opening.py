"""One recording of a manifest, decoded again and held against its hash."""

from __future__ import annotations

import atexit
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.dataset.decode import decode
from sandgrain.dataset.names import escape, split_key
from sandgrain.dataset.readers.base import BadFileError, Sample, digest
from sandgrain.dataset.records import Layout, Manifest, Record

KEEP = 256 << 20  # bytes of recordings of files that hold several, so that any order of them is quick
KEEP_FILES = 64  # such files that are open at the same time


def open_record(manifest: Manifest, record: Record) -> Array:
    """The samples of a record: int16 [samples, channels] or uint8 [height, width, channels].

    Reads from disk each time; recordings of files that hold several are kept while they fit KEEP bytes. Raises UsageError
    when the file is no longer what it was when the manifest was made.
    """
    if record.part is not None:
        whole, start = record.part
        return open_record(manifest, whole)[start : start + record.shape[0]].copy()
    return _sample(manifest, record).data


def open_numbers(manifest: Manifest, record: Record) -> Array | None:
    """What a model is to give at each sample of a record, float64 [samples], or [1] for all; None where its file does not say."""
    if record.part is not None:
        whole, start = record.part
        rows = open_numbers(manifest, whole)
        return rows if rows is None or len(rows) == 1 else rows[start : start + record.shape[0]].copy()
    return _sample(manifest, record).numbers


def _sample(manifest: Manifest, record: Record) -> Sample:
    """A record that is no part of another one. Raises UsageError."""
    path, index = split_key(record.key)
    try:
        sample = _single(manifest, path) if not index else _shelf.get(manifest.root, path, index, manifest.layout)
    except BadFileError as error:
        raise UsageError(f"{escape(record.key)}: {escape(str(error), 300)}") from None
    except MemoryError:
        raise UsageError(f"{escape(record.key)}: there is not enough memory to decode it") from None
    if sample is None or sample.data.shape != record.shape or digest(sample.data, sample.numbers) != record.sha256:
        raise UsageError(f"{escape(record.key)} is no longer what it was; read the data again")
    return sample


def _single(manifest: Manifest, path: str) -> Sample | None:
    for sample in decode(manifest.root, path, manifest.layout):
        return None if sample.index else sample
    return None


class _File:
    """A file of several recordings, read as far as anybody asked."""

    def __init__(self, stamp: tuple[int, int], samples: Iterator[Sample]) -> None:
        self.stamp, self.samples = stamp, samples
        self.at = 0  # the index of the last recording that was read
        self.kept: dict[int, Sample] = {}
        self.bytes = 0


class _Shelf:
    """The files of several recordings that were used last."""

    def __init__(self) -> None:
        self._files: OrderedDict[tuple[Path, str, Layout], _File] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, root: Path, path: str, index: int, layout: Layout) -> Sample | None:
        """Recording `index` of a file, or None where it has fewer. Raises BadFileError."""
        key = (root, path, layout)
        with self._lock:
            file = self._files.get(key)
            stamp = _stamp(root, path)
            if file is None or file.stamp != stamp or (index <= file.at and index not in file.kept):
                if file is not None:
                    self._forget(key)
                file = self._files[key] = _File(stamp, decode(root, path, layout))
            self._files.move_to_end(key)
            try:
                return self._read(file, index)
            except BaseException:
                self._forget(key)
                raise

    def _read(self, file: _File, index: int) -> Sample | None:
        while file.at < index:
            sample = next(file.samples, None)
            if sample is None:
                return None
            file.at = sample.index or index
            size = sample.data.nbytes + (0 if sample.numbers is None else sample.numbers.nbytes)
            if size <= self._room(size, file):
                file.kept[file.at] = sample
                file.bytes += size
            if file.at == index:
                return sample
        return file.kept.get(index)

    def _room(self, wanted: int, file: _File) -> int:
        """Bytes that are free, once the files that were not used for long have gone."""
        while len(self._files) > 1 and (
            sum(f.bytes for f in self._files.values()) + wanted > KEEP or len(self._files) > KEEP_FILES
        ):
            oldest = next(iter(self._files))
            if self._files[oldest] is file:
                break
            self._forget(oldest)
        return KEEP - sum(f.bytes for f in self._files.values())

    def clear(self) -> None:
        """Close every file."""
        with self._lock:
            for key in list(self._files):
                self._forget(key)

    def _forget(self, key: tuple[Path, str, Layout]) -> None:
        file = self._files.pop(key)
        close = getattr(file.samples, "close", None)
        if close:
            close()


def _stamp(root: Path, path: str) -> tuple[int, int]:
    try:
        about = (root / path).stat()
    except OSError:
        raise BadFileError("is not there") from None
    return about.st_size, about.st_mtime_ns


_shelf = _Shelf()
atexit.register(_shelf.clear)  # while the readers' modules are still there
