"""A build as one self-contained HTML page: nothing is loaded, no script runs, and what comes from outside is escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandgrain import __version__
from sandgrain.base import files
from sandgrain.base.text import plain
from sandgrain.build.limits import QUALITY, Check
from sandgrain.build.result import Built, Stage
from sandgrain.build.spotting import Spotted
from sandgrain.data import charts, pictures
from sandgrain.report import KIB, LayerReport, Report, size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sandgrain.build.detected import Detected

HERE = Path(__file__).parent
STYLE = Path(charts.__file__).parent  # the folder of style.css
MAX_CLASSES = 40  # rows of the confusion matrix
BLUE, RED, GREEN, YELLOW = pictures.COLOURS[:4]


def write(built: Built, path: Path, progress: Callable[[str, int, int], None] = lambda what, done, total: None) -> None:
    """The page to `path`, completely or not at all. Raises UsageError."""
    progress("drawing the page", 0, 1)
    text = render(built)
    with files.output(path) as file:
        file.write(text.encode())


def render(built: Built) -> str:
    """The page."""
    first = (_percent(built.accuracy), "accuracy on the emulated board" if "emulator" in built.verdict.compared else "accuracy")
    summary = (
        f"{built.model}, {built.parameters:,} parameters, seed {built.seed}, for {built.report.target} ({built.report.core})"
    )
    return fill("page.html.j2", {
        **shared(built, summary, [first]), **_confusion(built), "accuracies": _accuracies(built), "plots": _plots(built),
        "worst": _worst(built),
    })  # fmt: skip


def fill(template: str, values: Mapping[str, Any]) -> str:
    """A page of this folder with its values in it, which are escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([HERE, STYLE]), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    return environment.get_template(template).render(values)


def shared(built: Built | Detected, summary: str, first: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """What every page shows: heading, budget, costs, stages. `first`: (value, name) of what stands before the costs."""
    r, w = built.report, built.windows
    facts = [*first, (size(r.ram_bytes), "RAM"), (size(r.flash_bytes), "flash")]
    if r.latency_ms is not None:
        facts += [(f"{r.latency_ms:.3g} ms", "a window, features included"), (f"{r.energy_uj:.3g} uJ", "energy a window")]
    if built.battery is not None:
        days = f"{built.battery.days:,.0f} days" if built.battery.days >= 10 else f"{built.battery.days:.1f} days"
        at_most = ", at most" if built.battery.sleep_ma is None else ""
        facts.append((days, f"of {built.battery.mah:g} mAh, a window every {built.battery.period_s:g} s{at_most}"))
    sides = ", ".join(f"{w[side]:,} {side}" for side in ("train", "validation", "test"))
    front = ", ".join(b.name() for b in built.samples.pipeline.blocks) or "raw"
    shape = " x ".join(map(str, built.samples.pipeline.shape))
    found = built.samples.found
    return {
        "title": plain(built.name), "version": __version__, "hash": found.manifest.sha256, "name": r.name, "summary": summary,
        "inputs": f"Windows: {sides}. Features: {front}: {shape}", "facts": [{"value": v, "name": n} for v, n in facts],
        "streams": bool(r.stream_bytes), "example": (built.example or "").strip().splitlines(), "kind": found.kind,
        "build_id": r.build_id, "battery": built.battery, "sources": sorted(r.sources.items()),
        "small": found.kind == "image" and max(built.samples.pipeline.signal.shape[:2]) < 96, **_layers(r),
        "checks": [_check(c) for c in built.checks], "sentence": built.sentence, "stages": _stages(built.stages),
        "notes": [*built.notes, *r.notes, *built.verdict.notes],
    }  # fmt: skip


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _check(check: Check) -> dict[str, Any]:
    """A row of the budget: the bar's full length is the limit, or the value where that is more."""
    value, full = check.value or 0.0, max(check.limit, check.value or 0.0) or 1.0
    excess = f"{100 * check.excess:.1f} points" if check.name == "accuracy" else check.shown(check.excess)
    return {
        "name": check.name, "limit": check.shown(check.limit), "value": check.shown(check.value), "whose": check.whose,
        "kept": check.kept, "said": "kept" if check.kept else "not known" if check.value is None else f"missed by {excess}",
        "width": f"{100 * value / full:.1f}", "mark": f"{100 * check.limit / full:.1f}",
        "sign": "at least" if check.name in QUALITY else "at most",
    }  # fmt: skip


def _accuracies(built: Built) -> list[tuple[str, str, str]]:
    v, total = built.verdict, built.windows["test"]
    rows = [("float", _percent(built.accuracy_float), f"PyTorch, all {total:,} test windows")]
    rows.append(("int8", _percent(built.accuracy_int8), f"its C on this computer, all {total:,} test windows"))
    if "qat" in built.history:
        rows.append(("int8 before", _percent(built.accuracy_after_training), "quantized after training, not trained with it"))
    if v.accuracy is not None:
        ran = ", ".join(f"{name} {count:,}" for name, count in v.compared.items())
        rows.append((
            "emulated board" if "emulator" in v.compared else "this computer", _percent(v.accuracy),
            f"from raw samples, {v.samples:,} test windows; identical to the reference, byte for byte: {ran}",
        ))  # fmt: skip
    rows.append(("macro F1", f"{built.macro_f1:.3f}", "int8: the mean over the labels"))
    if built.auc is not None:
        rows.append(("ROC AUC", f"{built.auc:.3f}", "int8: each label against all others, the mean"))
    if (s := built.spotted) is not None:
        r, rule = s.rates, s.rule
        how = f"{s.false_accepts:,} in a recording of {s.length}; smoothing {rule.smoothing}, margin {rule.margin}, hold {rule.hold}"
        rows.append(("false accepts", s.accepts, how))
        rows.append(("false rejects", _percent(r.false_rejects), f"of {r.events:,} keywords there; {s.compared}"))
    return rows


def _confusion(built: Built) -> dict[str, Any]:
    """The matrix, shaded by the share of each row; diagonal and mistakes in colours of their own."""
    names = [plain(label, 16) or "(none)" for label in built.labels]
    rows = []
    for i, counts in enumerate(built.confusion[:MAX_CLASSES, :MAX_CLASSES].tolist()):
        total = max(int(built.confusion[i].sum()), 1)
        cells = [{"n": n or "", "shade": f"{n / total:.3f}", "right": i == j} for j, n in enumerate(counts)]
        rows.append({"label": names[i], "cells": cells, "recall": _percent(counts[i] / total) if i < len(counts) else ""})
    return {
        "matrix": rows,
        "classes": names[:MAX_CLASSES],
        "turned": len(names) > 6 and max(map(len, names)) > 3,
        "more_classes": max(0, len(names) - MAX_CLASSES),
    }


def _layers(r: Report) -> dict[str, Any]:
    most = max((_cost(layer) for layer in r.layers), default=1.0) or 1.0
    whole = sum(_cost(layer) for layer in r.layers) or 1.0
    rows = [
        {
            "index": x.index, "op": x.op, "shape": x.shape.rsplit(" ")[-1].removeprefix("1x"), "kernel": x.kernel,
            "macs": f"{x.macs:,}", "weights": f"{x.weight_bytes:,}", "ram": f"{x.ram_bytes:,}",
            "ms": "" if x.latency_ms is None else f"{x.latency_ms:.3g}", "width": f"{100 * _cost(x) / most:.1f}",
            "share": f"{100 * _cost(x) / whole:.0f} %",
        }
        for x in r.layers
    ]  # fmt: skip
    return {"layers": rows, "measured": r.cycles is not None}


def _cost(layer: LayerReport) -> float:
    return float(layer.macs if layer.cycles is None else layer.cycles)


def _plots(built: Built) -> list[dict[str, Any]]:
    from markupsafe import Markup

    made = [memory(built.report)]
    for title, figures, say in (
        ("Loss", {"train_loss": "training", "loss": "validation"}, "Cross-entropy an epoch."),
        ("Accuracy", {"accuracy": "validation"}, "On the validation windows, an epoch."),
    ):
        markup = _curves(built.history, figures)
        if markup:
            qat = " Behind the line: trained again with the firmware's rounding." if len(built.history) > 1 else ""
            made.append({"title": title, "say": say + qat, "markup": Markup(markup)})
    if built.spotted is not None:
        made.append({"title": "Decisions", "say": _margins_say(built.spotted), "markup": Markup(_margins(built.spotted))})
    return made


def _margins_say(s: Spotted) -> str:
    return (
        f"Keywords in a recording of {s.length} ({s.recordings} test recordings, {s.between} between): what other values of "
        f"[decide] margin than {s.rule.margin} would give."
    )


def _margins(s: Spotted) -> str:
    """False accepts an hour and false rejects over the margin, each on an axis of its own."""
    full = next((k for k, row in enumerate(s.margins) if row[2] == 1), len(s.margins))  # nothing is found from there on
    margins, accepts, rejects = zip(*s.margins[: full + 1], strict=True)
    figure = charts.figure(4.3, 2.7)
    left = figure.add_subplot()
    right = left.twinx()
    left.plot(margins, accepts, color=RED, linewidth=1.4)
    right.plot(margins, [100 * share for share in rejects], color=BLUE, linewidth=1.4)
    left.axvline(s.rule.margin, color="#333333", linewidth=1.2, linestyle="--")
    left.set_xlabel("margin, steps of the output")
    left.set_ylabel("false accepts an hour", color=RED)
    right.set_ylabel("false rejects, %", color=BLUE)
    left.set_ylim(bottom=0)
    right.set_ylim(0, 105)
    return charts.svg(figure)


def memory(report: Report) -> dict[str, Any]:
    """The plot of what is alive while each layer runs."""
    from markupsafe import Markup

    return {"title": "Memory over time", "say": _memory_says(report), "markup": Markup(_memory(report))}


def _memory_says(r: Report) -> str:
    stream = f" Below them lies the stream's state, {size(r.stream_bytes)}, which lasts." if r.stream_bytes else ""
    return f"Bytes of the arena ({size(r.arena_bytes)}) that are alive while each layer runs.{stream} Stack and static data are not drawn."


def _memory(r: Report) -> str:
    figure = charts.figure(4.3, 2.7)
    axes = figure.add_subplot()
    places = range(len(r.layers))
    unit, word = (KIB, "KiB") if r.arena_bytes + r.stream_bytes >= 4 * KIB else (1, "bytes")
    below = r.stream_bytes / unit
    alive = [layer.ram_bytes / unit for layer in r.layers]
    if below:
        axes.bar(places, [below] * len(alive), width=1.0, color=YELLOW, label="stream")
    axes.bar(places, alive, bottom=below, width=1.0, color=BLUE, edgecolor="white", linewidth=0.6, label="arena, alive")
    axes.axhline(below + r.arena_bytes / unit, color=RED, linewidth=1.2, linestyle="--", label="arena, all")
    axes.set_xlabel("layer, in the order they run")
    axes.set_ylabel(word)
    axes.set_xticks(places[:: max(len(alive) // 12, 1)])
    axes.set_ylim(0, 1.28 * (below + r.arena_bytes / unit))
    axes.legend(frameon=False, ncols=3, fontsize=8, handlelength=1.2, columnspacing=1.0, loc="upper left")
    return charts.svg(figure)


def _curves(history: Mapping[str, Mapping[str, list[float]]], figures: Mapping[str, str]) -> str:
    """Both trainings one after the other; "" where there is no figure."""
    if not any(part.get(key) for part in history.values() for key in figures):
        return ""
    figure = charts.figure(4.3, 2.7)
    axes = figure.add_subplot()
    for (key, label), colour in zip(figures.items(), (BLUE, RED), strict=False):
        _line(axes, [part.get(key, []) for part in history.values()], colour, label)
    first = len(next(iter(history.values()))["loss"])
    if len(history) > 1:
        axes.axvline(first + 0.5, color="#888888", linewidth=1, linestyle=":")
    axes.set_xlabel("epoch")
    if len(figures) > 1:
        axes.legend(frameon=False, fontsize=8)
    axes.grid(axis="y", color="#e2e6eb", linewidth=0.8)
    return charts.svg(figure)


def _line(axes: Axes, parts: Sequence[Sequence[float]], colour: str, label: str) -> None:
    start = 1
    for k, part in enumerate(parts):
        epochs = range(start, start + len(part))
        axes.plot(
            epochs, part, color=colour, linewidth=1.4, label=label if k == 0 else None, marker="." if len(part) < 20 else ""
        )
        start += len(part)


def _worst(built: Built) -> list[dict[str, Any]]:
    """Pictures of the windows with the largest loss."""
    from markupsafe import Markup

    places = sorted(w.place for w in built.worst)
    cuts = dict(zip(places, built.samples.cuts("test", places), strict=True))
    found = []
    for w in built.worst:
        cut = cuts[w.place]
        markup = pictures.picture(built.samples.found.kind, cut.x, cut.record.rate)
        found.append({
            "markup": Markup(markup), "key": plain(w.key, 200), "label": plain(w.label, 20) or "(none)",
            "said": plain(w.said, 20) or "(none)", "wrong": w.said != w.label, "chance": _percent(w.chance),
        })  # fmt: skip
    return found


def _stages(stages: Sequence[Stage]) -> list[dict[str, Any]]:
    most = max((s.seconds for s in stages), default=1.0) or 1.0
    return [
        {"name": s.name, "seconds": f"{s.seconds:.1f} s", "kept": s.kept, "width": f"{100 * s.seconds / most:.1f}"}
        for s in stages
    ]
