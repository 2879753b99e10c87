"""What a data set is to the rest of Sandgrain: plain values that ingest makes and everybody else reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from sandgrain.dataset.unknown import Unknown

Kind = str  # the name of a kind of data, see data/kinds/
T = TypeVar("T")
SPLITS = ("train", "validation", "test")


def option(default: T, description: str, **limits: float) -> T:
    """A field of a reader's options: its default, what it is (for docs/reference/project.md), and limits as pydantic names them (ge=0)."""
    made: T = field(default=default, metadata={"description": description, **limits})
    return made


@dataclass(frozen=True, slots=True)
class Layout:
    """How the files of a data set are read: what holds for files of every format, and what single readers are told.

    Every field, and every field of a reader's options, is a key of `[data]` in sandgrain.toml.
    """

    kind: Kind  # sound is int16 [samples, 1], sensors int16 [samples, channels], images uint8 [height, width, channels]
    files: tuple[str, ...] = ()  # glob patterns below the root; empty: all suffixes of the kind
    name: str = ""  # pattern of the path without its suffix, see `names.compile_pattern`; "": the label is the first folder
    labels: str = ""  # index file below the root: CSV with columns file, label, group, split; it wins over `name`
    file_column: str = ""  # of the index file; "": one of the usual names, see `labels.COLUMNS`
    split_column: str = ""  # of the index file, as file_column
    row_column: str = ""  # of the index file, where its lines are recordings within files, see `lines`
    label_names: tuple[str, ...] = ()  # of labels that are numbers from 0; "": such a label stays
    background: tuple[str, ...] = ()  # glob patterns of recordings that are no samples
    negatives: tuple[str, ...] = ()  # the same, of recordings with nothing in them, which only count false alarms
    links: tuple[str, ...] = ()  # links below the root that may lead outside of it
    rate: float = 0.0  # Hz; 0: what the files say
    options: tuple[Any, ...] = ()  # of readers, one of a class at most; a class that is missing has its defaults

    def get(self, options: type[T]) -> T:
        """The options of this class: those that are set, or the defaults."""
        return next((o for o in self.options if isinstance(o, options)), options())


@dataclass(frozen=True, slots=True)
class Record:
    """One recording.

    `key`: the path below the root, posix, with "#3" behind it for the third recording of a file that holds several.
    `shape`: of the decoded array, see `Layout.kind`. `rate`: Hz, 0 for images. `sha256`: of the decoded samples' bytes and
    shape (so that a copy under another name, or the same sound in FLAC, is found). `fields`: what the name pattern's other
    placeholders matched. `split`: as given by the data itself, or None. `clipped`: values that int16 could not hold. `part`: (the
    recording that this is a stretch of, its first sample there), or None. `before`: samples of its stream that come before it, where
    windows have a lead. `unknown`: the samples whose number nobody says, where a model is to give numbers, or None.
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
    part: tuple[Record, int] | None = None
    before: int = 0
    unknown: Unknown | None = None


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file that was not taken, and why: one line, printable."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """A file that was taken although something about it is odd, and what: one line, printable."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A data set as it was found: records in the order of path and place in the file, what was left out, and a hash of it.

    `notes`: what was odd about files that were taken. `others`: how many files that are not read there are, by suffix and first
    folder ("" at the top).

    `sha256` is over the layout and the ordered (key, label, group, split, rate, sha256) of the records: the same data gives
    the same hash on every machine.
    """

    root: Path
    layout: Layout
    records: tuple[Record, ...]
    bad: tuple[BadFile, ...]
    sha256: str
    notes: tuple[Note, ...] = ()
    others: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """The distinct labels, sorted; numbers by their value."""
        return tuple(
            sorted({r.label for r in self.records}, key=lambda t: (not t.isdecimal(), int(t) if t.isdecimal() else 0, t))
        )
