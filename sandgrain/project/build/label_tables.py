"""The figures of each label and each group as rows for people."""

from __future__ import annotations

from sandgrain.base.tables import Table
from sandgrain.base.text import plain, tenths
from sandgrain.project.build.figures import Figures, OfLabel

SHOWN = 12  # labels up to which the text has all of them
MAX_CLASSES = 40  # labels that the HTML page has
GROUPS = 12  # groups that it has


def shown(found: Figures) -> Table:
    """Of each label; of many, those with the least recall."""
    rows = list(found.labels)
    if len(rows) > SHOWN:
        rows = sorted(rows, key=lambda x: (x.recall is not None, x.recall, x.label))[:SHOWN]
    cells = [[cell for k, cell in enumerate(row) if k != 4] for row in map(_label_row, rows)]
    head = "label" if len(rows) == len(found.labels) else f"{len(rows)} worst of {len(found.labels)}"
    return Table([head, "windows", "recall", "95 %", "precision", "F1"], cells, range(1, 6))


def label_rows(found: Figures) -> list[list[str]]:
    """Of each label, for the HTML page."""
    return [_label_row(x) for x in found.labels[:MAX_CLASSES]]


def _label_row(x: OfLabel) -> list[str]:
    """Label, windows, recall, its interval, specificity, precision, F1."""
    low, high = x.recall_interval or (0.0, 0.0)
    between = f"{100 * low:.0f} to {100 * high:.0f}" if x.recall_interval else "-"
    shares = [tenths(x.recall), between, tenths(x.specificity), tenths(x.precision)]
    return [plain(x.label, 20) or "(none)", f"{x.windows:,}", *shares, f"{x.f1:.3f}"]


def group_rows(found: Figures) -> list[list[str]]:
    """The groups that are answered worst, for the HTML page."""
    return [[plain(g.name, 60), f"{g.windows:,}", tenths(g.accuracy)] for g in found.groups[:GROUPS]] if found.worst_group else []
