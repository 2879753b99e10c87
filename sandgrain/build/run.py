"""`sandgrain build`: data, features, training, quantization, compile, verify, each kept by the hash of what it is made from."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from sandgrain import passes, proof, targets
from sandgrain.build import example, firmware, limits, metrics, network, place, spotting
from sandgrain.build.result import GIVEN, Battery, Built, Stage, Worst
from sandgrain.build.samples import Samples
from sandgrain.build.store import Store, digest
from sandgrain.codegen.ctext import identifier
from sandgrain.data.manifest import atomic
from sandgrain.errors import BudgetError, ToolchainError
from sandgrain.extract import Extractor
from sandgrain.frontends import text
from sandgrain.ir import Array
from sandgrain.project import inspection
from sandgrain.project.load import Loaded
from sandgrain.project.schema import Target
from sandgrain.quant import dequantize
from sandgrain.report import Report
from sandgrain.toolchain.process import cache_dir

VERIFIED = 500  # test windows that run on the emulated board; the host runs all
WORST = 12  # test windows that are shown
HOURS = 24
Progress = Callable[[str, int, int], None]


class Clock:
    """The stages of a build and what each took. `made`: names that the store adds to when a result had to be made."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []

    @contextmanager
    def stage(self, name: str, made: list[str] | None = None) -> Iterator[None]:
        start, before = time.monotonic(), len(made or ())
        yield
        kept = made is not None and len(made) == before
        self.stages.append(Stage(name, time.monotonic() - start, kept))


def build(
    loaded: Loaded,
    out: Path,
    *,
    seed: int | None = None,
    verified: int = VERIFIED,
    progress: Progress = lambda what, done, total: None,
) -> Built:
    """Everything from the project's data to its verified C in `out`.

    `verified`: test windows, at most, that run on the emulated board. Limits that are not kept are in `Built.missed`; the C is
    there all the same. Raises UsageError, ModelError, ToolchainError and RunError, BudgetError where the board itself is
    too small for what was asked.
    """
    prepare()
    place.ready(out)
    place.leftovers(out)
    project, clock = loaded.project, Clock()
    seed = project.train.seed if seed is None else seed
    board = targets.load(project.target.board)
    with clock.stage("data"):
        found = inspection.inspect(loaded, progress=progress)
        rule = spotting.rule_of(project, found.labels)
    store = Store(loaded.work / "build")
    samples = Samples(found, store, seed)
    progress("features", 0, 1)
    with clock.stage("features", store.made):
        x, y = samples.features("test")
        samples.features("train")
    with clock.stage("training", store.made):
        trained = network.trained(samples, seed, progress)
    graph = text.read_any(trained.model, "model")
    with clock.stage("int8 on this computer", store.made):
        outputs = _outputs(store, trained.model, samples.key, x)
        untuned = _outputs(store, trained.after_training, samples.key, x)
    name = identifier(loaded.file.resolve().parent.name)
    ram = project.budget.limits.ram_bytes
    order = firmware.Order(trained.model, samples.front, name, found.labels, project.target, ram, rule=rule)
    progress("compiling", 0, 1)
    with clock.stage("compile and measure", store.made):
        report = _compiled(order, out, samples, seed, progress)
    places = samples.spread("test", verified)
    with clock.stage("verify", store.made):
        verdict = firmware.verified(out, report.build_id, samples, places, partial(progress, "running the firmware"))
    heard = None
    if verdict.identical and spotting.applies(samples, out):
        with clock.stage("a long recording", store.made):
            heard = spotting.spotted(samples, order, out, report.build_id, partial(progress, "listening to a long recording"))
    chances = metrics.probabilities(outputs, already=graph.nodes[-1].op == "softmax")
    accuracy = verdict.accuracy if verdict.accuracy is not None else metrics.accuracy(outputs, y)
    checks = limits.checks(project.budget, board, report, accuracy)
    missed = [c for c in checks if not c.kept]
    with clock.stage("example", store.made):
        printed = example_of(samples, order, out, report.build_id, int(metrics.losses(chances, y).argmin()))
    with clock.stage("what would fit", store.made):
        advice = limits.advice(samples, order, missed, seed, progress) if missed else ""
    built = Built(
        name=found.name, folder=out, seed=seed, model=project.model.name, labels=found.labels, report=report, verdict=verdict,
        accuracy_float=metrics.accuracy(trained.scores, y), accuracy_int8=metrics.accuracy(outputs, y),
        accuracy_after_training=metrics.accuracy(untuned, y), confusion=metrics.confusion(outputs, y), auc=metrics.roc_auc(chances, y), worst=_worst(samples, chances, y),
        windows={side: samples.count(side) for side in ("train", "validation", "test")}, parameters=trained.parameters,
        history=trained.history, checks=checks, advice=advice,
        battery=battery_of(report, project.target, board), notes=trained.notes,
        example=printed, samples=samples, spotted=heard, stages=tuple(s for s in clock.stages if s.name != "what would fit" or missed),
    )  # fmt: skip
    with atomic(out / "report.json") as file:
        file.write(json.dumps(built.to_json(), indent=1).encode() + b"\n")
    return built


def prepare() -> None:
    """What PyTorch reads when it is imported."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin for each other make a busy machine 8 times slower
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache_dir() / "torch"))  # else a folder is left in the temporary one


def _outputs(store: Store, model: bytes, samples_key: str, x: Array) -> Array:
    """An int8 network's outputs as reals, float32 [n, classes], by its C on this computer."""
    graph = text.read_any(model, "model")
    key = digest("outputs", samples_key, model.hex())
    made = store.arrays("outputs", key, lambda: {"y": Extractor(passes.optimize(graph)).run(x).reshape(len(x), -1)})
    quant = graph.tensors[graph.outputs[0]].quant
    assert quant is not None
    return dequantize(made["y"], quant)


def _compiled(order: firmware.Order, out: Path, samples: Samples, seed: int, progress: Progress) -> Report:
    step = partial(progress, "measuring kernels")
    try:
        return firmware.compiled(order, out, samples.store, step)
    except BudgetError as error:  # the board itself: nothing could be linked, so nothing is measured
        fits = next((v for v in limits.smaller(samples) if _fits(samples, order, v, seed)), None)
        hint = f"; {fits.how} was measured, untrained, and fits" if fits else ""
        raise BudgetError(f"{error}{hint}") from None


def _fits(samples: Samples, order: firmware.Order, variant: limits.Variant, seed: int) -> bool:
    now = limits.costs_of(samples, order, variant, seed)
    return bool(now) and all(c.kept for c in now)


def _worst(samples: Samples, chances: Array, labels: Array) -> tuple[Worst, ...]:
    losses = metrics.losses(chances, labels)
    places = [int(k) for k in np.argsort(-losses, kind="stable")[:WORST]]
    keys = dict(zip(sorted(places), (c.record.key for c in samples.cuts("test", places)), strict=True))
    names = samples.found.labels
    return tuple(
        Worst(k, keys[k], names[labels[k]], names[chances[k].argmax()], float(chances[k, labels[k]]), float(losses[k]))
        for k in places
    )


def battery_of(report: Report, target: Target, board: targets.Board) -> Battery | None:
    """The charge that run and sleep currents take in each period, against the battery's; None where it is not asked or known."""
    if not target.battery_mah or report.latency_ms is None or report.cycles is None:
        return None
    period, busy = target.period_s, report.latency_ms / 1e3
    charge = board.active_ma * report.cycles / board.clock_hz  # mA s an inference; the same at another clock
    asleep, source = board.sleep_ma, board.sleep_source
    if target.sleep_ma is not None:
        asleep, source = target.sleep_ma, GIVEN
    charge += (asleep or 0.0) * max(period - busy, 0.0)
    return Battery(target.battery_mah, period, busy / period, target.battery_mah * period / charge / HOURS, asleep, source)


def example_of(
    samples: Samples, order: firmware.Order, out: Path, build_id: str, at: int, template: str = "example.c.j2"
) -> str | None:
    """Writes the example around test window `at`; what it prints on the emulated board, None where that cannot be known."""
    raw, labels = samples.raw("test", [at])
    stream, caller = order.front.stride > 0, order.target.arena == "caller"
    decides = "decide" in proof.parts(out)
    main = example.text(
        order.name, raw[0], samples.found.labels[int(labels[0])], stream=stream, caller=caller, decides=decides, template=template
    )
    example.write(out, main)

    def run() -> list[str]:
        try:
            printed = example.emulated(out, order.name, targets.load(order.target.board), order.target.compiler)
        except ToolchainError:  # the window does not fit beside the model
            printed = None
        return [] if printed is None else [printed]

    found = samples.store.json("example", digest("example", build_id, main), run)
    return str(found[0]) if found else None
