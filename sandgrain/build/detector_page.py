"""A detector's build as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.base import files
from sandgrain.base.text import plain
from sandgrain.build import page
from sandgrain.build.detected import Detected
from sandgrain.build.rates import Rates
from sandgrain.data import charts, pictures
from sandgrain.train import scores as measures

BINS = 48  # of the scores' histogram


def write(built: Detected, path: Path, progress: Callable[[str, int, int], None] = lambda what, done, total: None) -> None:
    """The page to `path`, completely or not at all. Raises UsageError."""
    progress("drawing the page", 0, 1)
    text = render(built)
    with files.output(path) as file:
        file.write(text.encode())


def render(built: Detected) -> str:
    """The page."""
    on = "on the emulated board" if "emulator" in built.verdict.compared else "on this computer"
    first = [(_share(built.board.auc), f"AUC {on}"), (percent(built.board.false_alarms), "false alarms")]
    first.append((percent(built.board.detected), "anomalies detected"))
    r, f = built.report, built.facts
    summary = f"{built.model}, a detector of anomalies, seed {built.seed}, for {r.target} ({r.core})"
    total = f"all {built.windows['test']:,} test windows"
    ran = ", ".join(f"{name} {count:,}" for name, count in built.verdict.compared.items())
    rows = [
        ("float", cells(built.floats), f"the fitted model, {total}"),
        ("int8", cells(built.host), f"its C on this computer, {total}"),
        ("emulated board" if "emulator" in built.verdict.compared else "this computer", cells(built.board),
         f"from raw samples; identical to the reference, byte for byte: {ran}"),
        ("numpy", cells(built.reference), f"the same integers on the same windows; against the board: {built.agreement}"),
    ]  # fmt: skip
    labels = [[plain(x.label, 20) or "(none)", f"{x.windows:,}", percent(x.alarms), _share(x.auc)] for x in built.by_label]
    asked = f"{100 * f['false_alarms_asked']:.3g} % of {f['held_out']:,} normal windows that the fit did not see exceed it"
    plots = [_histogram(built), *([] if built.host.auc is None else [_roc(built)]), page.memory(r)]
    return page.fill("detector.html.j2", {
        **page.shared(built, summary, first), "rates": rows, "labels": labels, "plots": plots, "worst": _worst(built),
        "threshold": f"The threshold is {built.threshold}: at most {asked}.",
    })  # fmt: skip


def cells(r: Rates) -> list[str]:
    """AUC, pAUC, false alarms, detected, right."""
    return [_share(r.auc), _share(r.pauc), percent(r.false_alarms), percent(r.detected), percent(r.accuracy)]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def percent(value: float | None) -> str:
    """A share for people; "-" where it is not known."""
    return "-" if value is None else f"{100 * value:.1f} %"


def _histogram(built: Detected) -> dict[str, Any]:
    """Scores of normal windows and of the others over a logarithmic axis, with the threshold."""
    from markupsafe import Markup

    positive = np.maximum(built.scores.astype(np.float64), 1)
    limit = max(built.threshold, 1)
    edges = np.geomspace(min(positive.min(), limit) * 0.9, max(positive.max(), limit) * 1.1, BINS + 1)
    figure = charts.figure(4.3, 2.7)
    axes = figure.add_subplot()
    for mark, colour, label in ((False, page.BLUE, plain(built.normal, 20)), (True, page.RED, "others")):
        axes.hist(positive[built.anomalies == mark], edges.tolist(), color=colour, alpha=0.7, label=label)
    axes.axvline(limit, color="#333333", linewidth=1.2, linestyle="--", label="threshold")
    axes.set_xscale("log")
    axes.set_xlabel("score")
    axes.set_ylabel("windows")
    axes.legend(frameon=False, fontsize=8)
    return {"title": "Scores", "say": "Of the test windows, int8.", "markup": Markup(charts.svg(figure))}


def _roc(built: Detected) -> dict[str, Any]:
    from markupsafe import Markup

    fpr, tpr = measures.roc(built.scores[~built.anomalies], built.scores[built.anomalies])
    figure = charts.figure(4.3, 2.7)
    axes = figure.add_subplot()
    axes.plot(fpr, tpr, color=page.BLUE, linewidth=1.4)
    axes.plot([built.host.false_alarms], [built.host.detected or 0.0], "o", color=page.RED, label="at the threshold")
    axes.set_xlabel("false alarms")
    axes.set_ylabel("detected")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    axes.grid(color="#e2e6eb", linewidth=0.8)
    return {"title": "ROC curve", "say": "At every threshold: of the test windows, int8.", "markup": Markup(charts.svg(figure))}


def _worst(built: Detected) -> list[dict[str, Any]]:
    """Pictures of the windows that are judged most wrongly."""
    from markupsafe import Markup

    places = sorted(w.place for w in built.wrong)
    cuts = dict(zip(places, built.samples.cuts("test", places), strict=True))
    return [
        {
            "markup": Markup(pictures.picture(built.samples.found.kind, cuts[w.place].x, cuts[w.place].record.rate)),
            "key": plain(w.key, 200), "label": plain(w.label, 20) or "(none)", "score": f"{w.score:,}",
            "said": "gave an alarm" if w.label == built.normal else "was missed",
        }
        for w in built.wrong
    ]  # fmt: skip
