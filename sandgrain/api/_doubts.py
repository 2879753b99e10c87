"""Warnings about a quantization that lost much, with advice that was tried on the same samples first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sandgrain.api import _quality
from sandgrain.api._bring import Labelled
from sandgrain.api._quality import Comparison
from sandgrain.base.errors import SandgrainError
from sandgrain.base.progress import Progress
from sandgrain.base.text import decibels
from sandgrain.graph import reals
from sandgrain.graph.dtypes import ACTIVATION
from sandgrain.graph.ir import Array, Graph
from sandgrain.quantization import METHODS, Calibration, Options, quantize
from sandgrain.quantization.convert import Quantized, Scales
from sandgrain.quantization.report import snr_db

FEW = 20  # calibration samples; below, ranges are a guess
LOST = 0.02  # of the accuracy or the AUC: more is much
LOST_MAE = 0.25  # of the float model's mean absolute error
NOISY_DB = 15.0  # signal to noise of an output that is little more than noise
BETTER = 0.01  # by which another way has to be better to be named
BETTER_DB = 3.0
STEPS = 4.0  # of a common scale, in the deviation of a column that has enough of them
STEPS_OF_A_SCALE = ACTIVATION.levels - 1
MAX_COLUMNS = 64


@dataclass(slots=True, eq=False)
class Trial:
    """A float graph, samples that calibrate, samples to compare on, and what the caller chose."""

    graph: Graph
    options: Options
    calibrating: Labelled
    test: Labelled
    held_out: bool
    given: Scales = field(default_factory=dict)
    made: Quantized | None = None  # by the last `run`

    def run(self, options: Options) -> tuple[Graph, Comparison]:
        """(the int8 graph by these options, what it cost)."""
        self.made = quantize(self.graph, self.calibrating.inputs, options, self.given)
        return self.made.graph, _quality.compare(self.graph, self.made.graph, self.test, held_out=self.held_out)


def doubts(trial: Trial, compared: Comparison, progress: Progress) -> tuple[str, ...]:
    """One line for each reason not to trust the int8 model, or its figures."""
    return (*_samples(trial), *_labels(trial, compared), *_columns(trial, compared), *_others(trial, compared, progress))


def _samples(trial: Trial) -> Iterator[str]:
    """Too few, or all alike."""
    inputs, count = trial.calibrating.inputs, trial.calibrating.samples
    if all(not x.any() for x in inputs):
        yield "the calibration samples are all zeros: ranges are a guess, and the figures say nothing; calibrate with real samples"
    elif count > 1 and all((x == x[:1]).all() for x in inputs):
        yield "the calibration samples are all the same: ranges are a guess; calibrate with different ones"
    elif count < FEW:
        yield f"calibrated on {count} sample{'s' * (count > 1)}: others may lie outside these ranges; give some 100"
    if not trial.held_out:
        yield "no sample was held out: the figures are of the samples that calibrated, and others may do worse; give 10 or more"


def _labels(trial: Trial, compared: Comparison) -> Iterator[str]:
    """Labels that cannot be the places of the outputs."""
    truth = trial.test.truth
    if truth is None or compared.measure or truth.ndim > 1 or truth.dtype.kind not in "iu":
        return
    scores = int(np.prod(trial.graph.tensors[trial.graph.outputs[0]].shape[1:]))
    rebuilt = any(trial.graph.tensors[i].size == scores for i in trial.graph.inputs)
    if 1 < scores <= int(truth.max()) and not rebuilt:
        yield f"no accuracy: labels reach {int(truth.max())} and the model has {scores} outputs; labels count from 0"


def _columns(trial: Trial, compared: Comparison) -> Iterator[str]:
    """Columns of an input that have too little of its common scale; what the float model says with a scale for each is tried."""
    for k, x in enumerate(trial.calibrating.inputs):
        if x.dtype.kind != "f" or not 1 < x.shape[-1] <= MAX_COLUMNS:
            continue
        columns = x.reshape(-1, x.shape[-1])
        low, high = np.minimum(columns.min(axis=0), 0), np.maximum(columns.max(axis=0), 0)
        step = float(high.max() - low.min()) / STEPS_OF_A_SCALE
        spread = columns.std(axis=0)
        starved = np.flatnonzero((spread > 0) & (spread < STEPS * step))
        if not len(starved):
            continue
        alone = (columns.max(axis=0) - columns.min(axis=0)) / STEPS_OF_A_SCALE
        common = _rounded(trial, k, np.full(x.shape[-1], step), np.full(x.shape[-1], low.min()))
        apart = _rounded(trial, k, np.maximum(alone, 1e-12), columns.min(axis=0))
        if not _is_better(apart, common):
            continue
        names = ", ".join(map(str, starved[:6])) + (" ..." if len(starved) > 6 else "")
        yield (
            f"input {k}: its columns share {STEPS_OF_A_SCALE} steps of {step:.3g}, and columns {names} vary by less than {STEPS:g} of them; bring all"
            f" columns to like ranges before the model, (x - mean) / deviation. Tried on the float model with only its input rounded:"
            f" {_said(common)} with common steps, {_said(apart)} with steps of each column's own"
        )


def _rounded(trial: Trial, position: int, steps: Array, low: Array) -> Comparison:
    """The float model where only input `position` is rounded, each column to steps of its own from `low` on."""
    inputs = list(trial.test.inputs)
    x = inputs[position]
    inputs[position] = (low + np.rint(np.clip((x - low) / steps, 0, STEPS_OF_A_SCALE)) * steps).astype(np.float32)
    exact, rounded = reals.outputs(trial.graph, trial.test.inputs), reals.outputs(trial.graph, inputs)
    measure, score = _quality.measure_of(trial.graph, trial.test)
    value = None if score is None else score(rounded[0], trial.test.inputs)
    whole = None if score is None else score(exact[0], trial.test.inputs)
    snr = tuple(snr_db(a, b) for a, b in zip(exact, rounded, strict=True))
    return Comparison(trial.test.samples, trial.held_out, measure, whole, value, snr)


def lost_much(compared: Comparison) -> bool:
    """Whether int8 is so much worse that another way should be tried."""
    limit = LOST_MAE if compared.measure == "MAE" else LOST
    if compared.measure and compared.loss <= limit and compared.measure != "MAE":
        return False
    return compared.loss > limit or min(compared.snr_db, default=np.inf) < NOISY_DB


def _others(trial: Trial, compared: Comparison, progress: Progress) -> Iterator[str]:
    """Where much was lost: what the other ways to calibrate give."""
    if not lost_much(compared):
        return
    tried: list[tuple[str, Comparison]] = []
    for name, options in _ways(trial.options):
        progress("trying other calibrations", len(tried), len(METHODS))
        try:
            tried.append((name, trial.run(options)[1]))
        except SandgrainError:
            continue
    best = [pair for pair in tried if _is_better(pair[1], compared)]
    best.sort(key=lambda pair: _rank(pair[1]), reverse=True)
    what = f"int8 loses much: {_said(compared)}" + (
        f", float {compared.shown(compared.float_value)}" if compared.measure else " of the outputs' signal"
    )
    listed = ", ".join(f"{name} {_said(c)}" for name, c in tried)
    if best:
        yield f"{what}; tried on the same samples: {listed}. Use {best[0][0]}"
    else:
        yield f"{what}; no other way to calibrate is better (tried: {listed}); sandgrain quantize names the layers that lose most"


def _ways(options: Options) -> Iterator[tuple[str, Options]]:
    """Other ways, as options are called."""
    for method in METHODS:
        if method != options.calibration.method:
            yield f"--method {method}", replace(options, calibration=Calibration(method))


def _rank(c: Comparison) -> tuple[float, float]:
    value = c.int8_value if c.int8_value is not None else 0.0
    return (-value if c.measure == "MAE" else value), min(c.snr_db, default=0.0)


def _is_better(a: Comparison, b: Comparison) -> bool:
    """Whether `a` is so much better than `b` that it is worth a change."""
    if a.int8_value is not None and b.int8_value is not None:
        if a.measure == "MAE":
            return a.int8_value < b.int8_value * (1 - LOST_MAE / 2)
        return a.int8_value > b.int8_value + BETTER
    return min(a.snr_db, default=0.0) > min(b.snr_db, default=0.0) + BETTER_DB


def _said(c: Comparison) -> str:
    """The measure, or decibels where there is none."""
    if c.measure:
        return f"{c.measure} {c.shown(c.int8_value)}"
    return f"{decibels(min(c.snr_db))} dB"


def shown(warnings: Sequence[str]) -> list[str]:
    """Warnings as lines for people."""
    return [f"warning: {text}" for text in warnings]
