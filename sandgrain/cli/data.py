"""sandgrain data: what the recordings are, what is doubtful about them, and how they are split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

import sandgrain
from sandgrain.base.errors import UsageError
from sandgrain.base.text import number, plain
from sandgrain.cli import _terminal
from sandgrain.cli._progress import Quiet, progress

if TYPE_CHECKING:
    from sandgrain import Inspection
    from sandgrain.api.data import Count

EXAMPLE = "Example: sandgrain data examples/spoken-digits --html data.html"
GOES_ON = True
MAX_ROWS = 40  # labels in the table
MAX_BAD = 20  # bad files that are listed
MAX_SHOWN = 3  # examples of a finding
FEW_GROUPS = 4  # names of groups, or labels, that a line has
MAX_NOTES = 8  # odd files, and kinds of files that are not read
WIDTH = 78


def command(
    project: Annotated[Path, typer.Argument(help="A sandgrain.toml, or the folder that has it.")] = Path(),
    html: Annotated[Path | None, typer.Option(help="Write a page with pictures to this file.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="Processes that read; by default one per core.")] = None,
    all_bad: Annotated[bool, typer.Option("--all-bad", help="List every bad file.")] = False,
    quiet: Quiet = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Read the data of a project and say what it holds: counts, durations, balance, copies, doubtful recordings, the split.

    Exit codes: 0 done; 2 the project file or its data cannot be used, or features cannot be computed from it.
    """
    with progress("reading", quiet) as step:
        found = sandgrain.data(project, html=html, workers=workers, progress=step)
    if as_json:
        _terminal.emit_json({**found.to_json(), "html": None if html is None else str(html)})
        if found.problem:
            raise typer.Exit(2)
        return
    _heading(found)
    _labels(found)
    _facts(found)
    _look(found)
    _checks(found)
    _bad(found, all_bad)
    _notes(found)
    _terminal.line(f"data set {found.manifest.sha256}")
    if html is not None:
        _terminal.line(f"pictures in {html}")
    if found.problem:
        raise UsageError(f"{found.problem}; correct [data] or [[features]]")
    _terminal.line(f"Next: sandgrain build{f' {plain(found.folder, 200)}' if found.folder else ''}")


def _notes(found: Inspection) -> None:
    """What was odd about files that were taken, and the files that are not read."""
    notes = found.manifest.notes
    if notes:
        _terminal.line(f"odd files  {len(notes)}, taken all the same")
        alike: dict[str, list[str]] = {}
        for note in notes:
            alike.setdefault(note.text, []).append(note.path)
        for text, paths in list(alike.items())[:MAX_NOTES]:
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            _terminal.line(f"  {plain(paths[0], 70)}{more}: {plain(text, 300)}")
        if len(alike) > MAX_NOTES:
            _terminal.line(f"  and {sum(map(len, list(alike.values())[MAX_NOTES:]))} more: --json lists them")
    others = sorted(found.manifest.others.items(), key=lambda item: -item[1])
    if others:
        shown = [f"{n} {s or 'without suffix'}{f' in {f}' if f else ''}" for (s, f), n in others[:MAX_NOTES]]
        more = f" and {len(others) - MAX_NOTES} more kinds" if len(others) > MAX_NOTES else ""
        _terminal.line(f"not read   {sum(n for _, n in others)} other files: {plain(', '.join(shown), 300)}{more}")


def _heading(found: Inspection) -> None:
    parts = [f"{len(found.records):,} {found.about.noun}", found.kind]
    if found.rates and found.timed:
        parts[-1] += f" at {', '.join(f'{r:g}' for r in found.rates[:3])} Hz"
    parts.append("a number for each window" if found.numbers else f"{len(found.labels)} labels")
    if found.groups:
        parts.append(f"{found.groups} groups")
    _terminal.line(f"{plain(found.name, 30)}: {', '.join(parts)}")
    _terminal.line()


def _labels(found: Inspection) -> None:
    counts = sorted(found.counts, key=lambda c: -c.total) if len(found.counts) > MAX_ROWS else list(found.counts)
    shown, timed = counts[:MAX_ROWS], found.timed
    rows = [_row(c.label, [c], timed) for c in shown]
    if len(counts) > len(shown):
        rest = counts[MAX_ROWS:]
        rows.append(_row(f"{len(rest)} smaller ones", rest, timed))
    rows.append(_row("all", counts, timed))
    columns = ["label", "train", "validation", "test", "all", *(["seconds"] if timed else [])]
    _terminal.table("", columns, rows, numeric=range(1, len(columns)))
    _terminal.line()


def _row(label: str, counts: Sequence[Count], timed: bool) -> list[str]:
    """A row of the table: one label's counts, or several together."""
    sides = [sum(side) for side in zip(*(c.sides for c in counts), strict=True)]
    seconds = [f"{sum(c.seconds for c in counts):.1f}"] if timed else []
    return [plain(label, 28) or "(none)", *map(str, sides), str(sum(sides)), *seconds]


def _facts(found: Inspection) -> None:
    seconds = found.seconds
    if found.timed and len(seconds):
        low, middle, high = float(seconds.min()), float(np.median(seconds)), float(seconds.max())
        _terminal.line(
            f"durations  {number(low)} s to {number(high)} s, median {number(middle)} s, {seconds.sum() / 60:.1f} min in all"
        )
    if not found.about.sampled:
        shapes = sorted({r.shape for r in found.records})
        many = f" and {len(shapes) - 3} more" if len(shapes) > 3 else ""
        _terminal.line(f"sizes      {', '.join('x'.join(map(str, s)) for s in shapes[:3])}{many}")
    if found.balance is not None:
        _terminal.line(f"balance    {found.balance:.2f} : 1, the largest label to the smallest")
    elif len(found.labels) > 1:
        _terminal.line("balance    a label of `classes` has no recording")
    _windows(found)
    _numbers(found)
    split = found.loaded.project.data.split
    _terminal.line(f"split      by {split.by}" + ("" if split.by == "time" else f", seed {split.seed}"))
    if found.groups:
        shown = (f"{len(names)} {side} ({_few(names)})" for side, names in found.groups_of.items() if names)
        _terminal.line(f"groups     {'; '.join(shown)}")
    _terminal.line(f"features   {plain(found.features, 200)}")
    if found.left_out:
        _terminal.line(f"left out   {found.left_out:,}, for their label is not in `classes`")
    _terminal.line()


def _look(found: Inspection) -> None:
    """What a first look at the labels says."""
    if found.look is None:
        return
    for k, line in enumerate(found.look.lines()):
        _terminal.line(f"{'' if k else 'first look':10} {line}")
    _terminal.line()


def _few(names: Sequence[str]) -> str:
    """The first of them."""
    shown = ", ".join(plain(name, 20) for name in names[:FEW_GROUPS])
    return f"{shown} ..." if len(names) > FEW_GROUPS else shown


def _numbers(found: Inspection) -> None:
    """How the numbers of each side lie."""
    unit = found.loaded.project.data.target_unit
    for k, (side, s) in enumerate(found.numbers.items()):
        told = f"{side}: {number(s.least)} to {number(s.largest)}, median {number(s.median)}"
        _terminal.line(f"{'' if k else 'numbers':10} {told}{f' {plain(unit, 12)}' if unit else ''}")


def _windows(found: Inspection) -> None:
    """How many windows each side has, and labels that have none there, where windows are not recordings."""
    rows = found.windows
    sides = {side: sum(row[side] for row in rows.values()) for row in rows.values() for side in row}
    if not found.loaded.project.data.window_s or not any(sides.values()):
        return
    told = ", ".join(f"{n:,} {side}" for side, n in sides.items())
    balance = f"; {found.window_balance:.2f} : 1 by label" if found.window_balance else ""
    _terminal.line(f"windows    {told}{balance}")
    for side, count in sides.items():
        missing = [label for label, row in rows.items() if not row[side]]
        if missing and count:
            _terminal.line(f"           no {side} window of {_few(missing)}")


def _checks(found: Inspection) -> None:
    rows = [[f.topic, str(f.count), f.done or "-", f.rule] for f in found.judgement.findings]
    rows.append(["leaks", str(len(found.leaks)), "-", "copies or near-copies on two sides of the split"])
    _terminal.table("", ["check", "found", "done", "what it is"], rows, numeric=(1,), fixed=(0, 2))
    for finding in found.judgement.findings:
        for example in finding.examples[:MAX_SHOWN]:
            detail = f" ({plain(example.detail)})" if example.detail else ""
            _terminal.line(f"  {finding.topic}: {' = '.join(plain(k, 40) for k in example.keys)}{detail}")
        if len(finding.examples) > MAX_SHOWN:
            _terminal.line(f"  {finding.topic}: {finding.count} in all; the {len(finding.examples)} clearest are in --json")
    for leak in found.leaks[:MAX_SHOWN]:
        _terminal.line(f"  leak: {plain(leak, 200)}")
    for remark in found.remarks:
        _terminal.line(f"note: {plain(remark, 300)}")
    _terminal.line()


def _bad(found: Inspection, everything: bool) -> None:
    bad = found.manifest.bad
    if not bad:
        _terminal.line("bad files  none")
        return
    _terminal.line(f"bad files  {len(bad)}, left out")
    for file in bad if everything else bad[:MAX_BAD]:
        _terminal.line(f"  {plain(file.path, 70)}: {plain(file.reason, 200)}")
    if len(bad) > MAX_BAD and not everything:
        _terminal.line(f"  and {len(bad) - MAX_BAD} more: --all-bad lists them")
