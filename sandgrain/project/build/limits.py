"""The budget beside the result, and the cheaper and larger projects that could keep it; `advice` measures them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from sandgrain.base.errors import UsageError
from sandgrain.base.text import duration, energy, number, plain, printable, size
from sandgrain.bundle import features_in_c
from sandgrain.bundle.report import Report
from sandgrain.dataset import kinds
from sandgrain.device import targets
from sandgrain.frontend.blocks import Block
from sandgrain.frontend.blocks.samples import Decimate
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.project.build import network
from sandgrain.project.build.hourly import Hourly
from sandgrain.project.build.samples import Samples
from sandgrain.project.file.schema import Budget

FITTED = 64  # training windows that give measured features their scale; the cost does not depend on it
LEAST_BANDS = 8
NARROWER, WIDER = (0.75, 0.5, 0.25), (2.0, 1.5)  # shares of the width that are measured


@dataclass(frozen=True, slots=True)
class Check:
    """One limit beside what came out."""

    name: str
    unit: str  # of `limit` and `value`: bytes, ms, uJ, per hour, 1, or of a model's numbers
    limit: float
    value: float | None  # None: not known, because the core cannot be emulated here
    whose: str  # the key in [budget], or the board
    least: bool = False  # the value must be at least the limit, not at most
    percent: bool = False  # a share that people read in percent
    quality: bool = False  # how good the answer is, and not what it costs
    why: str = "the core cannot be emulated here"  # it is not known, if it is not
    doubt: str = ""  # of a limit that is kept: why that is not shown

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
        return (
            ("kept, not shown" if self.doubt else "kept")
            if self.kept
            else "not known"
            if self.value is None
            else f"missed by {self.shown_excess}"
        )

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
        if self.unit == "1":
            return f"{value:.3f}"
        if self.unit == "per hour":
            return f"{number(value)} per hour"
        if self.unit in ("ms", "uJ"):
            return duration(value) if self.unit == "ms" else energy(value)
        return f"{number(value)} {plain(self.unit, 12)}".strip()

    def sentence(self) -> str:
        """What is missed and by how much."""
        limit = self.shown(self.limit)
        if self.value is None:
            return f"{self.name} is not known, for {self.why}; its limit is {limit}"
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
            "shown": self.kept and not self.doubt,
            "excess": self.excess,
        }


def costs(budget: Budget, board: targets.Board, report: Report) -> tuple[Check, ...]:
    """The limits of cost of the project, and the board's memory where that is less or the project names none."""
    limits, rows = budget.limits, []
    own = board.core.runs_firmware
    for name, wanted, has, value in (
        ("RAM", limits.ram_bytes, board.usable_ram, report.ram_bytes),
        ("flash", limits.flash_bytes, board.usable_flash, report.flash_bytes),
    ):
        if wanted is not None and not (own and has < wanted):
            rows.append(Check(name, "bytes", wanted, value, f"[budget] {name.lower()}"))
        elif own:
            rows.append(Check(name, "bytes", has, value, board.name))
    if limits.latency_ms is not None:
        rows.append(Check("latency", "ms", limits.latency_ms, report.latency_ms, "[budget] latency"))
    if budget.energy_uj is not None:
        rows.append(Check("energy", "uJ", budget.energy_uj, report.energy_uj, "[budget] energy"))
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a model is on all test windows, as far as `[budget]` can ask. None: the task has no such figure, or cannot tell."""

    accuracy: float | None = None
    balanced_accuracy: float | None = None
    f1: float | None = None
    auc: float | None = None
    recall: Mapping[str, float | None] = field(default_factory=dict)  # of each label that can be asked for
    false_alarms: Hourly | None = None
    mae: float | None = None
    rmse: float | None = None
    r2: float | None = None
    unit: str = ""  # of numbers


SHARES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1": "macro F1",
    "auc": "AUC",
    "r2": "R2",
}  # key -> name
ERRORS = {"mae": "mean abs. error", "rmse": "RMS error"}  # key -> name
IN_PERCENT = frozenset({"accuracy", "balanced_accuracy"})
OF_QUALITY: dict[str, Any] = {"quality": True, "why": "this task has no such figure, or its test no window that tells"}


def quality(budget: Budget, found: Quality) -> tuple[Check, ...]:
    """The limits of quality that the project has, beside what came out."""
    rows = [
        Check(name, "1", limit, getattr(found, key), f"[budget] {key}", least=True, percent=key in IN_PERCENT, **OF_QUALITY)
        for key, name in SHARES.items()
        if (limit := getattr(budget, key)) is not None
    ]
    rows += [
        Check(name, found.unit, limit, getattr(found, key), f"[budget] {key}", **OF_QUALITY)
        for key, name in ERRORS.items()
        if (limit := getattr(budget, key)) is not None
    ]
    for label, limit in budget.recall.items():
        name = f"recall of {plain(label, 40)}"
        rows.append(Check(name, "1", limit, found.recall.get(label), "[budget] recall", least=True, percent=True, **OF_QUALITY))
    if (limit := budget.false_alarms_per_hour) is not None:
        rate, whose = found.false_alarms, "[budget] false_alarms_per_hour"
        known = (None, "") if rate is None else (rate.per_hour, rate.doubt(limit))
        rows.append(Check("false alarms", "per hour", limit, known[0], whose, doubt=known[1], **OF_QUALITY))
    return tuple(rows)


def asked(budget: Budget, labels: Sequence[str]) -> None:
    """Raises UsageError where `[budget] recall` names a label that there is not. `labels`: those that can be asked for."""
    for label in budget.recall:
        if label not in labels:
            names = ", ".join(printable(name) for name in labels[:8])
            raise UsageError(f"[budget] recall: {printable(label)} is no label that can be asked for; there are {names}")


# --- cheaper and larger projects ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Variant:
    """A cheaper or larger project."""

    how: str  # what to write in sandgrain.toml
    front: Callable[[], FrontEnd]  # its features
    width: int | None  # [model] width; None: the project's


def widths(samples: Samples, wanted: Iterable[int]) -> Iterator[Variant]:
    """The project with other widths of its model."""
    for width in wanted:
        yield Variant(f"[model] width = {width}", lambda: samples.front, width)


def scaled_widths(samples: Samples, shares: Sequence[float]) -> Iterator[Variant]:
    """The project with shares of the width of its network; nothing for a user's module."""
    model = samples.found.loaded.project.model
    now = network.channels(model.name, model.width)
    wanted = [] if now is None else dict.fromkeys(max(round(now * share), 1) for share in shares)
    return widths(samples, (w for w in wanted if w != now))


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
