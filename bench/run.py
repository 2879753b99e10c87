"""The benchmark: every shared model on every core, beside the anchors. `make bench` runs it and writes bench/results.json.

    python bench/run.py [--models kws_ref_model ...] [--cores cortex-m4 ...] [--compilers zig gcc]

Instructions are counted on the emulated core over exactly one inference, so they repeat exactly; cycles are estimates.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import sandgrain
from sandgrain import targets
from sandgrain.errors import SandgrainError
from sandgrain.run import emulator_missing
from sandgrain.toolchain import available_compilers

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
MODELS = Path(os.environ.get("SANDGRAIN_MODELS", HERE.parents[1] / "shared" / "models"))
ANCHORS: dict[str, dict[str, int]] = tomllib.loads((HERE / "anchors.toml").read_text("utf-8"))["tflm"]
CORES = tuple(c for c in targets.cores() if c != "host")
SHORT = {
    "cortex-m4": "m4",
    "cortex-m7": "m4",
    "cortex-m33": "m4",
    "cortex-m3": "m3",
    "cortex-m55": "m55",
}  # M7, M33: within 2 % of M4

console = Console(highlight=False, width=int(os.environ.get("COLUMNS", "150")))


def measure(model: str, core: str, compiler: str) -> dict[str, Any]:
    """One row: what a model costs on a core."""
    with tempfile.TemporaryDirectory(prefix="sandgrain-bench-") as work:
        result = sandgrain.compile_model(MODELS / f"{model}.tflite", target=core, out=Path(work) / "out", compiler=compiler)
    r = result.report
    instructions = r.instructions
    return {
        "model": model, "core": core, "compiler": compiler, "macs": r.macs,
        "instructions": instructions, "cycles": r.cycles,
        "instructions_per_mac": round(instructions / r.macs, 3) if instructions else None,
        "arena_bytes": r.arena_bytes, "stack_bytes": r.stack_bytes, "stack_bound_bytes": r.stack_bound_bytes,
        "code_bytes": r.code_bytes, "weight_bytes": r.weight_bytes,
        "tflm_instructions": anchor(model, SHORT.get(core)), "tflm_arena_bytes": anchor(model, "arena"),
        "tflm_code_bytes": anchor(model, "code"),
        "layers": [{"op": x.op, "shape": x.shape, "kernel": x.kernel, "macs": x.macs, "instructions": x.instructions} for x in r.layers],
    }  # fmt: skip


def anchor(model: str, key: str | None) -> int | None:
    return ANCHORS[model].get(key) if key else None


def ratio(ours: int | None, theirs: int | None) -> str:
    return f"{ours / theirs:.2f}" if ours and theirs else "-"


def show(rows: list[dict[str, Any]]) -> None:
    for core in dict.fromkeys(row["core"] for row in rows):
        table = Table(title=f"{core}: Sandgrain / TensorFlow Lite Micro + CMSIS-NN", title_justify="left", box=None)
        for name in ("model", "compiler", "instructions", "TFLM", "ratio", "/MAC", "cycles, est.", "arena", "TFLM", "ratio", "code", "TFLM", "stack", "weights"):  # fmt: skip
            table.add_column(name, justify="left" if name in ("model", "compiler") else "right")
        for r in (row for row in rows if row["core"] == core):
            table.add_row(
                r["model"], r["compiler"], number(r["instructions"]), number(r["tflm_instructions"]),
                ratio(r["instructions"], r["tflm_instructions"]), str(r["instructions_per_mac"] or "-"), number(r["cycles"]),
                number(r["arena_bytes"]), number(r["tflm_arena_bytes"]), ratio(r["arena_bytes"], r["tflm_arena_bytes"]),
                number(r["code_bytes"]), number(r["tflm_code_bytes"]), number(r["stack_bytes"]), number(r["weight_bytes"]),
            )  # fmt: skip
        console.print(table)
        console.print()


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=list(ANCHORS))
    parser.add_argument("--cores", nargs="*", default=list(CORES))
    parser.add_argument("--compilers", nargs="*", default=["zig", "gcc"])
    given = parser.parse_args()
    missing = [m for m in given.models if not (MODELS / f"{m}.tflite").is_file()]
    if missing:
        raise SystemExit(f"no {', '.join(missing)} in {MODELS}; set SANDGRAIN_MODELS to the folder that holds them")
    jobs = [
        (m, c, k) for c in given.cores for m in given.models for k in given.compilers if k in available_compilers(targets.load(c))
    ]
    rows: list[dict[str, Any]] = []
    skipped = {c: why for c in given.cores if (why := emulator_missing(targets.load(c)))}
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("benchmark", total=len(jobs))
        for model, core, compiler in jobs:
            bar.update(task, description=f"{core} {model} {compiler}")
            try:
                rows.append(measure(model, core, compiler))
            except SandgrainError as error:
                console.print(f"{model} on {core} with {compiler}: {error}")
            bar.advance(task)
    show(rows)
    for core, why in skipped.items():
        console.print(f"{core}: sizes only, nothing was run: {why}")
    if set(given.models) == set(ANCHORS) and set(given.cores) == set(CORES):
        RESULTS.write_text(json.dumps({"sandgrain": sandgrain.__version__, "rows": rows}, indent=1) + "\n", "utf-8")
        console.print(f"written: {RESULTS.name}")
    else:
        console.print(f"{RESULTS.name} is written by a run over all models and cores")


if __name__ == "__main__":
    main()
