"""Manifests: hashed, saved as JSON lines, read back with suspicion.

A manifest's file is a head line, then a line for each record, then one for each bad file. Its root is kept as it was, but is no
part of the hash: the same data has the same hash on every machine.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import accumulate, pairwise
from pathlib import Path
from typing import IO, Any

from sandgrain.base import files
from sandgrain.base.errors import UsageError
from sandgrain.base.reading import is_number, open_plain
from sandgrain.dataset import kinds, targets
from sandgrain.dataset.names import MAX_LABEL, escape, problem, split_key, unseen
from sandgrain.dataset.peaks import CenterOptions
from sandgrain.dataset.readers import keys_of, make_layout
from sandgrain.dataset.readers.base import MAX_RATE
from sandgrain.dataset.readers.npz import NpzOptions
from sandgrain.dataset.records import SPLITS, BadFile, Layout, Manifest, Note, Record
from sandgrain.dataset.sensors import SensorOptions
from sandgrain.dataset.targets import TargetOptions
from sandgrain.dataset.tracks import TrackOptions
from sandgrain.dataset.unknown import Unknown, are_edges

FORMAT = 1
MAX_LINE = 1 << 18  # bytes: a path of 4096 characters, each escaped, and again as what placeholders matched
MAX_LINES = 1 << 21
EMPTY: dict[str, str] = {}


def make_manifest(
    root: Path,
    layout: Layout,
    records: Iterable[Record],
    bad: Iterable[BadFile],
    notes: Iterable[Note] = (),
    others: Mapping[tuple[str, str], int] | None = None,
) -> Manifest:
    """The manifest of these records, put in order and hashed."""
    ordered = tuple(sorted(records, key=lambda r: split_key(r.key)))
    left_out = tuple(sorted(set(bad), key=lambda b: (b.path, b.reason)))
    said = tuple(sorted(notes, key=lambda n: (n.path, n.text)))
    return Manifest(root, layout, ordered, left_out, manifest_hash(layout, ordered), said, dict(sorted((others or {}).items())))


LATER: tuple[type[Any], ...] = (
    TrackOptions,
    NpzOptions,
    TargetOptions,
    SensorOptions,
    CenterOptions,
)  # a data set that does not use them has the hash that it had before they came

NUMBERS = ("full_scale", "missing")  # keys with lists of numbers; other lists are of texts
LATER_KEYS = (
    "file_column",
    "split_column",
    "row_column",
    "label_names",
    "background",
    "negatives",
    "links",
    "track_file",
    "stretch_label",
    "x_array",
    "y_array",
    "group_array",
    "offset_array",
    "event_array",
    "event_s",
    "channels_first",
    "missing",
    "start_and_rate",
)  # fmt: skip  the same holds for single keys


def manifest_hash(layout: Layout, records: Iterable[Record]) -> str:
    """SHA-256 over the layout and, record by record in order, key, label, group, split, rate and sha256."""
    keys = layout_json(layout)
    for options in LATER:
        if layout.get(options) == options():
            keys = {k: v for k, v in keys.items() if k not in {f.name for f in fields(options)}}
    usual = keys_of(Layout("audio"))
    keys = {k: v for k, v in keys.items() if k not in LATER_KEYS or v != _plain(usual[k])}
    whole = hashlib.sha256(json.dumps(keys, sort_keys=True).encode())
    asked = targets.asked(layout)
    for r in records:
        number = [r.fields[targets.PLACE]] if asked and targets.PLACE in r.fields else []
        unknown = [list(r.unknown.edges)] if r.unknown is not None else []
        whole.update(b"\n" + json.dumps([r.key, r.label, r.group, r.split, r.rate, r.sha256, *number, *unknown]).encode())
    return whole.hexdigest()


def layout_json(layout: Layout) -> dict[str, Any]:
    """The layout as JSON takes it; a whole number of Hz is written as every other."""
    keys = {k: _plain(v) for k, v in keys_of(layout).items()}
    return keys | {"rate": float(layout.rate), **{name: [float(v) for v in keys[name]] for name in NUMBERS}}


def _plain(value: Any) -> Any:
    """As JSON holds it."""
    return list(value) if isinstance(value, tuple) else value


def save(manifest: Manifest, path: str | os.PathLike[str]) -> None:
    """Write the manifest, but for its notes; the file is there completely or not at all. Raises UsageError."""
    with files.output(Path(path)) as stream:
        for line in _lines(manifest):
            stream.write(json.dumps(line).encode() + b"\n")


def _lines(manifest: Manifest) -> Iterator[Any]:
    yield {
        "sandgrain_manifest": FORMAT,
        "root": os.fspath(manifest.root),
        "layout": layout_json(manifest.layout),
        "records": len(manifest.records),
        "bad": len(manifest.bad),
        "sha256": manifest.sha256,
    }
    for r in manifest.records:
        unknown = [_steps(r.unknown.edges)] if r.unknown is not None else []
        yield [r.key, r.label, r.group, list(r.shape), r.rate, r.sha256, r.split, dict(r.fields), r.clipped, *unknown]
    for b in manifest.bad:
        yield [b.path, b.reason]


def _steps(edges: Sequence[int]) -> list[int]:
    """Each as what it lies behind the one before it: as many as one recording may have fit a line of the file so."""
    return [b - a for a, b in pairwise([0, *edges])]


def load_manifest(path: str | os.PathLike[str], root: Path | None = None) -> Manifest:
    """Read what `save` wrote; `root`: where the data lies now, if it was moved. Raises UsageError, in one line."""
    shown = escape(Path(path).name, 80)
    try:
        with open_plain(Path(path)) as stream:
            return _loaded(stream, root)
    except OSError as error:
        raise UsageError(f"{shown}: the manifest cannot be read ({error.strerror})") from None
    except (_DamagedError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        why = str(error) if isinstance(error, _DamagedError) else "it is damaged"
        raise UsageError(f"{shown} is not a manifest that can be used: {why}; make it again from the data") from None


class _DamagedError(Exception):
    """Why a manifest is not used."""


def _need(fact: object, why: str) -> None:
    if not fact:
        raise _DamagedError(why)


def _loaded(stream: IO[bytes], root: Path | None) -> Manifest:
    head = _next(stream)
    _need(isinstance(head, dict) and "sandgrain_manifest" in head, "it does not begin as one")
    _need(head["sandgrain_manifest"] == FORMAT, "another version of Sandgrain wrote it")
    layout = layout_of(head["layout"])
    counts = (head["records"], head["bad"])
    _need(all(type(n) is int and 0 <= n <= MAX_LINES for n in counts), "its counts make no sense")
    _need(isinstance(head["root"], str) and "\0" not in head["root"], "it names no folder")
    records = tuple(_record(_next(stream), layout) for _ in range(counts[0]))
    bad = tuple(_bad(_next(stream)) for _ in range(counts[1]))
    _need(not stream.read(1), "more lines follow than it says")
    _need(manifest_hash(layout, records) == head["sha256"], "its hash does not fit: it was changed")
    return Manifest(root or Path(head["root"]), layout, records, bad, head["sha256"])


def _next(stream: IO[bytes]) -> Any:
    line = stream.readline(MAX_LINE + 1)
    _need(line.endswith(b"\n"), "it is cut short" if len(line) <= MAX_LINE else "a line is too long")
    return json.loads(line)


def layout_of(value: Any) -> Layout:
    """A layout from JSON, every field of its type. Raises ValueError or TypeError."""
    usual = keys_of(Layout("audio"))
    if not isinstance(value, dict) or not value.keys() <= usual.keys() or value.get("kind") not in kinds.names():
        raise ValueError("layout")
    return make_layout(**{name: _typed(name, item, usual[name]) for name, item in value.items()})


def _typed(name: str, value: Any, usual: Any) -> Any:
    """`value` when it is of the type of the field's default."""
    if isinstance(usual, tuple):
        fits = is_number if name in NUMBERS else lambda v: isinstance(v, str)
        if not isinstance(value, list) or not all(map(fits, value)):
            raise ValueError(name)
        return tuple(value)
    if type(usual) is float and is_number(value):
        return float(value)
    if type(value) is not type(usual):
        raise ValueError(name)
    return value


def _record(value: Any, layout: Layout) -> Record:
    key, label, group, shape, rate, sha256, split, fields, clipped, *more = value
    path = split_key(key)[0]
    _need(not path.startswith("/") and ".." not in path.split("/") and not problem(path), "a key leads outside the folder")
    _need(all(isinstance(t, str) and len(t) <= MAX_LABEL and not unseen(t) for t in (label, group)), "a label is damaged")
    _need(isinstance(shape, list) and 2 <= len(shape) <= 3 and all(type(n) is int and n > 0 for n in shape), "a shape is damaged")
    _need(type(rate) in (int, float) and 0 <= rate <= MAX_RATE and type(clipped) is int, "a number is damaged")
    _need(isinstance(sha256, str) and len(sha256) == 64 and sha256.isalnum() and split in (None, *SPLITS), "a line is damaged")
    _need(isinstance(fields, dict) and all(isinstance(t, str) for t in fields.values()), "a line is damaged")
    unknown = _unknown(more, shape[0], layout)
    return Record(
        key, label, group, layout.kind, tuple(shape), float(rate), sha256, fields or EMPTY, split, clipped, unknown=unknown
    )


def _unknown(more: list[Any], rows: int, layout: Layout) -> Unknown | None:
    """The rows without a number, from what stands behind the other values of a line."""
    if not more:
        return None
    steps = more[0]
    _need(len(more) == 1 and isinstance(steps, list) and steps and all(type(n) is int for n in steps), "a line is damaged")
    edges = list(accumulate(steps))
    _need(are_edges(edges, rows), "rows without a number are damaged")
    return Unknown(tuple(edges), layout.get(TargetOptions).target_of)


def _bad(value: Any) -> BadFile:
    path, reason = value
    _need(isinstance(path, str) and isinstance(reason, str), "a line is damaged")
    return BadFile(*(t if t.isascii() and t.isprintable() else escape(t, 300) for t in (path, reason)))
