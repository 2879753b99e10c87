"""A new project file, tried before it is written: a few of its recordings are read as `sandgrain data` reads them.

What `data` would refuse is found here, so that `init` does not promise it.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sandgrain.base.errors import UsageError
from sandgrain.base.text import plain
from sandgrain.dataset import ambiguous, ingest, kinds, names
from sandgrain.dataset.records import SPLITS, Manifest, Record
from sandgrain.dataset.tables import TableOptions
from sandgrain.frontend.blocks import Block
from sandgrain.project import features, inspection
from sandgrain.project.file.schema import Data, Project, Split

FEW = ingest.Few(files=256, size=8 << 20)
SEEDS = 32  # draws that are tried until every label is in training
ROWS = 8  # of a recording, as a rule: with fewer, a row is no moment of a signal
SHOWN = 2  # files that a remark names


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it. `problem`: why `data` would end with an error, or "". `notes`: files of those tried that it would leave out.

    `split`: how recordings can be split, where what the file says about it does not work; `why`: what is wrong with that.
    """

    problem: str = ""
    notes: tuple[str, ...] = ()
    split: Split | None = None
    why: str = ""
    labels: tuple[str, ...] = ()  # that the tried recordings have


def run(root: Path, project: Project, blocks: Sequence[Block], count: int) -> Trial:
    """Read some of the `count` files below `root`, cut them into windows, compute the shape of their features, split them."""
    try:
        manifest = ingest.ingest(root, project.data.layout, workers=1, few=FEW)
    except UsageError as error:
        return Trial(str(error))
    labels = tuple(label for label in manifest.labels if label)
    return replace(_judged(manifest, root, project, blocks, count), labels=labels)


def _judged(manifest: Manifest, root: Path, project: Project, blocks: Sequence[Block], count: int) -> Trial:
    tried = len({r.key.split("#")[0] for r in manifest.records} | {b.path for b in manifest.bad})
    if not tried:
        return Trial(
            notes=(f"nothing was tried, for every file has more than {FEW.size >> 20} MiB; see what sandgrain data says",)
        )
    if not manifest.records:
        return Trial(f"{_shown(manifest)}; correct [data]")
    notes: tuple[str, ...] = (
        (f"{len(manifest.bad)} of {tried} files that were tried are refused: {_shown(manifest)}",) if manifest.bad else ()
    )
    notes += _unclear(manifest, project)
    if why := features.problem(features.placed(manifest, project.data, blocks), project.data, blocks):
        return Trial(f"features cannot be computed: {why}", notes)
    rows = statistics.median(r.shape[0] for r in manifest.records)
    own = project.data.layout.get(TableOptions).segment == 1
    if kinds.of(project.data.kind).sampled and rows < ROWS and not own:
        said = "a new one begins where the label or the group is another, and each row of an npz's x is one"
        where = "if each row is a sample of its own, or names a file, this is no recording (label_column, group_column, files)"
        notes += (f"recordings of {rows:g} rows are no signal: {said}; {where}",)
    if tried < count:
        return Trial(notes=notes)
    return _split(manifest.records, root, project, notes)


def _unclear(manifest: Manifest, project: Project) -> tuple[str, ...]:
    """A note where a file's name can be read in several ways."""
    pattern = ingest.check_layout(project.data.layout)
    paths = sorted({names.split_key(r.key)[0] for r in manifest.records})
    said = ambiguous.settle(pattern, paths)[1] if pattern else None
    return (f"{said[0]}: {said[1]} (name)",) if said else ()


def _shown(manifest: Manifest) -> str:
    """The first bad files, each reason once."""
    reasons = list({b.reason: b for b in reversed(manifest.bad)}.values())[::-1]
    more = f" and {len(reasons) - SHOWN} more reasons" if len(reasons) > SHOWN else ""
    return "; ".join(f"{plain(b.path, 60)}: {plain(b.reason, 240)}" for b in reasons[:SHOWN]) + more


def _split(records: Sequence[Record], root: Path, project: Project, notes: tuple[str, ...]) -> Trial:
    """The first split that these recordings, which are all, allow: as the file says, by file, by time, without regard to labels, none."""
    data, why = project.data, ""
    given = data.split
    by_file = given.model_copy(update={"by": "file", "lists": {}})
    mixed = [by_file.model_copy(update={"stratify": False, "seed": seed}) for seed in range(SEEDS)]
    own = [given.model_copy(update={"validation": 0.0, "test": 0.0})] if given.by == "given" else []  # nothing more is drawn
    in_time = [by_file.model_copy(update={"by": "time"})] if kinds.of(data.kind).sampled and data.window_s else []
    for split in [given, *own, by_file, *in_time, *mixed]:
        tried = data.model_copy(update={"split": split})
        try:
            if split.by == "time":
                if _every_label_is_cut(records, tried):
                    return Trial(notes=notes, split=split, why=why)
                continue
            sides = inspection.assign(inspection.listed(records, root, tried), tried, {r.key: r.key for r in records})
        except UsageError as error:
            if split.by != "block":  # what follows says what there is too little of
                why = why or str(error)
            continue
        if split is given:
            return Trial(notes=(*notes, *_copies(records, root, project)))
        if split in own or {r.label for r in records} == {r.label for r in records if sides[r.key] == "train"}:
            return Trial(notes=notes, split=split, why=why)
    cut = "; put recordings into files of their own, or cut the table with label_column, group_column or segment"
    return Trial(
        notes=notes, split=by_file.model_copy(update={"validation": 0.0, "test": 0.0}), why=why + cut * (len(records) == 1)
    )


def _every_label_is_cut(records: Sequence[Record], data: Data) -> bool:
    """Whether every label has windows on every side that a split by time is to have. Raises UsageError where nothing can be cut."""
    parts, sides = inspection.in_time(records, data)
    have = {(r.label, sides[r.key]) for r in parts}
    return all(
        (label, side) in have
        for label in {r.label for r in records}
        for side in SPLITS
        if side != "validation" or data.split.validation
    )


def _copies(records: Sequence[Record], root: Path, project: Project) -> tuple[str, ...]:
    """What copies of recordings do to the split, which is right but for them; a note, or none."""
    try:
        inspection.assign(inspection.listed(records, root, project.data), project.data, {r.key: r.sha256 for r in records})
    except UsageError as error:
        return (f'split: {error}; sandgrain data ends with this until the copies are gone (duplicates = "drop" leaves them out)',)
    return ()
