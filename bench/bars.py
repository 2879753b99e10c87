"""The bars of bars.toml against what was measured: met, or missed by how much."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peers
import torch_peers
from jobs import ANCHORS, Row

BARS: dict[str, Any] = tomllib.loads((Path(__file__).parent / "bars.toml").read_text("utf-8"))
M3, M4, M55 = "cortex-m3", "cortex-m4", "cortex-m55"
TFLM_COLUMN = {M3: "m3", M4: "m4", "cortex-m7": "m4", "cortex-m33": "m4", M55: "m55"}  # M7, M33: within 2 % of M4


@dataclass(frozen=True)
class Check:
    """One figure and what it is held to. `at_least`: more is better. None: not measured, or no such bar."""

    what: str
    value: float | None
    bar: float | None
    goal: float | None = None
    at_least: bool = False

    def text(self, value: float | None) -> str:
        """`value` as people write it: ratios and seconds with two places, counts without."""
        small = max(self.value or 0, self.bar or 0) < 100
        return "-" if value is None else f"{value:,.{2 if small else 0}f}"

    def verdict(self, limit: float | None) -> str:
        """ "met", "missed by 12 %" or "-"."""
        if limit is None or self.value is None:
            return "-"
        over = limit / self.value - 1 if self.at_least else self.value / limit - 1
        return "met" if over <= 0 else f"missed by {over * 100:.1f} %"


def tflm(model: str, core: str) -> int | None:
    """TensorFlow Lite Micro's instructions for a model on a core, None where nobody counted them."""
    return ANCHORS[model].get(TFLM_COLUMN.get(core, ""))


def best(rows: Iterable[Row], key: str, **match: str) -> float | None:
    """The least `key` of the rows that match."""
    found = [row[key] for row in rows if all(row[k] == v for k, v in match.items()) and row[key] is not None]
    return min(found, default=None)


def checks(
    rows: list[Row],
    max_ram: Row | None = None,
    seconds: Mapping[tuple[str, str], float] | None = None,
    fronts: list[Row] | None = None,
    modules: list[Row] | None = None,
) -> Iterator[Check]:
    """Every bar that `rows` say something about. `max_ram`: the row with a RAM limit; `seconds` by (model, goal)."""
    yield from _instructions(rows)
    yield from _times_fewer(rows)
    yield from _memory(rows)
    if max_ram is not None:
        limit = BARS["max_ram"]
        free = best(rows, "instructions", model=max_ram["model"], core=M4, optimize="speed", compiler=max_ram["compiler"])
        ratio = max_ram["instructions"] / free if free else None
        yield Check(f"{max_ram['model']} in {limit['ram_bytes'] >> 10} KiB of RAM, times the instructions", ratio, limit["bar"])
    yield from _fronts(fronts or [])
    yield from _modules(modules or [])
    for (model, goal), value in (seconds or {}).items():
        yield Check(f"{model} seconds to compile for {goal}", value, BARS["compile_seconds"][goal]["bar"])


def _modules(modules: list[Row]) -> Iterator[Check]:
    for ours, _, least in torch_peers.pairs(modules):
        if ours["optimize"] in BARS["torch_peers"] and ours["instructions"] and least["instructions"]:
            worst = max(ours[k] / least[k] for k in peers.FIGURES)
            what = f"{ours['model']} of PyTorch, {ours['compiler']}, {ours['optimize']}, over BakeNN's least"
            yield Check(what, worst, BARS["torch_peers"][ours["optimize"]]["bar"])


def _fronts(fronts: list[Row]) -> Iterator[Check]:
    """RAM: the arena and a stream's state, its ring of audio left out."""
    for name, limits in BARS["fronts"].items():
        for row in (r for r in fronts if (r["front"], r["core"]) == (name, M4)):
            ram = row["arena_bytes"] + row["stream_bytes"] - row["ring_bytes"]
            values = {
                "instructions": row["instructions"],
                "a hop": row["instructions_per_hop"],
                "RAM bytes beside the audio": ram,
            }
            yield from (Check(f"{name} {what}, {M4}", value, limits[what]) for what, value in values.items())


def _instructions(rows: list[Row]) -> Iterator[Check]:
    for core, models in BARS["instructions"].items():
        for model, limit in models.items():
            value = best(rows, "instructions", model=model, core=core, optimize="speed")
            if value is not None:
                yield Check(f"{model} instructions, {core}", value, limit["bar"], limit.get("goal"))


def _times_fewer(rows: list[Row]) -> Iterator[Check]:
    for core, limit in BARS["times_fewer_mean"].items():
        ratios = list(_ratios(rows, core).values())
        if len(ratios) == len(BARS["instructions"][M4]):
            mean = math.prod(ratios) ** (1 / len(ratios))
            yield Check(
                f"times fewer than TFLM, geometric mean of {len(ratios)}, {core}", mean, limit["bar"], limit["goal"], True
            )
    for core, limit in BARS["times_fewer"].items():
        for model, ratio in _ratios(rows, core).items():
            yield Check(f"{model} times fewer than TFLM, {core}", ratio, limit["bar"], None, True)


def _ratios(rows: list[Row], core: str) -> dict[str, float]:
    """TFLM's instructions over ours, for the models that have a bar."""
    found = {}
    for model in BARS["instructions"][M4]:
        ours, theirs = best(rows, "instructions", model=model, core=core, optimize="speed"), tflm(model, core)
        if ours and theirs:
            found[model] = theirs / ours
    return found


def _memory(rows: list[Row]) -> Iterator[Check]:
    speed = [row for row in rows if row["core"] == M4 and row["optimize"] == "speed"]
    for key, what in (("arena_bytes", "arena bytes"), ("weight_bytes", "weight bytes")):
        for model, limit in BARS[key].items():
            value = best(_fastest(speed, model), key)
            if value is not None:
                yield Check(f"{model} {what}", value, limit["bar"], limit.get("goal"))
    for goal, limit in BARS["code_bytes"].items():
        for model in dict.fromkeys(row["model"] for row in rows):
            mine = [r for r in rows if (r["model"], r["core"], r["optimize"]) == (model, M4, goal)]
            value = max((r["code_bytes"] for r in mine if r["code_bytes"] is not None), default=None)
            if value is not None:
                yield Check(f"{model} code bytes at {goal}", value, limit["bar"])


def _fastest(rows: list[Row], model: str) -> list[Row]:
    """The row of `model` with the fewest instructions, so that memory and speed are those of one build."""
    mine = [row for row in rows if row["model"] == model and row["instructions"] is not None]
    return [min(mine, key=lambda row: row["instructions"])] if mine else []
