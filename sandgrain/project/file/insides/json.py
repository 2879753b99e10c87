"""JSON and CBOR: acquisitions, or lists of recordings with points."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.base.errors import UsageError
from sandgrain.base.reading import is_number, read_small
from sandgrain.base.text import plain
from sandgrain.dataset import acquisition
from sandgrain.dataset.names import ALIASES
from sandgrain.dataset.readers import cbor
from sandgrain.dataset.readers.base import BadFileError
from sandgrain.project.file.naming import naming
from sandgrain.project.file.scale import scales
from sandgrain.project.file.tables import MAX_FILES, spread

READERS = ("json", "cbor")
MAX_JSON = 16 << 20  # bytes of a document, as ingest reads it
LABEL_WORDS = ("label", "class", "target", "gesture", "activity", "category", "y")
GROUP_WORDS = ("group", "speaker", "subject", "user", "person", "device", "session", "id")


def _look_acquisitions(base: Path, names: Sequence[str]) -> dict[str, Any]:
    """Edge Impulse's format, JSON or CBOR; nothing where the first file is of another. Raises UsageError."""
    rates, largest, sensors, lengths = Counter[float](), dict[str, float](), tuple[str, ...](), list[int]()
    for name in spread(names, MAX_FILES):
        try:
            with (base / name).open("rb") as stream:
                document = (
                    cbor.parse(stream)
                    if name.lower().endswith(".cbor")
                    else json.loads(stream.read(MAX_JSON).decode("utf-8-sig"))
                )
            if not acquisition.is_one(document):
                return {}
            own = acquisition.sensors(document)
            sensors = sensors or own
            rates[acquisition.rate_of(document)] += 1
            values = np.asarray(document["payload"]["values"], np.float64).reshape(-1, len(own))
        except (BadFileError, OSError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
            if not sensors and not name.lower().endswith(".cbor"):
                return {}
            raise UsageError(f"{plain(name)} cannot be read as an acquisition ({plain(str(error), 100)})") from None
        lengths.append(len(values))
        for k, sensor in enumerate(own):
            largest[sensor] = max(largest.get(sensor, 0.0), float(np.abs(values[:, k]).max(initial=0.0)))
    table: list[tuple[str, Any]] = [("columns", sensors), ("full_scale", scales({s: largest[s] for s in sensors}))]
    folders = {n.rpartition("/")[0] for n in names}
    in_sides = all("/" in n and n.split("/")[0].lower() in ALIASES for n in names)
    stems = [n.rsplit("/", 1)[-1] for n in names]
    named: dict[str, Any] = naming(names)
    if all(s.count(".") >= 2 for s in stems) and (in_sides or len(folders) == 1):
        side = "{split}/" if in_sides else "".join(f"{f}/" for f in folders if f)
        named = {
            "name": f"{side}{{label}}.{{part}}",
            "labels": tuple(sorted({s.split(".")[0] for s in stems})),
            "has_split": in_sides,
        }
    notes = (f"Edge Impulse's acquisition format: sensors {plain(', '.join(sensors), 100)}",)
    return {
        "kind": "motion",
        "rate": rates.most_common(1)[0][0],
        "table": tuple(table),
        "points": tuple(sorted(lengths)),
        "notes": notes,
        **named,
    }


def look(base: Path, names: Sequence[str]) -> dict[str, Any]:
    """A list of recordings below some key, each with a list of points; the points' numbers are the channels."""
    if found := _look_acquisitions(base, names):
        return found
    first, records = _recordings(base / names[0])
    points = (
        next((k for k, v in first[0].items() if isinstance(v, list) and v and isinstance(v[0], dict | list)), "") if first else ""
    )
    if not points:
        raise UsageError(f"{plain(names[0])} has no list of points in it; write [data] by hand")
    items = first + [item for name in names[1:MAX_FILES] for item in _recordings(base / name)[0]]
    series = [v for item in items if isinstance(v := item.get(points), list)]
    point = series[0][0]
    columns = tuple(k for k, v in point.items() if isinstance(v, int | float)) if isinstance(point, dict) else ()
    kind, keys = (dict, columns) if columns else (list, range(len(point)))
    largest = {
        str(key): max((abs(float(p[key])) for s in series for p in s if isinstance(p, kind) and _has_number(p, key)), default=1.0)
        for key in keys
    }
    label = next((k for w in LABEL_WORDS for k in items[0] if k.lower() == w), "")
    group = next((k for w in GROUP_WORDS for k in items[0] if k.lower() == w), "")
    table: list[tuple[str, Any]] = [("records", records), ("points", points)]
    table += [("columns", columns)] if columns else []
    table += [("label_key", label)] if label not in ("", "label") else []
    table += [("group_key", group)] if group else []
    table += [("full_scale", scales(largest))]
    lengths = tuple(sorted(map(len, series)))
    named: dict[str, Any] = {"labels": tuple(sorted({str(item.get(label)) for item in items}))} if label else naming(names)
    return {"kind": "motion", "table": tuple(table), "points": lengths, **named}


def _recordings(path: Path) -> tuple[list[dict[str, Any]], str]:
    """The recordings of a JSON file, and the key that they lie below. Raises UsageError."""
    try:
        if path.stat().st_size > MAX_JSON:
            raise UsageError(f"{plain(path.name)} is larger than {MAX_JSON >> 20} MiB; write [data] by hand")
        value = json.loads(read_small(path, MAX_JSON).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{plain(path.name)} cannot be read as JSON ({type(error).__name__}); mend it or name another file"
        ) from None
    key = ""
    if isinstance(value, dict):
        lists = {k: v for k, v in value.items() if isinstance(v, list) and v and isinstance(v[0], dict)}
        key = next((k for k, v in lists.items() if any(isinstance(w, list) for w in v[0].values())), "")
        value = value[key] if key else [value]
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else [], key


def _has_number(point: Any, key: Any) -> bool:
    try:
        return is_number(point[key])
    except (KeyError, IndexError):
        return False
