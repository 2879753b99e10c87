"""sandgrain build: from the data of a project to its verified C."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from sandgrain.cli import _detector, _out
from sandgrain.errors import BudgetError, MismatchError, UsageError
from sandgrain.report import size

if TYPE_CHECKING:
    from sandgrain.build.detected import Detected
    from sandgrain.build.result import Built
    from sandgrain.build.run import Progress

EXAMPLE = "Example: sandgrain build examples/gestures -o gestures/ --html gestures.html"
NEEDED = ("torch", "jinja2", "matplotlib", "PIL")
SHOWN = 12  # classes up to which the confusion matrix is printed
WIDTH = 78


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
    from sandgrain.build import detector, detector_page, page, run
    from sandgrain.build.detected import Detected
    from sandgrain.project.load import load

    loaded = load(project)
    with _bar() as progress:
        place = out or loaded.folder / "out"
        built: Built | Detected
        if detector.is_detector(loaded.project.model.name):
            built = detector.build(loaded, place, seed=seed, verified=verify, progress=progress)
        else:
            built = run.build(loaded, place, seed=seed, verified=verify, progress=progress)
        if html is not None:
            if isinstance(built, Detected):
                detector_page.write(built, html, progress)
            else:
                page.write(built, html, progress)
    if as_json:
        _out.emit_json({**built.to_json(), "out": str(built.folder), "html": None if html is None else str(html)})
    else:
        _page(built)
        if html is not None:
            _out.line(f"Plots in {html}")
    if built.verdict.difference is not None:
        raise MismatchError(str(built.verdict.difference))
    if not isinstance(built, Detected) and built.spotted is not None and not built.spotted.identical:
        raise MismatchError(
            "the stream: scores or decisions of the firmware, the C on this computer and numpy differ; see --json"
        )
    if built.missed:
        raise BudgetError(built.sentence)


def _require() -> None:
    for name in NEEDED:
        if importlib.util.find_spec(name) is None:
            raise UsageError(f"build needs the package {name}; pip install 'sandgrain[train]'")


@contextmanager
def _bar() -> Iterator[Progress]:
    """One bar on stderr that is renamed from stage to stage."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=_out.errors, transient=True, disable=not _out.errors.is_terminal) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total or None)


def _page(built: Built | Detected) -> None:
    """All of it on one page of text, 80 columns wide."""
    from sandgrain.build.detected import Detected

    if isinstance(built, Detected):
        _detector.heading(built)
        _budget(built)
        _detector.rates(built)
        _costs(built)
        _detector.labels(built)
    else:
        _heading(built)
        _budget(built)
        _accuracies(built)
        _spotted(built)
        _costs(built)
        _confusion(built)
    _use(built)


def _heading(built: Built) -> None:
    from sandgrain.base.text import plain

    r, w = built.report, built.windows
    _out.line(f"{plain(built.name, 30)}: {built.model}, {built.parameters:,} parameters, seed {built.seed}, for {r.target}")
    sides = ", ".join(f"{w[side]:,} {side}" for side in ("train", "validation", "test"))
    _out.line(f"windows: {sides}; {len(built.labels)} labels; data set {built.samples.found.manifest.sha256[:12]}")
    _out.line()


def _budget(built: Built | Detected) -> None:
    rows = []
    for c in built.checks:
        said = (
            "kept" if c.kept else "not known" if c.value is None else f"missed by {_excess(c.name, c.shown(c.excess), c.excess)}"
        )
        sign = "at least" if c.name in ("accuracy", "AUC") else "at most"
        rows.append([c.name, f"{sign} {c.shown(c.limit)}", c.shown(c.value), said, c.whose])
    _out.table("", ["budget", "limit", "result", "", "whose"], rows, numeric=(1, 2), fixed=(0, 3))
    _out.line()


def _excess(name: str, shown: str, excess: float) -> str:
    return f"{100 * excess:.1f} points" if name == "accuracy" else shown


def _accuracies(built: Built) -> None:
    v = built.verdict
    total = built.windows["test"]
    rows = [["float", f"{100 * built.accuracy_float:.1f} %", f"PyTorch, {total} test windows"]]
    rows.append(["int8", f"{100 * built.accuracy_int8:.1f} %", f"its C on this computer, {total} test windows"])
    on = "emulated board" if "emulator" in v.compared else "this computer"
    identical = "every byte as the reference" if v.identical else "DIFFERS from the reference"
    if v.accuracy is not None:
        rows.append([on, f"{100 * v.accuracy:.1f} %", f"from raw samples, {v.samples} test windows, {identical}"])
    rows.append(["macro F1", f"{built.macro_f1:.3f}", "int8, the mean over the labels"])
    if built.auc is not None:
        rows.append(["ROC AUC", f"{built.auc:.3f}", "int8, each label against the others, the mean"])
    _out.table("", ["accuracy", "", ""], rows, numeric=(1,))
    _out.line()


def _spotted(built: Built) -> None:
    """Keywords in a long recording, where there are any."""
    if (s := built.spotted) is None:
        return
    r = s.rates
    rows = [
        ["false accepts", s.accepts, f"{s.false_accepts} in {s.length}: {s.recordings} test recordings, {s.between} between"],
        ["false rejects", f"{100 * r.false_rejects:.1f} %", f"of {r.events} keywords; smoothing {s.rule.smoothing}, margin {s.rule.margin}, hold {s.rule.hold}"],
        ["decisions", str(s.decisions), s.compared],
    ]  # fmt: skip
    _out.table("", ["a stream", "", ""], rows, numeric=(1,))
    _out.line()


def _costs(built: Built | Detected) -> None:
    r = built.report
    parts = f"arena {size(r.arena_bytes)}" + (f" + stream {size(r.stream_bytes)}" if r.stream_bytes else "")
    rows = [["RAM", size(r.ram_bytes), f"{parts} + static and worst-case stack"]]
    rows.append(["flash", size(r.flash_bytes), f"weights and tables {size(r.weight_bytes)} + code"])
    if r.cycles is not None:
        error = f", +-{100 * r.cycles_error:.0f} %" if r.cycles_error is not None else ""
        rows.append(["a window", f"{r.latency_ms:.3g} ms", f"{_out.count(r.cycles)} cycles, estimated{error}; features included"])
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


def _confusion(built: Built) -> None:
    """The matrix where it fits, else the pairs that are mixed up most."""
    from sandgrain.base.text import plain

    counts, names = built.confusion, [plain(label, 12) or "(none)" for label in built.labels]
    widths = [max(len(name), len(str(column.max()))) for name, column in zip(names, counts.T, strict=True)]
    first = max(len(name) for name in names)
    room = WIDTH - first - 2
    if len(names) <= SHOWN:
        short = sum(w + 2 for w in widths) > room
        columns = [str(k) for k in range(len(names))] if short else names
        labels = [f"{k} {name}" for k, name in enumerate(names)] if short else names
        rows = [[label, *_cells(row)] for label, row in zip(labels, counts.tolist(), strict=True)]
        _out.table("", ["is \\ said", *columns], rows, numeric=range(1, len(names) + 1))
    else:
        wrong = sorted(
            ((n, i, j) for i, row in enumerate(counts.tolist()) for j, n in enumerate(row) if i != j and n), reverse=True
        )
        pairs = [f"{names[i]} as {names[j]} {n}" for n, i, j in wrong[:SHOWN]]
        _out.line(f"mixed up most: {'; '.join(pairs) or 'nothing'}")
    _out.line()


def _cells(row: Sequence[int]) -> list[str]:
    return [str(n) if n else "." for n in row]


def _use(built: Built | Detected) -> None:
    name, folder = built.report.name, built.folder
    how = f"{name}_push, {name}_classify" if built.report.stream_bytes else f"{name}_run"
    _out.line(f"C in {folder}/")
    _out.line(f"  {name}.c, {name}.h  with kernels/; call {how}")
    _out.line(f"  example/main.c    shows it; cc -I.. main.c ../{name}.c")
    if built.example:
        _out.line(f"                    on the emulated board it prints: {built.example.strip().splitlines()[-1]}")
    _out.line("  report.json       all figures; proof/ is for: sandgrain verify")
