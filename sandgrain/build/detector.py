"""`sandgrain build` for detectors of anomalies: fitted to normal recordings alone, judged on a test that has others, too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain import interp, targets
from sandgrain.base import files
from sandgrain.base.text import printable
from sandgrain.build import firmware, limits, network, place
from sandgrain.build.detected import ByLabel, Detected, Wrong
from sandgrain.build.rates import rates
from sandgrain.build.run import Clock, Progress, battery_of, example_of, prepare
from sandgrain.build.samples import Samples
from sandgrain.build.store import Store, digest
from sandgrain.codegen.ctext import identifier
from sandgrain.errors import SandgrainError, UsageError
from sandgrain.extract import extract
from sandgrain.frontends import text
from sandgrain.ir import Array, Graph
from sandgrain.project import inspection
from sandgrain.project.inspection import Inspection
from sandgrain.project.load import Loaded
from sandgrain.train import anomaly

MODELS = {"kmeans": "kmeans", "gmm": "gmm", "mahalanobis": "mahalanobis", "autoencoder": "autoencoder",
          "conv_autoencoder": "autoencoder"}  # fmt: skip
OWN = ("held_out", "seed", "model", "width", "epochs")  # options that the project says elsewhere
VARIANTS = 4  # versions of the training windows that a detector is fitted to, where there is augmentation
WORST = 12  # test windows that are named
NO_VALIDATION = "no validation side: the threshold is from a fifth of the training windows, which the fit did not see"


def is_detector(name: str) -> bool:
    """Whether `[model] name` is one of a detector."""
    return name in MODELS


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """`detector`, and the scores of the test windows in floating point, by the model that was fitted, float64 [n]."""

    detector: anomaly.Detector
    floats: Array


def build(loaded: Loaded, out: Path, *, seed: int | None, verified: int, progress: Progress) -> Detected:
    """Everything from the project's data to its verified C in `out`. Raises what `run.build` raises."""
    prepare()
    place.ready(out)
    place.leftovers(out)
    project, clock = loaded.project, Clock()
    seed = project.train.seed if seed is None else seed
    options = _options(loaded)
    with clock.stage("data"):
        found, normal, notes = sides(inspection.inspect(loaded, progress=progress), options.pop("normal", None))
    samples = Samples(found, Store(loaded.work / "build"), seed)
    store = samples.store
    progress("features", 0, 1)
    with clock.stage("features", store.made):
        x, y = samples.features("test")
        samples.features("train")
    anomalies = y != found.labels.index(normal)
    if anomalies.all():
        raise UsageError(f"[data.split]: the test has no window of {printable(normal)}; give it normal recordings as well")
    if project.budget.auc is not None and not anomalies.any():
        raise UsageError("[budget] auc: the test has normal windows alone; give it recordings of faults")
    progress("fitting", 0, 1)
    with clock.stage("fit", store.made):
        made = _fitted(samples, options, seed)
    with clock.stage("scores on this computer", store.made):
        key = digest("scores", samples.key, text.write(made.detector.graph).hex())
        scores = store.arrays("scores", key, lambda: {"y": made.detector.scores(x)})["y"]
    name = identifier(loaded.file.resolve().parent.name)
    order = firmware.Order(text.write(made.detector.graph), samples.front, name, (), project.target,
                           project.budget.limits.ram_bytes, made.detector.threshold)  # fmt: skip
    progress("compiling", 0, 1)
    with clock.stage("compile and measure", store.made):
        report = firmware.compiled(order, out, store, partial(progress, "measuring kernels"))
    places = samples.spread("test", verified)
    with clock.stage("verify", store.made):
        verdict = firmware.verified(
            out,
            report.build_id,
            samples,
            places,
            partial(progress, "running the firmware"),
            found.labels.index(normal),
        )
    with clock.stage("scores in numpy", store.made):
        key = digest("reference", samples.key, text.write(made.detector.graph).hex(), places)
        reference = store.arrays("reference", key, lambda: {"y": _reference(made.detector.graph, x[places])})["y"]
    limit = made.detector.threshold
    ran = np.asarray(scores[places] if verdict.scores is None else verdict.scores)
    real = limit * made.detector.unit + made.detector.offset
    board = rates(ran, anomalies[places], limit)
    checks = limits.checks(project.budget, targets.load(project.target.board), report, board.accuracy, board.auc)
    missed = [c for c in checks if not c.kept]
    with clock.stage("example", store.made):
        at = int(scores.argmax())
        printed = example_of(samples, order, out, report.build_id, at, "detector.c.j2")
    with clock.stage("what would fit", store.made):
        advice = _advice(samples, order, options, missed, seed, progress) if missed else ""
    validated = bool(samples.records("validation"))
    built = Detected(
        name=found.name, folder=out, seed=seed, model=project.model.name, normal=normal, labels=found.labels, report=report,
        verdict=verdict, floats=rates(made.floats, anomalies, real), host=rates(scores, anomalies, limit), board=board,
        reference=rates(reference, anomalies[places], limit),
        same=rates(made.floats[places], anomalies[places], real), by_label=_by_label(found, normal, scores, y, limit),
        wrong=_wrong(samples, scores, y, anomalies, limit), scores=scores, anomalies=anomalies, threshold=limit,
        facts=made.detector.facts, windows={side: samples.count(side) for side in ("train", "validation", "test")},
        checks=checks, advice=advice,
        battery=battery_of(report, project.target, targets.load(project.target.board)),
        notes=(*notes, *(() if validated else (NO_VALIDATION,))), example=printed, samples=samples,
        stages=tuple(s for s in clock.stages if s.name != "what would fit" or missed),
    )  # fmt: skip
    with files.output(out / "report.json") as file:
        file.write(json.dumps(built.to_json(), indent=1).encode() + b"\n")
    return built


# --- what is normal ------------------------------------------------------------------------------------------------------


def sides(found: Inspection, named: str | None) -> tuple[Inspection, str, list[str]]:
    """(the data with nothing but normal recordings in training and validation, the normal label, notes).

    Recordings of other labels that were drawn to these sides go to the test. Raises UsageError where no label is normal.
    """
    trained = sorted({r.label for r in found.records if found.sides[r.key] == "train"})
    normal = named if named is not None else trained[0] if len(trained) == 1 else "normal"
    if normal not in trained:
        names = ", ".join(printable(label) for label in trained[:8]) or "nothing"
        raise UsageError(
            f"[model] {printable(normal)} is no label of the training side ({names}); name the normal one: options.normal = ..."
        )
    moved = {r.key for r in found.records if r.label != normal and found.sides[r.key] != "test"}
    if not moved:
        return found, normal, []
    note = f"{len(moved)} recordings that are not {printable(normal)} went to the test: a detector learns from normal ones alone"
    changed = {key: "test" if key in moved else side for key, side in found.sides.items()}
    return replace(found, sides=changed), normal, [note]


# --- the fit -------------------------------------------------------------------------------------------------------------


def _options(loaded: Loaded) -> dict[str, Any]:
    """`[model] options` of a detector, looked at: the types are those of the defaults; `normal` is a label."""
    given = dict(loaded.project.model.options)
    known = {f.name: f.default for f in fields(anomaly.Options) if f.name not in OWN} | {"normal": ""}
    for name, value in given.items():
        if name not in known:
            raise UsageError(
                f"[model] options: {loaded.project.model.name} has no {printable(name)}; it has {', '.join(sorted(known))}"
            )
        kind = type(known[name])
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise UsageError(f"[model] options: {name} = {printable(str(value), 40)}; write it like {known[name]!r}")
    return given


def _chosen(samples: Samples, options: Mapping[str, Any], width: int, seed: int) -> tuple[str, dict[str, Any]]:
    """(kind, what `anomaly.fit` is told). `width`: components of a mixture, channels of an autoencoder; 0: its own."""
    project = samples.found.loaded.project
    kind, told = MODELS[project.model.name], {**options, "seed": seed}
    if kind == "autoencoder":
        told |= {"model": project.model.name, "epochs": project.train.epochs, "width": width or None}
        if project.model.name == "conv_autoencoder":
            told.setdefault("view", "window")
    elif width and kind != "mahalanobis":
        told["components"] = width
    return kind, told


def _fitted(samples: Samples, options: Mapping[str, Any], seed: int) -> Fitted:
    project = samples.found.loaded.project
    kind, told = _chosen(samples, options, project.model.width, seed)
    key = digest("detector", samples.key, kind, sorted(told.items()), list(project.augment))
    kept = samples.store.json("detector", key, lambda: _fit(samples, kind, told, key))
    return Fitted(anomaly.Detector.from_json(kept["detector"]), np.asarray(kept["floats"], np.float64))


def _fit(samples: Samples, kind: str, told: Mapping[str, Any], key: str) -> dict[str, Any]:
    epochs = VARIANTS if samples.augmentation.steps else 1
    x = np.concatenate([samples.varied(epoch)[0] for epoch in range(epochs)])
    held = samples.features("validation")[0] if samples.records("validation") else None
    checkpoint = samples.store.checkpoint("training", key) if kind == "autoencoder" else None
    detector = anomaly.fit(kind, x, samples.front.normalization.quant, held_out=held, checkpoint=checkpoint, **told)
    assert detector.real is not None
    return {"detector": detector.to_json(), "floats": detector.real(samples.features("test")[0]).tolist()}


# --- what it found -------------------------------------------------------------------------------------------------------


def _reference(graph: Graph, features: Array) -> Array:
    """int32 [n]: the integer graph in numpy, window by window; what the board must give."""
    return np.array([interp.run(graph, [row[np.newaxis]])[0].item() for row in features], np.int32)


def _by_label(found: Inspection, normal: str, scores: Array, y: Array, limit: int) -> tuple[ByLabel, ...]:
    own = scores[y == found.labels.index(normal)]
    rows = []
    for k, label in enumerate(found.labels):
        those = scores[y == k]
        if len(those):
            both = np.concatenate([own, those])
            marks = np.repeat([False, True], [len(own), len(those)])
            auc = None if label == normal else rates(both, marks, limit).auc
            rows.append(ByLabel(label, len(those), float((those > limit).mean()), auc))
    return tuple(sorted(rows, key=lambda row: (row.label != normal, row.label)))


def _wrong(samples: Samples, scores: Array, y: Array, anomalies: Array, limit: int) -> tuple[Wrong, ...]:
    """The test windows that lie farthest on the wrong side of the threshold."""
    over = np.where(anomalies, limit - scores.astype(np.int64), scores.astype(np.int64) - limit)
    places = [int(k) for k in np.argsort(-over, kind="stable")[:WORST] if (scores[k] > limit) != anomalies[k]]
    keys = dict(zip(sorted(places), (c.record.key for c in samples.cuts("test", places)), strict=True))
    return tuple(Wrong(k, keys[k], samples.found.labels[y[k]], int(scores[k])) for k in places)


# --- what would fit ------------------------------------------------------------------------------------------------------


def _advice(
    samples: Samples, order: firmware.Order, options: Mapping[str, Any], missed: list[limits.Check], seed: int, progress: Progress
) -> str:
    """A smaller detector or cheaper features that keep the limits of cost, measured; fitted to a few windows."""
    costs = [c for c in missed if c.name not in limits.QUALITY and c.value is not None]
    if not costs:
        return "try another detector, more components, another view or other features"
    model = samples.found.loaded.project.model
    now = _width(model.name, model.width, options)
    widths = [] if now is None else [now // 2, now // 4]
    variants = [limits.Variant(f"[model] width = {w}", lambda: samples.front, w) for w in widths if w]
    variants += limits.cheaper(samples)
    for k, variant in enumerate(variants):
        progress("measuring what would fit", k, len(variants))
        checked = _costs(samples, order, options, variant, seed)
        if checked and all(c.kept for c in checked):
            shown = ", ".join(f"{c.name} {c.shown(c.value)}" for c in checked if c.name in {m.name for m in costs})
            return f"{variant.how} was measured: {shown}, which keeps all limits of cost"
    return "of what was measured, smaller detectors and cheaper features, nothing keeps it"


def _width(name: str, given: int, options: Mapping[str, Any]) -> int | None:
    """Channels of an autoencoder, components of a mixture; None where there is nothing to choose."""
    if MODELS[name] == "autoencoder":
        return network.channels(name, given)
    return None if name == "mahalanobis" else given or options.get("components", anomaly.Options().components)


def _costs(
    samples: Samples, order: firmware.Order, options: Mapping[str, Any], variant: limits.Variant, seed: int
) -> tuple[limits.Check, ...]:
    """() where it cannot be built."""
    width = samples.found.loaded.project.model.width if variant.width is None else variant.width
    kind, told = _chosen(samples, options, width, seed)
    try:
        front = variant.front()
        x = extract(front, (cut.x for cut in islice(samples.windows("train"), limits.FITTED)))
        small = anomaly.fit(kind, x, front.normalization.quant, **{**told, **({"epochs": 1} if "epochs" in told else {})})
        draft = replace(order, model=text.write(small.graph), front=front, threshold=small.threshold)
        report = firmware.measured(draft, samples.store, lambda done, total: None)
    except SandgrainError:
        return ()
    budget, board = samples.found.loaded.project.budget, targets.load(order.target.board)
    return tuple(c for c in limits.checks(budget, board, report, 1.0, 1.0) if c.name not in limits.QUALITY)
