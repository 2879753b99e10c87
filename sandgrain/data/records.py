"""What a data set is to the rest of Sandgrain: plain values that ingest makes and everybody else reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["audio", "motion", "image"]
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Layout:
    """How the files of a data set are to be read. Every field is a key of `[data]` in sandgrain.toml.

    `kind`: "audio" (int16 [samples, 1] after mixing down), "motion" (any sampled sensor, int16 [samples, channels]) or
    "image" (uint8 [height, width, channels]). `files`: glob patterns below the root, empty for all of the kind's suffixes.
    `name`: pattern of the path below the root without its suffix, such as "{label}_{group}_{index}" or
    "{split}/{label}/{index}"; a placeholder matches anything but "/"; {label}, {group} and {split} have a meaning, others
    can be used to choose a split. Without it, the label is the first folder's name. `labels`: a CSV file below the root
    with columns file, label and optionally group and split; it wins over `name`.
    `rate`: Hz; audio of another rate is resampled when `resample` is set and bad otherwise; a table without a time column
    is taken to have this rate.
    Tables (CSV, Parquet, JSON): `columns` are the channels, in order; `label_column`, `group_column`; `time_column` in
    seconds (checked against `rate`); `segment`: rows a recording, 0 for as many as follow each other with the same label
    and group. JSON: `records` is the key of the list of recordings ("" when the file is that list, or one recording),
    `points` the key of a recording's list of points, `label_key` and `group_key` keys of a recording.
    `full_scale`: the real value, in `units`, that int16 32768 stands for: one a channel, or one for all; needed for tables
    whose values are not integers already.
    NPZ: `x` [n, ...] and `y` [n], optionally `group`; a recording an index.
    """

    kind: Kind
    files: tuple[str, ...] = ()
    name: str = ""
    labels: str = ""
    rate: float = 0.0
    resample: bool = False
    columns: tuple[str, ...] = ()
    label_column: str = ""
    group_column: str = ""
    time_column: str = ""
    segment: int = 0
    records: str = ""
    points: str = ""
    label_key: str = "label"
    group_key: str = ""
    full_scale: tuple[float, ...] = ()
    units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """One recording.

    `key`: the path below the root, posix, with "#3" behind it for the third recording of a file that holds several.
    `shape`: of the decoded array, see `Layout.kind`. `rate`: Hz, 0 for images. `sha256`: of the decoded samples' bytes and
    shape (so that a copy under another name, or the same sound in FLAC, is found). `fields`: what the name pattern's other
    placeholders matched. `split`: as given by the data itself, or None. `clipped`: values that int16 could not hold.
    """

    key: str
    label: str
    group: str
    kind: Kind
    shape: tuple[int, ...]
    rate: float
    sha256: str
    fields: Mapping[str, str] = field(default_factory=dict)
    split: str | None = None
    clipped: int = 0


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file that was not taken, and why: one line, printable."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A data set as it was found: records in the order of path and place in the file, what was left out, and a hash of it.

    `sha256` is over the layout and the ordered (key, label, group, split, rate, sha256) of the records: the same data gives
    the same hash on every machine.
    """

    root: Path
    layout: Layout
    records: tuple[Record, ...]
    bad: tuple[BadFile, ...]
    sha256: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The distinct labels, sorted; numbers by their value."""
        return tuple(
            sorted({r.label for r in self.records}, key=lambda t: (not t.isdecimal(), int(t) if t.isdecimal() else 0, t))
        )
