"""The budget beside the result, and if a limit is missed, what would keep it: measured, not guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from sandgrain.base.errors import SandgrainError
from sandgrain.base.progress import silent
from sandgrain.base.text import size
from sandgrain.bundle import features_in_c
from sandgrain.bundle.report import Report
from sandgrain.dataset import kinds
from sandgrain.device import targets
from sandgrain.frontend.blocks import Block
from sandgrain.frontend.blocks.samples import Decimate
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.project.build.firmware import Request, measured
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.stages import Run
from sandgrain.project.build.store import digest
from sandgrain.project.file.schema import Budget

if TYPE_CHECKING:
    from sandgrain.project.tasks.base import Task

FITTED = 64  # training windows that give measured features their scale; the cost does not depend on it
LEAST_BANDS = 8


@dataclass(frozen=True, slots=True)
class Check:
    """One limit beside what came out."""

    name: str
    unit: str  # of `limit` and `value`: bytes, ms, uJ or 1
    limit: float
    value: float | None  # None: not known, because the core cannot be emulated here
    whose: str  # the key in [budget], or the board
    least: bool = False  # the value must be at least the limit, not at most
    percent: bool = False  # a share that people read in percent

    @property
    def kept(self) -> bool:
        if self.value is None:
            return False
        return self.value >= self.limit if self.least else self.value <= self.limit

    @property
    def excess(self) -> float:
        """By how much the limit is missed, in `unit`; 0 if it is kept."""
        return 0.0 if self.kept or self.value is None else abs(self.value - self.limit)

    @property
    def sign(self) -> str:
        """How the limit reads, for people."""
        return "at least" if self.least else "at most"

    @property
    def outcome(self) -> str:
        """Whether it is kept, and by how much it is missed, for people."""
        return "kept" if self.kept else "not known" if self.value is None else f"missed by {self.shown_excess}"

    @property
    def shown_excess(self) -> str:
        """The excess, for people."""
        return f"{100 * self.excess:.1f} points" if self.percent else self.shown(self.excess)

    def shown(self, value: float | None) -> str:
        """A value of this check, for people."""
        if value is None:
            return "not known"
        if self.unit == "bytes":
            return size(round(value))
        if self.percent:
            return f"{100 * value:.1f} %"
        return f"{value:.3f}" if self.unit == "1" else f"{value:.3g} {self.unit}"

    def sentence(self) -> str:
        """What is missed and by how much."""
        limit = self.shown(self.limit)
        if self.value is None:
            return f"{self.name} is not known, for the core cannot be emulated here; its limit is {limit}"
        verb = "misses" if self.least else "exceeds"
        return f"{self.name} {self.shown(self.value)} {verb} {limit} ({self.whose}) by {self.shown_excess}"

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {
            "name": self.name,
            "unit": self.unit,
            "limit": self.limit,
            "value": self.value,
            "kept": self.kept,
            "excess": self.excess,
        }


def costs(budget: Budget, board: targets.Board, report: Report) -> tuple[Check, ...]:
    """The limits of cost of the project, and the board's memory where the project names none."""
    limits, rows = budget.limits, []
    own = board.core.runs_firmware
    for name, wanted, has, value in (
        ("RAM", limits.ram_bytes, board.usable_ram, report.ram_bytes),
        ("flash", limits.flash_bytes, board.usable_flash, report.flash_bytes),
    ):
        if wanted is not None:
            rows.append(Check(name, "bytes", wanted, value, f"[budget] {name.lower()}"))
        elif own:
            rows.append(Check(name, "bytes", has, value, board.name))
    if limits.latency_ms is not None:
        rows.append(Check("latency", "ms", limits.latency_ms, report.latency_ms, "[budget] latency"))
    if budget.energy_uj is not None:
        rows.append(Check("energy", "uJ", budget.energy_uj, report.energy_uj, "[budget] energy"))
    return tuple(rows)


def accuracy(budget: Budget, value: float) -> tuple[Check, ...]:
    """The limit of accuracy, if the project has one. `value`: a share, 0 to 1."""
    if budget.accuracy is None:
        return ()
    return (Check("accuracy", "1", budget.accuracy, value, "[budget] accuracy", least=True, percent=True),)


def auc(budget: Budget, value: float | None) -> tuple[Check, ...]:
    """The limit of the area under the ROC curve, if the project has one and the test can tell."""
    if budget.auc is None or value is None:
        return ()
    return (Check("AUC", "1", budget.auc, value, "[budget] auc", least=True),)


# --- what would fit ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Variant:
    """A cheaper or larger project."""

    how: str  # what to write in sandgrain.toml
    front: Callable[[], FrontEnd]  # its features
    width: int | None  # [model] width; None: the project's


def advice(run: Run, task: Task[Any], request: Request, missed: Sequence[Check]) -> str:
    """What would bring the build under its limits, or a sentence that nothing tried does. Kept in the store."""
    key = digest("advice", request.key, run.samples.key, [asdict(c) for c in missed], run.project.budget, run.seed)
    return str(run.store.json("advice", key, lambda: [_advice(run, task, request, missed)])[0])


def _advice(run: Run, task: Task[Any], request: Request, missed: Sequence[Check]) -> str:
    names = {c.name for c in missed if not c.least and c.value is not None}
    if not names:
        return _better(run, task, request)
    nearest = (float("inf"), "no smaller one can be built")
    variants = [*task.smaller(run), *cheaper(run.samples)]
    for k, variant in enumerate(variants):
        run.progress("measuring what would fit", k, len(variants))
        now = costs_of(run, task, request, variant)
        shown = ", ".join(f"{c.name} {c.shown(c.value)}" for c in now if c.name in names)
        if now and all(c.kept for c in now):
            return f"{variant.how} was measured{task.draft_note}: {shown}, which keeps all limits of cost"
        over = max((c.excess / c.limit for c in now), default=float("inf"))
        told = f"of what was measured{task.draft_note}, nothing keeps it; nearest is {variant.how}: {shown}"
        nearest = min(nearest, (over, told))
    return nearest[1]


def _better(run: Run, task: Task[Any], request: Request) -> str:
    """What could raise the quality: a larger width that is still within the limits, measured."""
    for variant in task.larger(run):
        run.progress("measuring a larger width", 0, 1)
        now = costs_of(run, task, request, variant)
        if now and all(c.kept for c in now):
            cost = ", ".join(f"{c.name} {c.shown(c.value)}" for c in now)
            told = f"{variant.how} was measured{task.draft_note}: {cost}, which keeps all limits of cost"
            return f"{told}; train it, or longer, or with more data"
    return task.way_to_quality


def costs_of(run: Run, task: Task[Any], request: Request, variant: Variant) -> tuple[Check, ...]:
    """The limits of cost beside what a variant was measured to need; () if it cannot be built."""
    report = _measure(run, task, request, variant)
    return () if report is None else costs(run.project.budget, run.board, report)


def first_that_fits(run: Run, task: Task[Any], request: Request) -> Variant | None:
    """The first smaller model that keeps all limits of cost, measured."""
    for variant in task.smaller(run):
        now = costs_of(run, task, request, variant)
        if now and all(c.kept for c in now):
            return variant
    return None


def widths(samples: Samples, wanted: Iterable[int]) -> Iterator[Variant]:
    """The project with other widths of its model."""
    for width in wanted:
        yield Variant(f"[model] width = {width}", lambda: samples.front, width)


def cheaper(samples: Samples) -> Iterator[Variant]:
    """The project with cheaper features: frames half as often, half the bands, half the rate."""
    for how, blocks in settings(samples.found.loaded.blocks, samples.found.kind):
        yield Variant(how, lambda blocks=blocks: _fitted(samples, blocks), None)  # type: ignore[misc]


def settings(blocks: tuple[Block, ...], kind: str) -> Iterator[tuple[str, tuple[Block, ...]]]:
    """(what to write, blocks) of cheaper features."""
    for k, block in enumerate(blocks):
        place, hop, bands = f"[[features]] {k + 1}", getattr(block, "hop_ms", 0.0), getattr(block, "bands", 0)
        if hop and 2 * hop <= getattr(block, "window_ms", 0.0):
            yield f"{place} hop_ms = {2 * hop:g}", _with(blocks, k, hop_ms=2 * hop)
        if bands // 2 >= LEAST_BANDS:
            fewer = {"coefficients": min(block.coefficients, bands // 2)} if hasattr(block, "coefficients") else {}
            yield f"{place} bands = {bands // 2}", _with(blocks, k, bands=bands // 2, **fewer)
    if kinds.of(kind).sampled:
        yield 'a first [[features]] block = "decimate", factor = 2', (Decimate(factor=2), *blocks)


def _with(blocks: tuple[Block, ...], k: int, **update: object) -> tuple[Block, ...]:
    return (*blocks[:k], blocks[k].model_copy(update=update), *blocks[k + 1 :])


def _fitted(samples: Samples, blocks: tuple[Block, ...]) -> FrontEnd:
    pipeline = replace(samples.pipeline, blocks=blocks)
    windows = (cut.x for cut in islice(samples.windows("train"), FITTED))
    return FrontEnd(pipeline, features_in_c.fit(pipeline, windows), samples.stride)


def _measure(run: Run, task: Task[Any], request: Request, variant: Variant) -> Report | None:
    """None if the variant cannot be built."""
    try:
        front = variant.front()
        features = features_in_c.extract(front, (cut.x for cut in islice(run.samples.windows("train"), FITTED)))
        draft = task.draft(run, variant.width, front, features)
        return measured(replace(request, model=draft.model, front=front, threshold=draft.threshold), run.store, silent)
    except SandgrainError:
        return None
