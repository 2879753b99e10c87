"""A look into sensors that have files of their own: what each one's columns are, and the rate to which all are brought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sandgrain.base.errors import UsageError
from sandgrain.base.text import plain
from sandgrain.dataset import dialect, intervals
from sandgrain.dataset.names import ending
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.project.file.column import Column
from sandgrain.project.file.scale import scales
from sandgrain.project.file.sensor_names import Arranged, arranged
from sandgrain.project.file.tables import glance, look_table, spread

SLOW = 4  # a sensor that is slower than the fastest by more than this does not decide about the rate
OPENED = 8  # files of labels that are looked into
EPOCH = 1e8  # a first line that says when a wristband began


def find_sensors(base: Path, names: Sequence[str]) -> dict[str, Any]:
    """Fields of `look.Look` where the files of `names` are sensors of recordings; nothing where they are not."""
    found = arranged(names)
    if found is None:
        return {}
    looks, refused = dict[str, dict[str, Any]](), list[str]()
    for sensor in found.sensors:
        try:
            looks[sensor] = _look(base, spread(found.of(sensor), OPENED))
        except (UsageError, OSError) as error:
            refused.append(f"{plain(sensor, 40)}: {plain(str(error), 120)}")
    return _joined(base, found, looks, refused) if len(looks) > 1 else {}


def _look(base: Path, files: Sequence[str]) -> dict[str, Any]:
    """What is in a sensor's files. Raises UsageError or OSError."""
    seen = glance(base / files[0])
    if (rate := _start_and_rate(seen.stretches[0] if seen.stretches else [], seen.form.decimal)) is None:
        return look_table(base, files)
    columns = [Column(n, [[row[k] for row in seen.stretches[0][2:]]], seen.form.decimal) for k, n in enumerate(seen.form.names)]
    table = (("columns", seen.form.names), ("full_scale", scales({c.name: float(abs(c.flat).max(initial=0)) for c in columns})))
    return {"rate": rate, "table": (*table, ("start_and_rate", True)), "columns": ()}


def _start_and_rate(rows: Sequence[Sequence[str]], decimal: str) -> float | None:
    """The rate in the second line, where the first is the same time in each column, as Empatica writes it."""
    values = [{dialect.number(cell, decimal) for cell in row if cell.strip()} for row in rows[:2]]
    if len(rows) < 4 or any(len(v) != 1 for v in values):
        return None
    start, rate = (v.pop() for v in values)
    return rate if start is not None and rate is not None and start > EPOCH and 0 < rate < EPOCH else None


def _joined(base: Path, found: Arranged, looks: dict[str, dict[str, Any]], refused: Sequence[str]) -> dict[str, Any]:
    """The looks at all sensors as one."""
    tables = {sensor: dict(look["table"]) for sensor, look in looks.items()}
    sensors = tuple(looks)
    columns = tuple(f"{sensor}.{name}" for sensor in sensors for name in tables[sensor]["columns"])
    scale = [value for sensor in sensors for value in _scales(tables[sensor])]
    keys: list[tuple[str, Any]] = [("sensors", sensors), ("columns", columns)]
    keys += _clock(tables)
    notes = [_why(found, looks)]
    notes += [
        f"sensor {plain(s, 40)}: {note}"
        for s, look in looks.items()
        for note in look.get("notes", ())
        if "other rates" not in note and "resample" not in note and "(name)" not in note
    ]
    if refused:
        notes.append(f"left out of the sensors: {'; '.join(refused)}")
    if found.left:
        more = f" and {len(found.left) - 8} more" if len(found.left) > 8 else ""
        notes.append(
            f"files that are no sensor of every recording are left alone: {plain(', '.join(found.left[:8]), 160)}{more} (sensors)"
        )
    if any(value is not None for value in scale):
        keys.append(("full_scale", tuple(value or 32768.0 for value in scale)))
    said, more_keys, more_notes = _labels(base, found, looks, tables)
    names = {k: v for k, v in found.said.items() if k != "notes"}
    if said:
        names.pop("labels", None)
        more_notes = [*more_notes, *_named_groups(found, names)]
    notes += [*found.said.get("notes", ()), *more_notes]
    verdicts = tuple(replace(v, column=f"{sensor}.{v.column}") for sensor, look in looks.items() for v in look.get("columns", ()))
    rate = _rate(looks)
    return {
        "kind": "motion",
        "count": len(found.files),
        "name": found.name,
        "rate": rate,
        "table": (*keys, *more_keys),
        "notes": tuple(notes),
        "columns": verdicts,
        **names,
        **said,
    }


def _named_groups(found: Arranged, names: dict[str, Any]) -> list[str]:
    """Where labels come from elsewhere, names of recordings are no labels."""
    return [] if "{label}" not in found.name else ["labels lie beside the sensors, and win over those in the names (name)"]


def _scales(table: dict[str, Any]) -> list[float | None]:
    """Of each channel of a sensor; None where its values are whole numbers that fit as they are."""
    given = table.get("full_scale", ())
    count = len(table["columns"])
    return [None] * count if not given else list(given) if len(given) == count else [given[0]] * count


def _clock(tables: dict[str, dict[str, Any]]) -> list[tuple[str, Any]]:
    """The keys that say the time."""
    if all("start_and_rate" in table for table in tables.values()):
        return [("start_and_rate", True)]
    timed = {sensor: table["time_column"] for sensor, table in tables.items() if "time_column" in table}
    if not timed:
        return []
    units = {table.get("time_unit", "s") for table in tables.values() if "time_column" in table}
    each = {sensor: (names,) if isinstance(names, str) else tuple(names) for sensor, names in timed.items()}
    usual = next(iter(each.values()))
    same = all(names == usual for names in each.values())
    columns = usual if same else tuple(f"{sensor}.{name}" for sensor, names in each.items() for name in names)
    return [("time_column", columns if len(columns) > 1 else columns[0]), ("time_unit", min(units))]


def _rate(looks: dict[str, dict[str, Any]]) -> float:
    """The slowest of the sensors that are not much slower than the fastest."""
    rates = [look["rate"] for look in looks.values() if look.get("rate")]
    return min((r for r in rates if r * SLOW >= max(rates)), default=0.0)


def _why(found: Arranged, looks: dict[str, dict[str, Any]]) -> str:
    said = {sensor: f" at {look['rate']:g} Hz" if look.get("rate") else "" for sensor, look in looks.items()}
    rates = ", ".join(f"{plain(sensor, 30)}{rate}" for sensor, rate in said.items())
    rate = _rate(looks)
    how = (
        f"put on one grid of {rate:g} Hz by their times and cut to what all share"
        if any(dict(look["table"]).keys() & {"time_column", "start_and_rate"} for look in looks.values())
        else "row by row, for they have no times"
    )
    return (
        f"files differ in the sensor that their names say, and are alike otherwise: {rates} of {len(found.files)} recordings are joined, {how} "
        "(sensors, name); with sensors left out, each file is a recording"
    )


def _labels(
    base: Path, found: Arranged, looks: dict[str, dict[str, Any]], tables: dict[str, dict[str, Any]]
) -> tuple[dict[str, Any], list[tuple[str, Any]], list[str]]:
    """(labels as fields of a look, keys, notes) from a file beside the sensors, or from a column of theirs."""
    if found.labels:
        return _beside(base, [parts[found.labels] for parts in found.files.values() if found.labels in parts], found.labels)
    inside = next((sensor for sensor, table in tables.items() if table.get("label_column")), "")
    if not inside:
        return {}, [], []
    column = f"{inside}.{tables[inside]['label_column']}"
    return {"labels": looks[inside].get("labels", ())}, [("label_column", column)], []


def _beside(base: Path, files: Sequence[str], word: str) -> tuple[dict[str, Any], list[tuple[str, Any]], list[str]]:
    """Stretches with start and end, or rows with a time from which a label holds."""
    some = spread(files, OPENED)
    suffix = word + ending(some[0])
    try:
        stretches = [s for name in some for s in intervals.track(base, name).stretches]
    except BadFileError:
        stretches = []
    if stretches:
        keys: list[tuple[str, Any]] = [("label_tracks", True), ("track_suffix", suffix), ("rest_label", "")]
        return (
            {"labels": tuple(sorted({s.label for s in stretches}))},
            keys,
            [f"{plain(suffix, 60)} beside the sensors says which stretches have which label (label_tracks)"],
        )
    try:
        seen = [glance(base / name, 2000) for name in some]
    except (BadFileError, OSError) as error:
        return {}, [], [f"{plain(some[0], 60)} cannot be read: {plain(str(error), 100)}"]
    form = seen[0].form
    columns = [
        Column(name, [[row[k] for row in s] for g in seen if g.form.names == form.names for s in g.stretches], form.decimal)
        for k, name in enumerate(form.names)
    ]
    texts = [c for c in columns if c.is_text and c.distinct <= 200 and not c.hint("time timestamp date")]
    named = texts or [c for c in columns if c.hint("label class activity state event target")]
    if not named or len(columns) < 2:
        return {}, [], [f"{plain(suffix, 60)} seems to hold labels, and has no column that is one (label_column)"]
    labels = tuple(sorted(set(named[0].filled)))
    note = f"{plain(suffix, 60)} beside the sensors says from when on a label holds (label_column)"
    return {"labels": labels}, [("label_column", f"{word}.{named[0].name}")], [note]
