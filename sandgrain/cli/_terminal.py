"""What the commands share: lines, tables, progress and JSON on the terminal, and how a report and a verdict are shown."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from sandgrain.base.text import size
from sandgrain.cli import ANSWERED

if TYPE_CHECKING:
    from sandgrain import LayerReport, Progress, Report, SandgrainError, Verdict

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)


RUNNERS = {
    "tflm": "TensorFlow Lite Micro",
    "host": "host build",
    "emulator": "emulated firmware",
    "stream": "as a stream, in pieces",
}


def emit_json(value: dict[str, Any]) -> None:
    """Print the command's one object."""
    print(json.dumps(value, indent=2))


def answered(error: SandgrainError) -> SandgrainError:
    """An error that comes after the command's answer: a line on stderr, and with --json no second object."""
    error.add_note(ANSWERED)
    return error


def line(text: str = "") -> None:
    console.print(text, markup=False, soft_wrap=False)


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int] = (), fixed: Sequence[int] = (0,)
) -> None:
    """A plain table that fits 80 columns; columns in `numeric` are right-aligned, those and `fixed` are never wrapped."""
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for k, column in enumerate(columns):
        shown.add_column(column, justify="right" if k in numeric else "left", overflow="fold", no_wrap=k in (*numeric, *fixed))
    for row in rows:
        shown.add_row(*row)
    console.print(shown, markup=False)


@contextmanager
def progress(what: str) -> Iterator[Progress]:
    """A progress bar on stderr that is renamed to what is done; none if it is not a terminal. `what`: its first name."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total or None)


def verdict(result: Verdict) -> None:
    """Which runners agree with the reference, and the accuracy."""
    line(f"{result.model} on {result.target}: {result.samples} samples, seed {result.seed}")
    for runner, agreeing in result.compared.items():
        line(f"  {RUNNERS[runner]:24} {agreeing} of {result.samples} identical to the reference")
    if result.accuracy is not None:
        line(f"  {'accuracy':24} {100 * result.accuracy:.1f} %")
    for edit in result.edited:
        line(f"not what proof/ makes: {edit}")
    for note in result.notes:
        line(f"note: {note}")
    line(result.conclusion)


def count(value: float | None) -> str:
    """Large counts for people: 812, 22.3 k, 7.70 M."""
    if value is None:
        return "-"
    if value < 10_000:
        return f"{value:.0f}"
    return f"{value / 1e3:.1f} k" if value < 1e6 else f"{value / 1e6:.2f} M"


def report(result: Report, layers: bool) -> None:
    """The report for people; every figure with where it comes from."""
    r = result
    line(f"{r.model} on {r.target} ({r.core}, {r.compiler})")
    rows = [
        ["RAM", size(r.ram_bytes), "arena + static + worst-case stack" + (" + stream" if r.stream_bytes else "")],
        ["  arena", size(r.arena_bytes), "planned; inputs and outputs included"],
        ["  stack", _bytes(r.stack_bound_bytes), f"worst case from the ELF; emulated peak {_bytes(r.stack_bytes)}"],
        *([["  stream", size(r.stream_bytes), "planned; the caller owns it"]] if r.stream_bytes else []),
        ["flash", size(r.flash_bytes), "code + weights"],
        ["  code", _bytes(r.code_bytes), "linked, start-up left out"],
        ["  weights", size(r.weight_bytes), "constant tables"],
        ["MACs", count(r.macs), "per inference"],
    ]
    if r.instructions is not None:
        rows += [
            ["instructions", count(r.instructions), "emulated, exact"],
            ["cycles", count(r.cycles), f"estimated, {_error(r)}"],
            ["latency", f"{r.latency_ms:.3g} ms", "estimated, at the board's clock"],
            ["energy", f"{r.energy_uj:.3g} uJ", "estimated, at the board's supply"],
        ]
    table("", ["", "", "where it comes from"], rows, numeric=(1,))
    if layers:
        line()
        columns = ["#", "layer", "output", "MACs", "instr.", "cycles", "weights", "RAM"]
        table("Layers", columns, [_layer(x) for x in r.layers], numeric=(0, 3, 4, 5, 6, 7), fixed=(1, 2))
    for note in r.notes:
        line(f"note: {note}")


def _layer(x: LayerReport) -> list[str]:
    """A row of the table of layers; the batch of 1 is left out of the shape."""
    shape = "x".join(map(str, x.output_shape[1:])) or "1"
    figures = [count(x.macs), count(x.instructions), count(x.cycles), str(x.weight_bytes), str(x.ram_bytes)]
    return [str(x.index), x.op, shape, *figures]


def _error(report: Report) -> str:
    """How far the cycles may be off, and what they are without the board's wait states."""
    if report.cycles_error is None:
        return "no wait states; not checked on this board"
    return f"+-{100 * report.cycles_error:.0f} %; {count(report.cycles_zero_wait)} without wait states"


def _bytes(value: int | None) -> str:
    return "-" if value is None else size(value)


def decibels(value: float) -> str:
    """A signal-to-noise ratio; inf is a perfect copy."""
    return "exact" if value == math.inf else f"{value:.1f}"


def finite(value: float) -> float | None:
    """A number as JSON has it: null for inf."""
    return value if math.isfinite(value) else None
