"""Recordings whose sensors lie in files of their own: which files belong together, by their names, and what each is read as.

name = "{label}_{index}_{sensor}"    sensors = ["acc", "gyro"]
walk_01_acc.csv, walk_01_gyro.csv    one recording, known by the path of its first sensor
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sandgrain.base.errors import UsageError
from sandgrain.dataset import tracks
from sandgrain.dataset.names import Pattern, compile_pattern, ending, escape
from sandgrain.dataset.readers.base import RateOptions
from sandgrain.dataset.records import BadFile, Layout, option
from sandgrain.dataset.tables import Scale, TableOptions, Whole
from sandgrain.dataset.targets import TargetOptions
from sandgrain.dataset.tracks import TrackOptions
from sandgrain.dataset.walk import Found

MAX_SENSORS = 64
PLACE = "{sensor}"


@dataclass(frozen=True, slots=True)
class SensorOptions:
    """How several sensors become one recording."""

    sensors: tuple[str, ...] = option(
        (),
        'Tables: a recording lies in several files, one a sensor, that share their names but for `{sensor}` in `name`: `["acc", "gyro"]`. They '
        "are put on one grid of `rate` by their `time_column`, and cut to the time that all share; without times they must be of one length. "
        "Channels are called `acc.x`; `columns`, `time_column` and `label_column` may name them so. With `sensor_column`: its values.",
    )
    sensor_column: str = option(
        "",
        "Tables with the rows of several `sensors` among each other: the column that says whose a row is. They are joined by their times.",
    )


def joins(layout: Layout) -> bool:
    """Whether recordings are put together of sensors."""
    options = layout.get(SensorOptions)
    return bool(options.sensors or options.sensor_column)


def in_files(layout: Layout) -> tuple[str, ...]:
    """The sensors that have files of their own; the last may be one that gives labels alone. None where files are recordings."""
    options = layout.get(SensorOptions)
    if options.sensor_column or not options.sensors:
        return ()
    table = layout.get(TableOptions)
    who = owner(table.label_column, layout) if not layout.labels else ""
    return (*options.sensors, *([who] if who and who not in options.sensors else []))


def owner(column: str, layout: Layout) -> str:
    """The sensor that a column is of, by its name, `acc.x`; of the label's column one that is no channel's. "": of any."""
    sensor, dot, rest = column.partition(".")
    return sensor if dot and sensor and rest else ""


def check(layout: Layout) -> None:
    """Raises UsageError for a layout that contradicts itself."""
    options, table = layout.get(SensorOptions), layout.get(TableOptions)
    if not joins(layout):
        return
    sensors = options.sensors
    if len(set(sensors)) < len(sensors) or len(sensors) > MAX_SENSORS:
        raise UsageError(f"sensors names one twice, or more than {MAX_SENSORS}")
    if wrong := next((s for s in sensors if not s or set(s) & set("./{}\0")), None):
        raise UsageError(f"sensors: {escape(wrong, 40)!r} is no sensor; a name has no point, slash or brace")
    if not options.sensor_column and layout.name.count(PLACE) != 1:
        raise UsageError(
            f"sensors needs {PLACE} in name, where names of files differ; or a sensor_column, where one file holds all"
        )
    if options.sensor_column and PLACE in layout.name:
        raise UsageError(f"sensor_column is for files that hold all sensors; take {PLACE} out of name")
    if table.segment or (table.group_column and not layout.labels):
        raise UsageError("segment and group_column do not go with sensors; the group is part of the name ({group})")
    if not layout.rate and (table.time_column or options.sensor_column):
        raise UsageError("sensors are brought to one rate; set rate")
    if not sensors:
        raise UsageError("sensor_column needs sensors, the values of that column that are wanted")
    if options.sensor_column and not table.time_column:
        raise UsageError("sensors among each other are joined by their times; set time_column")
    for column in table.columns:
        if owner(column, layout) not in sensors:
            raise UsageError(f"columns: {escape(column, 60)} is of none of the sensors; write it as {escape(sensors[0], 40)}.x")
    if len(layout.get(Scale).full_scale) > 1 and not table.columns:
        raise UsageError("full_scale with several values needs columns, so that each has its own")


def pattern_of(layout: Layout, sensor: str = "") -> Pattern | None:
    """The name pattern of a sensor's files; of the first where none is named, for a recording is known by that."""
    if not layout.name:
        return None
    files = in_files(layout)
    return compile_pattern(layout.name.replace(PLACE, sensor or files[0]) if files else layout.name)


def gathered(files: Sequence[Found], layout: Layout, others: Counter[tuple[str, str]]) -> tuple[list[Found], list[BadFile]]:
    """(a recording's files as its first one, of the size and time of all; what lacks a sensor). What is no sensor's is counted in `others`."""
    sensors = in_files(layout)
    patterns = [(s, pattern_of(layout, s)) for s in sorted(sensors, key=len, reverse=True)]  # lin_acc ends in acc
    found: dict[str, dict[str, Found]] = {}
    for file in files:
        for sensor, pattern in patterns:
            values = pattern.match(file.path) if pattern else None
            if values is not None:
                found.setdefault(_path(values, layout, sensors[0], ending(file.path)), {})[sensor] = file
                break
        else:
            others[ending(file.path).lower()[:20], file.path.partition("/")[0] if "/" in file.path else ""] += 1
    made, bad = list[Found](), list[BadFile]()
    for path, parts in found.items():
        lacks = [sensor for sensor in sensors if sensor not in parts]
        if not lacks:
            whole = list(parts.values())
            made.append(Found(path, sum(f.size for f in whole), sum(f.mtime_ns for f in whole)))
            continue
        there = next(iter(parts.values())).path
        wanted = posixpath.basename(file_of(path, lacks[0], layout))
        bad.append(BadFile(escape(there), f"has no file of sensor {escape(lacks[0], 40)} beside it ({escape(wanted, 80)})"))
    return made, bad


def _path(values: dict[str, str], layout: Layout, sensor: str, end: str) -> str:
    """The path of a sensor's file with what the placeholders stand for."""
    text = layout.name.replace(PLACE, sensor)
    pattern = compile_pattern(text)
    parts = []
    for literals, names in pattern.parts:
        parts.append("".join(text + values.get(name, "") for text, name in zip(literals, (*names, ""), strict=True)))
    return "/".join(parts) + end


def file_of(path: str, sensor: str, layout: Layout) -> str:
    """The file of `sensor` of the recording that is known by `path`."""
    pattern = pattern_of(layout)
    values = pattern.match(path) if pattern else None
    return _path(values, layout, sensor, ending(path)) if values is not None else path


def track_of(path: str, layout: Layout) -> str:
    """Where the stretches of a recording are said: in a file beside it that has `track_suffix` in the place of the sensor, `walk_01/labels.csv`."""
    options, files = layout.get(TrackOptions), in_files(layout)
    pattern = pattern_of(layout)
    values = pattern.match(path) if pattern and files else None
    if values is None or options.track_file:
        return tracks.file_of(path, options)
    return _path(values, replace(layout, name=layout.name.partition(PLACE)[0]), "", "") + options.track_suffix


def files_of(path: str, layout: Layout) -> Iterator[str]:
    """All files that a recording is read from, those of its label track among them."""
    yield from (file_of(path, sensor, layout) for sensor in in_files(layout)) if in_files(layout) else (path,)
    if layout.get(TrackOptions).label_tracks:
        yield track_of(path, layout)


def layout_of(layout: Layout, sensor: str, labelled: bool) -> Layout:
    """How a sensor's file is read: its own columns, as one recording whose rows keep their times (`Whole`).

    `labelled`: it has the label's column, too.
    """
    table, scale, own = layout.get(TableOptions), layout.get(Scale), layout.get(SensorOptions)
    named = [(owner(c, layout), c) for c in table.columns]
    chosen = [k for k, (who, _) in enumerate(named) if who == sensor]
    values = scale.full_scale if len(scale.full_scale) < 2 else tuple(scale.full_scale[k] for k in chosen)
    times = [(owner(c, layout), c) for c in table.time_column]
    of_parts = {*in_files(layout), sensor}
    times = [(who if who in of_parts else "", c) for who, c in times]
    mine = tuple(
        replace(
            options,
            group_column=own.sensor_column,
            columns=tuple(named[k][1].partition(".")[2] for k in chosen),
            label_column=_bare(table.label_column, layout) if labelled else "",
            time_column=tuple(c.partition(".")[2] if who else c for who, c in times if who in ("", sensor)),
        )
        if isinstance(options, TableOptions)
        else replace(options, full_scale=values)
        if isinstance(options, Scale)
        else options
        for options in layout.options
        if not isinstance(options, SensorOptions | RateOptions | TrackOptions | TargetOptions)
    )
    whole = Whole(True, labelled and sensor not in own.sensors, sensor if own.sensor_column else "")
    return replace(layout, labels="", options=(*mine, whole))


def _bare(column: str, layout: Layout) -> str:
    """A column's own name."""
    return column.partition(".")[2] if owner(column, layout) in in_files(layout) else column
