"""Anomalies: a detector that is fitted to normal windows alone, and judged on a test that has others, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from sandgrain.base.errors import UsageError
from sandgrain.base.text import percent, plain, printable, tenths
from sandgrain.bundle.verdict import Verdict
from sandgrain.formats import text
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.graph import interpret
from sandgrain.graph.ir import Array, Graph
from sandgrain.project import watching
from sandgrain.project.build import deciding, detection, doubts, false_alarms, guarding, hearing, limits, network, page, plots
from sandgrain.project.build.detection import Anomalies, ByLabel, OfFold, Wrong, shown_share
from sandgrain.project.build.firmware import Firmware
from sandgrain.project.build.folds import InFold
from sandgrain.project.build.limits import Variant
from sandgrain.project.build.normal_side import normal_of, sides
from sandgrain.project.build.rates import Rates, rates
from sandgrain.project.build.result import Built
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.stages import Run
from sandgrain.project.build.store import digest
from sandgrain.project.build.text import Line, Table
from sandgrain.project.file.load import Loaded
from sandgrain.project.file.schema import Project
from sandgrain.project.inspection import Inspection
from sandgrain.project.tasks.base import Fitted, Judged, Task
from sandgrain.project.watched import Watched
from sandgrain.train import anomaly, length

MODELS = {  # [model] name -> kind of `train.anomaly`
    "kmeans": "kmeans",
    "gmm": "gmm",
    "mahalanobis": "mahalanobis",
    "autoencoder": "autoencoder",
    "conv_autoencoder": "autoencoder",
}
ELSEWHERE = ("held_out", "seed", "model", "width", "epochs")  # options that other keys of the project set
VARIANTS = 4  # versions of the training windows that a detector is fitted to, if there is augmentation
WORST = 12  # test windows judged wrongly that are shown
LISTED = 4  # of them that the page of text names
NO_VALIDATION = "no validation side: the threshold is from a fifth of the training windows, which the fit did not see"


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """A fitted detector, and the scores of the test windows by it."""

    detector: anomaly.Detector
    floats: Array  # float64 [n], in floating point
    scores: Array  # int32 [n], by the C on this computer


class AnomaliesTask(Task[Anomalies]):
    """See the head of this file."""

    name: ClassVar[str] = "anomalies"
    way_to_quality: ClassVar[str] = "try another detector, more components, another view or other features"

    def takes(self, project: Project) -> bool:
        """A detector."""
        return project.model.name in MODELS

    def check(self, loaded: Loaded) -> None:
        """[model] options: known, and of the types of their defaults. [decide]: not there, for there are no labels."""
        options_of(loaded.project)
        deciding.refused(loaded.project, "a detector of anomalies judges each result by itself, by its threshold")

    def data(self, found: Inspection) -> tuple[Inspection, tuple[str, ...]]:
        """Nothing but normal recordings in training and validation; the labels that [budget] names are looked at."""
        sorted_, notes = sides(found, found.loaded.project.model.options.get("normal"))
        limits.asked(found.loaded.project.budget, [label for label in found.labels if label != normal_of(sorted_)])
        return sorted_, notes

    def fit(self, run: Run) -> Fitted:
        """The detector and its threshold."""
        _, y = run.samples.features("test")
        normal = normal_of(run.found)
        anomalies = y != run.found.labels.index(normal)
        if anomalies.all():
            raise UsageError(f"[data.split]: the test has no window of {printable(normal)}; give it normal recordings as well")
        if run.project.budget.auc is not None and not anomalies.any():
            raise UsageError("[budget] auc: the test has normal windows alone; give it recordings of faults")
        run.progress("fitting", 0, 1)
        with run.stage("fit"):
            detector, floats = fitted(run)
        with run.stage("scores on this computer"):
            own = Detector(detector, floats, _scores(run, detector))
        notes = () if run.samples.records("validation") else (NO_VALIDATION,)
        return Fitted(text.write(detector.graph), threshold=detector.threshold, notes=notes, own=own)

    def truth(self, found: Inspection, labels: Array) -> Mapping[str, Array]:
        """1 for what is not normal."""
        y = (labels != found.labels.index(normal_of(found))).astype(np.int64)
        return {"y": y, "labels": np.array(["normal", "anomaly"])}

    def judge(self, run: Run, fitted: Fitted, firmware: Firmware, verdict: Verdict) -> Judged[Anomalies]:
        """The same rates in floating point, on this computer, on the board and in numpy."""
        own: Detector = fitted.own
        detector, scores, limit = own.detector, own.scores, own.detector.threshold
        places = run.samples.spread("test", run.verified)
        with run.stage("scores in numpy"):
            reference = _reference(run, detector.graph, places)
        y = run.samples.features("test")[1]
        normal = normal_of(run.found)
        anomalies = y != run.found.labels.index(normal)
        ran = np.asarray(scores[places] if verdict.scores is None else verdict.scores)
        real = limit * detector.unit + detector.offset
        of_all = Anomalies(
            normal=normal,
            floats=rates(own.floats, anomalies, real),
            host=rates(scores, anomalies, limit),
            board=rates(ran, anomalies[places], limit),
            reference=rates(reference, anomalies[places], limit),
            same=rates(own.floats[places], anomalies[places], real),
            by_label=_by_label(run.found, scores, y, limit),
            wrong=_wrong(run.samples, scores, y, limit),
            scores=scores,
            anomalies=anomalies,
            threshold=limit,
            facts=detector.facts,
            hourly=detection.hourly(run.samples, scores[~anomalies], limit),
            watched=_watched(run, firmware, limit) if verdict.identical else None,
            negatives=false_alarms.counted(run, firmware),
        )
        figures, splits = of_all, [run.found]
        if run.crossed is not None:
            figures = detection.pooled(of_all, [fold.result.own for fold in run.crossed.tested])
            splits = run.crossed.splits
        budget = run.project.budget
        checks = limits.quality(budget, detection.quality(figures))
        notes = (*doubts.too_good(splits, figures.host.auc, len(scores), "an AUC"), *detection.notes(figures))
        return Judged(figures, checks, int(scores.argmax()), notes)

    def in_fold(self, run: Run, fitted: Fitted) -> InFold:
        """AUC where the fold has both kinds, and what is told right, by the int8 C."""
        own: Detector = fitted.own
        y = run.samples.features("test")[1]
        detector, anomalies = own.detector, y != run.found.labels.index(normal_of(run.found))
        limit = detector.threshold
        found = rates(own.scores, anomalies, limit)
        floats = rates(own.floats, anomalies, limit * detector.unit + detector.offset)
        labels = _by_label(run.found, own.scores, y, limit)
        heard = watching.Tally()
        if whole := guarding.whole(run.samples):
            net = hearing.Network(run.samples, fitted.model, None)
            heard = guarding.heard(whole, net, run.samples, limit, normal_of(run.found))
        kept = OfFold(found, floats, labels, detection.hourly(run.samples, own.scores[~anomalies], limit), heard)
        if found.auc is None or found.detected is None:
            raise UsageError("a fold has no window of another label than the normal one; choose fewer folds")
        measures = {"AUC": found.auc, "balanced": (1 - found.false_alarms + found.detected) / 2, "detected": found.detected}
        return InFold(measures, own=kept)

    # --- what would keep the limits

    def smaller(self, run: Run) -> Iterator[Variant]:
        """Fewer channels of an autoencoder, fewer components of a mixture."""
        now = _width(run.project)
        wanted = [] if now is None else [now // 2, now // 4]
        return limits.widths(run.samples, (w for w in wanted if w))

    def draft(self, run: Run, width: int | None, front: FrontEnd, features: Array) -> Fitted:
        """A detector that is fitted to a few windows."""
        kind, how = _chosen(run, run.project.model.width if width is None else width)
        quick = {"epochs": 1} if "epochs" in how else {}
        small = anomaly.fit(kind, features, front.normalization.quant, **{**how, **quick})
        return Fitted(text.write(small.graph), threshold=small.threshold)

    # --- what is shown

    def json(self, built: Built[Anomalies]) -> dict[str, Any]:
        """See `Task.json`."""
        f, b = built.figures, built.figures.host
        return {
            "auc": b.auc,
            "pauc": b.pauc,
            "auc_board": f.board.auc,
            "auc_reference": f.reference.auc,
            "threshold": f.threshold,
            "false_alarm_rate": b.false_alarms,
            "detection_rate": b.detected,
            "accuracy": b.accuracy,
            "majority": f.majority,
            "balanced_accuracy": f.balanced,
            "false_alarms_per_hour": f.hourly.per_hour if f.hourly else None,
            "false_alarms_per_hour_at_most": f.hourly.at_most if f.hourly else None,
            "negatives": f.negatives.to_json() if f.negatives else None,
            "whole_recordings": f.watched.to_json() if f.watched else None,
            "auc_int8_host": f.host.auc,
            "auc_float": f.floats.auc,
            "auc_float_verified": f.same.auc,
            "pauc_reference": f.reference.pauc,
            "pauc_float": f.floats.pauc,
            "host": f.host.to_json(),
            "float": f.floats.to_json(),
            "normal": f.normal,
            "labels": {x.label: {"windows": x.windows, "alarms": x.alarms, "auc": x.auc} for x in f.by_label},
            "detector": dict(f.facts),
            "wrong": [{"recording": w.key, "label": w.label, "score": w.score} for w in f.wrong],
        }

    def heading(self, built: Built[Anomalies]) -> list[str]:
        """See `Task.heading`."""
        f, w = built.figures, built.windows
        normal, others = f.host.windows
        sides = f"{w['train']:,} train, {w['validation']:,} validation, all {plain(f.normal, 20)}"
        data = f"data set {built.samples.found.manifest.sha256[:12]}"
        return [
            f"{plain(built.name, 30)}: {built.model}, a detector, seed {built.seed}, for {built.report.target}",
            f"windows: {sides}; test {normal:,} and {others:,} others",
            f"fitted to {f.facts['rows']} x {f.facts['depth']} values per window; {data}",
        ]

    def quality(self, built: Built[Anomalies]) -> list[Line]:
        """The rates, and the threshold."""
        f, v = built.figures, built.verdict
        identical = "every byte as the reference" if v.identical else "DIFFERS from the reference"
        on = _where(built)
        rows = [["float", *_cells(f.floats)], ["int8, C here", *_cells(f.host)], [on, *_cells(f.board)]]
        rows.append(["int8, numpy", *_cells(f.reference)])
        columns = ["detection", "AUC", "pAUC", "false alarms", "detected", "right"]
        lines: list[Line] = [Table(columns, rows, range(1, 6))]
        lines.append(f"{on}: from raw samples, {v.samples:,} test windows, {identical};")
        lines.append(f"numpy: the same integers on the same windows; {f.agreement}")
        if f.same != f.floats:
            lines.append(f"float on these {v.samples:,} windows: AUC {shown_share(f.same.auc)}, pAUC {shown_share(f.same.pauc)}")
        lines.append(f"threshold {f.threshold}: at most {_asked(f)}")
        if f.hourly is not None:
            lines.append(f"false alarms: {f.hourly.shown}")
        if f.negatives is not None:
            lines.append(f"{f.negatives.row[0]}: {f.negatives.row[1]}; {f.negatives.told}")
        whole: list[Line] = [] if f.watched is None else ["", Table(["whole recordings", "", ""], guarding.rows(f.watched), (1,))]
        more = "normal" if f.host.windows[0] >= f.host.windows[1] else "anomaly"
        if f.balanced is not None:
            balanced = f"{tenths(f.balanced)} where both kinds count alike"
            lines.append(f"right: {tenths(f.host.accuracy)}; always saying {more} {tenths(f.majority)}; {balanced}")
        return [*lines, *whole, ""]

    def details(self, built: Built[Anomalies]) -> list[Line]:
        """Each label of the test, and the windows that were judged most wrongly."""
        f = built.figures
        rows = [
            [plain(x.label, 20) or "(none)", f"{x.windows:,}", tenths(x.alarms), "" if x.auc is None else f"{x.auc:.4f}"]
            for x in f.by_label
        ]
        lines: list[Line] = [Table(["label", "windows", "alarms", "AUC against normal"], rows, (1, 2, 3))]
        if f.wrong:
            shown = "; ".join(f"{plain(w.key, 40)} (score {w.score})" for w in f.wrong[:LISTED])
            lines.append(f"farthest on the wrong side: {shown}")
        return [*lines, ""]

    def page(self, built: Built[Anomalies]) -> dict[str, Any]:
        """See `Task.page`."""
        f, r, v = built.figures, built.report, built.verdict
        total = f"all {built.windows['test']:,} test windows"
        ran = ", ".join(f"{name} {count:,}" for name, count in v.compared.items())
        rows = [
            ("float", _cells(f.floats), f"the fitted model, {total}"),
            ("int8", _cells(f.host), f"its C on this computer, {total}"),
            (_where(built), _cells(f.board), f"from raw samples; identical to the reference, byte for byte: {ran}"),
            ("numpy", _cells(f.reference), f"the same integers on the same windows; against the board: {f.agreement}"),
        ]
        roc = [] if f.host.auc is None else [plots.roc(f.scores, f.anomalies, (f.host.false_alarms, f.host.detected or 0.0))]
        return {
            "summary": f"{built.model}, a detector of anomalies, seed {built.seed}, for {r.target} ({r.core})",
            "headline": [
                (shown_share(f.host.auc), f"AUC, int8, {total}"),
                (tenths(f.host.false_alarms), "false alarms"),
                (tenths(f.host.detected), "anomalies detected"),
            ],
            "rates": rows,
            "whole": [] if f.watched is None else guarding.rows(f.watched),
            "labels": [
                [plain(x.label, 20) or "(none)", f"{x.windows:,}", tenths(x.alarms), shown_share(x.auc)] for x in f.by_label
            ],
            "threshold": f"The threshold is {f.threshold}: at most {_asked(f)} exceed it.{_quiet(f)}",
            "plots": [plots.histogram(f.scores, f.anomalies, f.threshold, f.normal), *roc],
            "worst": _worst_pictures(built),
        }


# --- the fit -------------------------------------------------------------------------------------------------------------


def options_of(project: Project) -> dict[str, Any]:
    """`[model] options` of a detector for `anomaly.fit`. Raises UsageError for an unknown one, or another type."""
    options = dict(project.model.options)
    known = {f.name: f.default for f in fields(anomaly.Options) if f.name not in ELSEWHERE} | {"normal": ""}
    for name, value in options.items():
        if name not in known:
            raise UsageError(f"[model] options: {project.model.name} has no {printable(name)}; it has {', '.join(sorted(known))}")
        kind = type(known[name])
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise UsageError(f"[model] options: {name} = {printable(str(value), 40)}; write it like {known[name]!r}")
    options.pop("normal", None)
    return options


def _chosen(run: Run, width: int) -> tuple[str, dict[str, Any]]:
    """(kind, arguments of `anomaly.fit`). `width`: components of a mixture, channels of an autoencoder; 0: its own."""
    project = run.project
    kind, how = MODELS[project.model.name], {**options_of(project), "seed": run.seed}
    if kind == "autoencoder":
        how |= {"model": project.model.name, "epochs": project.train.epochs or length.EPOCHS, "width": width or None}
        if project.model.name == "conv_autoencoder":
            how.setdefault("view", "window")
    elif width and kind != "mahalanobis":
        how["components"] = width
    return kind, how


def fitted(run: Run) -> tuple[anomaly.Detector, Array]:
    """The detector, and the scores of the test windows in floating point, float64 [n]. Kept in the store."""
    kind, how = _chosen(run, run.project.model.width)
    key = digest("detector", run.samples.key, kind, sorted(how.items()), list(run.project.augment))
    kept = run.store.json("detector", key, lambda: _fit(run.samples, kind, how, key))
    return anomaly.Detector.from_json(kept["detector"]), np.asarray(kept["floats"], np.float64)


def _fit(samples: Samples, kind: str, how: Mapping[str, Any], key: str) -> dict[str, Any]:
    epochs = VARIANTS if samples.augmentation.steps else 1
    x = np.concatenate([samples.varied(epoch)[0] for epoch in range(epochs)])
    held_out = samples.features("validation")[0] if samples.records("validation") else None
    checkpoint = samples.store.checkpoint("training", key) if kind == "autoencoder" else None
    detector = anomaly.fit(kind, x, samples.front.normalization.quant, held_out=held_out, checkpoint=checkpoint, **how)
    assert detector.real is not None
    return {"detector": detector.to_json(), "floats": detector.real(samples.features("test")[0]).tolist()}


def _width(project: Project) -> int | None:
    """Channels of an autoencoder, components of a mixture; None if there is nothing to choose."""
    name, width = project.model.name, project.model.width
    if MODELS[name] == "autoencoder":
        return network.channels(name, width)
    if name == "mahalanobis":
        return None
    return width or int(project.model.options.get("components", anomaly.Options().components))


# --- how good it is ------------------------------------------------------------------------------------------------------


def _scores(run: Run, detector: anomaly.Detector) -> Array:
    key = digest("scores", run.samples.key, text.write(detector.graph).hex())
    return run.store.arrays("scores", key, lambda: {"y": detector.scores(run.samples.features("test")[0])})["y"]


def _reference(run: Run, graph: Graph, places: list[int]) -> Array:
    """int32 [n]: the integer graph in numpy, window by window; what the board must give."""

    def make() -> dict[str, Array]:
        x = run.samples.features("test")[0][places]
        return {"y": np.array([interpret.run(graph, [row[np.newaxis]])[0].item() for row in x], np.int32)}

    return run.store.arrays("reference", digest("reference", run.samples.key, text.write(graph).hex(), places), make)["y"]


def _watched(run: Run, firmware: Firmware, limit: int) -> Watched | None:
    """Whole test recordings, as a stage of the build where there are any."""
    folds = None if run.crossed is None else [fold.result.own.heard for fold in run.crossed.tested]
    if folds is None and not guarding.whole(run.samples):
        return None
    with run.stage("whole recordings"):
        return guarding.judged(run.samples, firmware, limit, normal_of(run.found), folds)


def _by_label(found: Inspection, scores: Array, y: Array, limit: int) -> tuple[ByLabel, ...]:
    normal = normal_of(found)
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


def _wrong(samples: Samples, scores: Array, y: Array, limit: int) -> tuple[Wrong, ...]:
    """The test windows that lie farthest on the wrong side of the threshold."""
    anomalies = y != samples.found.labels.index(normal_of(samples.found))
    over = np.where(anomalies, limit - scores.astype(np.int64), scores.astype(np.int64) - limit)
    places = [int(k) for k in np.argsort(-over, kind="stable")[:WORST] if (scores[k] > limit) != anomalies[k]]
    keys = dict(zip(sorted(places), (c.record.key for c in samples.cuts("test", places)), strict=True))
    return tuple(Wrong(k, keys[k], samples.found.labels[y[k]], int(scores[k])) for k in places)


# --- for people ----------------------------------------------------------------------------------------------------------


def _where(built: Built[Anomalies]) -> str:
    return "emulated board" if "emulator" in built.verdict.compared else "this computer"


def _asked(f: Anomalies) -> str:
    share, held_out = f.facts["false_alarms_asked"], f.facts["held_out"]
    return f"{percent(share, 3)} of {held_out:,} normal windows that the fit did not see"


def _quiet(f: Anomalies) -> str:
    return "" if f.negatives is None else f" False alarms: {f.negatives.row[1]} ({f.negatives.told})."


def _cells(r: Rates) -> list[str]:
    """AUC, pAUC, false alarms, detected, right."""
    return [
        shown_share(r.auc),
        shown_share(r.pauc),
        tenths(r.false_alarms),
        tenths(r.detected),
        tenths(r.accuracy),
    ]


def _worst_pictures(built: Built[Anomalies]) -> list[dict[str, Any]]:
    wrong = built.figures.wrong
    markup = page.window_pictures(built.samples, [w.place for w in wrong])
    return [
        {
            "markup": markup[w.place],
            "key": plain(w.key, 200),
            "label": plain(w.label, 20) or "(none)",
            "score": f"{w.score:,}",
            "said": "gave an alarm" if w.label == built.figures.normal else "was missed",
        }
        for w in wrong
    ]


TASK = AnomaliesTask()
