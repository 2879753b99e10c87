"""How a build is shown: one page of text, or one JSON object, and the error that it ends with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandgrain import BudgetError, MismatchError
from sandgrain.base.text import duration, energy, percent, size
from sandgrain.cli import _terminal

if TYPE_CHECKING:
    from sandgrain import Built


def answer(built: Built[Any], html: Path | None, as_json: bool) -> None:
    """Show a build. Raises MismatchError or BudgetError for one that is not as it should be."""
    if as_json:
        _terminal.emit_json({**built.to_json(), "out": str(built.folder), "html": None if html is None else str(html)})
    else:
        page(built)
        if html is not None:
            _terminal.line(f"Plots in {html}")
    _refuse(built)


def _refuse(built: Built[Any]) -> None:
    if built.verdict.difference is not None:
        raise _terminal.answered(MismatchError(str(built.verdict.difference)))
    if difference := built.task.difference(built.figures):
        raise _terminal.answered(MismatchError(difference))
    if built.missed:
        raise _terminal.answered(BudgetError(built.sentence))


def page(built: Built[Any]) -> None:
    """All of it on one page of text, 80 columns wide."""
    _lines([*built.task.heading(built), ""])
    _budget(built)
    _lines(built.task.quality(built))
    _costs(built)
    _lines(built.task.details(built))
    _use(built)


def _lines(lines: Sequence[Any]) -> None:
    for line in lines:
        if isinstance(line, str):
            _terminal.line(line)
        else:
            _terminal.table("", line.columns, line.rows, numeric=line.numeric)


def _budget(built: Built[Any]) -> None:
    rows = [[c.name, f"{c.sign} {c.shown(c.limit)}", c.shown(c.value), c.outcome, c.whose] for c in built.checks]
    _terminal.table("", ["budget", "limit", "result", "", "whose"], rows, numeric=(1, 2), fixed=(0, 3))
    _terminal.line()


def _costs(built: Built[Any]) -> None:
    r = built.report
    parts = f"arena {size(r.arena_bytes)}" + (f" + stream {size(r.stream_bytes)}" if r.stream_bytes else "")
    rows = [["RAM", size(r.ram_bytes), f"{parts} + static and worst-case stack"]]
    rows.append(["flash", size(r.flash_bytes), f"weights and tables {size(r.weight_bytes)} + code"])
    if r.cycles is not None:
        error = f", +-{100 * r.cycles_error:.0f} %" if r.cycles_error is not None else ""
        cycles = f"{_terminal.count(r.cycles)} cycles, estimated{error}; features included"
        rows.append(["per window", duration(r.latency_ms or 0), cycles])
        if r.result_ms is not None:
            what = f"what a running stream takes for each {r.result_samples:,} samples"
            rows.append(["per result", duration(r.result_ms), what])
        rows.append(["per window", energy(r.energy_uj or 0), "estimated: the core's run current"])
    if (b := built.battery) is not None:
        rows.append(["battery", _days(b.days), f"{b.mah:g} mAh, a window every {b.period_s:g} s, core busy {percent(b.duty)};"])
        rows.append(["", "", b.counts])
    _terminal.table("", ["cost", "", ""], rows, numeric=(1,))
    if built.battery is not None and built.battery.duty > 1:
        _terminal.line("note: a window takes longer than the period; the board cannot keep up")
    for note in (*built.notes, *r.notes, *built.verdict.notes):
        _terminal.line(f"note: {note}")
    _terminal.line()


def _days(days: float) -> str:
    return f"{days:.1f} days" if days < 100 else f"{days:,.0f} days"


def _use(built: Built[Any]) -> None:
    name, folder = built.report.name, built.folder
    how = f"{name}_push, {name}_classify" if built.report.stream_bytes else f"{name}_run"
    _terminal.line(f"C in {folder}/")
    _terminal.line(f"  {name}.c, {name}.h  with kernels/; call {how}")
    _terminal.line(f"  example/main.c    shows it; cc -I.. main.c ../{name}.c")
    if built.example:
        _terminal.line(f"                    on the emulated board it prints: {built.example.strip().splitlines()[-1]}")
    _terminal.line("  report.json       all figures; proof/ is for: sandgrain verify")
