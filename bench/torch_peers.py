"""The same PyTorch modules through Sandgrain and through BakeNN, calibrated on the same samples, side by side on a Cortex-M4.

    python bench/torch_peers.py [--models ds_cnn ...] [--compilers zig gcc] [--optimize speed size]

Each quantizes the module in its own way and is built with the same compiler and -O flag into the same firmware frame. Figures are
taken from the linked firmware above an empty program and from one counted inference. How far the answers are from the module's
is taken over held-out samples on the same emulated core, so that nobody is fast by being wrong.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from jobs import Compiler
from peers import CORE, DIALECT, FIGURES, RefusedError, Row, bakenn_program, bakenn_ways, figures, link
from rich.console import Console
from rich.table import Table

import sandgrain
from sandgrain.base.arrays import Array
from sandgrain.base.errors import SandgrainError
from sandgrain.bundle import samples as datafile
from sandgrain.bundle import tune
from sandgrain.bundle.store import load_bundle
from sandgrain.bundle.tune import Goal
from sandgrain.device import targets
from sandgrain.device.run import open_emulator
from sandgrain.device.toolchain import available_compilers
from sandgrain.graph.quantization import dequantize
from sandgrain.quantization.report import snr_db

NEEDED = {"bakenn": "BakeNN", "torch": "PyTorch"}
INSTALL = "pip install -e '.[train,bench]'"
GOALS: tuple[Goal, ...] = ("speed", "size")
CALIBRATION, HELD_OUT = 16, 50  # samples
OURS = "Sandgrain"
SAME = ("model", "compiler", "optimize")  # what two rows share that are compared
TITLES = dict(zip(FIGURES, ("instructions", "RAM", "code", "weights", "stack"), strict=True))


def missing() -> list[str]:
    return [title for module, title in NEEDED.items() if not importlib.util.find_spec(module)]


def measure(compilers: Sequence[Compiler], goals: Sequence[Goal] = GOALS, models: Sequence[str] | None = None) -> list[Row]:
    """A row for each model, compiler, goal, and way to C. A refusal is a row without figures. [] where something is missing."""
    if missing():
        return []
    import torch_models

    usable = [c for c in compilers if c in available_compilers(targets.load(CORE))]
    return [row for name in models or torch_models.BUILDERS for row in _rows(name, usable, goals)]


def _rows(name: str, compilers: Sequence[Compiler], goals: Sequence[Goal]) -> Iterator[Row]:
    import torch
    import torch_models

    model = torch_models.load(name, CALIBRATION, HELD_OUT)
    with torch.no_grad():
        wanted = model.module(model.held_out).numpy()
    theirs = _Bakenn(model)
    for compiler in compilers:
        for goal in goals:
            same = dict(zip(SAME, (name, compiler, goal), strict=True))
            yield {**same, "who": OURS, **_ours(model, wanted, compiler, goal)}
            for variant in theirs.ways:
                yield {**same, "who": theirs.label, **theirs.run(variant, wanted, compiler, goal)}


def _nothing(variant: str, note: str) -> Row:
    return {"variant": variant, **dict.fromkeys(FIGURES), "snr_db": None, "note": note}


def _ours(model: Any, wanted: Array, compiler: Compiler, goal: Goal) -> Row:
    with tempfile.TemporaryDirectory(prefix="sandgrain-peer-") as folder:
        out = Path(folder) / "out"
        try:
            sandgrain.compile(
                model.module,
                example_input=model.held_out[:1],
                calibration=model.calibration,
                target=CORE,
                out=out,
                compiler=compiler,
                optimize=goal,
            )
            bundle = load_bundle(out)
            elf = bundle.build.link(Path(folder) / "firmware.elf")
        except SandgrainError as error:
            return _nothing("", str(error))
        graph = bundle.compiled.imported
        samples = datafile.fit(model.held_out.numpy(), graph.tensors[graph.inputs[0]], "held-out samples", graph.channels_first)
        quant = graph.tensors[graph.outputs[0]].quant
        assert quant is not None
        counted, answers = _answers(elf, samples, compiler, tune.FLAGS[goal])
    return {"variant": "", **counted, "snr_db": _snr(wanted, dequantize(answers, quant)), "note": ""}


class _Bakenn:
    """A module captured and quantized once: its calibration takes seconds a sample."""

    def __init__(self, model: Any) -> None:
        import bakenn
        from bakenn.frontends.torch_export import capture_torch_export

        self.label, self.ways = f"bakenn {version('bakenn')}", bakenn_ways()
        self._refused, self._samples = "", model.held_out.numpy()
        try:  # the two steps of its compile_torch_ptq before code is written
            floats = capture_torch_export(model.module, model.held_out[:1], name="net")
            self._graph = bakenn.quantize_float_graph(floats, model.calibration, name="net")
        except bakenn.BakeNNError as error:
            self._refused = str(error).splitlines()[0]
            self.ways = {"": None}

    def run(self, variant: str, wanted: Array, compiler: str, goal: str) -> Row:
        import bakenn

        if self._refused:
            return _nothing(variant, self._refused)
        made: list[Any] = []

        def generate(work: Path, options: Any) -> None:
            made.append(bakenn.compile(self._graph, work / "out", model_name="net", backend_options=options))

        with tempfile.TemporaryDirectory(prefix="sandgrain-peer-") as folder:
            work = Path(folder)
            try:
                elf = link(bakenn_program(work, generate, self.ways[variant]), work, compiler, tune.FLAGS[goal])
            except (RefusedError, SandgrainError) as error:
                return _nothing(variant, str(error))
            plan = made[0].plan
            last = np.moveaxis(self._samples, 1, -1)
            samples = np.stack([bakenn.quantize_input(plan, x[None]) for x in last])
            counted, answers = _answers(elf, samples, compiler, f"{tune.FLAGS[goal]} {DIALECT}")
        shape = plan.tensors[plan.outputs[0]].tensor_type.shape
        real = np.stack([bakenn.dequantize_output(plan, y.reshape(shape)) for y in answers])
        return {"variant": variant, **counted, "snr_db": _snr(wanted, real), "note": ""}


def _answers(elf: Path, samples: Array, compiler: str, opt: str) -> tuple[Row, Array]:
    """The figures of a firmware, counted on the first sample, and what it answers to each, int8 [n, size]."""
    core = open_emulator(elf, targets.load(CORE))
    inputs = [[np.ascontiguousarray(x).tobytes()] for x in samples]
    counted = figures(elf, core.profile(inputs[0]), compiler, opt)
    return counted, np.stack([np.frombuffer(y, np.int8) for (y,) in core.infer_all(inputs)])


def _snr(wanted: Array, got: Array) -> float:
    return round(snr_db(wanted, got), 1)


# --- who is ahead ----------------------------------------------------------------------------------------------------


def pairs(rows: Sequence[Row]) -> list[tuple[Row, Row, Row]]:
    """Sandgrain's row, BakeNN's with the fewest instructions, and the least that any of its ways needs, figure by figure.

    `ways` of the last two: whose each figure is.
    """
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[k] for k in SAME), []).append(row)
    found = []
    for group in groups.values():
        ours = next(r for r in group if r["who"] == OURS)
        theirs = [r for r in group if r["who"] != OURS]
        built = [r for r in theirs if r["instructions"] is not None] or theirs[:1]
        best = {k: min(built, key=itemgetter(k)) if len(built) > 1 else built[0] for k in FIGURES}
        fastest = best["instructions"]
        least = {**fastest, **{k: r[k] for k, r in best.items()}, "ways": {k: r["variant"] for k, r in best.items()}}
        found.append((ours, {**fastest, "ways": dict.fromkeys(FIGURES, fastest["variant"])}, least))
    return found


def verdict(ours: Row, theirs: Row) -> str:
    """Whether Sandgrain needs no more than the figures of `theirs`, and where it does."""
    if ours["instructions"] is None:
        return f"Sandgrain refuses it: {ours['note']}"
    if theirs["instructions"] is None:
        return f"BakeNN refuses it: {theirs['note']}"
    behind = [
        f"{TITLES[k]} {ours[k]:,} to {theirs[k]:,} ({theirs['ways'][k]}), +{100 * (ours[k] / theirs[k] - 1):.1f} %"
        for k in FIGURES
        if ours[k] > theirs[k]
    ]
    return "behind on " + "; ".join(behind) if behind else "ahead on each"


def show(rows: Sequence[Row]) -> None:
    if not rows:
        return
    console = Console(highlight=False, width=int(os.environ.get("COLUMNS", "190")))
    table = Table(title="PyTorch modules on cortex-m4, the same calibration samples", title_justify="left", box=None)
    for k, name in enumerate((*SAME, "who", "how", *TITLES.values(), "SNR dB", "")):
        table.add_column(name, justify="left" if k < 5 or not name else "right", no_wrap=bool(name))
    for r in rows:
        cells = ["-" if r[k] is None else f"{r[k]:,}" for k in (*FIGURES, "snr_db")]
        table.add_row(*(r[k] for k in SAME), r["who"], r["variant"], *cells, r["note"])
    console.print(table, "")
    for title, which in (("its fastest way", 1), ("the least of its three ways, figure by figure", 2)):
        console.print(f"Sandgrain against BakeNN, {title}:")
        for pair in pairs(rows):
            console.print(f"  {', '.join(pair[0][k] for k in SAME)}: {verdict(pair[0], pair[which])}")
    console.print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=None, metavar="MODEL", help="as bench/torch_models.py names them (all)")
    parser.add_argument("--compilers", nargs="*", default=["zig", "gcc"], choices=("zig", "gcc"), metavar="COMPILER")
    parser.add_argument("--optimize", nargs="*", default=list(GOALS), choices=GOALS, metavar="GOAL")
    given = parser.parse_args()
    if missing():
        raise SystemExit(f"{' and '.join(missing())} missing; install: {INSTALL}")
    import torch_models

    unknown = set(given.models or ()) - set(torch_models.BUILDERS)
    if unknown:
        raise SystemExit(f"no model {', '.join(sorted(unknown))}; choose from {', '.join(torch_models.BUILDERS)}")
    show(measure(given.compilers, given.optimize, given.models))


if __name__ == "__main__":
    main()
