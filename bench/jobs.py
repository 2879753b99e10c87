"""One measurement of the benchmark: a model, compiled for a core and run on it once. Worker processes import this file."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any, Literal

import sandgrain
from sandgrain.base.errors import SandgrainError
from sandgrain.bundle.tune import Goal

HERE = Path(__file__).parent
MODELS = Path(os.environ.get("SANDGRAIN_MODELS", HERE.parents[1] / "shared" / "models"))
ANCHORS: dict[str, dict[str, int]] = tomllib.loads((HERE / "anchors.toml").read_text("utf-8"))["tflm"]
GOALS: tuple[Goal, ...] = ("speed", "size", "balanced")
LAYER = ("op", "shape", "kernel", "macs", "instructions")  # of one layer in a row, in this order

Row = dict[str, Any]
Compiler = Literal["zig", "gcc"]


def model_path(model: str) -> Path:
    return MODELS / f"{model}.tflite"


def measure(model: str, core: str, compiler: Compiler, goal: Goal, max_ram: int | None = None) -> Row:
    """One row of the results. `macs` are those that run, `model_macs` those of the file. Raises SandgrainError."""
    with tempfile.TemporaryDirectory(prefix="sandgrain-bench-") as work:
        result = sandgrain.compile(
            model_path(model), target=core, out=Path(work) / "out", compiler=compiler, optimize=goal, max_ram=max_ram
        )
    r, model_macs = result.report, ANCHORS[model]["macs"]
    return {
        "core": core, "model": model, "compiler": compiler, "optimize": goal,
        "instructions": r.instructions, "cycles": None if r.cycles is None else round(r.cycles),
        "model_macs": model_macs, "macs": r.macs,
        "instructions_per_model_mac": _per(r.instructions, model_macs), "instructions_per_mac": _per(r.instructions, r.macs),
        "arena_bytes": r.arena_bytes, "ram_bytes": r.ram_bytes, "stack_bytes": r.stack_bytes,
        "stack_bound_bytes": r.stack_bound_bytes, "code_bytes": r.code_bytes, "weight_bytes": r.weight_bytes,
        "layers": [[getattr(layer, name) for name in LAYER] for layer in r.layers],
    }  # fmt: skip


def measure_goals(model: str, core: str, compiler: Compiler, goals: tuple[Goal, ...]) -> tuple[list[Row], list[str]]:
    """Rows of one model on one core, a row for each of `goals`, and what could not be measured."""
    rows, failed = [], []
    for goal in goals:
        try:
            rows.append(measure(model, core, compiler, goal))
        except SandgrainError as error:
            failed.append(f"{model} on {core} with {compiler}, {goal}: {error}")
    return rows, failed


def compile_seconds(models: list[str], goals: list[Goal], core: str = "cortex-m4") -> dict[tuple[str, str], float]:
    """Seconds by (model, goal) that compiling takes with no measurements in the cache."""
    before = os.environ.get("XDG_CACHE_HOME")
    seconds: dict[tuple[str, str], float] = {}
    with tempfile.TemporaryDirectory(prefix="sandgrain-bench-") as empty:
        os.environ["XDG_CACHE_HOME"] = empty
        try:
            measure("hello_world_int8", core, "zig", "size")  # the compiler builds its runtime once for a core
            for goal in goals:
                for model in models:
                    shutil.rmtree(Path(empty) / "sandgrain" / "measured", ignore_errors=True)
                    start = time.perf_counter()
                    measure(model, core, "zig", goal)
                    seconds[model, goal] = time.perf_counter() - start
        finally:
            del os.environ["XDG_CACHE_HOME"]
            if before is not None:
                os.environ["XDG_CACHE_HOME"] = before
    return seconds


def _per(value: int | None, macs: int) -> float | None:
    return None if value is None or not macs else round(value / macs, 3)
