"""The plots of a build's page, each a value with a title, a sentence and an SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.text import KIB, plain, size
from sandgrain.bundle.report import Report
from sandgrain.dataset import charts, pictures
from sandgrain.project.build.curves import Curves
from sandgrain.project.build.spotting import Spotted
from sandgrain.train import scores as measures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History = Mapping[str, Mapping[str, Sequence[float]]]  # training -> figure -> one value per epoch
BLUE, RED, GREEN, YELLOW = pictures.COLOURS[:4]
BINS = 48  # of a histogram of scores
SIZE = (4.3, 2.7)  # inches
LABELS = 6  # that have a curve
CURVES = (
    ("Loss", {"train_loss": "training", "loss": "validation"}, "{loss} per epoch."),
    ("Accuracy", {"accuracy": "validation"}, "On the validation windows, per epoch."),
)


def plot(title: str, say: str, figure: Figure) -> dict[str, Any]:
    """What the template shows."""
    from markupsafe import Markup

    return {"title": title, "say": say, "markup": Markup(charts.svg(figure))}


# --- memory --------------------------------------------------------------------------------------------------------------


def memory(r: Report) -> dict[str, Any]:
    """What is alive while each layer runs."""
    figure = charts.figure(*SIZE)
    axes = figure.add_subplot()
    places = range(len(r.layers))
    unit, word = (KIB, "KiB") if r.arena_bytes + r.stream_bytes >= 4 * KIB else (1, "bytes")
    below = r.stream_bytes / unit
    alive = [layer.ram_bytes / unit for layer in r.layers]
    if below:
        axes.bar(places, [below] * len(alive), width=1.0, color=YELLOW, label="stream")
    axes.bar(places, alive, bottom=below, width=1.0, color=BLUE, edgecolor="white", linewidth=0.6, label="arena, alive")
    axes.axhline(below + r.arena_bytes / unit, color=RED, linewidth=1.2, linestyle="--", label="arena, all")
    axes.set_xlabel("layer, in the order they run")
    axes.set_ylabel(word)
    axes.set_xticks(places[:: max(len(alive) // 12, 1)])
    axes.set_ylim(0, 1.28 * (below + r.arena_bytes / unit))
    axes.legend(frameon=False, ncols=3, fontsize=8, handlelength=1.2, columnspacing=1.0, loc="upper left")
    stream = f" Below them lies the stream's state, {size(r.stream_bytes)}, which lasts." if r.stream_bytes else ""
    say = f"Bytes of the arena ({size(r.arena_bytes)}) that are alive while each layer runs.{stream}"
    return plot("Memory over time", f"{say} Stack and static data are not drawn.", figure)


# --- training ------------------------------------------------------------------------------------------------------------


def curves(history: History, loss: str = "Cross-entropy") -> list[dict[str, Any]]:
    """Loss and accuracy over the epochs of one or two trainings, as far as they are known. `loss`: what it is, for people."""
    qat = " Behind the line: trained again with the firmware's rounding." if len(history) > 1 else ""
    return [
        plot(title, say.format(loss=loss) + qat, _curves(history, figures))
        for title, figures, say in CURVES
        if any(part.get(key) for part in history.values() for key in figures)
    ]


def _curves(history: History, figures: Mapping[str, str]) -> Figure:
    """Both trainings one after the other."""
    figure = charts.figure(*SIZE)
    axes = figure.add_subplot()
    for (key, label), colour in zip(figures.items(), (BLUE, RED), strict=False):
        _line(axes, [part.get(key, []) for part in history.values()], colour, label)
    first = len(next(iter(history.values()))["loss"])
    if len(history) > 1:
        axes.axvline(first + 0.5, color="#888888", linewidth=1, linestyle=":")
    axes.set_xlabel("epoch")
    if len(figures) > 1:
        axes.legend(frameon=False, fontsize=8)
    axes.grid(axis="y", color="#e2e6eb", linewidth=0.8)
    return figure


def _line(axes: Axes, parts: Sequence[Sequence[float]], colour: str, label: str) -> None:
    start = 1
    for k, part in enumerate(parts):
        epochs = range(start, start + len(part))
        marker = "." if len(part) < 20 else ""
        axes.plot(epochs, part, color=colour, linewidth=1.4, label=label if k == 0 else None, marker=marker)
        start += len(part)


# --- decisions over a stream ---------------------------------------------------------------------------------------------


def margins(s: Spotted) -> dict[str, Any]:
    """False accepts per hour and false rejects over the margin, each on an axis of its own."""
    full = next((k for k, row in enumerate(s.margins) if row[2] == 1), len(s.margins))  # no keyword is found from there on
    steps, accepts, rejects = zip(*s.margins[: full + 1], strict=True)
    figure = charts.figure(*SIZE)
    left = figure.add_subplot()
    right = left.twinx()
    left.plot(steps, accepts, color=RED, linewidth=1.4)
    right.plot(steps, [100 * share for share in rejects], color=BLUE, linewidth=1.4)
    left.axvline(s.rule.margin, color="#333333", linewidth=1.2, linestyle="--")
    left.set_xlabel("margin, steps of the output")
    left.set_ylabel("false accepts per hour", color=RED)
    right.set_ylabel("false rejects, %", color=BLUE)
    left.set_ylim(bottom=0)
    right.set_ylim(0, 105)
    recording = f"a recording of {s.length} ({s.recordings} test recordings, {s.between} between)"
    say = f"Keywords in {recording}: what other values of [decide] margin than {s.rule.margin} would give."
    return plot("Decisions", say, figure)


# --- numbers -------------------------------------------------------------------------------------------------------------


DOTS = 600  # windows that are drawn


def of_numbers(said: Array, truth: Array, unit: str) -> list[dict[str, Any]]:
    """What was said over what is true, and the errors over the test windows in their order. float64 [n] each, in `unit`."""
    word = f", {plain(unit, 12)}" if unit else ""
    places = np.unique(np.linspace(0, len(truth) - 1, min(len(truth), DOTS)).astype(int))
    some = "" if len(places) == len(truth) else f" {len(places):,} of {len(truth):,} windows are drawn."
    across, errors = charts.figure(*SIZE), charts.figure(*SIZE)
    axes, right = across.add_subplot(), errors.add_subplot()
    ends = [float(min(said.min(), truth.min())), float(max(said.max(), truth.max()))]
    axes.plot(ends, ends, color="#333333", linewidth=1, linestyle="--")
    axes.plot(truth[places], said[places], ".", color=BLUE, markersize=3, alpha=0.5)
    axes.set_xlabel(f"true{word}")
    axes.set_ylabel(f"said{word}")
    right.axhline(0, color="#333333", linewidth=1, linestyle="--")
    right.plot(places, (said - truth)[places], ".", color=RED, markersize=3, alpha=0.5)
    right.set_xlabel("test window, in order")
    right.set_ylabel(f"said less true{word}")
    for frame in (axes, right):
        frame.grid(color="#e2e6eb", linewidth=0.8)
    return [
        plot("Said over true", f"The numbers of the int8 C; on the line they are right.{some}", across),
        plot(
            "Errors",
            f"In the order of the test windows: where errors drift, the sensor or the scene may have changed.{some}",
            errors,
        ),
    ]


# --- each label against the others ---------------------------------------------------------------------------------------


def of_labels(found: Sequence[Curves]) -> list[dict[str, Any]]:
    """ROC and precision-recall of the labels that are told worst; of two labels the first alone, as the other is its mirror."""
    if not found:
        return []
    shown = sorted(found[:1] if len(found) == 2 else found, key=lambda c: c.auc)[:LABELS]
    which = (
        ""
        if len(shown) == len(found)
        else f" Drawn is {plain(shown[0].label, 20)}."
        if len(found) == 2
        else f" The {LABELS} worst labels."
    )
    roc, pr = charts.figure(*SIZE), charts.figure(*SIZE)
    axes, right = roc.add_subplot(), pr.add_subplot()
    for k, c in enumerate(shown):
        colour = pictures.COLOURS[k]
        axes.plot(*zip(*c.roc, strict=True), color=colour, linewidth=1.4, label=f"{plain(c.label, 14)} {c.auc:.3f}")
        axes.plot([c.at[0]], [c.at[1]], "o", color=colour, markersize=5)
        right.plot(
            *zip(*c.precision_recall, strict=True),
            color=colour,
            linewidth=1.4,
            label=f"{plain(c.label, 14)} {c.average_precision:.3f}",
        )
        if c.at[2] is not None:
            right.plot([c.at[1]], [c.at[2]], "o", color=colour, markersize=5)
    _frame(axes, "false positives, of other windows", "recall", "lower right")
    _frame(right, "recall", "precision", "lower left")
    say = f"Each label against all others, int8, all test windows; the dot is where the largest output decides.{which}"
    return [
        plot("ROC", f"{say} The number is the area below the curve.", roc),
        plot("Precision and recall", f"{say} The number is the average precision.", pr),
    ]


def _frame(axes: Axes, across: str, up: str, where: str) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.05)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.legend(frameon=False, fontsize=8, loc=where)
    axes.grid(color="#e2e6eb", linewidth=0.8)


# --- scores of a detector ------------------------------------------------------------------------------------------------


def histogram(scores: Array, anomalies: Array, threshold: int, normal: str) -> dict[str, Any]:
    """Scores of normal windows and of the others over a logarithmic axis, with the threshold.

    `scores`: int32 [n]. `anomalies`: bool [n]. `normal`: the label of normal windows.
    """
    positive = np.maximum(scores.astype(np.float64), 1)
    limit = max(threshold, 1)
    edges = np.geomspace(min(positive.min(), limit) * 0.9, max(positive.max(), limit) * 1.1, BINS + 1)
    figure = charts.figure(*SIZE)
    axes = figure.add_subplot()
    for mark, colour, label in ((False, BLUE, plain(normal, 20)), (True, RED, "others")):
        axes.hist(positive[anomalies == mark], edges.tolist(), color=colour, alpha=0.7, label=label)
    axes.axvline(limit, color="#333333", linewidth=1.2, linestyle="--", label="threshold")
    axes.set_xscale("log")
    axes.set_xlabel("score")
    axes.set_ylabel("windows")
    axes.legend(frameon=False, fontsize=8)
    return plot("Scores", "Of the test windows, int8.", figure)


def roc(scores: Array, anomalies: Array, at: tuple[float, float]) -> dict[str, Any]:
    """The ROC curve of scores, int32 [n], of windows that are anomalies or not, bool [n].

    `at`: false alarms and detected anomalies at the threshold, shares.
    """
    fpr, tpr = measures.roc(scores[~anomalies], scores[anomalies])
    figure = charts.figure(*SIZE)
    axes = figure.add_subplot()
    axes.plot(fpr, tpr, color=BLUE, linewidth=1.4)
    axes.plot([at[0]], [at[1]], "o", color=RED, label="at the threshold")
    axes.set_xlabel("false alarms")
    axes.set_ylabel("detected")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    axes.grid(color="#e2e6eb", linewidth=0.8)
    return plot("ROC curve", "At every threshold: of the test windows, int8.", figure)
