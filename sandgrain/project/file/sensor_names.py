"""Names of files that differ in a sensor only: which part of them says it, and how the rest is called.

walk_01_acc.csv, walk_01_gyro.csv    {label}_{index}_{sensor}
walk_01/acc.csv, walk_01/gyro.csv    {label}_{index}/{sensor}
acc/walk_01.csv, gyro/walk_01.csv    {sensor}/{label}_{index}
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sandgrain.dataset.names import ending, stem
from sandgrain.project.file.naming import MARKS, naming
from sandgrain.project.file.people import GROUP

# Words that sensors are called by; what stands first comes first among the channels.
SENSORS = (
    r"acc|accel\w*|acceleration|bma\d*|adxl\d*",
    r"gyr|gyro\w*|angularvelocity",
    r"mag|magn\w*|compass",
    r"imu\d*|mpu\d*|lsm\d*",
    r"grav\w*",
    r"orient\w*|euler\w*|quat\w*|rotation\w*",
    r"ppg\d*|bvp",
    r"ecg|ekg",
    r"emg\d*",
    r"eeg",
    r"eda|gsr",
    r"hr|heartrate|pulse|spo2",
    r"resp\w*",
    r"temp|temperature|skintemp|therm\w*",
    r"baro\w*|pressure|press|altimeter",
    r"light|lux|als",
    r"prox\w*|tof",
    r"humid\w*|hum",
    r"current|amp|amps",
    r"volt|voltage",
    r"vib\w*",
    r"flow",
    r"force|load|strain|torque",
    r"mic|microphone|sound",
)
LABELS = ("label", "annotation", "activity", "activities", "event", "marker", "groundtruth", "truth", "class", "classes")
# Words beside a sensor's: of what kind it is, or where it sits.
WHERE = (
    "lin linear raw total user device left right wrist ankle chest hip waist phone watch arm leg head body hand "
    "foot back skin heart blood upper lower data sensor calibrated cal"
)
# What loggers write beside sensors.
ASIDE = (
    "metadata meta info notes readme tags tag ibi location gps pedometer steps battery device wifi bluetooth "
    "network activityrecognition settings version config"
)
MOST = 0.8  # share of the files whose name says a sensor, or labels
OFTEN = 0.9  # share of the recordings that have a sensor, for it to be taken


@dataclass(frozen=True, slots=True)
class Arranged:
    """Files by recording and sensor. `name`: the pattern with {sensor}; `said`: what else their names say; `left`: words that are neither."""

    name: str
    files: dict[str, dict[str, str]]  # recording -> word -> path
    sensors: tuple[str, ...]
    labels: str  # the word of the files with labels, or ""
    left: tuple[str, ...]
    said: dict[str, Any]

    def of(self, word: str) -> list[str]:
        """The files of a sensor, of recordings that have all of them."""
        return [parts[word] for parts in self.files.values() if word in parts and set(self.sensors) <= parts.keys()]


@cache
def rank(word: str) -> int:
    """Where a sensor stands among others; -1: it is none. Each piece of its name is a sensor's word, or says of what kind or where it is."""
    pieces = [w.lower() for w in re.findall(r"[A-Z]*[a-z]+|[A-Z]+|\d+", word)]
    whole = "".join(pieces).rstrip("0123456789")
    places = [next((k for k, known in enumerate(SENSORS) if re.fullmatch(known, w)), -1) for w in (*pieces, whole)]
    rest = [w for w, place in zip(pieces, places, strict=False) if place < 0 and w not in WHERE.split() and not w.isdigit()]
    return max(places) if places[-1] >= 0 or (pieces and not pieces[0].isdigit() and not rest) else -1


def _is_aside(word: str) -> bool:
    return re.sub(r"[^a-z]", "", word.lower()) in ASIDE.split()


def _is_label(word: str) -> bool:
    return re.sub(r"[^a-z]", "", word.lower()).removesuffix("s") in {w.removesuffix("s") for w in LABELS}


Cut = tuple[str, str]  # (the recording, the word)


def arranged(names: Sequence[str]) -> Arranged | None:
    """How the names of tables tell recordings and sensors, or None where they do not."""
    best: tuple[float, int, Arranged] | None = None
    for order, (cut, pattern) in enumerate(_ways(names)):
        found = _arranged(names, cut, pattern)
        if found is not None and (best is None or (found[0], -order) > best[:2]):
            best = found[0], -order, found[1]
    return None if best is None else best[2]


def _ways(names: Sequence[str]) -> Iterator[tuple[Callable[[str], Cut | None], Callable[[str], str]]]:
    """(what splits a name into recording and word, what puts {sensor} into the pattern of the recordings)."""
    depth = Counter(n.count("/") for n in names).most_common(1)[0][0]
    for k in reversed(range(depth + 1)):
        yield _part(k, depth), _into_parts(k)
    for mark in MARKS:
        yield _token(mark, True), _into_last("{name}" + mark + "{sensor}")
        yield _token(mark, False), _into_last("{sensor}" + mark + "{name}")


def _part(k: int, depth: int) -> Callable[[str], Cut | None]:
    def cut(path: str) -> Cut | None:
        parts = path.split("/")
        return ("/".join(parts[:k] + parts[k + 1 :]), parts[k]) if len(parts) == depth + 1 else None

    return cut


def _into_parts(k: int) -> Callable[[str], str]:
    def put(name: str) -> str:
        parts = name.split("/") if name else []
        return "/".join([*parts[:k], "{sensor}", *parts[k:]])

    return put


def _token(mark: str, last: bool) -> Callable[[str], Cut | None]:
    """The last or the first piece between marks, with those beside it that say where the sensor is."""

    def cut(path: str) -> Cut | None:
        folder, slash, name = path.rpartition("/")
        pieces = name.split(mark)
        if len(pieces) < 2:
            return None
        taken = 1
        while taken < len(pieces) - 1 and (pieces[-taken - 1] if last else pieces[taken]).lower() in WHERE.split():
            taken += 1
        inner = pieces[-taken - 1] if last else pieces[min(taken, len(pieces) - 1)]
        if (
            (pieces[-1] if last else pieces[0]).lower() in WHERE.split() and taken < len(pieces) - 1 and rank(inner) >= 0
        ):  # accel_phone
            taken += 1
        rest, word = (pieces[:-taken], pieces[-taken:]) if last else (pieces[taken:], pieces[:taken])
        return (folder + slash + mark.join(rest), mark.join(word)) if rest and all(pieces) else None

    return cut


def _into_last(text: str) -> Callable[[str], str]:
    def put(name: str) -> str:
        folder, slash, last = name.rpartition("/")
        return folder + slash + text.replace("{name}", last)

    return put


def _arranged(names: Sequence[str], cut: Callable[[str], Cut | None], put: Callable[[str], str]) -> tuple[float, Arranged] | None:
    """(the share of the files whose name says a sensor or labels, how they are arranged), or None where they are not."""
    files: dict[str, dict[str, str]] = {}
    good = 0
    for name in names:
        split = cut(stem(name))
        if split is None:
            continue
        key, word = split
        files.setdefault(key, {})[word] = name
        good += rank(word) >= 0 or _is_label(word) or _is_aside(word)
    counts = Counter(word for parts in files.values() for word in parts)
    full = {key: parts for key, parts in files.items() if sum(rank(w) >= 0 for w in parts) > 1}
    sensors = sorted((w for w, n in counts.items() if rank(w) >= 0 and n >= OFTEN * len(full)), key=lambda w: (rank(w), w))
    if len(sensors) < 2 or not full or good < MOST * len(names) or 2 * len(full) < len(files):
        return None
    labels = next((w for w, n in counts.items() if _is_label(w) and n >= OFTEN * len(full)), "")
    left = tuple(sorted(w for w in counts if w not in sensors and w != labels))
    if len({ending(parts[w]) for parts in full.values() for w in sensors if w in parts}) > 1:
        return None
    said = named(sorted(full))
    share = sum(w in sensors or w == labels for parts in full.values() for w in parts) / len(names)
    return share, Arranged(put(said.pop("name")), full, tuple(sensors), labels, left, said)


def named(keys: Sequence[str]) -> dict[str, Any]:
    """What the names of the recordings say; each is a group where they say so, otherwise a recording."""
    if keys == [""]:
        return {"name": ""}
    found = naming([f"{key}.csv" for key in keys])
    if "name" in found:
        return found
    group = len(keys) > 1 and all(GROUP.fullmatch(k.rsplit("/", 1)[-1]) for k in keys)
    depth = keys[0].count("/")
    folders = [f"{{folder{k}}}" if k else "{folder}" for k in range(depth)]
    last = "{group}" if group else "{recording}"
    return {"name": "/".join([*folders, last]), **({"groups": len(keys)} if group else {})}
