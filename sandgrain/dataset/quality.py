"""What is doubtful about a data set: copies, conflicting labels, silence, clipping; and which records go because of it.

Every record is opened once and described by a few numbers and a fingerprint; all else is computed from those, so that a
data set larger than memory passes through. The numbers are kept by the sample's hash: a second look opens only what is new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from sandgrain.base import files, sealed
from sandgrain.base.arrays import Array
from sandgrain.base.progress import Progress, silent
from sandgrain.base.text import percent, plain
from sandgrain.dataset import fingerprint, kinds
from sandgrain.dataset.records import Kind, Record

CLIPPED = 32700  # a sample beyond this, either way, is at the end of the scale
RUN = 3  # so many of them in a row are clipping; one alone may be a peak
SHOWN = 20  # examples of a finding that are kept

Topic = Literal["copies", "near-duplicates", "conflicting labels", "clipped", "silent", "constant", "stuck channel"]
FACTS = np.dtype([("peak", "i4"), ("clipped", "f4"), ("silent", "?"), ("constant", "?"), ("stuck", "?")])
CACHE_VERSION = 1
FEW_ROWS = 8  # of a recording whose values may stay the same by chance


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """One row a record, in their order.

    `rows`: FACTS; `peak` is the largest magnitude, `clipped` the share of samples that lie in a run at the end of the scale,
    `stuck` that some but not all channels never change. `prints`: float16 [n, fingerprint.SIZE].
    """

    rows: Array
    prints: Array


@dataclass(frozen=True, slots=True)
class Example:
    """Records that show a finding, and what to say about them."""

    keys: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of doubt: how many records it touches, how many were dropped for it, and the worst of them first."""

    topic: Topic
    count: int
    dropped: int
    rule: str
    examples: tuple[Example, ...] = ()

    @property
    def done(self) -> str:
        """What was done about it."""
        if not self.count:
            return ""
        return "kept" if not self.dropped else f"{self.dropped} dropped"


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What was found, and which records go: key -> why.

    `pairs`: the near-duplicates, int32 [pairs, 2] into the records. `family`: int32 [records], the first of the copies and
    near-duplicates that a record is one of, itself where it is alone.
    """

    findings: tuple[Finding, ...]
    dropped: Mapping[str, str]
    pairs: Array
    family: Array


def measure(
    records: Sequence[Record],
    open_record: Callable[[Record], Array],
    *,
    cache: Path | None = None,
    progress: Progress = silent,
    scaled: bool = True,
) -> Facts:
    """The facts about each record, which `open_record` gives the samples of. `cache`: a file that remembers them.

    `scaled`: whether the largest int16 stands for the sensor's range; of raw counts nobody knows what is little.
    """
    known = _load(cache)
    rows = np.zeros(len(records), FACTS)
    prints = np.zeros((len(records), fingerprint.SIZE), np.float16)
    fresh = 0
    for k, record in enumerate(records):
        place = known.place.get(f"{record.kind}{record.rate:g}{record.sha256}")
        if place is not None:
            rows[k], prints[k] = known.rows[place], known.prints[place]
        else:
            samples = open_record(record)
            rows[k] = describe(record.kind, samples, record.rate)
            own = kinds.of(record.kind).fingerprint(samples, record.rate)
            prints[k, : len(own)] = own
            fresh += 1
        if k % 64 == 63 or k + 1 == len(records):
            progress("checking", k + 1, len(records))
    if cache is not None and fresh:
        _save(cache, records, rows, prints)
    _forget_what_says_nothing(records, rows, scaled)
    return Facts(rows, prints)


def _forget_what_says_nothing(records: Sequence[Record], rows: Array, scaled: bool) -> None:
    """A recording of a row or two cannot change, and raw counts that hardly move may be all that the sensor has."""
    few = np.array([kinds.of(r.kind).sampled and r.shape[0] < FEW_ROWS for r in records], bool)
    for flag in ("silent", "constant", "stuck"):
        rows[flag][few] = False
    if not scaled:
        rows["silent"] = False


def describe(kind: Kind, samples: Array, rate: float) -> tuple[int, float, bool, bool, bool]:
    """The members of FACTS for one recording."""
    if samples.size == 0:
        return 0, 0.0, True, True, False
    flat = samples.reshape(-1, samples.shape[-1])
    low, high = flat.min(axis=0).astype(np.int64), flat.max(axis=0).astype(np.int64)
    still = low == high
    constant = bool(still.all())
    peak = int(max(-int(low.min()), int(high.max())))
    quiet = kinds.of(kind).is_silent(samples, rate)
    if not kinds.of(kind).sampled:
        return peak, 0.0, quiet and not constant, constant, False
    return (
        peak,
        _clipped(samples) if peak >= CLIPPED else 0.0,
        quiet and not constant,
        constant,
        bool(still.any()) and not constant,
    )


def _clipped(samples: Array) -> float:
    """Share of the samples that lie in runs of RUN or more at the end of the scale."""
    at_end = (samples >= CLIPPED) | (samples <= -CLIPPED)
    if len(samples) < RUN:
        return 0.0
    run = np.asarray(np.lib.stride_tricks.sliding_window_view(at_end, RUN, axis=0).all(axis=-1))
    inside = np.zeros(at_end.shape, bool)
    for k in range(RUN):
        inside[k : len(run) + k] |= run
    return float(inside.mean())


def judge(records: Sequence[Record], facts: Facts, answers: Mapping[str, str]) -> Judgement:
    """What is doubtful, and what `answers` ("duplicates", "conflicts", "silent", "constant", "clipped": "keep" or "drop") do.

    Silent and constant records have no fingerprint worth comparing and are left out of the near-duplicates. Of copies the
    first by key stays; of copies whose labels differ none does.
    """
    if not records:
        return Judgement((), {}, np.zeros((0, 2), np.int32), np.zeros(0, np.int32))
    kind = records[0].kind
    same = _same(records)
    pairs, cosines = _near(records, facts, same, kinds.of(kind).near)
    copies = np.flatnonzero(same != np.arange(len(same)))
    family = fingerprint.groups(len(records), np.concatenate([np.stack([same[copies], copies], axis=1), pairs]))
    clashing = _clashes(records, family)
    flags = {"silent": facts.rows["silent"], "constant": facts.rows["constant"], "clipped": facts.rows["clipped"] > 0}

    dropped: dict[str, str] = {}
    if answers.get("conflicts") == "drop":
        dropped |= {records[k].key: "conflicting labels" for k in clashing}
    if answers.get("duplicates") == "drop":
        later = (k for k in range(len(records)) if family[k] != k and records[k].key not in dropped)
        dropped |= {records[k].key: "copies" if same[k] != k else "near-duplicates" for k in later}
    for name, flag in flags.items():
        if answers.get(name) == "drop":
            dropped |= {records[k].key: name for k in np.flatnonzero(flag).tolist() if records[k].key not in dropped}

    rule = "copies or near-duplicates with another label"
    found = [
        *_twins(records, kind, same, copies, pairs, cosines),
        Finding("conflicting labels", len(clashing), 0, rule, _clash_examples(records, family, clashing)),
        *_doubtful(records, kind, facts),
    ]
    gone = Counter(dropped.values())
    return Judgement(tuple(replace(f, dropped=gone[f.topic]) for f in found), dropped, pairs, family)


def _twins(records: Sequence[Record], kind: Kind, same: Array, copies: Array, pairs: Array, cosines: Array) -> Iterator[Finding]:
    examples = (Example((records[int(same[k])].key, records[k].key), "") for k in copies[:SHOWN].tolist())
    yield Finding("copies", len(copies), 0, "the same samples under another name", tuple(examples))
    closest = np.argsort(-cosines, kind="stable")[:SHOWN].tolist()
    examples = (
        Example(tuple(records[i].key for i in pairs[k].tolist()), f"cosine {min(1.0, float(cosines[k])):.4f}") for k in closest
    )
    count = len(np.unique(pairs[:, 1])) if len(pairs) else 0
    rule = f"fingerprints with a cosine of {kinds.of(kind).near:g} or more"
    yield Finding("near-duplicates", count, 0, rule, tuple(examples))


def _doubtful(records: Sequence[Record], kind: Kind, facts: Facts) -> Iterator[Finding]:
    """What is wrong with records one by one."""
    rows = facts.rows

    def finding(topic: Topic, worst: Array, rule: str, detail: Callable[[int], str]) -> Finding:
        examples = tuple(Example((records[k].key,), detail(k)) for k in worst[:SHOWN].tolist())
        return Finding(topic, len(worst), 0, rule, examples)

    if kinds.of(kind).sampled:
        loud = np.argsort(-rows["clipped"], kind="stable")[: int((rows["clipped"] > 0).sum())]
        rule = f"{RUN} samples or more in a row at the end of the scale"
        yield finding("clipped", loud, rule, lambda k: f"{percent(rows['clipped'][k])} of the samples")
    rule = kinds.of(kind).silent_rule
    yield finding("silent", np.flatnonzero(rows["silent"]), rule, lambda k: f"peak {rows['peak'][k]}")
    yield finding("constant", np.flatnonzero(rows["constant"]), "no value ever changes", lambda k: f"value {rows['peak'][k]}")
    if kinds.of(kind).channels_alike:
        yield finding("stuck channel", np.flatnonzero(rows["stuck"]), "a channel never changes, another does", lambda k: "")


def _same(records: Sequence[Record]) -> Array:
    """For each record the first one with the same samples; itself, as a rule."""
    first: dict[str, int] = {}
    return np.asarray([first.setdefault(r.sha256, k) for k, r in enumerate(records)], np.int32)


def _near(records: Sequence[Record], facts: Facts, same: Array, threshold: float) -> tuple[Array, Array]:
    """Near-duplicates among records that are no exact copies, neither silent nor constant, and of about the same length."""
    use = np.flatnonzero((same == np.arange(len(same))) & ~facts.rows["silent"] & ~facts.rows["constant"])
    pairs, cosines = fingerprint.near_pairs(facts.prints[use].astype(np.float32), threshold)
    pairs = use[pairs].astype(np.int32) if len(pairs) else pairs
    length = np.asarray([r.shape[0] for r in records], np.float64)
    if len(pairs) and kinds.of(records[0].kind).sampled:
        ratio = length[pairs[:, 0]] / length[pairs[:, 1]]
        alike = (ratio > 0.9) & (ratio < 1 / 0.9)
        pairs, cosines = pairs[alike], cosines[alike]
    return pairs, cosines


def _clashes(records: Sequence[Record], family: Array) -> list[int]:
    """The records of families that have more than one label."""
    labels: dict[int, set[str]] = {}
    for k, head in enumerate(family.tolist()):
        labels.setdefault(head, set()).add(records[k].label)
    return [k for k, head in enumerate(family.tolist()) if len(labels[head]) > 1]


def _clash_examples(records: Sequence[Record], family: Array, clashing: Sequence[int]) -> tuple[Example, ...]:
    families: dict[int, list[int]] = {}
    for k in clashing:
        families.setdefault(int(family[k]), []).append(k)
    return tuple(
        Example(
            tuple(records[k].key for k in members[:4]), "labels " + ", ".join(sorted({records[k].label for k in members})[:4])
        )
        for members in list(families.values())[:SHOWN]
    )


def across(records: Sequence[Record], family: Array, split: Mapping[str, str]) -> list[str]:
    """Copies and near-copies that a split has put on two sides: a line for each family, with its first record of each side."""
    sides: dict[int, dict[str, str]] = {}
    for record, head in zip(records, family.tolist(), strict=True):
        if record.key in split:
            sides.setdefault(head, {}).setdefault(split[record.key], record.key)
    return [
        " and ".join(f"{plain(key)} ({side})" for side, key in sorted(found.items())) + " are copies or near-copies"
        for found in sides.values()
        if len(found) > 1
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    place: Mapping[str, int]
    rows: Array
    prints: Array


def _load(cache: Path | None) -> _Known:
    """What the cache remembers; nothing, where it is missing, damaged or of another version."""
    nothing = _Known({}, np.zeros(0, FACTS), np.zeros((0, fingerprint.SIZE), np.float16))
    stored = None if cache is None else sealed.read_arrays(cache)
    if stored is None:
        return nothing
    try:
        keys, rows, prints = stored["keys"], stored["rows"], stored["prints"]
        fits = int(stored["version"]) == CACHE_VERSION and rows.dtype == FACTS and prints.dtype == np.float16
    except (ValueError, KeyError, TypeError):
        return nothing
    if not fits or rows.ndim != 1 or keys.shape != rows.shape or prints.shape != (len(rows), fingerprint.SIZE):
        return nothing
    return _Known({str(key): k for k, key in enumerate(keys.tolist())}, rows, prints)


def _save(cache: Path, records: Sequence[Record], rows: Array, prints: Array) -> None:
    keys = np.asarray([f"{r.kind}{r.rate:g}{r.sha256}" for r in records])
    with files.atomic(cache) as stream:
        sealed.write_arrays(stream, {"keys": keys, "rows": rows, "prints": prints, "version": np.array(CACHE_VERSION)})
