"""A build as one self-contained HTML page: nothing is loaded, no script runs, and what comes from outside is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandgrain.base import files
from sandgrain.base.progress import Progress, silent
from sandgrain.base.text import duration, energy, number, percent, plain, size
from sandgrain.base.version import __version__
from sandgrain.bundle.report import LayerReport, Report
from sandgrain.dataset import charts, kinds
from sandgrain.dataset.windows import Cut
from sandgrain.project.build import plots
from sandgrain.project.build.limits import Check
from sandgrain.project.build.result import Built
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.stages import Stage

HEARD = 6  # worst windows, the first ones, that the page can play
HERE = Path(__file__).parent
STYLE = Path(charts.__file__).parent  # the folder of style.css


def write(built: Built[Any], path: Path, progress: Progress = silent) -> None:
    """The page to `path`, completely or not at all. Raises UsageError."""
    progress("drawing the page", 0, 1)
    text = render(built)
    with files.output(path) as file:
        file.write(text.encode())


def render(built: Built[Any]) -> str:
    """The page: the frame that all tasks share, with the task's blocks in it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    task = built.task
    values = {**_shared(built), **task.page(built)}
    values["facts"] = [{"value": value, "name": name} for value, name in (*values.pop("headline"), *_costs(built))]
    values["plots"] = [plots.memory(built.report), *values["plots"]]
    loader = FileSystemLoader([task.folder, HERE, STYLE])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.get_template(f"{task.name}.html.j2").render(values)


def window_pictures(samples: Samples, places: Sequence[int]) -> dict[int, Any]:
    """Pictures of the test windows at these places, as markup, by place."""
    from markupsafe import Markup

    ordered, kind = sorted(places), kinds.of(samples.found.kind)
    cuts = zip(ordered, samples.cuts("test", ordered), strict=True)
    heard = set(places[:HEARD])

    def shown(place: int, cut: Cut) -> str:
        player = kind.player(cut.x, cut.record.rate) if place in heard else ""
        return kind.picture(cut.x, cut.record.rate) + player

    return {place: Markup(shown(place, cut)) for place, cut in cuts}


def _costs(built: Built[Any]) -> list[tuple[str, str]]:
    """(value, name) of the costs that stand in large type."""
    r, battery = built.report, built.battery
    facts = [(size(r.ram_bytes), "RAM"), (size(r.flash_bytes), "flash")]
    if r.latency_ms is not None:
        facts.append((duration(r.latency_ms), "per window, features included"))
        if r.result_ms is not None:
            facts.append((duration(r.result_ms), f"per result of a stream, every {r.result_samples:,} samples"))
    if r.energy_uj is not None:
        facts.append((energy(r.energy_uj), "energy per window"))
    if battery is not None:
        days = f"{battery.days:,.0f} days" if battery.days >= 10 else f"{battery.days:.1f} days"
        at_most = ", at most" if battery.sleep_ma is None else ""
        facts.append((days, f"of {battery.mah:g} mAh, a window every {battery.period_s:g} s{at_most}"))
    return facts


def _shared(built: Built[Any]) -> dict[str, Any]:
    """What every page shows: heading, budget, costs, stages."""
    r, w = built.report, built.windows
    samples = built.samples
    sides = ", ".join(f"{count:,} {side}" for side, count in w.items())
    front = ", ".join(b.name() for b in samples.pipeline.blocks) or "raw"
    shape = " x ".join(map(str, samples.pipeline.shape))
    found = samples.found
    return {
        "title": plain(built.name),
        "version": __version__,
        "hash": found.manifest.sha256,
        "name": r.name,
        "trained_on": built.trained_on,
        "auto": built.auto.page() if built.auto else None,
        "inputs": f"Windows: {sides}. Features: {front}: {shape}",
        "streams": bool(r.stream_bytes),
        "example": (built.example or "").strip().splitlines(),
        "kind": found.kind,
        "build_id": r.build_id,
        "battery": built.battery,
        "busy": percent(built.battery.duty) if built.battery else "",
        "sources": sorted(r.sources.items()),
        "small": kinds.of(found.kind).is_small([samples.pipeline.signal.shape]),
        **_layers(r),
        "checks": [_check(c) for c in built.checks],
        "sentence": built.sentence,
        "stages": _stages(built.stages),
        "notes": [*built.notes, *r.notes, *built.verdict.notes],
    }


def _check(check: Check) -> dict[str, Any]:
    """A row of the budget: the bar's full length is the limit, or the value where that is more."""
    value, full = check.value or 0.0, max(check.limit, check.value or 0.0) or 1.0
    return {
        "name": check.name,
        "sign": check.sign,
        "limit": check.shown(check.limit),
        "value": check.shown(check.value),
        "whose": check.whose,
        "kept": check.kept,
        "outcome": check.outcome,
        "doubt": check.doubt,
        "width": f"{100 * value / full:.1f}",
        "mark": f"{100 * check.limit / full:.1f}",
    }


def _layers(r: Report) -> dict[str, Any]:
    most = max((_cost(layer) for layer in r.layers), default=1.0) or 1.0
    whole = sum(_cost(layer) for layer in r.layers) or 1.0
    rows = [
        {
            "index": x.index,
            "op": x.op,
            "shape": x.shape.rsplit(" ")[-1].removeprefix("1x"),
            "kernel": x.kernel,
            "macs": f"{x.macs:,}",
            "weights": f"{x.weight_bytes:,}",
            "ram": f"{x.ram_bytes:,}",
            "ms": "" if x.latency_ms is None else number(x.latency_ms),
            "width": f"{100 * _cost(x) / most:.1f}",
            "share": f"{100 * _cost(x) / whole:.0f} %",
        }
        for x in r.layers
    ]
    return {"layers": rows, "measured": r.cycles is not None, "unnumbered": r.unnumbered()}


def _cost(layer: LayerReport) -> float:
    return float(layer.macs if layer.cycles is None else layer.cycles)


def _stages(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    most = max((s.seconds for s in stages), default=1.0) or 1.0
    return [
        {"name": s.name, "seconds": f"{s.seconds:.1f} s", "kept": s.kept, "width": f"{100 * s.seconds / most:.1f}"}
        for s in stages
    ]
