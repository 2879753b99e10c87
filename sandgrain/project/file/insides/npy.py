"""NPY: an array a file, one recording. Which axis is which is told by the shapes; the rate is nowhere in such a file."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.base.npy import Header
from sandgrain.base.text import plain
from sandgrain.dataset.readers import make_layout, npy
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.dataset.records import Layout
from sandgrain.dataset.rows import RowOptions, gaps
from sandgrain.project.file.archives import channels_first
from sandgrain.project.file.arrays import WHOLE
from sandgrain.project.file.missing import SAID, far_off
from sandgrain.project.file.scale import scales
from sandgrain.project.file.tables import looked_into, of_files, spread

READERS = ("npy",)
FILES = 40  # that are looked into
VALUES = 1 << 18  # of each


def tracked(found: Mapping[str, Any]) -> bool:
    """Whatever these files are called."""
    return True


def look(base: Path, names: Sequence[str]) -> dict[str, Any]:
    """By the shapes of some files, and the first values of each. Raises UsageError."""
    some = spread(names, FILES)
    heads = _heads(base, some)
    deep = {name: head for name, head in heads.items() if len(head.shape) > 2}
    if sum(head.size for head in deep.values()) > sum(head.size for head in heads.values()) / 2:
        name, head = next(iter(deep.items()))
        raise UsageError(f"{plain(name, 80)}: an array of shape {list(head.shape)} is no recording; {npy.MANY}")
    turned = _turned(heads.values())
    layout = make_layout("motion", channels_first=turned)
    seen, bad = looked_into(base, some, lambda path: _first(path, layout))  # samples, the first values [n, channels]
    if not seen:
        raise UsageError(f"{bad[0]}; mend it, or write [data] by hand")
    width = Counter(values.shape[1] for _, values in seen.values()).most_common(1)[0][0]
    alike = {name: own for name, own in seen.items() if own[1].shape[1] == width}
    notes = [f"{len(bad)} of {len(some)} files cannot be read, the first is {bad[0]}"] if bad else []
    if len(alike) < len(seen):
        other = next(name for name in seen if name not in alike)
        notes.append(
            f"{len(seen) - len(alike)} of {len(seen)} files have other channels (such as {plain(other, 80)}), and will be bad; see files"
        )
    lengths = tuple(sorted(rows for rows, _ in alike.values()))
    table, said = _keys([values for _, values in alike.values()], turned)
    what = f"{width} channels" if width > 1 else "one channel, taken for a sensor's"
    first = f"each file is one recording of {what}, {lengths[0]} to {lengths[-1]} samples"
    sound = "" if width > 1 else '; where it is sound, set kind = "audio"'
    notes = [f"{first}{' (channels_first)' if turned else ''}{sound}", *said, *notes]
    found = of_files(names)
    return {
        "kind": "motion",
        "points": lengths,
        "whole": lengths[0] == lengths[-1] <= WHOLE,
        "table": tuple(table),
        **found,
        "notes": (*notes, *found.get("notes", ())),
    }


def _heads(base: Path, names: Sequence[str]) -> dict[str, Header]:
    """The headers of those that have one."""
    found = {}
    for name in names:
        with suppress(BadFileError, OSError), (base / name).open("rb") as stream:
            found[name] = npy.header(stream, (base / name).stat().st_size)
    return found


def _turned(heads: Iterable[Header]) -> bool:
    """Whether most of the arrays are likelier [channels, samples]."""
    votes = Counter(channels_first((1, *head.shape)) for head in heads if len(head.shape) == 2)
    return votes[True] > votes[False]


def _first(path: Path, layout: Layout) -> tuple[int, Array]:
    with path.open("rb") as stream:
        head, values = npy.first_values(stream, path.stat().st_size, layout, VALUES)
    return head.shape[0], values


def _keys(files: Sequence[Array], turned: bool) -> tuple[list[tuple[str, Any]], list[str]]:
    """The keys of [data] that the values call for, and what there is to say about them."""
    channels = list(np.concatenate(files).T)
    gone = far_off([own[np.isfinite(own)] for own in channels])
    missing = () if gone is None else (gone,)
    left = [own[~gaps(own, missing)] for own in channels]
    share = max(float(gaps(values, missing).any(axis=1).mean()) for values in files)
    table: list[tuple[str, Any]] = [("channels_first", True)] if turned else []
    if share > RowOptions().bad_rows:
        table.append(("bad_rows", min(1.0, math.ceil(200 * share) / 100)))
    if not all((own == np.rint(own)).all() and (np.abs(own) < 32768).all() for own in left):
        table.append(("full_scale", scales({str(k): float(np.abs(own).max(initial=0.0)) for k, own in enumerate(left)})))
    if gone is not None:
        table.append(("missing", missing))
    return table, [SAID.format(gone)] if gone is not None else []
