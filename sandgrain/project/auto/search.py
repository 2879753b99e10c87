"""Which candidate to build: all of them for a few steps, the better half for more, the best two for most (successive halving).

Everything is decided on the training and validation sides of the project's split, cut into folds of their own: the test side says
afterwards how good the choice is. The same data, settings and seed give the same table, as long as the time suffices.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sandgrain.base.arrays import Array
from sandgrain.base.errors import SandgrainError, UsageError
from sandgrain.base.progress import Progress
from sandgrain.base.text import number as figure
from sandgrain.base.text import plain, tenths
from sandgrain.bundle.report import Report
from sandgrain.dataset import split
from sandgrain.dataset.records import Record
from sandgrain.dataset.targets import TargetOptions
from sandgrain.project import inspection
from sandgrain.project.auto import keep, quick
from sandgrain.project.auto.candidates import Candidate, candidates
from sandgrain.project.auto.quick import Effort, Ground, OutOfTimeError, Prepared
from sandgrain.project.auto.result import Searched, Tried, ordered
from sandgrain.project.build import advice, figures, limits, run
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.stages import Clock, Run
from sandgrain.project.build.store import Store, digest
from sandgrain.project.file.load import Loaded
from sandgrain.project.file.schema import Budget
from sandgrain.project.inspection import Inspection
from sandgrain.project.sample import Sample, sampled
from sandgrain.project.tasks import task_of
from sandgrain.project.tasks.base import Fitted, Task

WINDOWS = 3000  # that candidates are compared on, about
FOLDS = 3
STEPS = (150, 450, 1350)  # of training in each round
SHARES = (0.4, 0.7, 1.0)  # of the time, by which each round ends
STAY = (4, 2)  # candidates that the second and the third round have at most
HEAVY = 1 << 22  # multiply-accumulates of a network of which the first round tests one fold alone
NEAR_ERROR = 0.01  # share of the least error by which another one may be larger, and as good
LATER, BETWEEN = (
    0.25,
    0.1,
)  # shares of a recording's windows that test, and that lie before them, where a split by time has no other side
LEAST_CUT = 20  # windows of a recording that is cut so
ERRORS = ("MAE", "RMSE")  # of numbers, as `quick.tested` gives them
NEAR = 0.005  # a score that is no further below the best is as good: then the smaller network is taken
MEASURES = {"accuracy": "accuracy", "f1": "macro F1", "balanced_accuracy": "balanced"}  # [budget] -> what is compared


@dataclass(slots=True, eq=False)
class _State:
    """A candidate while it is compared."""

    candidate: Candidate
    is_error: bool = False  # the scores are errors: less is better
    report: Report | None = None
    outcome: str = ""
    rounds: int = 0
    scores: list[float] = field(default_factory=list)  # of each fold, in the last round

    @property
    def score(self) -> float:
        return statistics.fmean(self.scores) if self.scores else -1.0

    @property
    def goodness(self) -> float:
        """More is better."""
        return -float("inf") if not self.scores else -self.score if self.is_error else self.score

    def told(self) -> Tried:
        r, spread = self.report, statistics.stdev(self.scores) if len(self.scores) > 1 else 0.0
        return Tried(
            self.candidate,
            self.outcome,
            self.rounds,
            self.score if self.scores else None,
            spread,
            None if r is None else r.ram_bytes,
            None if r is None else r.flash_bytes,
            None if r is None else r.latency_ms,
            self.is_error,
        )


def search(loaded: Loaded, out: Path, *, minutes: float, seed: int | None, write: bool, progress: Progress) -> Searched:
    """Compare the candidates of a project. `minutes`: the time that the comparison has. `write`: the choice goes to sandgrain.toml.

    Raises UsageError where the project is a detector or has too little data, and where no candidate can be trained.
    """
    started = time.monotonic()
    run.prepare()
    task = task_of(loaded.project)
    if not task.searched:
        raise UsageError(
            f"--auto compares networks of labels and of numbers, and {loaded.project.model.name} is none; build with one detector after the "
            "other, and compare the AUC of their pages"
        )
    task.check(loaded)
    found, _ = task.data(inspection.inspect(loaded, progress=progress))
    seed = loaded.project.train.seed if seed is None else seed
    ground = _ground(found, Store(loaded.work / "auto", keep=400), seed)
    compared = _Comparison(ground, task, out, progress, started, 60 * minutes)
    searched = compared.run()
    if write and not searched.chosen.own:
        keep.write(loaded.file, searched.chosen.tables)
        searched = replace(searched, written=True)
    return searched


# --- what is compared on -------------------------------------------------------------------------------------------------


def _ground(found: Inspection, store: Store, seed: int) -> Ground:
    """Raises UsageError where nothing can be held back."""
    records = [r for r in found.records if found.sides[r.key] != "test"]
    sample = sampled(found, records, WINDOWS)
    if sample is None or not _tells_apart(sample, np.arange(len(sample.x))):
        what = "labels" if sample is None or sample.numbers is None else "numbers"
        raise UsageError(f"--auto needs windows of two {what} to train with; look at sandgrain data")
    folds = list(_folds(found, records, sample, seed))
    if not folds:
        raise UsageError("--auto has too few recordings to hold some back; build without it, or give a validation share")
    data = found.loaded.project.data.model_dump(mode="json", exclude={"path"})
    facts = [found.manifest.sha256, data, sorted(found.sides.items()), found.loaded.project.train, seed, WINDOWS]
    return Ground(found, sample, folds, store, seed, digest("auto", *facts))


def _folds(found: Inspection, records: Sequence[Record], sample: Sample, seed: int) -> Iterator[tuple[Array, Array]]:
    """(training, test) places in the sample. Where the project splits by time, its own two sides are the only fold, or the last part of what
    trains."""
    data = found.loaded.project.data
    if data.split.by == "time" and "validation" not in found.sides.values():
        yield from _later(sample)
        return
    cuts: list[dict[str, str]] = []
    if data.split.by != "time" and not any(r.part is not None for r in records):
        grouped = all(r.group for r in records) and data.split.by != "file"
        weights = {key: max(n, 1) for key, n in inspection.windows(records, data, found.loaded.blocks).items()}
        for count in range(FOLDS, 1, -1):
            try:
                cuts = [
                    s
                    for _, s in split.folds(records, count, split.Draw(validation=0, seed=seed), grouped=grouped, weights=weights)
                ]
                break
            except UsageError:
                continue
    if not cuts:
        cuts = [{r.key: "test" if found.sides[r.key] == "validation" else "train" for r in records}]
    for sides in cuts:
        tested = np.array([sides[r.key] == "test" for r in records])[sample.records]
        if tested.any() and _tells_apart(sample, np.flatnonzero(~tested)):
            yield np.flatnonzero(~tested), np.flatnonzero(tested)


def _later(sample: Sample) -> Iterator[tuple[Array, Array]]:
    """(training, test) places: the last quarter of each recording's windows tests; what lies just before it, and may share samples with it,
    is not used."""
    own = [np.flatnonzero(sample.records == k) for k in np.unique(sample.records)]
    own = [places for places in own if len(places) >= LEAST_CUT]
    if own:
        train = np.concatenate([places[: int((1 - LATER - BETWEEN) * len(places))] for places in own])
        if _tells_apart(sample, train):
            yield train, np.concatenate([places[int((1 - LATER) * len(places)) :] for places in own])


def _tells_apart(sample: Sample, places: Array) -> bool:
    """Whether windows have more than one label, or number."""
    return len(np.unique((sample.y if sample.numbers is None else sample.numbers)[places])) > 1


def measure_of(budget: Budget, numbers: bool = False) -> str:
    """What candidates are compared by: what the project's budget asks for, else balanced accuracy, or the mean absolute error of numbers."""
    if numbers:
        squared = budget.mae is None and (budget.rmse is not None or budget.r2 is not None)
        return ERRORS[int(squared)]
    asked = [name for key, name in MEASURES.items() if getattr(budget, key) is not None]
    return asked[0] if asked else "balanced"


def _score(counts: Array, names: Sequence[str], measure: str) -> float:
    """Of a confusion matrix, 0 to 1; or one of the ERRORS."""
    if measure in ERRORS:
        return float(counts[ERRORS.index(measure)])
    rows = [row for row in figures.of_counts(counts, names) if row.windows]
    if measure == "accuracy":
        return float(np.trace(counts) / max(counts.sum(), 1))
    return statistics.fmean(row.f1 if measure == "macro F1" else row.recall or 0.0 for row in rows)


# --- the rounds ----------------------------------------------------------------------------------------------------------


class _Comparison:
    """One search while it runs."""

    def __init__(self, ground: Ground, task: Task[Any], out: Path, progress: Progress, started: float, seconds: float) -> None:
        self.ground, self.task, self.out, self.progress = ground, task, out, progress
        self.started, self.seconds = started, seconds
        self.measure = measure_of(ground.found.loaded.project.budget, ground.sample.numbers is not None)
        self.unit = ground.found.manifest.layout.get(TargetOptions).target_unit
        self.made: dict[str, Prepared] = {}
        pipeline = Samples(ground.found, ground.store, ground.seed).pipeline
        self.states = [_State(c, self.measure in ERRORS) for c in candidates(ground.found.loaded, pipeline.signal)]

    def run(self) -> Searched:
        """Every round, as far as the time goes."""
        alive = list(self.states)
        for number in range(len(STEPS)):
            self._round(alive, number)
            alive = sorted((s for s in alive if s.rounds == number + 1), key=_rank)
            if number < len(STAY) and alive:
                alive = self._staying(alive, number)
        return self._chosen()

    def _staying(self, alive: list[_State], number: int) -> list[_State]:
        """Those of the next round: the better half, and of the best two their other widths."""
        stay = alive[: max(min(STAY[number], -(-len(alive) // 2)), min(2, len(alive)))]
        for state in alive[len(stay) :]:
            state.outcome = f"behind after {STEPS[number]:,} steps"
        if number == 0:
            more = [_State(c, self.measure in ERRORS) for state in stay[:2] for c in state.candidate.wider()]
            known = {s.candidate.key for s in self.states}
            more = [s for s in more if s.candidate.key not in known]
            self.states += more
            stay = stay + more
        return stay

    def _round(self, alive: Sequence[_State], number: int) -> None:
        """Train each; the first ones alone where the time is over."""
        deadline = self.started + SHARES[number] * self.seconds
        for k, state in enumerate(alive):
            name = f"{state.candidate.features}, {state.candidate.network}"
            what = f"trying {name}, {STEPS[number]:,} steps"
            self.progress(what, k, len(alive))
            try:
                if time.monotonic() > deadline and (number or any(s.rounds for s in self.states)):
                    raise OutOfTimeError
                self._try(state, number, deadline, what)
            except OutOfTimeError:
                state.outcome = f"no time for {STEPS[number]:,} steps"
            except SandgrainError as error:
                state.outcome = f"cannot be built: {error}"

    def _try(self, state: _State, number: int, deadline: float, what: str) -> None:
        """Its costs, where they are not known yet, and then its scores."""
        candidate = state.candidate
        if candidate.key not in self.made:
            self.made[candidate.key] = quick.prepared(self.ground, candidate)
        made = self.made[candidate.key]
        if (not state.rounds or (number == 1 and self._near(state))) and not self._fits(state, made, thorough=number > 0):
            return
        folds = len(self.ground.folds)
        heavy = state.report is not None and state.report.macs > HEAVY
        effort = Effort(STEPS[number], 1 if number == 0 and heavy else folds)
        first = not any(s.rounds for s in self.states)  # one candidate is trained, however little time there is
        until = float("inf") if first else deadline
        counts = quick.tested(
            self.ground, candidate, made, effort, until, lambda text, done, total: self.progress(what, done, total)
        )
        state.scores = [_score(c, self.ground.found.labels, self.measure) for c in counts]
        state.rounds, state.outcome = number + 1, ""

    def _fits(self, state: _State, made: Prepared, *, thorough: bool) -> bool:
        """Whether the untrained network keeps the limits of cost; else the outcome says which one it does not.

        What other kernels may bring below a limit is measured, `thorough`, only of those that are worth a longer training.
        """
        own = Run(made.samples, self.out, self.ground.seed, 0, self.progress, Clock())
        request = run.request_of(own, Fitted(b"", self.task.labels(self.ground.found)))
        report, missed = advice.untrained(own, self.task, request, thorough=thorough)
        state.report = report
        if missed:
            state.outcome = f"refused: {missed[0].sentence()}"
        return not missed

    def _near(self, state: _State) -> bool:
        """Whether a limit of cost was missed with each layer's first kernel, and may be kept with others."""
        project, board = self.ground.found.loaded.project, self.ground.found.loaded.board
        checks = () if state.report is None else limits.costs(project.budget, board, state.report)
        return any(not check.kept for check in checks)

    def _chosen(self) -> Searched:
        """The best of those that came furthest, or a smaller one that is as good."""
        last = max((s.rounds for s in self.states), default=0)
        final = sorted((s for s in self.states if s.rounds == last and last), key=_rank)
        if not final:
            told = "; ".join(s.outcome for s in self.states if s.candidate.own) or "nothing fits the data"
            raise UsageError(f"--auto: no candidate could be trained ({told}); raise the limits or give it more --minutes")
        best = final[0]
        near = NEAR_ERROR * best.score if best.is_error else NEAR
        alike = [s for s in final if s.goodness >= best.goodness - near]
        chosen = min(alike, key=_weight) if len(alike) > 1 else best
        for state in final:
            state.outcome = "chosen" if state is chosen else "as good, and larger" if state in alike else "behind at the end"
        folds, sample = len(self.ground.folds), self.ground.sample
        watched = "validation" in self.ground.found.sides.values()
        trained = len([s for s in self.states if s.rounds])
        if chosen is best:
            why = f"{self.measure} {self._told(chosen)}, the best of {trained} that were trained"
        else:
            why = f"{self.measure} {self._told(chosen)}, as good as the best ({self._told(best)}), and smaller"
        how = f"in floats, on {len(sample.x):,} of {sample.total:,} windows that are not for the test; " + (
            f"the mean of {folds} folds"
            if folds > 1
            else "the validation side"
            if watched
            else "the last quarter of each recording"
        )
        tried = ordered([s.told() for s in self.states if s is not chosen], chosen.told())
        return Searched(self.measure, how, tried, why, len(sample.x), folds)

    def _told(self, state: _State) -> str:
        """A score, for people."""
        return f"{figure(state.score)} {plain(self.unit, 12)}".strip() if state.is_error else tenths(state.score)


def _rank(state: _State) -> tuple[float, float]:
    """The best first, of equal ones the smaller: where the time ends early, it is the one that was trained."""
    return -state.goodness, _weight(state)


def _weight(state: _State) -> float:
    """Bytes of flash and RAM."""
    return float("inf") if state.report is None else state.report.flash_bytes + state.report.ram_bytes
