"""What a classifier's answers on the test windows say: of all windows, of each label, of each group; and notes on what to doubt.

Everything is counted over all test windows, as the int8 C answers on this computer. The emulated board is proven to give the same
bytes; the windows that ran there are a proof and no sample of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sandgrain.base import intervals
from sandgrain.base.arrays import Array
from sandgrain.base.text import plain, tenths
from sandgrain.project.build import metrics

BY_GROUPS = 5  # groups from which on an interval is drawn over groups; fewer say too little of one another
DRAWS = 2000  # of the bootstrap
FEW = 5  # windows of a label or a group below which its figure is no reason for a note
APART, AT_LEAST = 0.02, 3  # float and int8 accuracy further apart than this share and so many windows get a note
NAMED = 3  # labels that a note names


@dataclass(frozen=True, slots=True)
class OfLabel:
    """One label against all others. Shares are None where there is nothing to divide by."""

    label: str
    windows: int  # test windows of it
    said: int  # test windows that were called so
    recall: float | None  # of its windows, those that were called so
    precision: float | None  # of those that were called so, its own
    specificity: float | None  # of the other windows, those that were not called so
    f1: float  # 2 recall precision / (recall + precision); 0 where it never occurs and is never said
    recall_interval: tuple[float, float] | None  # Wilson, 95 %


@dataclass(frozen=True, slots=True)
class OfGroup:
    """The test windows of one speaker, subject or device (or of one file where no group is known)."""

    name: str
    windows: int
    accuracy: float


@dataclass(frozen=True, slots=True)
class Overall:
    """Of all test windows."""

    windows: int
    accuracy: float
    interval: tuple[float, float]  # of the accuracy, 95 %
    drawn_over: int  # groups that the interval was drawn over (bootstrap); 0: over windows (Wilson)
    majority: float  # the share of the most frequent label: what always saying it would give
    majority_label: str
    balanced: float  # the mean of the recalls of the labels that occur
    macro_f1: float
    calibration: float  # the mean gap between how sure it is and how often it is right, 0 is perfect (expected calibration error)


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it. `groups`: the worst first."""

    overall: Overall
    labels: tuple[OfLabel, ...]
    groups: tuple[OfGroup, ...]
    of_files: bool  # `groups` are files, for no group is known

    @property
    def worst_group(self) -> OfGroup | None:
        """The group that is answered worst, of those with at least FEW windows, where there is more than one."""
        large = [g for g in self.groups if g.windows >= FEW]
        return large[0] if len(large) > 1 else None

    @property
    def interval(self) -> str:
        """Of the accuracy, for people."""
        o = self.overall
        over = f"{o.drawn_over:,} {'files' if self.of_files else 'groups'}" if o.drawn_over else "windows"
        return f"{100 * o.interval[0]:.1f} to {100 * o.interval[1]:.1f} % with 95 % confidence, over {over}"

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        o = self.overall
        return {
            "accuracy": o.accuracy,
            "accuracy_interval": list(o.interval),
            "interval_over": o.drawn_over,
            "majority": o.majority,
            "majority_label": o.majority_label,
            "balanced_accuracy": o.balanced,
            "macro_f1": o.macro_f1,
            "calibration_error": o.calibration,
            "per_label": [asdict(x) for x in self.labels],
            "per_file" if self.of_files else "per_group": [asdict(x) for x in self.groups],
        }


def of_answers(
    chances: Array, truth: Array, names: Sequence[str], groups: Sequence[str], *, of_files: bool, seed: int
) -> Figures:
    """Figures of `chances`, float64 [n, labels] that add up to 1, and the true labels, int64 [n].

    `names` of the labels. `groups`: whose each window is, n names ("" for nobody's). `seed`: of the bootstrap.
    """
    counts = metrics.confusion(chances, truth)
    right = chances.argmax(1) == truth
    share, per_label = float(right.mean()), of_counts(counts, names)
    rows, windows, hits = _grouped(right, groups)
    interval, over = _interval(share, len(truth), windows, hits, seed)
    totals = counts.sum(1)
    recalls = [x.recall for x in per_label if x.recall is not None]
    overall = Overall(
        windows=len(truth),
        accuracy=share,
        interval=interval,
        drawn_over=over,
        majority=float(totals.max() / max(totals.sum(), 1)),
        majority_label=names[int(totals.argmax())],
        balanced=float(np.mean(recalls)),
        macro_f1=metrics.macro_f1(counts),
        calibration=metrics.calibration(chances, truth),
    )
    return Figures(overall, per_label, rows, of_files)


def of_counts(counts: Array, names: Sequence[str]) -> tuple[OfLabel, ...]:
    """Of each label, from a confusion matrix, int64 [labels, labels] whose rows are true labels."""
    total, rows = int(counts.sum()), []
    for k, name in enumerate(names):
        hit, own, said = int(counts[k, k]), int(counts[k].sum()), int(counts[:, k].sum())
        rows.append(
            OfLabel(
                label=name,
                windows=own,
                said=said,
                recall=hit / own if own else None,
                precision=hit / said if said else None,
                specificity=1 - (said - hit) / (total - own) if total > own else None,
                f1=2 * hit / (own + said) if own + said else 0.0,
                recall_interval=intervals.of_share(hit / own, own) if own else None,
            )
        )
    return tuple(rows)


def _grouped(right: Array, groups: Sequence[str]) -> tuple[tuple[OfGroup, ...], Array, Array]:
    """(each group, the worst first; windows of each; right ones of each), int64 [groups], in the order of their names."""
    names, member = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    windows = np.bincount(member, minlength=len(names))
    hits = np.bincount(member, weights=right, minlength=len(names)).astype(np.int64)
    found = [OfGroup(str(name), int(n), float(h / n)) for name, n, h in zip(names, windows, hits, strict=True) if name]
    return tuple(sorted(found, key=lambda g: (g.accuracy, g.name))), windows, hits


def _interval(share: float, count: int, windows: Array, hits: Array, seed: int) -> tuple[tuple[float, float], int]:
    """(of an accuracy, 95 %; over how many groups).

    Windows of one person or one file resemble one another, so with enough groups whole groups are drawn anew (the cluster
    bootstrap, percentiles of DRAWS draws); with few, Wilson's interval over windows, which is too narrow then.
    """
    if len(windows) < BY_GROUPS or len(windows) == count:
        return intervals.of_share(share, count), 0
    rng, drawn = np.random.default_rng(seed), np.empty(DRAWS)
    for k in range(DRAWS):
        chosen = rng.integers(len(windows), size=len(windows))
        drawn[k] = hits[chosen].sum() / windows[chosen].sum()
    low, high = np.percentile(drawn, [2.5, 97.5])
    return (float(low), float(high)), len(windows)


# --- what to doubt ---------------------------------------------------------------------------------------------------------


def notes(found: Figures, accuracy_float: float) -> tuple[str, ...]:
    """One line for each thing that a single accuracy hides."""
    return tuple(_notes(found, accuracy_float))


def _notes(found: Figures, accuracy_float: float) -> Iterator[str]:
    o = found.overall
    if len(found.labels) > 1 and o.accuracy <= o.majority:
        always = plain(o.majority_label, 40)
        yield (
            f"accuracy {tenths(o.accuracy)} is not above {tenths(o.majority)}, which always saying {always} would give; "
            f"balanced accuracy {tenths(o.balanced)} counts every label alike"
        )
    chance = 1 / max(len(found.labels), 1)
    lost = [x for x in found.labels if x.recall is not None and x.recall < chance and x.windows >= FEW]
    if lost and len(found.labels) > 1:
        told = "; ".join(f"{plain(x.label, 40)} is found in {tenths(x.recall)} of {x.windows:,}" for x in _least(lost))
        more = f" and {len(lost) - NAMED} more labels" if len(lost) > NAMED else ""
        yield f"below chance ({tenths(chance)}): {told}{more}"
    if missing := [plain(x.label, 40) for x in found.labels if not x.windows]:
        yield f"no test window of {', '.join(missing[:NAMED])}{' ...' if len(missing) > NAMED else ''}: nothing is known of it"
    if abs(accuracy_float - o.accuracy) * o.windows > max(APART * o.windows, AT_LEAST):
        yield (
            f"int8 is right in {tenths(o.accuracy)} and float in {tenths(accuracy_float)}: they are not the same classifier; "
            "[train] qat = true with more epochs brings them together"
        )


def _least(rows: Sequence[OfLabel]) -> list[OfLabel]:
    return sorted(rows, key=lambda x: (x.recall or 0.0, x.label))[:NAMED]


# --- whose windows they are ------------------------------------------------------------------------------------------------


def owners(groups: Mapping[str, str], keys: Sequence[str]) -> tuple[list[str], bool]:
    """(whose each window is, whether these are files). `groups`: recording -> group; `keys`: of the recording of each window.

    Where no recording has a group, each file is its own.
    """
    if any(groups[key] for key in keys):
        return [groups[key] for key in keys], False
    return [key.rpartition("#")[0] or key for key in keys], True
