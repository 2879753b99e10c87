"""sandgrain build: from the data of a project to its verified C."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sandgrain.base.errors import BudgetError, MismatchError, UsageError
from sandgrain.bundle.report import size
from sandgrain.cli import _out

if TYPE_CHECKING:
    from sandgrain.project.build.result import Built
    from sandgrain.project.build.text import Line

EXAMPLE = "Example: sandgrain build examples/gestures -o gestures/ --html gestures.html"
NEEDED = ("torch", "jinja2", "matplotlib", "PIL")


def command(
    project: Annotated[Path, typer.Argument(help="A sandgrain.toml, or the folder that has it.")] = Path(),
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder for the C; by default out/ in the project.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Instead of the project's.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the page with plots to this file.")] = None,
    verify: Annotated[int, typer.Option(min=1, max=1_000_000, help="Test windows, at most, on the emulated board.")] = 500,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object.")] = False,
) -> None:
    """Train, quantize, compile and verify a project: raw samples in, labels out, measured on the emulated board.

    Every stage is kept in .sandgrain/ beside the project file: a second build makes only what changed, and a build that was
    ended at any point goes on from there.

    Exit codes: 0 done; 2 the project or its data cannot be used; 3 a limit is not kept (the C is there); 4 the firmware
    differs from its reference; 5 a tool failed.
    """
    _require()
    from sandgrain.project.build import page, run
    from sandgrain.project.file.load import load

    loaded = load(project)
    with _out.progress("reading") as progress:
        built = run.build(loaded, out or loaded.folder / "out", seed=seed, verified=verify, progress=progress)
        if html is not None:
            page.write(built, html, progress)
    if as_json:
        _out.emit_json({**built.to_json(), "out": str(built.folder), "html": None if html is None else str(html)})
    else:
        _page(built)
        if html is not None:
            _out.line(f"Plots in {html}")
    _refuse(built)


def _refuse(built: Built[Any]) -> None:
    """Raises MismatchError or BudgetError for a build that is not as it should be."""
    if built.verdict.difference is not None:
        raise MismatchError(str(built.verdict.difference))
    if difference := built.task.difference(built.figures):
        raise MismatchError(difference)
    if built.missed:
        raise BudgetError(built.sentence)


def _require() -> None:
    for name in NEEDED:
        if importlib.util.find_spec(name) is None:
            raise UsageError(f"build needs the package {name}; pip install 'sandgrain[train]'")


def _page(built: Built[Any]) -> None:
    """All of it on one page of text, 80 columns wide."""
    _lines([*built.task.heading(built), ""])
    _budget(built)
    _lines(built.task.quality(built))
    _costs(built)
    _lines(built.task.details(built))
    _use(built)


def _lines(lines: list[Line] | list[str]) -> None:
    for line in lines:
        if isinstance(line, str):
            _out.line(line)
        else:
            _out.table("", line.columns, line.rows, numeric=line.numeric)


def _budget(built: Built[Any]) -> None:
    rows = [[c.name, f"{c.sign} {c.shown(c.limit)}", c.shown(c.value), c.outcome, c.whose] for c in built.checks]
    _out.table("", ["budget", "limit", "result", "", "whose"], rows, numeric=(1, 2), fixed=(0, 3))
    _out.line()


def _costs(built: Built[Any]) -> None:
    r = built.report
    parts = f"arena {size(r.arena_bytes)}" + (f" + stream {size(r.stream_bytes)}" if r.stream_bytes else "")
    rows = [["RAM", size(r.ram_bytes), f"{parts} + static and worst-case stack"]]
    rows.append(["flash", size(r.flash_bytes), f"weights and tables {size(r.weight_bytes)} + code"])
    if r.cycles is not None:
        error = f", +-{100 * r.cycles_error:.0f} %" if r.cycles_error is not None else ""
        cycles = f"{_out.count(r.cycles)} cycles, estimated{error}; features included"
        rows.append(["per window", f"{r.latency_ms:.3g} ms", cycles])
        rows.append(["", f"{r.energy_uj:.3g} uJ", "estimated: the core's run current"])
    if (b := built.battery) is not None:
        rows.append(
            ["battery", _days(b.days), f"{b.mah:g} mAh, a window every {b.period_s:g} s, core busy {100 * b.duty:.2g} %;"]
        )
        rows.append(["", "", b.counts])
    _out.table("", ["cost", "", ""], rows, numeric=(1,))
    if built.battery is not None and built.battery.duty > 1:
        _out.line("note: a window takes longer than the period; the board cannot keep up")
    for note in (*built.notes, *r.notes, *built.verdict.notes):
        _out.line(f"note: {note}")
    _out.line()


def _days(days: float) -> str:
    return f"{days:.1f} days" if days < 100 else f"{days:,.0f} days"


def _use(built: Built[Any]) -> None:
    name, folder = built.report.name, built.folder
    how = f"{name}_push, {name}_classify" if built.report.stream_bytes else f"{name}_run"
    _out.line(f"C in {folder}/")
    _out.line(f"  {name}.c, {name}.h  with kernels/; call {how}")
    _out.line(f"  example/main.c    shows it; cc -I.. main.c ../{name}.c")
    if built.example:
        _out.line(f"                    on the emulated board it prints: {built.example.strip().splitlines()[-1]}")
    _out.line("  report.json       all figures; proof/ is for: sandgrain verify")
