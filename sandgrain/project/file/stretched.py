"""Labels of stretches: what label tracks beside recordings, or one file for all of them, say. Gives fields of `look.Look`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sandgrain.dataset import intervals, tracks
from sandgrain.dataset.names import PROJECT_FILE, suffix
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.project.file.shared import Shared
from sandgrain.project.file.tables import spread

OPENED = 40  # tracks that are looked into


def with_shared(found: dict[str, Any], shared: Shared, chosen: Sequence[str]) -> dict[str, Any]:
    """What was found inside the files, and the labels of a file with the stretches of all of them; a recording is a group."""
    notes = [n for n in found.get("notes", ()) if "(name)" not in n]
    depths = {n.count("/") for n in chosen}
    folders = [f"{{folder{k}}}" if k else "{folder}" for k in range(min(depths))]
    named = {"name": "/".join([*folders, "{group}"]), "groups": len(chosen)} if len(depths) == 1 else {"name": "", "groups": 0}
    table = (*found.get("table", ()), *shared.keys)
    return {**found, **named, "table": table, "labels": shared.labels, "notes": (*notes, shared.note)}


def others_of(tracked: dict[str, Any], chosen: Sequence[str], names: Sequence[str]) -> Any:
    """The files that are neither recordings nor their tracks."""
    suffix = dict(tracked["tracks"]).get("track_suffix", tracks.SUFFIX)
    mine = {*chosen, *(tracks.beside(n, suffix) for n in chosen), PROJECT_FILE}
    return others(n for n in names if n not in mine)


def tracked(base: Path, chosen: Sequence[str], names: Sequence[str]) -> dict[str, Any]:
    """What label tracks beside recordings say, where most recordings have one; nothing where they do not."""
    there = set(names)
    suffix, with_track = next(
        (
            (end, some)
            for end in intervals.SUFFIXES
            if 2 * len(some := [n for n in chosen if (t := tracks.beside(n, end)) in there and t not in chosen]) >= len(chosen)
        ),
        ("", []),
    )
    labels, lengths, counted = Counter[str](), list[float](), False
    for name in spread(with_track, OPENED):
        try:
            track = intervals.track(base, tracks.beside(name, suffix))
        except BadFileError:
            return {}
        counted = track.in_samples
        labels.update(s.label for s in track.stretches)
        lengths += [s.end - s.start for s in track.stretches]
    if not labels:
        return {}
    depths = {n.count("/") for n in chosen}
    folders = [f"{{folder{k}}}" if k else "{folder}" for k in range(min(depths))]
    note = (
        f"label tracks beside {len(with_track)} of {len(chosen)} recordings: each of {len(lengths)} stretches ({sum(lengths):.4g} {'samples' if counted else 's'}) is a recording "
        "of its own, and a recording is a group; what has no label is left out, unless rest_label names it (label_tracks)"
    )
    grouped = {"name": "/".join([*folders, "{group}"]), "groups": len(chosen)} if len(depths) == 1 else {}
    keys: tuple[tuple[str, Any], ...] = (
        ("label_tracks", True),
        *((("track_suffix", suffix),) * (suffix != tracks.SUFFIX)),
        ("rest_label", ""),
    )
    size = {"points" if counted else "seconds": tuple(sorted(int(n) if counted else n for n in lengths))}
    return {"labels": tuple(sorted(labels)), "notes": (note,), **size, **grouped, "tracks": keys}


def others(names: Iterable[str]) -> tuple[tuple[str, str, int], ...]:
    """Suffix, first folder and number of files that are not read."""
    counted = Counter((suffix(n)[:20] or "without suffix", n.split("/")[0] if "/" in n else "") for n in names)
    return tuple((end, folder, count) for (end, folder), count in sorted(counted.items(), key=lambda item: (-item[1], item[0])))
