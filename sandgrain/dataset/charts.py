"""Plots as text that an HTML page holds: <svg> made by matplotlib, the same on every run."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure(width: float, height: float) -> Figure:
    """An empty figure, inches."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasSVG(made)
    return made


def svg(made: Figure) -> str:
    """The figure's markup; its words are text, in the page's own font."""
    import matplotlib as mpl

    for axes in made.axes:
        axes.spines[["top", "right"]].set_visible(False)
    stream = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "sandgrain", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9}):
        made.savefig(stream, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = stream.getvalue()
    return text[text.index("<svg") :]
