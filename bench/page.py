"""The last section of docs/explanation/benchmark.md: what bench/results.json says, as tables."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import bars
import peers
import results
import torch_peers
from jobs import ANCHORS, LAYER, Row

PATH = Path(__file__).parents[1] / "docs" / "explanation" / "benchmark.md"
HEADING = "## The last figures\n"  # everything below it is written by the benchmark


def write() -> None:
    """Bring the page up to date with the results file."""
    PATH.write_text(PATH.read_text("utf-8").partition(HEADING)[0] + HEADING + section(load()), "utf-8")


def load(path: Path = results.PATH) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(path.read_text("utf-8"))
    assert tuple(data["layer_fields"]) == LAYER
    return data


def section(data: dict[str, Any]) -> str:
    rows: list[Row] = data["rows"]
    parts = [
        "On a Cortex-M4, `--optimize speed`, the compiler that gives fewer instructions:",
        _m4(rows),
        "Instructions on every core, `--optimize speed`, the better compiler; in brackets TensorFlow Lite Micro's over ours:",
        _cores(rows),
        "On a Cortex-M4 with ziglang, the three settings: instructions / bytes of code / bytes of arena:",
        _settings(rows),
        "The bars that have a figure here (times to compile are printed by a run and not kept):",
        _bars(rows, data["max_ram"], data.get("fronts"), data.get("torch_peers")),
    ]
    if data.get("fronts"):
        parts += [
            "Feature blocks, ziglang -O3: instructions for a whole window, and for a hop of a stream in brackets:",
            _fronts(data["fronts"]),
            "Their memory on a Cortex-M4: the arena, a stream's state (audio and rows included), tables in flash:",
            _front_memory(data["fronts"]),
        ]
    if data["peers"]:
        parts += [
            "Peers on a Cortex-M4, each at its best setting; in brackets their instructions over ours:",
            _peers(data["peers"]),
        ]
    if data.get("torch_peers"):
        parts += [
            "PyTorch modules on a Cortex-M4: Sandgrain, and in brackets BakeNN's way with the fewest instructions:",
            _modules(data["torch_peers"]),
        ]
    if data["skipped"]:
        parts.append("Not run: " + "; ".join(data["skipped"]) + ".")
    return "\n" + "\n\n".join(parts) + "\n"


def _m4(rows: list[Row]) -> str:
    lines = []
    for model in _models(rows):
        r, other = _fastest(rows, model, bars.M4), ANCHORS[model]
        if r:
            lines.append((
                model, r["compiler"], _n(r["instructions"]), _n(other["m4"]), f"{other['m4'] / r['instructions']:.2f}",
                f"{r['instructions_per_model_mac']:.2f}", f"{r['instructions_per_mac']:.2f}", _n(r["cycles"]),
                _n(r["arena_bytes"]), _n(other["arena"]), _n(r["stack_bytes"]), _n(r["code_bytes"]), _n(other["code"]),
                _n(r["weight_bytes"]),
            ))  # fmt: skip
    names = (
        "model", "compiler", "instructions", "TFLM", "times fewer", "per model MAC", "per MAC run", "cycles, est.", "arena B",
        "TFLM", "stack B", "code B", "TFLM", "weights B",
    )  # fmt: skip
    return _table(names, lines, 2)


def _cores(rows: list[Row]) -> str:
    cores = list(dict.fromkeys(row["core"] for row in rows))
    return _table(("model", *cores), [(m, *(_on(rows, m, core) for core in cores)) for m in _models(rows)])


def _on(rows: list[Row], model: str, core: str) -> str:
    row, theirs = _fastest(rows, model, core), bars.tflm(model, core)
    if row is None:
        return "-"
    return _n(row["instructions"]) + (f" ({theirs / row['instructions']:.2f})" if theirs else "")


def _settings(rows: list[Row]) -> str:
    goals = ("speed", "balanced", "size")
    lines = []
    for model in _models(rows):
        mine = {
            r["optimize"]: " / ".join(_n(r[k]) for k in ("instructions", "code_bytes", "arena_bytes"))
            for r in rows
            if (r["core"], r["compiler"], r["model"]) == (bars.M4, "zig", model)
        }
        lines.append((model, *(mine.get(goal, "-") for goal in goals)))
    return _table(("model", *goals), lines)


def _bars(rows: list[Row], max_ram: Row | None, fronts: list[Row] | None, modules: list[Row] | None) -> str:
    lines = [
        (c.what, c.text(c.value), c.text(c.bar), c.verdict(c.bar), c.text(c.goal), c.verdict(c.goal))
        for c in bars.checks(rows, max_ram, fronts=fronts, modules=modules)
    ]
    return _table(("figure", "is", "first bar", "", "goal", ""), lines)


def _peers(rows: list[dict[str, Any]]) -> str:
    lines = []
    for r in rows:
        ours = r["sandgrain_instructions"]
        times = f" ({r['instructions'] / ours:.2f})" if r["instructions"] and ours else ""
        figures = (_n(r["ram_bytes"]), _n(r["code_bytes"]), _n(r["weight_bytes"]), _n(r["stack_bytes"]))
        lines.append(
            (r["model"], r["peer"], r["compiler"], _n(r["instructions"]) + times, _n(ours), *figures, r["answers"], r["note"])
        )
    names = (
        "model",
        "peer",
        "compiler",
        "instructions",
        "Sandgrain's",
        "RAM B",
        "code B",
        "weights B",
        "stack B",
        "answers",
        "how",
    )
    return _table(names, lines, 3)


def _modules(rows: list[dict[str, Any]]) -> str:
    keys = (*peers.FIGURES, "snr_db")
    lines = [
        (
            *(ours[k] for k in torch_peers.SAME),
            *(f"{_real(ours[k])} ({_real(fastest[k])})" for k in keys),
            *(torch_peers.verdict(ours, theirs) for theirs in (fastest, least)),
        )
        for ours, fastest, least in torch_peers.pairs(rows)
    ]
    names = (*torch_peers.SAME, *torch_peers.TITLES.values(), "SNR dB", "against its fastest", "against the least of its three")
    return _table(names, lines, len(torch_peers.SAME))


def _fronts(rows: list[dict[str, Any]]) -> str:
    cores = list(dict.fromkeys(r["core"] for r in rows))
    lines = []
    for name in dict.fromkeys(r["front"] for r in rows):
        mine = {r["core"]: r for r in rows if r["front"] == name}
        hops = {c: f" ({_n(r['instructions_per_hop'])})" if r["instructions_per_hop"] else "" for c, r in mine.items()}
        lines.append((name, *(_n(mine[c]["instructions"]) + hops[c] if c in mine else "-" for c in cores)))
    return _table(("features", *cores), lines)


def _front_memory(rows: list[dict[str, Any]]) -> str:
    keys = ("arena_bytes", "stream_bytes", "table_bytes", "macs")
    lines = [(r["front"], *(_n(r[k]) for k in keys)) for r in rows if r["core"] == bars.M4]
    return _table(("features", "arena B", "stream B", "tables B", "MACs"), lines)


def _models(rows: list[Row]) -> list[str]:
    return [m for m in ANCHORS if any(row["model"] == m for row in rows)]


def _fastest(rows: list[Row], model: str, core: str) -> Row | None:
    mine = [r for r in rows if (r["model"], r["core"], r["optimize"]) == (model, core, "speed") and r["instructions"]]
    return min(mine, key=lambda r: r["instructions"], default=None)


def _n(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _real(value: float | None) -> str:
    return "-" if value is None else f"{value:,}"


def _table(names: tuple[str, ...], lines: Iterable[tuple[str, ...]], left: int = 1) -> str:
    rule = ["---" if k < left or not name else "---:" for k, name in enumerate(names)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (names, rule, *lines))
