"""The benchmark: every shared model on every core, beside the anchors. `make bench` runs it and writes bench/results.json.

    python bench/run.py [--models kws_ref_model ...] [--cores cortex-m4 ...] [--compilers zig gcc] [--optimize speed ...]

Instructions are counted on the emulated core over exactly one inference, so they repeat exactly; cycles are estimates.
docs/explanation/benchmark.md says what the columns mean.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import bars
import features
import felt
import ingest
import jobs
import page
import peers
import results
import torch_peers
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from sandgrain.base.errors import SandgrainError
from sandgrain.bundle.tune import Goal
from sandgrain.device import targets
from sandgrain.device.run import emulator_missing
from sandgrain.device.toolchain import available_compilers

CORES = tuple(c for c in targets.cores() if c != "host")
INGESTED = 100_000  # one-second recordings of 16 kHz: 3.2 GB, written for a while
BY_COST = ("pretrainedResnet_quant", "vww_96_int8", "kws_ref_model")  # started first, so that the last job is a short one
FRESH = multiprocessing.get_context("spawn")  # the progress bar has a thread, which a fork would lose

console = Console(highlight=False, width=int(os.environ.get("COLUMNS", "190")))


def main() -> None:
    given = arguments()
    missing = [m for m in given.models if not jobs.model_path(m).is_file()]
    if missing:
        raise SystemExit(f"no {', '.join(missing)} in {jobs.MODELS}; set SANDGRAIN_MODELS to the folder that holds them")
    skipped = [f"{core}: {why}" for core in given.cores if (why := emulator_missing(targets.load(core)))]
    groups = [
        (m, c, k)
        for m in sorted(given.models, key=cost)
        for c in given.cores
        for k in given.compilers
        if not emulator_missing(targets.load(c)) and k in available_compilers(targets.load(c))
    ]
    rows, failed = matrix(groups, tuple(given.optimize), given.jobs)
    show(rows)
    whole = full(given)
    limited = with_max_ram(failed) if whole or given.bars else None
    fronts = features.rows(list(given.cores)) if whole or given.fronts else []
    features.show(fronts)
    others = peers.measure(given.models, given.compilers) if given.peers else []
    show_peers(others)
    modules = torch_peers.measure(given.compilers) if given.peers and (whole or given.modules) else []
    torch_peers.show(modules)
    seconds = jobs.compile_seconds(given.models, list(bars.BARS["compile_seconds"])) if whole or given.bars else {}
    show_bars(list(bars.checks(rows, limited, seconds, fronts, modules)))
    if whole or given.felt:
        felt.show(felt.measure())
    if whole or given.ingest:
        with ProcessPoolExecutor(1, FRESH) as alone:  # the memory that this process has by now is not theirs
            ingest.show(alone.submit(ingest.measure, INGESTED, 16_000).result())
    for line in [*(f"not run: {s}" for s in skipped), *failed]:
        console.print(line)
    if whole and not failed:
        results.write(rows, limited, others, skipped, fronts, modules)
        page.write()
        console.print(f"written: {results.PATH.name} and the tables in docs/explanation/{page.PATH.name}")
    else:
        console.print(f"{results.PATH.name} is written by a run over everything in which nothing fails")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=list(jobs.ANCHORS), choices=list(jobs.ANCHORS), metavar="MODEL")
    parser.add_argument("--cores", nargs="*", default=list(CORES), choices=CORES, metavar="CORE")
    parser.add_argument("--compilers", nargs="*", default=["zig", "gcc"], choices=("zig", "gcc"), metavar="COMPILER")
    parser.add_argument("--optimize", nargs="*", default=list(jobs.GOALS), choices=jobs.GOALS, metavar="GOAL")
    parser.add_argument("--jobs", type=int, default=2, help="processes (2)")
    parser.add_argument("--bars", action="store_true", help="time the compiler and limit the RAM in a partial run too")
    parser.add_argument("--fronts", action="store_true", help="the feature blocks in a partial run too")
    parser.add_argument("--felt", action="store_true", help="what users wait for in a partial run too")
    parser.add_argument("--ingest", action="store_true", help=f"read {INGESTED:,} recordings in a partial run too")
    parser.add_argument("--modules", action="store_true", help="PyTorch modules through us and BakeNN in a partial run too")
    parser.add_argument("--no-peers", dest="peers", action="store_false", help="leave out other compilers of networks")
    return parser.parse_args()


def full(given: argparse.Namespace) -> bool:
    return (
        set(given.models) == set(jobs.ANCHORS)
        and set(given.cores) == set(CORES)
        and set(given.optimize) == set(jobs.GOALS)
        and set(given.compilers) == {"zig", "gcc"}
    )


def cost(model: str) -> int:
    return BY_COST.index(model) if model in BY_COST else len(BY_COST)


def matrix(
    groups: list[tuple[str, str, jobs.Compiler]], goals: tuple[Goal, ...], processes: int
) -> tuple[list[jobs.Row], list[str]]:
    """All rows, and what could not be measured. A group is (model, core, compiler); its goals share measurements."""
    rows: list[jobs.Row] = []
    failed: list[str] = []
    with Progress(console=Console(stderr=True), transient=True) as bar, ProcessPoolExecutor(processes, FRESH) as pool:
        task = bar.add_task("benchmark", total=len(groups) * len(goals))
        waiting = {pool.submit(jobs.measure_goals, *group, goals): group for group in groups}
        for done in as_completed(waiting):
            found, errors = done.result()
            rows += found
            failed += errors
            bar.update(task, advance=len(goals), description=" ".join(waiting[done]))
            if not bar.console.is_terminal:  # a log gets lines
                bar.console.print(f"{len(rows)} of {len(groups) * len(goals)}: {' '.join(waiting[done])}")
    return results.ordered(rows), sorted(failed)


def with_max_ram(failed: list[str]) -> jobs.Row | None:
    limit = bars.BARS["max_ram"]
    try:
        return jobs.measure(limit["model"], bars.M4, "zig", "speed", limit["ram_bytes"])
    except SandgrainError as error:
        failed.append(f"{limit['model']} with --max-ram {limit['ram_bytes'] >> 10}K: {error}")
        return None


# --- tables ----------------------------------------------------------------------------------------------------------

COLUMNS = (
    "model", "compiler", "optimize", "instructions", "TFLM", "ratio", "/model MAC", "/MAC run", "cycles, est.",
    "arena", "TFLM", "ratio", "stack", "TFLM", "code", "TFLM", "weights",
)  # fmt: skip


def show(rows: list[jobs.Row]) -> None:
    for core in dict.fromkeys(row["core"] for row in rows):
        table = new_table(f"{core}: Sandgrain, and TensorFlow Lite Micro + CMSIS-NN", COLUMNS, 3)
        for r in (row for row in rows if row["core"] == core):
            other, theirs = jobs.ANCHORS[r["model"]], bars.tflm(r["model"], core)
            table.add_row(
                r["model"], r["compiler"], r["optimize"],
                number(r["instructions"]), number(theirs), ratio(r["instructions"], theirs),
                number(r["instructions_per_model_mac"], 2), number(r["instructions_per_mac"], 2), number(r["cycles"]),
                number(r["arena_bytes"]), number(other["arena"]), ratio(r["arena_bytes"], other["arena"]),
                number(r["stack_bytes"]), number(other["stack"]), number(r["code_bytes"]), number(other["code"]),
                number(r["weight_bytes"]),
            )  # fmt: skip
        console.print(table, "")


def show_bars(found: list[bars.Check]) -> None:
    if not found:
        return
    table = new_table("The bars", ("figure", "is", "first bar", "", "goal", ""), 1)
    for c in found:
        table.add_row(c.what, c.text(c.value), c.text(c.bar), c.verdict(c.bar), c.text(c.goal), c.verdict(c.goal))
    console.print(table, "")


def show_peers(found: list[dict[str, Any]]) -> None:
    if not found:
        return
    names = ("model", "who", "compiler", "instructions", "Sandgrain", "ratio", "RAM", "code", "weights", "stack", "answers", "")
    table = new_table("Peers on cortex-m4: the same file, compiler and emulated core", names, 3)
    for r in found:
        table.add_row(
            r["model"], r["peer"], r["compiler"], number(r["instructions"]), number(r["sandgrain_instructions"]),
            ratio(r["sandgrain_instructions"], r["instructions"]), number(r["ram_bytes"]), number(r["code_bytes"]),
            number(r["weight_bytes"]), number(r["stack_bytes"]), r["answers"], r["note"],
        )  # fmt: skip
    console.print(table, "")


def new_table(title: str, names: tuple[str, ...], left: int) -> Table:
    table = Table(title=title, title_justify="left", box=None)
    for k, name in enumerate(names):
        table.add_column(name, justify="left" if k < left or not name else "right", no_wrap=bool(name))
    return table


def number(value: float | None, places: int = 0) -> str:
    return "-" if value is None else f"{value:,.{places}f}"


def ratio(ours: float | None, theirs: float | None) -> str:
    return f"{ours / theirs:.2f}" if ours and theirs else "-"


if __name__ == "__main__":
    main()
