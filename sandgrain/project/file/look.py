"""A quick look at a folder of data: what kind it is, its rate, its classes, how its names are made. `init` writes it down.

A look is bounded: so many names, so many files opened, so many bytes of each. It never follows a link.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.base.errors import UsageError
from sandgrain.base.tables import Line, Shown
from sandgrain.base.text import plain
from sandgrain.dataset.records import Kind
from sandgrain.project.file.naming import naming
from sandgrain.project.file.tables import is_labels, look_json, look_npz, look_parquet, look_table

SUFFIXES: dict[str, str] = {
    ".wav": "audio", ".flac": "audio", ".png": "image", ".jpg": "image", ".jpeg": "image", ".csv": "table", ".parquet": "parquet",
    ".json": "json", ".npz": "npz",
}  # fmt: skip
MAX_NAMES = 50_000
OPENED = 40  # files that are looked into
INSIDE = {"table": look_table, "parquet": look_parquet, "json": look_json, "npz": look_npz}
LISTS = (("validation", "validation_list.txt"), ("test", "testing_list.txt"))  # as in Speech Commands


@dataclass(frozen=True, slots=True, repr=False)
class Look(Shown):
    """What a look has found; the fields are those of `[data]`, and some that only the comments need."""

    kind: Kind
    files: tuple[str, ...]
    count: int
    name: str = ""
    rate: float = 0.0
    resample: bool = False
    seconds: tuple[float, ...] = ()  # of the files that were opened
    shape: tuple[int, ...] = ()  # of the first image
    labels: tuple[str, ...] = ()
    groups: int = 0
    has_split: bool = False
    lists: tuple[tuple[str, str], ...] = ()  # side -> list file
    table: tuple[tuple[str, Any], ...] = ()  # keys of [data] that the file's inside calls for
    notes: tuple[str, ...] = ()
    points: tuple[int, ...] = ()  # of the recordings of a JSON file

    def lines(self) -> list[Line]:
        rate = f" at {self.rate:g} Hz" if self.rate else ""
        first = f"{self.count} files, {self.kind}{rate}, {len(self.labels)} labels seen"
        return [first, *(f"note: {plain(note, 200)}" for note in self.notes)]

    def to_json(self) -> dict[str, Any]:
        """A plain object; the keys are part of the interface."""
        return {
            "kind": self.kind,
            "files": self.count,
            "name": self.name,
            "rate_hz": self.rate,
            "labels": list(self.labels),
            "groups": self.groups,
        }


def look(root: Path) -> Look:
    """What lies in `root`, a folder or a file. Raises UsageError where there is nothing that could be read."""
    base = root if root.is_dir() else root.parent
    names = list(_names(root)) if root.is_dir() else [root.name]
    tables = {n for n in names if Path(n).suffix.lower() == ".csv"}
    kinds = Counter(SUFFIXES[s] for n in names if (s := Path(n).suffix.lower()) in SUFFIXES)
    media = [k for k in ("audio", "image") if kinds[k]]
    if not kinds:
        raise UsageError(
            f"{plain(root, 120)} has no WAV, FLAC, CSV, Parquet, JSON, PNG, JPEG or NPZ file; name the folder with the data"
        )
    kind = max(media, key=lambda k: kinds[k]) if media else kinds.most_common(1)[0][0]
    chosen = sorted(n for n in names if SUFFIXES.get(Path(n).suffix.lower()) == kind)
    suffixes = sorted({Path(n).suffix for n in chosen})
    aside = sorted({n.split("/")[0] for n in chosen if n.startswith("_") and "/" in n}) if media else []  # as _background_noise_
    chosen = [n for n in chosen if n.split("/")[0] not in aside] or chosen
    notes = (
        [f"other files are left alone: {', '.join(f'{n} {k}' for k, n in sorted(kinds.items()) if k != kind)}"]
        if len(kinds) > 1
        else []
    )
    common: dict[str, Any] = {"files": tuple(f"{'[!_]*/' if aside else ''}**/*{s}" for s in suffixes), "count": len(chosen)}
    if kind in INSIDE:
        found = INSIDE[kind](base, chosen)
        return Look(**common, **{**found, "notes": (*notes, *found.get("notes", ()))})
    labels = next((n for n in sorted(tables) if is_labels(base / n)), "")
    named = naming(chosen) if not labels else {}
    table: list[tuple[str, Any]] = [("labels", labels)] if labels else []
    table += [("background", tuple(f"{a}/*{s}" for a in aside for s in suffixes))] if aside and kind == "audio" else []
    lists = tuple((side, n) for side, n in LISTS if (base / n).is_file())
    inside = _audio(base, chosen) if kind == "audio" else _image(base, chosen)
    return Look(
        **common,
        kind="audio" if kind == "audio" else "image",
        notes=tuple(notes),
        table=tuple(table),
        **named,
        **inside,
        lists=lists,
    )


def _names(root: Path) -> Iterator[str]:
    """Relative posix paths of files below `root`, at most MAX_NAMES, links and hidden files left out."""
    seen = 0
    for folder, inner, files in os.walk(root, followlinks=False):
        inner[:] = sorted(d for d in inner if not d.startswith("."))
        for name in sorted(files):
            path = Path(folder) / name
            if name.startswith(".") or path.is_symlink():
                continue
            yield path.relative_to(root).as_posix()
            seen += 1
            if seen >= MAX_NAMES:
                return


def _some(names: Sequence[str]) -> list[str]:
    """OPENED of them, spread over all."""
    return [names[k] for k in sorted({int(k) for k in np.linspace(0, len(names) - 1, min(OPENED, len(names)))})]


def _audio(base: Path, names: Sequence[str]) -> dict[str, Any]:
    import soundfile

    rates: Counter[float] = Counter()
    seconds = []
    for name in _some(names):
        try:
            info = soundfile.info(str(base / name))
        except (OSError, RuntimeError, ValueError, TypeError):
            continue
        if info.samplerate > 0:
            rates[float(info.samplerate)] += 1
            seconds.append(info.frames / info.samplerate)
    if not rates:
        return {}
    rate = rates.most_common(1)[0][0]
    return {"rate": rate, "resample": len(rates) > 1, "seconds": tuple(sorted(seconds))}


def _image(base: Path, names: Sequence[str]) -> dict[str, Any]:
    from PIL import Image

    for name in _some(names):
        try:
            with Image.open(base / name) as picture:  # reads the header, decodes nothing
                width, height = picture.size
                return {"shape": (height, width, 1 if picture.mode in ("1", "L", "I;16") else 3)}
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
            continue
    return {}
