"""A look for one file with the labelled stretches of all recordings: a table or JSON that names files that are there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandgrain.base.reading import read_small
from sandgrain.base.text import plain
from sandgrain.dataset import shared_tracks
from sandgrain.dataset.intervals import END, LENGTH, START
from sandgrain.dataset.names import PROJECT_FILE, suffix
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.dataset.shared_tracks import FILES, Said
from sandgrain.dataset.tracks import MAX_TRACK
from sandgrain.project.file.tables import glance

CANDIDATES = 40  # that are looked into
HALF = 0.5  # of the recordings that it names, or of those that are there: so many must be in both
FAULTS = (
    "anomaly",
    "anomalies",
    "fault",
    "faults",
    "failure",
    "failures",
    "defect",
    "defects",
    "outlier",
    "outliers",
    "attack",
    "attacks",
)
GENERAL = frozenset(("", "window", "label", "interval", "event", "annotation", "segment", "range", "time", "stretch", "combined"))


@dataclass(frozen=True, slots=True)
class Shared:
    """What a shared file says. `keys`: those of [data]; `note`: why; `seconds`: lengths of its stretches; `named`: recordings it names."""

    path: str
    keys: tuple[tuple[str, Any], ...]
    labels: tuple[str, ...]
    note: str
    seconds: tuple[float, ...]
    named: frozenset[str]


def find_shared(base: Path, names: Sequence[str], tables: Sequence[str]) -> Shared | None:
    """The first file that has stretches of recordings that are there, and names them; None where there is none."""
    documents = [n for n in names if suffix(n) == ".json"]
    near = sorted((n for n in (*documents, *tables) if n.count("/") < 2), key=lambda n: (n.count("/"), n))
    if len(documents) > CANDIDATES:  # they are the data
        near = [n for n in near if n not in set(documents)]
    for name in near[:CANDIDATES]:
        said = _said(base / name, name)
        if said is None:
            continue
        found = frozenset(n for n in names if n not in (name, PROJECT_FILE) and said.key_of(n) is not None)
        alike = [n for n in names if found and suffix(n) == suffix(min(found)) and n != name]
        if found and (len(found) >= HALF * len(said.names) or len(found) >= HALF * len(alike)):
            return _judged(name, said, found)
    return None


def _said(path: Path, name: str) -> Said | None:
    try:
        if suffix(name) != ".json":
            if suffix(name) not in (".csv", ".tsv"):
                return None
            header = {t.strip().lower().replace(" ", "_") for t in glance(path, 4).form.names}
            if not (header & {*FILES} and header & {*START} and header & {*END, *LENGTH}):
                return None
        if path.stat().st_size > MAX_TRACK:
            return None
        return shared_tracks.parse(name, read_small(path, MAX_TRACK))
    except (BadFileError, OSError, ValueError):
        return None


def _judged(name: str, said: Said, found: frozenset[str]) -> Shared:
    every = list(shared_tracks.labels_of(said.names))
    labels = {label for label, _ in every if label}
    keys: list[tuple[str, Any]] = [("label_tracks", True), ("track_file", name)]
    how = ""
    if any(not label for label, _ in every):
        own = _word(name, said)
        keys.append(("stretch_label", own))
        labels.add(own)
        how = f"; stretches without a label are called {own} by the words in it (stretch_label)"
    rest = "" if len(labels) > 1 else "normal" if labels & {"anomaly", "fault"} else "rest"
    keys.append(("rest_label", rest))
    what = (
        f"; what no stretch covers is {rest} (rest_label)"
        if rest
        else "; what has no label is left out, unless rest_label names it"
    )
    when = "dates" if said.in_dates else "seconds"
    note = (
        f"{plain(name, 60)} says where labelled stretches of {len(found)} recordings begin and end, in {when}: each stretch is a recording of "
        f"its own (track_file){how}{what}"
    )
    seconds = tuple(sorted(length for _, length in every))
    return Shared(name, tuple(keys), tuple(sorted(labels | ({rest} - {""}))), note, seconds, found)


def _word(name: str, said: Said) -> str:
    """What stretches without a label are: a fault, where the file or its keys say so; else the word of the key that is no general one."""
    stem = name.rpartition("/")[2].rpartition(".")[0]
    words = [w for text in (stem, *sorted(said.keys)) for w in re.split(r"[^a-z]+", text.lower()) if w]
    for word in words:
        if word in FAULTS:
            return "anomaly" if word.startswith("anomal") else "fault"
    own = [w for text in sorted(said.keys) for w in re.split(r"[^a-z]+", text.lower()) if w.removesuffix("s") not in GENERAL]
    return own[0] if own else "event"
