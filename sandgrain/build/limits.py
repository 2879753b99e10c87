"""The budget beside the result, and where a limit is not kept, what would keep it: measured, not guessed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice

from sandgrain import extract, targets
from sandgrain.build import network
from sandgrain.build.firmware import Order, measured
from sandgrain.build.samples import Samples
from sandgrain.build.store import digest
from sandgrain.errors import SandgrainError
from sandgrain.features.blocks import Block
from sandgrain.features.blocks.samples import Decimate
from sandgrain.features.frontend import FrontEnd
from sandgrain.project.schema import Budget
from sandgrain.report import Report, size

SHARES = (0.75, 0.5, 0.25)  # of the width that are measured
FITTED = 64  # training windows that give measured features their scale; the cost does not depend on it
LEAST_BANDS = 8
QUALITY = ("accuracy", "AUC")  # limits from below
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Check:
    """One limit beside what came out. `value` None: not known, because the core cannot be emulated here.

    `value` and `limit` in `unit`: bytes, ms, uJ or 1. `whose`: the key in [budget], or the board.
    """

    name: str
    unit: str
    limit: float
    value: float | None
    whose: str

    @property
    def kept(self) -> bool:
        if self.value is None:
            return False
        return self.value >= self.limit if self.name in QUALITY else self.value <= self.limit

    @property
    def excess(self) -> float:
        """By how much the limit is missed, in `unit`; 0 where it is kept."""
        return 0.0 if self.kept or self.value is None else abs(self.value - self.limit)

    def shown(self, value: float | None) -> str:
        """A value of this check, for people."""
        if value is None:
            return "not known"
        if self.unit == "bytes":
            return size(round(value))
        if self.name == "AUC":
            return f"{value:.3f}"
        return f"{100 * value:.1f} %" if self.name == "accuracy" else f"{value:.3g} {self.unit}"

    def sentence(self) -> str:
        """What is missed and by how much."""
        if self.value is None:
            return f"{self.name} is not known, for the core cannot be emulated here; its limit is {self.shown(self.limit)}"
        if self.name == "accuracy":
            return f"accuracy {self.shown(self.value)} misses {self.shown(self.limit)} ({self.whose}) by {100 * self.excess:.1f} points"
        if self.name == "AUC":
            return f"AUC {self.shown(self.value)} misses {self.shown(self.limit)} ({self.whose}) by {self.shown(self.excess)}"
        return (
            f"{self.name} {self.shown(self.value)} exceeds {self.shown(self.limit)} ({self.whose}) by {self.shown(self.excess)}"
        )


def checks(budget: Budget, board: targets.Board, report: Report, accuracy: float, auc: float | None = None) -> tuple[Check, ...]:
    """The limits of the project, and the board's memory where the project names none. `auc`: a detector's."""
    limits, found = budget.limits, []
    own = board.core.runs_firmware
    for name, given, has, value in (
        ("RAM", limits.ram_bytes, board.ram_bytes, report.ram_bytes),
        ("flash", limits.flash_bytes, board.flash_bytes, report.flash_bytes),
    ):
        if given is not None:
            found.append(Check(name, "bytes", given, value, f"[budget] {name.lower()}"))
        elif own:
            found.append(Check(name, "bytes", has, value, board.name))
    if limits.latency_ms is not None:
        found.append(Check("latency", "ms", limits.latency_ms, report.latency_ms, "[budget] latency"))
    if budget.energy_uj is not None:
        found.append(Check("energy", "uJ", budget.energy_uj, report.energy_uj, "[budget] energy"))
    if budget.accuracy is not None:
        found.append(Check("accuracy", "1", budget.accuracy, accuracy, "[budget] accuracy"))
    if budget.auc is not None and auc is not None:
        found.append(Check("AUC", "1", budget.auc, auc, "[budget] auc"))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Variant:
    """A cheaper or larger project: how to write it, its features, and channels of the model (None: the project's)."""

    how: str
    front: Callable[[], FrontEnd]
    width: int | None


def advice(samples: Samples, order: Order, missed: Sequence[Check], seed: int, progress: Progress) -> str:
    """What would bring the build under its limits, or a sentence that nothing tried does. Kept in the store."""
    key = digest("advice", order.key, samples.key, [asdict(c) for c in missed], samples.found.loaded.project.budget, seed)
    return str(samples.store.json("advice", key, lambda: [_advice(samples, order, missed, seed, progress)])[0])


def _advice(samples: Samples, order: Order, missed: Sequence[Check], seed: int, progress: Progress) -> str:
    costs = [c for c in missed if c.name != "accuracy" and c.value is not None]
    if not costs:
        return _larger(samples, order, seed, progress)
    nearest = (float("inf"), "no smaller one can be built")
    variants = [*smaller(samples), *cheaper(samples)]
    for k, variant in enumerate(variants):
        progress("measuring what would fit", k, len(variants))
        now = costs_of(samples, order, variant, seed)
        shown = ", ".join(f"{c.name} {c.shown(c.value)}" for c in now if c.name in {m.name for m in costs})
        if now and all(c.kept for c in now):
            return f"{variant.how} was measured, untrained: {shown}, which keeps all limits of cost"
        over = max((c.excess / c.limit for c in now), default=float("inf"))
        nearest = min(nearest, (over, f"of what was measured, untrained, nothing keeps it; nearest is {variant.how}: {shown}"))
    return nearest[1]


def _larger(samples: Samples, order: Order, seed: int, progress: Progress) -> str:
    """What could raise the accuracy: a larger width that is still within the limits, measured."""
    for variant in _widths(samples, (2.0, 1.5)):
        progress("measuring a larger width", 0, 1)
        now = costs_of(samples, order, variant, seed)
        if now and all(c.kept for c in now):
            cost = ", ".join(f"{c.name} {c.shown(c.value)}" for c in now)
            return f"{variant.how} was measured, untrained: {cost}, which keeps all limits of cost; train it, or longer, or with more data"
    return "give it more epochs, more data or other features"


def costs_of(samples: Samples, order: Order, variant: Variant, seed: int) -> tuple[Check, ...]:
    """The limits of cost beside what a variant was measured to need; () where it cannot be built."""
    report = _measure(samples, order, variant, seed)
    budget, board = samples.found.loaded.project.budget, targets.load(order.target.board)
    return () if report is None else tuple(c for c in checks(budget, board, report, 1.0) if c.name != "accuracy")


def smaller(samples: Samples) -> Iterator[Variant]:
    """The project with a narrower model."""
    return _widths(samples, SHARES)


def _widths(samples: Samples, shares: Sequence[float]) -> Iterator[Variant]:
    model = samples.found.loaded.project.model
    now = network.channels(model.name, model.width)
    if now is None:
        return
    seen = {now}
    for share in shares:
        wanted = max(round(now * share), 1)
        if wanted not in seen:
            seen.add(wanted)
            yield Variant(f"[model] width = {wanted}", lambda: samples.front, wanted)


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
    if kind in ("audio", "motion"):
        yield 'a first [[features]] block = "decimate", factor = 2', (Decimate(factor=2), *blocks)


def _with(blocks: tuple[Block, ...], k: int, **update: object) -> tuple[Block, ...]:
    return (*blocks[:k], blocks[k].model_copy(update=update), *blocks[k + 1 :])


def _fitted(samples: Samples, blocks: tuple[Block, ...]) -> FrontEnd:
    pipeline = replace(samples.pipeline, blocks=blocks)
    windows = (cut.x for cut in islice(samples.windows("train"), FITTED))
    return FrontEnd(pipeline, extract.fit(pipeline, windows), samples.stride)


def _measure(samples: Samples, order: Order, variant: Variant, seed: int) -> Report | None:
    """None where the variant cannot be built."""
    from sandgrain.train.network import untrained

    try:
        front = variant.front()
        recipe = network.recipe(samples, seed, front, variant.width)
        features = extract.extract(front, (cut.x for cut in islice(samples.windows("train"), FITTED)))
        model = untrained(recipe, features, front.normalization.quant)
        return measured(replace(order, model=model, front=front), samples.store, lambda done, total: None)
    except SandgrainError:
        return None
