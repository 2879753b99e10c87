"""Classes: a network that gives one score per label, trained, quantized, and judged by how often the largest score is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.text import plain, tenths
from sandgrain.bundle.features_in_c import Extractor
from sandgrain.bundle.listening import Listener
from sandgrain.bundle.verdict import Verdict
from sandgrain.compiler import passes
from sandgrain.dataset import kinds
from sandgrain.formats import text
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.graph.quantization import dequantize
from sandgrain.project import score
from sandgrain.project.build import (
    curves,
    deciding,
    doubts,
    false_alarms,
    figures,
    hearing,
    label_tables,
    limits,
    metrics,
    network,
    plots,
    shown,
    spotting,
)
from sandgrain.project.build.false_alarms import Negatives
from sandgrain.project.build.firmware import Firmware
from sandgrain.project.build.folds import InFold
from sandgrain.project.build.label_tables import SHOWN
from sandgrain.project.build.limits import Variant
from sandgrain.project.build.result import Built
from sandgrain.project.build.spotting import Spotted
from sandgrain.project.build.stages import Run
from sandgrain.project.build.store import digest
from sandgrain.project.build.text import Line, Table
from sandgrain.project.file.load import Loaded
from sandgrain.project.file.schema import Project
from sandgrain.project.inspection import Inspection
from sandgrain.project.score import Scored
from sandgrain.project.streams import Stream, with_changes
from sandgrain.project.tasks.base import Fitted, Judged, Task

WORST = 12  # test windows that are shown
APART = 0.03  # accuracy on pieces and on whole recordings further apart than this get a note
WIDTH = 78  # columns of the page of text


@dataclass(frozen=True, slots=True)
class Worst:
    """A test window that the int8 network finds hard."""

    place: int  # among the test windows
    key: str  # of its recording
    label: str  # what it is
    said: str  # what the network said
    chance: float  # the probability that the true label was given
    loss: float  # cross-entropy


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """How good a classifier is. Accuracies are shares of all test windows."""

    found: figures.Figures  # of the int8 C on this computer, whose bytes the emulated board was proven to give
    accuracy_float: float
    accuracy_after_training: float  # int8, before the network was trained again with the firmware's rounding
    confusion: Array  # int64 [classes, classes]: rows are true labels; of the int8 network on all test windows
    auc: float | None
    curves: tuple[curves.Curves, ...]  # of each label
    worst: tuple[Worst, ...]
    parameters: int
    learning_rate: float  # at its peak
    history: Mapping[str, Mapping[str, list[float]]]  # training -> figure -> one value per epoch
    spotted: Spotted | None = None  # if it listens to a stream of sound
    streams: Scored | None = None  # whole test recordings in which the label changes
    negatives: Negatives | None = None  # recordings with nothing in them

    @property
    def accuracy(self) -> float:
        """Of the int8 C."""
        return self.found.overall.accuracy


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """What a network says of the test windows on this computer, float [n, classes]; with cross-validation, the networks of all folds."""

    chances: Array  # of the int8 C, as probabilities
    floats: Array  # before it was quantized
    after_training: Array  # of int8, before it was trained with the firmware's rounding


@dataclass(frozen=True, slots=True, eq=False)
class _OfFold:
    """What a fold leaves for the judgement of all. `part`: a long recording as its network heard it; `whole`: whole recordings."""

    answers: _Answers
    part: spotting.Part | None
    whole: score.Tally


@dataclass(frozen=True, slots=True, eq=False)
class _Outputs:
    """A trained network and what it says."""

    net: network.Trained
    answers: _Answers


class ClassesTask(Task[Classes]):
    """See the head of this file."""

    name: ClassVar[str] = "classes"
    takes_any: ClassVar[bool] = True
    searched: ClassVar[bool] = True
    draft_note: ClassVar[str] = ", untrained"
    way_to_quality: ClassVar[str] = "give it more epochs, more data or other features"

    def takes(self, project: Project) -> bool:
        """A model of the catalogue, or the user's own module."""
        return True

    def check(self, loaded: Loaded) -> None:
        """[decide]: of streams, and what counts false alarms in a long recording of sounds alone."""
        about = kinds.of(loaded.project.data.kind)
        if not about.sampled:
            deciding.refused(loaded.project, f"{about.noun} come in no stream")
        elif not about.silence_between:
            long = "only recordings of sound are put behind one another to one long one; false alarms of others are counted in [data] negatives"
            deciding.refused(loaded.project, long, ("false_alarms_per_hour", "minutes"))

    def data(self, found: Inspection) -> tuple[Inspection, tuple[str, ...]]:
        """All of it; the labels that [decide] and [budget] name are looked at."""
        limits.asked(found.loaded.project.budget, found.labels)
        deciding.rule_of(found.loaded.project, found.labels)
        return found, ()

    def fit(self, run: Run) -> Fitted:
        """The network, trained and quantized."""
        with run.stage("training"):
            net = network.trained(run.samples, run.seed, run.progress)
        with run.stage("int8 on this computer"):
            chances = _chances(net.model, _outputs(run, net.model))
            own = _Outputs(net, _Answers(chances, net.scores, _outputs(run, net.after_training)))
        with run.stage("decisions"):
            rule, notes = deciding.chosen(run, net.model)
        return Fitted(net.model, run.found.labels, rule=rule, notes=(*net.notes, *notes), own=own)

    def truth(self, found: Inspection, labels: Array) -> Mapping[str, Array]:
        """The labels as they are."""
        return {"y": labels, "labels": np.array(found.labels)}

    def judge(self, run: Run, fitted: Fitted, firmware: Firmware, verdict: Verdict) -> Judged[Classes]:
        """Accuracies, the matrix, and for keywords how often a long recording is misheard."""
        own: _Outputs = fitted.own
        folds: list[_OfFold] = [] if run.crossed is None else [fold.result.own for fold in run.crossed.tested]
        spotted = None
        if verdict.identical and spotting.applies(run, firmware):
            with run.stage("a long recording"):
                spotted = spotting.spotted(run, firmware, [fold.part for fold in folds])
        streams = None
        if verdict.identical and (whole := _whole_streams(run)):
            with run.stage("whole recordings"):
                streams = _streams(firmware, whole, folds)
        y, answers = run.samples.features("test")[1], own.answers
        if run.crossed is not None:
            answers = _pooled([fold.answers for fold in folds])
        chances = answers.chances
        own_of, of_files = figures.owners({r.key: r.group for r in run.found.records}, run.samples.keys("test"))
        found = figures.of_answers(chances, y, run.found.labels, own_of, of_files=of_files, seed=run.seed)
        of_all = Classes(
            found=found,
            accuracy_float=metrics.accuracy(answers.floats, y),
            accuracy_after_training=metrics.accuracy(answers.after_training, y),
            confusion=metrics.confusion(chances, y),
            auc=metrics.roc_auc(chances, y),
            curves=curves.of_labels(chances, y, run.found.labels),
            worst=_worst(run, chances, y),
            parameters=own.net.parameters,
            learning_rate=own.net.lr,
            history=own.net.history,
            spotted=spotted,
            streams=streams,
            negatives=false_alarms.counted(run, firmware),
        )
        checks = limits.quality(run.project.budget, _quality(of_all))
        notes = (
            *doubts.too_good([run.found] if run.crossed is None else run.crossed.splits, of_all.accuracy, len(y), "an accuracy"),
            *figures.notes(found, of_all.accuracy_float),
            *_apart(of_all),
            *spotting.notes(spotted, run.samples),
        )
        return Judged(of_all, checks, int(metrics.losses(own.answers.chances, y).argmin()), notes)

    def in_fold(self, run: Run, fitted: Fitted) -> InFold:
        """Accuracy, balanced accuracy and macro F1 of the int8 C."""
        own: _Outputs = fitted.own
        y, chances = run.samples.features("test")[1], own.answers.chances
        found = figures.of_answers(chances, y, run.found.labels, [""] * len(y), of_files=False, seed=run.seed)
        o, heard = found.overall, score.Tally()
        if whole := _whole_streams(run):
            net = hearing.Network(run.samples, fitted.model, fitted.rule)
            heard.hear(whole, net.ears, net)
        measures = {"accuracy": o.accuracy, "balanced": o.balanced, "macro F1": o.macro_f1}
        kept = _OfFold(own.answers, spotting.in_fold(run, fitted.model, fitted.rule), heard)
        return InFold(measures, chances, y, kept)

    def difference(self, found: Classes) -> str:
        """Whether the stream over a long recording is the reference's."""
        if found.spotted is None or found.spotted.identical:
            return ""
        return "the stream: scores or decisions of the firmware, the C on this computer and numpy differ; see --json"

    # --- what would keep the limits

    def smaller(self, run: Run) -> Iterator[Variant]:
        """Narrower models."""
        return limits.scaled_widths(run.samples, limits.NARROWER)

    def larger(self, run: Run) -> Iterator[Variant]:
        """Wider models."""
        return limits.scaled_widths(run.samples, limits.WIDER)

    def draft(self, run: Run, width: int | None, front: FrontEnd, features: Array) -> Fitted:
        """The network, quantized as it is before training."""
        from sandgrain.train.network import untrained

        recipe = network.recipe(run.samples, run.seed, front, width)
        return Fitted(untrained(recipe, features, front.normalization.quant))

    # --- what is shown

    def json(self, built: Built[Classes]) -> dict[str, Any]:
        """See `Task.json`."""
        f, s = built.figures, built.figures.spotted
        return {
            **f.found.to_json(),
            "accuracy_int8_host": f.accuracy,
            "accuracy_float": f.accuracy_float,
            "accuracy_int8_after_training": f.accuracy_after_training,
            "roc_auc": f.auc,
            "curves": {c.label: c.to_json() for c in f.curves},
            "false_accepts_per_hour": s.rates.false_accepts_per_hour if s else None,
            "false_rejects": s.rates.false_rejects if s else None,
            "long_recording": s.to_json() if s else None,
            "whole_recordings": f.streams.to_json() if f.streams else None,
            "negatives": f.negatives.to_json() if f.negatives else None,
            "parameters": f.parameters,
            "learning_rate": f.learning_rate,
            "labels": list(built.labels),
            "confusion": f.confusion.tolist(),
            "worst": [asdict(w) for w in f.worst],
        }

    def heading(self, built: Built[Classes]) -> list[str]:
        """See `Task.heading`."""
        sides = ", ".join(f"{count:,} {side}" for side, count in built.windows.items())
        data = f"{len(built.labels)} labels; data set {built.samples.found.manifest.sha256[:12]}"
        what = f"{built.model}, {built.figures.parameters:,} parameters, seed {built.seed}, for {built.report.target}"
        return [f"{plain(built.name, 30)}: {what}", f"windows: {sides}; {data}"]

    def quality(self, built: Built[Classes]) -> list[Line]:
        """Accuracies, and keywords in a long recording."""
        lines: list[Line] = [Table(["accuracy", "", ""], shown.accuracies(built), (1,)), shown.proof(built), ""]
        if (whole := built.figures.streams) is not None:
            lines += [Table(["whole recordings", "", ""], shown.whole_rows(whole), (1,)), ""]
        if (quiet := built.figures.negatives) is not None:
            lines += [Table(["nothing to find", "", ""], [quiet.row], (1,)), ""]
        if (s := built.figures.spotted) is not None:
            rule, rejects = s.rule, f"{100 * s.rates.false_rejects:.1f} %"
            recording = f"{s.counted}; {s.recordings} test recordings, {s.between} between"
            settings = f"smoothing {rule.smoothing}, margin {rule.margin}, hold {rule.hold}"
            rows = [
                ["false accepts", s.accepts, recording],
                ["false rejects", rejects, f"of {s.rates.events} keywords; {settings}"],
                ["repeated", str(s.repeats), "decisions for a keyword that had one, among the false accepts"],
                [
                    "delay",
                    "-" if s.delay_s is None else f"{s.delay_s:.2f} s",
                    "from a keyword's start to its decision, the median",
                ],
                ["decisions", str(s.decisions), s.compared],
            ]
            lines += [Table(["a stream", "", ""], rows, (1,)), ""]
        return lines

    def details(self, built: Built[Classes]) -> list[Line]:
        """The confusion matrix if it fits, else the pairs that are mixed up most."""
        counts, names = built.figures.confusion, [plain(label, 12) or "(none)" for label in built.labels]
        per_label: list[Line] = [label_tables.shown(built.figures.found), ""]
        if len(names) > SHOWN:
            return [*per_label, f"mixed up most: {'; '.join(shown.mixed_up(counts, names)) or 'nothing'}", ""]
        sizes = [max(len(name), len(str(column.max()))) for name, column in zip(names, counts.T, strict=True)]
        short = sum(w + 2 for w in sizes) > WIDTH - max(map(len, names)) - 2
        columns = [str(k) for k in range(len(names))] if short else names
        labels = [f"{k} {name}" for k, name in enumerate(names)] if short else names
        rows = [[label, *(str(n) if n else "." for n in row)] for label, row in zip(labels, counts.tolist(), strict=True)]
        return [*per_label, Table(["is \\ said", *columns], rows, range(1, len(names) + 1)), ""]

    def page(self, built: Built[Classes]) -> dict[str, Any]:
        """See `Task.page`."""
        f, r = built.figures, built.report
        decisions = [] if f.spotted is None else [plots.margins(f.spotted)]
        return {
            "summary": f"{built.model}, {f.parameters:,} parameters, learning rate {f.learning_rate:g}, seed {built.seed}, for {r.target} ({r.core})",
            "headline": [
                (tenths(f.accuracy), f"accuracy, int8, all {built.windows['test']:,} {'' if built.folds else 'test '}windows")
            ],
            "accuracies": shown.accuracy_rows(built),
            "labels": label_tables.label_rows(f.found),
            "groups": label_tables.group_rows(f.found),
            "of_files": f.found.of_files,
            "plots": [*plots.curves(f.history), *plots.of_labels(f.curves), *decisions],
            "worst": shown.worst_pictures(built),
            **shown.matrix(built),
        }


def _chances(model: bytes, outputs: Array) -> Array:
    """Outputs of the int8 network as probabilities, float64 [n, classes]."""
    softmax = text.read_any(model, "model").nodes[-1].op == "softmax"
    return metrics.probabilities(outputs, already=softmax)


def _outputs(run: Run, model: bytes) -> Array:
    """An int8 network's outputs on the test windows as reals, float32 [n, classes], by its C on this computer."""
    x, graph = run.samples.features("test")[0], text.read_any(model, "model")
    key = digest("outputs", run.samples.key, model.hex())
    made = run.store.arrays("outputs", key, lambda: {"y": Extractor(passes.optimize(graph)).run(x).reshape(len(x), -1)})
    quant = graph.tensors[graph.outputs[0]].quant
    assert quant is not None
    return dequantize(made["y"], quant)


def _pooled(folds: Sequence[_Answers]) -> _Answers:
    """Of all folds, in the order of the test windows, which are those of one fold after the other."""
    return _Answers(
        np.concatenate([a.chances for a in folds]),
        np.concatenate([a.floats for a in folds]),
        np.concatenate([a.after_training for a in folds]),
    )


def _streams(firmware: Firmware, whole: list[Stream], folds: Sequence[_OfFold]) -> Scored:
    """Whole recordings as the firmware hears them; with cross-validation, as the networks heard them that had not learned them."""
    bundle = firmware.bundle
    ears, heard = score.ears_of(bundle), score.Tally()
    for fold in folds:
        heard.add(fold.whole)
    if not folds:
        heard.hear(whole, ears, Listener(bundle))
    return score.summed(heard, bundle, ears)


def _worst(run: Run, chances: Array, labels: Array) -> tuple[Worst, ...]:
    losses = metrics.losses(chances, labels)
    places = [int(k) for k in np.argsort(-losses, kind="stable")[:WORST]]
    keys = dict(zip(sorted(places), (c.record.key for c in run.samples.cuts("test", places)), strict=True))
    names = run.found.labels
    return tuple(
        Worst(k, keys[k], names[labels[k]], names[chances[k].argmax()], float(chances[k, labels[k]]), float(losses[k]))
        for k in places
    )


def _quality(f: Classes) -> limits.Quality:
    """What [budget] can ask."""
    o, accepts = f.found.overall, None if f.spotted is None else f.spotted.hourly
    accepts = accepts if f.negatives is None else f.negatives.hourly  # what the device will hear most of the time
    recalls = {x.label: x.recall for x in f.found.labels}
    return limits.Quality(o.accuracy, o.balanced, o.macro_f1, f.auc, recalls, accepts)


def _whole_streams(run: Run) -> list[Stream]:
    """Test recordings as they were before they were cut at each change of label."""
    return with_changes(run.samples.records("test"), run.found.manifest.layout, run.samples.opened, run.samples.pipeline.lead)


def _apart(f: Classes) -> tuple[str, ...]:
    """A note where whole recordings are answered otherwise than the pieces that they were cut into."""
    whole = None if f.streams is None or f.streams.windows is None else f.streams.windows.overall.accuracy
    if whole is None or f.accuracy - whole <= APART:
        return ()
    told = f"the device hears whole recordings: {tenths(whole)} of their windows are right, not {tenths(f.accuracy)}"
    return (f"{told}; windows that span a change of label are no test windows",)


TASK = ClassesTask()
