"""What the pages show of a classifier: rows of accuracies, the confusion matrix, the windows that are hardest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sandgrain.base.arrays import Array
from sandgrain.base.text import plain, tenths
from sandgrain.project.build import page
from sandgrain.project.build.label_tables import MAX_CLASSES, SHOWN
from sandgrain.project.build.result import Built
from sandgrain.project.score import Scored

if TYPE_CHECKING:
    from sandgrain.project.tasks.classes import Classes


def whole_rows(whole: Scored) -> list[list[str]]:
    """Of both pages."""
    o = None if whole.windows is None else whole.windows.overall
    shown = "-" if o is None else f"{o.windows:,} windows of {len(whole.recordings)} recordings"
    rows = [["as heard", tenths(None if o is None else o.accuracy), f"{shown}, by the label that most of each has"]]
    rows.append(["pure", tenths(whole.pure[1]), f"{whole.pure[0]:,} windows with one label"])
    rows.append(["over a change", tenths(whole.mixed[1]), f"{whole.mixed[0]:,} windows with more than one"])
    return rows


def proof(built: Built[Classes]) -> str:
    """What was proven about the C that the figures are of."""
    v = built.verdict
    if not v.compared:
        return "proof: none here"
    same = "every byte is the reference's" if v.identical else "the bytes are NOT the reference's"
    ran = ", ".join(f"{name} {count:,}" for name, count in v.compared.items())
    return f"proof, from raw samples on: {same} ({ran})"


def accuracies(built: Built[Classes]) -> list[list[str]]:
    """Rows of the page of text."""
    return [[name, value, how] for name, value, how in _shared_rows(built)]


def accuracy_rows(built: Built[Classes]) -> list[tuple[str, str, str]]:
    """Rows of the HTML page."""
    f, v = built.figures, built.verdict
    rows = _shared_rows(built)
    if "qat" in f.history:
        how = "quantized after training, not trained with it"
        rows.insert(2, ("int8 before", tenths(f.accuracy_after_training), how))
    if f.streams is not None:
        rows += [(f"whole recordings, {name}", value, how) for name, value, how in whole_rows(f.streams)]
    ran = ", ".join(f"{name} {count:,}" for name, count in v.compared.items())
    rows.append(
        ("proof", "identical" if v.identical else "DIFFERENT", f"to the reference, byte for byte, from raw samples on: {ran}")
    )
    if f.negatives is not None:
        rows.append(f.negatives.row)
    if (s := f.spotted) is not None:
        rule = s.rule
        settings = f"smoothing {rule.smoothing}, margin {rule.margin}, hold {rule.hold}"
        rows.append(("false accepts", s.accepts, f"{s.counted}; {settings}"))
        how = f"of {s.rates.events:,} keywords there; {s.compared}"
        rows.append(("false rejects", tenths(s.rates.false_rejects), how))
    return rows


def _shared_rows(built: Built[Classes]) -> list[tuple[str, str, str]]:
    """Of both pages."""
    f, total = built.figures, built.windows["test"]
    o = f.found.overall
    how = "windows, each by the C of a fold that had not seen it" if built.folds else "test windows, its C"
    rows = [("int8", tenths(o.accuracy), f"all {total:,} {how}; {f.found.interval}")]
    rows.append(("float", tenths(f.accuracy_float), "PyTorch, the same windows"))
    rows.append(("majority", tenths(o.majority), f"what always saying {plain(o.majority_label, 30) or '(none)'} would give"))
    rows.append(("balanced", tenths(o.balanced), "the mean of the labels' recalls"))
    if (worst := f.found.worst_group) is not None:
        what = "file" if f.found.of_files else "group"
        rows.append(("worst", tenths(worst.accuracy), f"{what} {plain(worst.name, 34)}, {worst.windows:,} windows"))
    rows.append(("macro F1", f"{o.macro_f1:.3f}", "the mean over the labels"))
    if f.auc is not None:
        rows.append(("ROC AUC", f"{f.auc:.3f}", "each label against the others, the mean"))
    rows.append(("calibration", f"{o.calibration:.3f}", "mean gap between how sure and how right; 0 is perfect"))
    return rows


def mixed_up(counts: Array, names: Sequence[str]) -> list[str]:
    """The pairs of labels that are mistaken most often."""
    wrong = ((n, i, j) for i, row in enumerate(counts.tolist()) for j, n in enumerate(row) if i != j and n)
    return [f"{names[i]} as {names[j]} {n}" for n, i, j in sorted(wrong, reverse=True)[:SHOWN]]


def matrix(built: Built[Classes]) -> dict[str, Any]:
    """The confusion matrix, shaded by the share of each row; diagonal and mistakes in colours of their own."""
    confusion, names = built.figures.confusion, [plain(label, 16) or "(none)" for label in built.labels]
    rows = []
    for i, counts in enumerate(confusion[:MAX_CLASSES, :MAX_CLASSES].tolist()):
        total = max(int(confusion[i].sum()), 1)
        cells = [{"n": n or "", "shade": f"{n / total:.3f}", "right": i == j} for j, n in enumerate(counts)]
        rows.append({"label": names[i], "cells": cells, "recall": tenths(counts[i] / total) if i < len(counts) else ""})
    return {
        "matrix": rows,
        "classes": names[:MAX_CLASSES],
        "turned": len(names) > 6 and max(map(len, names)) > 3,
        "more_classes": max(0, len(names) - MAX_CLASSES),
    }


def worst_pictures(built: Built[Classes]) -> list[dict[str, Any]]:
    """The windows with the largest loss."""
    worst = built.figures.worst
    markup = page.window_pictures(built.samples, [w.place for w in worst])
    return [
        {
            "markup": markup[w.place],
            "key": plain(w.key, 200),
            "label": plain(w.label, 20) or "(none)",
            "said": plain(w.said, 20) or "(none)",
            "wrong": w.said != w.label,
            "chance": tenths(w.chance),
        }
        for w in worst
    ]
