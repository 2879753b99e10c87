"""sandgrain data: what the recordings are, what is doubtful about them, and how they are split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sandgrain.cli import _out

if TYPE_CHECKING:
    from sandgrain.project.inspection import Count, Inspection

EXAMPLE = "Example: sandgrain data examples/spoken-digits --html data.html"
MAX_ROWS = 40  # labels in the table
MAX_BAD = 20  # bad files that are listed
MAX_SHOWN = 3  # examples of a finding
WIDTH = 78


def command(
    project: Annotated[Path, typer.Argument(help="A sandgrain.toml, or the folder that has it.")] = Path(),
    html: Annotated[Path | None, typer.Option(help="Write a page with pictures to this file.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="Processes that read; by default one a core.")] = None,
    all_bad: Annotated[bool, typer.Option("--all-bad", help="List every bad file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Read the data of a project and say what it holds: counts, durations, balance, copies, doubtful recordings, the split.

    Exit codes: 0 done; 2 the project file or its data cannot be used.
    """
    from sandgrain.api import project as api

    with _out.progress("reading") as progress:
        found = api.inspect_data(project, html=html, workers=workers, progress=progress)
    if as_json:
        _out.emit_json({**found.to_json(), "html": None if html is None else str(html)})
        return
    _heading(found)
    _labels(found)
    _facts(found)
    _checks(found)
    _bad(found, all_bad)
    _out.line(f"data set {found.manifest.sha256}")
    if html is not None:
        _out.line(f"pictures in {html}")


def _heading(found: Inspection) -> None:
    from sandgrain.base.text import plain

    parts = [f"{len(found.records):,} {found.about.noun}", found.kind]
    if found.rates:
        parts[-1] += f" at {', '.join(f'{r:g}' for r in found.rates[:3])} Hz"
    parts.append(f"{len(found.labels)} labels")
    if found.groups:
        parts.append(f"{found.groups} groups")
    _out.line(f"{plain(found.name, 30)}: {', '.join(parts)}")
    _out.line()


def _labels(found: Inspection) -> None:
    counts = sorted(found.counts, key=lambda c: -c.total) if len(found.counts) > MAX_ROWS else list(found.counts)
    shown, timed = counts[:MAX_ROWS], found.about.sampled
    rows = [_row(c, timed) for c in shown]
    if len(counts) > len(shown):
        rest = counts[MAX_ROWS:]
        rows.append(_row(_sum(f"{len(rest)} smaller ones", rest), timed))
    rows.append(_row(_sum("all", counts), timed))
    columns = ["label", "train", "validation", "test", "all", *(["seconds"] if timed else [])]
    _out.table("", columns, rows, numeric=range(1, len(columns)))
    _out.line()


def _sum(label: str, counts: Sequence[Count]) -> Count:
    from sandgrain.project.inspection import Count

    return Count(label, tuple(map(sum, zip(*(c.sides for c in counts), strict=True))), sum(c.seconds for c in counts))


def _row(count: Count, timed: bool) -> list[str]:
    from sandgrain.base.text import plain

    return [
        plain(count.label, 28) or "(none)",
        *map(str, count.sides),
        str(count.total),
        *([f"{count.seconds:.1f}"] if timed else []),
    ]


def _facts(found: Inspection) -> None:
    import numpy as np

    from sandgrain.base.text import plain
    from sandgrain.project import features

    seconds = found.seconds
    if found.about.sampled and len(seconds):
        low, middle, high = float(seconds.min()), float(np.median(seconds)), float(seconds.max())
        _out.line(f"durations  {low:.3g} s to {high:.3g} s, median {middle:.3g} s, {seconds.sum() / 60:.1f} min in all")
    if not found.about.sampled:
        shapes = sorted({r.shape for r in found.records})
        many = f" and {len(shapes) - 3} more" if len(shapes) > 3 else ""
        _out.line(f"sizes      {', '.join('x'.join(map(str, s)) for s in shapes[:3])}{many}")
    if found.balance is not None:
        _out.line(f"balance    {found.balance:.2f} : 1, the largest label to the smallest")
    elif len(found.labels) > 1:
        _out.line("balance    a label of `classes` has no recording")
    split = found.loaded.project.data.split
    _out.line(f"split      by {split.by}, seed {split.seed}")
    _out.line(f"features   {plain(features.describe(found), 200)}")
    if found.left_out:
        _out.line(f"left out   {found.left_out:,}, for their label is not in `classes`")
    _out.line()


def _checks(found: Inspection) -> None:
    from sandgrain.base.text import plain

    rows = [[f.topic, str(f.count), f.done or "-", f.rule] for f in found.judgement.findings]
    rows.append(["leaks", str(len(found.leaks)), "-", "copies or near-copies on two sides of the split"])
    _out.table("", ["check", "found", "done", "what it is"], rows, numeric=(1,), fixed=(0, 2))
    for finding in found.judgement.findings:
        for example in finding.examples[:MAX_SHOWN]:
            detail = f" ({plain(example.detail)})" if example.detail else ""
            _out.line(f"  {finding.topic}: {' = '.join(plain(k, 40) for k in example.keys)}{detail}")
    for leak in found.leaks[:MAX_SHOWN]:
        _out.line(f"  leak: {plain(leak, 200)}")
    for remark in found.remarks:
        _out.line(f"note: {plain(remark, 300)}")
    _out.line()


def _bad(found: Inspection, everything: bool) -> None:
    from sandgrain.base.text import plain

    bad = found.manifest.bad
    if not bad:
        _out.line("bad files  none")
        return
    _out.line(f"bad files  {len(bad)}, left out")
    for file in bad if everything else bad[:MAX_BAD]:
        _out.line(f"  {plain(file.path, 70)}: {plain(file.reason, 200)}")
    if len(bad) > MAX_BAD and not everything:
        _out.line(f"  and {len(bad) - MAX_BAD} more: --all-bad lists them")
