"""Whole recordings and what a bundle said of them, as one self-contained HTML page: nothing is loaded and no script runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandgrain.base import files
from sandgrain.base.arrays import Array
from sandgrain.base.tables import Table
from sandgrain.base.text import plain, span
from sandgrain.base.version import __version__
from sandgrain.dataset import charts, pictures
from sandgrain.dataset.tracks import Stretch
from sandgrain.project.gauged import Gauged
from sandgrain.project.score import Scored
from sandgrain.project.traces import Trace
from sandgrain.project.watched import Watched

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HERE = Path(__file__).parent
STYLE = Path(charts.__file__).parent  # the folder of style.css
DRAWN = 24  # recordings that have a plot
BLUE, RED = pictures.COLOURS[:2]
WIDE, HIGH = 8.6, 1.9  # inches


def write(found: Scored | Watched | Gauged, path: Path) -> None:
    """The page to `path`, completely or not at all. Raises UsageError."""
    text = render(found)
    with files.output(path, "name a file in a folder that exists") as file:
        file.write(text.encode())


def render(found: Scored | Watched | Gauged) -> str:
    """The lines and tables of the page of text, and a plot of each recording, the worst first."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    head, *lines = found.lines()
    drawn = _worst_first(found)
    environment = Environment(
        loader=FileSystemLoader([HERE, STYLE]), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template("score.html.j2").render(
        title=plain(found.name, 60),
        head=head,
        tables=[line for line in lines if isinstance(line, Table)],
        said=[line for line in lines if isinstance(line, str) and line],
        plots=[_plot(trace) for trace in drawn[:DRAWN]],
        more=len(drawn) - DRAWN,
        what=_what(found),
        version=__version__,
    )


def _worst_first(found: Scored | Watched | Gauged) -> list[Trace]:
    good = _goodness(found)
    return sorted(found.traces, key=lambda t: (good.get(t.name, 2.0), t.name))


def _goodness(found: Scored | Watched | Gauged) -> dict[str, float]:
    if isinstance(found, Gauged):
        return {r.name: -r.mae for r in found.recordings if r.mae is not None}
    if isinstance(found, Scored):
        return {r.name: r.accuracy for r in found.recordings if r.accuracy is not None}
    return {r.name: r.moments.f1 for r in found.recordings if r.moments.f1 is not None}


def _what(found: Scored | Watched | Gauged) -> str:
    if isinstance(found, Gauged):
        return (
            f"The number{f' ({plain(found.unit, 12)})' if found.unit else ''} over time: black is true, blue is what the C says."
        )
    if isinstance(found, Scored):
        return "Above, the true label over time; below, what the C says of each window; marks are decisions."
    return "The score over time. Red ground is an anomaly; the dashed line is the threshold; a red dot is an alarm."


def _plot(trace: Trace) -> dict[str, Any]:
    from markupsafe import Markup

    figure = charts.figure(WIDE, HIGH)
    axes = figure.add_subplot()
    axes.set_xlim(0, max(trace.seconds, 1e-9))
    axes.set_xlabel("seconds")
    if trace.true is not None:
        _numbers(axes, trace, trace.true)
    elif trace.limit is None:
        _labels(axes, trace)
    else:
        _scores(axes, trace, trace.limit)
    return {"title": plain(trace.name, 80), "say": span(trace.seconds), "markup": Markup(charts.svg(figure))}


def _numbers(axes: Axes, trace: Trace, true: Array) -> None:
    """What is true, broken where nobody says it, and what is said."""
    axes.plot(trace.times, true, color="#333333", linewidth=1.4, marker=".", markersize=2, label="true")
    axes.plot(trace.times, trace.values, color=BLUE, linewidth=0.9, label="said")
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper left", bbox_to_anchor=(0, 1.28))


def _scores(axes: Axes, trace: Trace, limit: float) -> None:
    """In thresholds, from 0 to one as it is and above it by its size; a threshold below 1 leaves the scores as they are."""
    unit = limit if limit >= 1 else 1.0
    values, alarms = trace.values / unit, trace.values > limit
    for s in trace.truth:
        axes.axvspan(s.start, s.end, color=RED, alpha=0.18, linewidth=0)
    axes.plot(trace.times, values, color=BLUE, linewidth=0.9)
    axes.plot(trace.times[alarms], values[alarms], ".", color=RED, markersize=2.5)
    axes.axhline(limit / unit, color="#333333", linewidth=1.0, linestyle="--")
    axes.set_yscale("symlog", linthresh=2.0)
    top = max(float(values.max(initial=0.0)), 1.0)
    axes.set_ylim(min(float(values.min(initial=0.0)), 0.0), 1.15 * top)
    axes.set_yticks(ticks := [v for v in (0, 1, 10, 100, 1000, 10_000) if v <= top], [f"{v:,}" for v in ticks])
    axes.set_ylabel("score, thresholds" if limit >= 1 else "score")


def _labels(axes: Axes, trace: Trace) -> None:
    """A row for the truth and one for what is said, each label in its colour."""
    names = [*trace.names, *sorted({s.label for s in trace.truth} - set(trace.names))]
    colours = dict(zip(names, pictures.colours(len(names)), strict=True))
    for row, stretches in ((1, trace.truth), (0, _stretches(trace))):
        for label in dict.fromkeys(s.label for s in stretches):
            spans = [(s.start, s.end - s.start) for s in stretches if s.label == label]
            axes.broken_barh(spans, (row + 0.1, 0.8), facecolors=colours[label], linewidth=0)
    for when, label in trace.decided:
        axes.plot([when], [-0.15], "^", color=colours[label], markersize=5)
    axes.set_ylim(-0.35, 2.0)
    axes.set_yticks([0.5, 1.5], ["said", "true"])
    shown = [n for n in names if any(s.label == n for s in (*trace.truth, *_stretches(trace)))][:8]
    handles = [axes.plot([], [], "s", color=colours[n], label=plain(n, 16) or "(none)")[0] for n in shown]
    if handles:
        axes.legend(handles=handles, frameon=False, fontsize=8, ncols=8, loc="upper left", bbox_to_anchor=(0, 1.28))


def _stretches(trace: Trace) -> Sequence[Stretch]:
    """What is said, as stretches of one label."""
    found: list[Stretch] = []
    times, said = trace.times.tolist(), trace.values.astype(int).tolist()
    for k, (when, label) in enumerate(zip(times, said, strict=True)):
        start = times[k - 1] if k else max(when - (times[1] - when if len(times) > 1 else 0.0), 0.0)
        name = trace.names[label]
        if found and found[-1].label == name:
            found[-1] = Stretch(found[-1].start, when, name)
        else:
            found.append(Stretch(start, when, name))
    return found
