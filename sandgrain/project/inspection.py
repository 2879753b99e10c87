"""A project's data, looked at: read, judged, split. What `sandgrain data` shows and `sandgrain build` starts from."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress, silent
from sandgrain.base.reading import read_small, why
from sandgrain.base.tables import Line, Row, Shown, Table
from sandgrain.base.text import plain
from sandgrain.dataset import ingest, kinds, quality, split, split_in_blocks, split_in_time
from sandgrain.dataset.records import SPLITS, Manifest, Record
from sandgrain.dataset.tables import Scale, TableOptions
from sandgrain.dataset.windows import count, owners
from sandgrain.frontend.blocks import Block
from sandgrain.project import background, features, negatives
from sandgrain.project import numbers as numbers_to_give
from sandgrain.project.file.load import Loaded
from sandgrain.project.file.schema import Data

if TYPE_CHECKING:
    from sandgrain.project.first_look import Look
    from sandgrain.project.numbers import Spread

MAX_LIST_FILE = 64 << 20  # bytes of a file of names
NO_GROUP = (
    "no speaker, subject or device is known, so the same one may be on both sides of the split, and the figures better than with "
    "a new one; put {group} into `name`, or name a group_column"
)
UNSAID = 0.002  # share by which a length may be rounded to whole samples without a word
LISTED = 100  # bad files and leaks that JSON holds


@dataclass(frozen=True, slots=True)
class Count:
    """One label: records of each side, and seconds (0 for images) of all of them."""

    label: str
    sides: tuple[int, ...]  # as SPLITS
    seconds: float

    @property
    def total(self) -> int:
        return sum(self.sides)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Inspection(Shown):
    """What was found. `records`: those that are used, in the order of their keys; `sides`: key -> one of SPLITS.

    `all_records` and `facts` are those of the judgement: before anything was dropped. `leaks`: copies and near-copies on two
    sides; `remarks`: groups and files on two sides, which may be meant; one line each. `left_out`: records whose label is none of `classes`.
    `look`: a first look at the labels, where `sandgrain data` took one; `numbers`: side -> how its numbers lie, where it has them instead.
    """

    loaded: Loaded
    manifest: Manifest
    all_records: tuple[Record, ...]
    facts: quality.Facts
    judgement: quality.Judgement
    records: tuple[Record, ...]
    sides: Mapping[str, str]
    leaks: tuple[str, ...]
    remarks: tuple[str, ...]
    left_out: int
    look: Look | None = None
    numbers: Mapping[str, Spread] = field(default_factory=dict)
    _counted: dict[str, Mapping[str, int]] = field(init=False, default_factory=dict)  # what `windows` gives, once it was asked

    @property
    def name(self) -> str:
        """The project's folder."""
        return self.loaded.file.resolve().parent.name or "data"

    @property
    def kind(self) -> str:
        return self.manifest.layout.kind

    @property
    def timed(self) -> bool:
        """Whether recordings last some time: pictures do not, and no rows that are samples of their own."""
        return self.about.sampled and self.loaded.project.data.layout.get(TableOptions).segment != 1

    @property
    def about(self) -> kinds.Kind:
        """What is true of every data set of this kind."""
        return kinds.of(self.kind)

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, in the order of the model's outputs."""
        found = replace(self.manifest, records=self.records).labels
        data = self.loaded.project.data
        if not data.classes:
            return found
        return (*data.classes, *([data.rest] if data.rest and data.rest not in data.classes else []))

    @property
    def counts(self) -> tuple[Count, ...]:
        """One row a label, and those that a class names but nothing has."""
        sides: Counter[tuple[str, str]] = Counter((r.label, self.sides[r.key]) for r in self.records)
        seconds: Counter[str] = Counter()
        for record in self.records:
            seconds[record.label] += _seconds(record)  # type: ignore[assignment]
        return tuple(Count(label, tuple(sides[label, side] for side in SPLITS), float(seconds[label])) for label in self.labels)

    @property
    def windows(self) -> Mapping[str, Mapping[str, int]]:
        """Label -> side -> windows; without windows, recordings."""
        if not self._counted:  # there may be hundreds of thousands, and several lines speak of them
            self._counted.update(self._count())
        return self._counted

    def _count(self) -> Mapping[str, Mapping[str, int]]:
        data, found = self.loaded.project.data, Counter[tuple[str, str]]()
        for side in SPLITS:
            of_side = [r for r in self.records if self.sides[r.key] == side]
            if not data.purity:
                each = windows(of_side, data, self.loaded.blocks)
                for r in of_side:
                    found[r.label, side] += each[r.key]
            elif of_side:
                windowing = features.windowing_of(data, self.loaded.blocks, of_side[0].rate)
                found.update((r.label, side) for r in owners(features.items_of(of_side, data), windowing))
        return {label: {side: found[label, side] for side in SPLITS} for label in self.labels}

    @property
    def groups_of(self) -> Mapping[str, tuple[str, ...]]:
        """Side -> its groups."""
        own = {side: {r.group for r in self.records if r.group and self.sides[r.key] == side} for side in SPLITS}
        return {side: tuple(sorted(names)) for side, names in own.items()}

    @property
    def window_balance(self) -> float | None:
        """As `balance`, of windows."""
        totals = [sum(sides.values()) for sides in self.windows.values()]
        return max(totals) / min(totals) if len(totals) > 1 and min(totals) else None

    @property
    def groups(self) -> int:
        """How many speakers, subjects or devices."""
        return len({r.group for r in self.records if r.group})

    @property
    def rates(self) -> tuple[float, ...]:
        """The sampling rates that occur, Hz."""
        return tuple(sorted({r.rate for r in self.records if r.rate}))

    @property
    def seconds(self) -> Any:
        """float64 [records]: the length of each; zeros for images."""
        return np.asarray([_seconds(r) for r in self.records])

    @property
    def balance(self) -> float | None:
        """The largest label over the smallest; None where a label has no record, or there is but one."""
        totals = [c.total for c in self.counts]
        return max(totals) / min(totals) if len(totals) > 1 and min(totals) else None

    @property
    def features(self) -> str:
        """What the project's blocks make of a window, or why they cannot; one line."""
        return features.describe(self)

    def rows(self) -> list[Row]:
        """The labels."""
        return [
            {"label": c.label, **dict(zip(SPLITS, c.sides, strict=True)), "total": c.total, "seconds": c.seconds}
            for c in self.counts
        ]

    def lines(self) -> list[Line]:
        """In short; `sandgrain data` says more."""
        rows = [[plain(c.label, 28) or "(none)", *map(str, c.sides), str(c.total)] for c in self.counts]
        return [
            f"{plain(self.name, 30)}: {len(self.records):,} {self.about.noun}, {self.kind}, {len(self.labels)} labels",
            Table(["label", *SPLITS, "all"], rows, range(1, len(SPLITS) + 2)),
            f"{len(self.manifest.bad)} bad files, {len(self.leaks)} leaks",
            *([f"first look: {line}" for line in self.look.lines()] if self.look else []),
            *(f"note: {plain(remark, 300)}" for remark in self.remarks),
        ]

    @property
    def problem(self) -> str:
        """Why a model cannot be built from this data, or ""."""
        why = features.problem(self.records, self.loaded.project.data, self.loaded.blocks)
        return f"features cannot be computed: {why}" if why else ""

    @property
    def folder(self) -> str:
        """The project's folder as a command needs it; empty for the folder that one is in."""
        folder = self.loaded.folder
        return "" if folder.resolve() == Path.cwd() else str(folder)

    def to_json(self) -> dict[str, Any]:
        """One plain object, without what names this machine."""
        seconds = self.seconds
        shapes = Counter(r.shape for r in self.records)
        return {
            "kind": self.kind,
            "dataset_hash": self.manifest.sha256,
            "records": len(self.records),
            "labels": {
                c.label: {**dict(zip(SPLITS, c.sides, strict=True)), "total": c.total, "seconds": round(c.seconds, 3)}
                for c in self.counts
            },
            "windows": self.windows,
            "window_balance": None if self.window_balance is None else round(self.window_balance, 3),
            "groups": self.groups,
            "groups_of": {side: list(names[:LISTED]) for side, names in self.groups_of.items()},
            "rates_hz": list(self.rates),
            "seconds": None
            if not self.about.sampled or not len(seconds)
            else {
                "total": round(float(seconds.sum()), 3),
                "smallest": round(float(seconds.min()), 4),
                "median": round(float(np.median(seconds)), 4),
                "largest": round(float(seconds.max()), 4),
            },
            "shapes": {"x".join(map(str, shape)): n for shape, n in shapes.most_common(10)} if not self.about.sampled else {},
            "balance": None if self.balance is None else round(self.balance, 3),
            "checks": [
                {
                    "topic": f.topic,
                    "count": f.count,
                    "dropped": f.dropped,
                    "rule": f.rule,
                    "examples": [{"keys": list(e.keys), "detail": e.detail} for e in f.examples],
                }
                for f in self.judgement.findings
            ],
            "bad": [{"path": b.path, "reason": b.reason} for b in self.manifest.bad],
            "notes": [{"path": n.path, "text": n.text} for n in self.manifest.notes],
            "others": [{"suffix": s, "folder": f, "files": n} for (s, f), n in self.manifest.others.items()],
            "problem": self.problem,
            "left_out": self.left_out,
            "dropped": len(self.judgement.dropped),
            "leaks": list(self.leaks[:LISTED]),
            "remarks": list(self.remarks),
            "numbers": {side: asdict(spread) for side, spread in self.numbers.items()} or None,
            "first_look": self.look.to_json() if self.look else None,
            "split": self.loaded.project.data.split.model_dump(mode="json"),
        }


def inspect(loaded: Loaded, *, workers: int | None = None, progress: Progress = silent) -> Inspection:
    """Read, judge and split the data of a project; the manifest and what was measured are kept in `loaded.work`.

    Raises UsageError where there is no data, nothing can be read, a file is bad and `bad = "refuse"`, or a split cannot
    be made.
    """
    data, root = loaded.project.data, loaded.root  # a project without data leaves nothing behind
    work = prepare(loaded.work)
    manifest = ingest.ingest(
        root, data.layout, bad=data.bad, workers=workers or os.cpu_count() or 1, cache=work / "ingest", progress=progress
    )
    background.manifests(loaded)  # a pattern that nothing fits is told before anything is computed
    if not manifest.records:
        first = (
            f"; the first of {len(manifest.bad)} bad files: {manifest.bad[0].path} {manifest.bad[0].reason}"
            if manifest.bad
            else ""
        )
        raise UsageError(f"[data] path: no recording could be read in {plain(data.path)}{first}; look at files, name and kind")
    ingest.save(manifest, work / "manifest.json")
    records, left_out = choose(manifest.records, data)
    if not records:
        raise UsageError(
            f"[data] classes: no recording has one of these labels; there are {plain(', '.join(manifest.labels), 200)}"
        )
    facts = quality.measure(
        records, partial(ingest.open_record, manifest), cache=work / "facts.npz", progress=progress, scaled=_is_scaled(data)
    )
    judgement = quality.judge(
        records, facts, data.model_dump(include={"duplicates", "conflicts", "silent", "constant", "clipped"})
    )
    kept = tuple(r for r in records if r.key not in judgement.dropped)
    if not kept:
        raise UsageError("[data]: every recording was dropped; keep some of copies, silent, constant or clipped ones")
    quiet = negatives.told(negatives.manifests(loaded, features.signal_of(kept, data))) if data.negatives else []
    kept = listed(kept, root, data)
    leads = features.leads_of(manifest, features.windowing_of(data, loaded.blocks, kept[0].rate)) if kept[0].rate else None
    kept = kept if leads is None else leads.placed(kept)
    if data.split.by == "time":
        kept, sides = in_time(kept, data, loaded.blocks)
        leaks, remarks = [], []  # everything is on every side, and is meant to be
    else:
        content = {r.key: records[head].sha256 for r, head in zip(records, judgement.family.tolist(), strict=True)}
        sides = assign(kept, data, content, loaded.blocks)
        leaks = quality.across(records, judgement.family, sides)
        own = split_in_blocks.grouped(kept) if data.split.by == "block" else kept
        remarks = split.leaks([replace(r, sha256=r.key) for r in own], sides)  # copies are told above
        if not any(r.group for r in kept) and data.split.by != "given":
            remarks.append(NO_GROUP)
    remarks += [*_rounded(kept, data), *quiet]
    found = Inspection(loaded, manifest, records, facts, judgement, kept, sides, tuple(leaks), tuple(remarks), left_out)
    return replace(found, remarks=(*remarks, *numbers_to_give.notes(found)))


def _is_scaled(data: Data) -> bool:
    """Whether samples are shares of the sensor's range: sound and pictures always, tables where it is given."""
    return kinds.of(data.kind).silence_between or not kinds.of(data.kind).sampled or bool(data.layout.get(Scale).full_scale)


def _rounded(records: Sequence[Record], data: Data) -> list[str]:
    """What became of lengths in seconds that are no whole number of samples."""
    found = []
    for rate in sorted({r.rate for r in records if r.rate})[:1]:
        for key, seconds in (("window_s", data.window_s), ("stride_s", data.stride_s)):
            samples = round(seconds * rate)
            if samples and abs(samples / rate / seconds - 1) > UNSAID:
                found.append(f"{key} = {seconds:g} is {samples} samples at {rate:g} Hz, so it is {samples / rate:.4g} s")
    return found


def prepare(work: Path) -> Path:
    """The folder for manifests and caches, which git does not look at. Raises UsageError."""
    try:
        work.mkdir(exist_ok=True)
        ignore = work / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
    except OSError as error:
        raise UsageError(
            f"{plain(work, 120)} cannot be written ({type(error).__name__}); copy the project file to a folder of yours"
        ) from None
    return work


def choose(records: Sequence[Record], data: Data) -> tuple[tuple[Record, ...], int]:
    """The records that `classes` takes, others under the label `rest` or left out; and how many were left out."""
    if not data.classes:
        return tuple(records), 0
    wanted, found = set(data.classes), []
    for record in records:
        if record.label in wanted:
            found.append(record)
        elif data.rest:
            found.append(replace(record, label=data.rest))
    return tuple(found), len(records) - len(found)


def listed(records: Sequence[Record], root: Path, data: Data) -> tuple[Record, ...]:
    """The records with the sides that `[data.split] lists` gives them; those in no list are for training."""
    if not data.split.lists:
        return tuple(records)
    given: dict[str, str] = {}
    for side, name in data.split.lists.items():
        path = root / name
        try:
            if not path.resolve().is_relative_to(root.resolve()) or path.stat().st_size > MAX_LIST_FILE:
                raise UsageError(f"[data.split] lists: {plain(name)} is not a list below the data; name a file there")
            given |= {line.strip(): side for line in read_small(path, MAX_LIST_FILE).decode("utf-8").splitlines() if line.strip()}
        except (OSError, ValueError) as error:
            raise UsageError(
                f"[data.split] lists: {plain(name)} cannot be read ({why(error)}); name a text file below the data"
            ) from None
    return tuple(replace(r, split=given.get(r.key.split("#")[0], "train")) for r in records)


def assign(records: Sequence[Record], data: Data, content: Mapping[str, str], blocks: Sequence[Block] = ()) -> Mapping[str, str]:
    """The side of each record, by `[data.split]`. Records of one `content` (key -> hash) stay together: near-copies, too."""
    s = data.split
    together = [replace(r, sha256=content[r.key]) for r in records]
    choose = {str(side): wanted for side, wanted in s.choose.items()}
    assert s.by != "time"
    if s.by == "block":
        together = split_in_blocks.grouped(together)
    draw = split.Draw("group" if s.by == "block" else s.by, s.stratify, s.validation, s.test, s.seed, choose)
    return split.assign(together, draw, {key: max(n, 1) for key, n in windows(records, data, blocks).items()})


def windows(records: Sequence[Record], data: Data, blocks: Sequence[Block] = ()) -> dict[str, int]:
    """How many windows each of these recordings gives, by its key."""
    windowing = cache(partial(features.windowing_of, data, blocks))  # there may be very many recordings, of few rates
    return {r.key: count([r], windowing(r.rate)) if r.rate or not data.window_s else 0 for r in records}


def in_time(records: Sequence[Record], data: Data, blocks: Sequence[Block] = ()) -> tuple[tuple[Record, ...], Mapping[str, str]]:
    """Each recording cut by time, by `[data.split]`: (the parts, key -> side). Raises UsageError."""
    if not kinds.of(data.kind).sampled:
        raise UsageError(f'[data.split] by = "time": {kinds.of(data.kind).noun} have no time; split by "file" or "group"')
    s = data.split

    windowing_of = cache(partial(features.windowing_of, data, blocks))

    def how(record: Record) -> split_in_time.Cutting:
        windowing = windowing_of(record.rate)
        least = 1 if windowing is None else windowing.length
        return split_in_time.Cutting(
            s.validation, s.test, round(s.gap_s * record.rate), least, windowing.lead if windowing else 0
        )

    return split_in_time.cut(records, how)


def _seconds(record: Record) -> float:
    return record.shape[0] / record.rate if record.rate else 0.0
