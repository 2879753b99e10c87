"""What a task is: how its model is fitted and judged, and what is shown of it. Everything else of a build is shared."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from sandgrain.base.arrays import Array
from sandgrain.base.errors import UsageError
from sandgrain.bundle.verdict import Verdict
from sandgrain.frontend.frontend import FrontEnd
from sandgrain.graph.decisions import Rule
from sandgrain.graph.numbers import Number
from sandgrain.project.build.limits import Check, Variant
from sandgrain.project.build.stages import Run
from sandgrain.project.build.text import Line
from sandgrain.project.file.load import Loaded
from sandgrain.project.file.schema import Project
from sandgrain.project.inspection import Inspection

if TYPE_CHECKING:
    from sandgrain.project.build.firmware import Firmware
    from sandgrain.project.build.folds import InFold
    from sandgrain.project.build.result import Built

F = TypeVar("F")  # the figures of a task


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A model that was made from the training windows, before it is compiled."""

    model: bytes  # the int8 network behind the features: a .tflite, or a graph's text
    labels: tuple[str, ...] = ()  # names of the outputs, which the C gets as a table
    threshold: int | None = None  # a score above it is an anomaly
    number: Number | None = None  # how the output becomes a number
    rule: Rule = field(default_factory=Rule)  # how a stream's results become decisions
    notes: tuple[str, ...] = ()
    own: Any = None  # what `Task.judge` needs to know of the fit


@dataclass(frozen=True, slots=True, eq=False)
class Judged(Generic[F]):
    """What came of the model."""

    figures: F
    checks: tuple[Check, ...]  # limits of quality in [budget] beside the figures
    example: int  # the place, among the test windows, of the one in example/main.c
    notes: tuple[str, ...] = ()


class Task(ABC, Generic[F]):
    """One purpose of a model. A file of this folder defines a subclass and `TASK`, its one instance.

    Beside the file lie its templates, named like the task: `NAME.html.j2` fills the blocks of page.html.j2, `NAME.c.j2` those
    of example.c.j2.
    """

    name: ClassVar[str]
    takes_any: ClassVar[bool] = False  # takes the models that no other task knows
    searched: ClassVar[bool] = False  # its features and models can be compared by --auto
    draft_note: ClassVar[str] = ""  # said behind "was measured" of a `draft`
    way_to_quality: ClassVar[str]  # what may raise the quality where nothing can be measured that does

    @property
    def folder(self) -> Path:
        """Where its file and its templates lie."""
        return Path(inspect.getfile(type(self))).parent

    # --- the build, in this order

    @abstractmethod
    def takes(self, project: Project) -> bool:
        """Whether the project's model is of this task."""

    def check(self, loaded: Loaded) -> None:
        """Look at the options before any data is read. Raises UsageError."""

    def data(self, found: Inspection) -> tuple[Inspection, tuple[str, ...]]:
        """The data as this task uses it, and notes about what was changed. Raises UsageError if it cannot be used."""
        return found, ()

    def labels(self, found: Inspection) -> tuple[str, ...]:
        """Names of the outputs, before anything is fitted."""
        return found.labels

    @abstractmethod
    def fit(self, run: Run) -> Fitted:
        """A model from the training windows. Its stages are kept in `run.store`."""

    def truth(self, found: Inspection, labels: Array) -> Mapping[str, Array]:
        """`y` and `labels` of a test file for `sandgrain.bundle.verify`; {} if verify cannot judge the outputs. `labels`: int64 [n]."""
        return {}

    @abstractmethod
    def judge(self, run: Run, fitted: Fitted, firmware: Firmware, verdict: Verdict) -> Judged[F]:
        """How good the model is, on this computer and on the emulated board."""

    def in_fold(self, run: Run, fitted: Fitted) -> InFold:
        """How good a model is on the test windows of a fold, by its C on this computer. Raises UsageError: no folds."""
        raise UsageError(f"folds are not there for {self.name}; build without them")

    # --- what would keep the limits

    def smaller(self, run: Run) -> Iterable[Variant]:
        """Cheaper models, the best first."""
        return ()

    def larger(self, run: Run) -> Iterable[Variant]:
        """Models that could be better, the largest first."""
        return ()

    @abstractmethod
    def draft(self, run: Run, width: int | None, front: FrontEnd, features: Array) -> Fitted:
        """A model of the size and cost of a fitted one, made quickly. `width` None: the project's. `features`: int8 [n, ...]."""

    # --- what is shown

    @abstractmethod
    def json(self, built: Built[F]) -> dict[str, Any]:
        """Its keys of report.json, beside those that every task has."""

    @abstractmethod
    def heading(self, built: Built[F]) -> list[str]:
        """The first lines of the page of text."""

    @abstractmethod
    def quality(self, built: Built[F]) -> list[Line]:
        """How good it is: on the page of text, before the costs."""

    def details(self, built: Built[F]) -> list[Line]:
        """What stands behind the costs on the page of text."""
        return []

    @abstractmethod
    def page(self, built: Built[F]) -> dict[str, Any]:
        """The values of its HTML template: `summary`, `headline` [(value, name)], `plots` and its own."""

    def recorded(self, run: Run, place: int, label: str) -> str:
        """What the window in example/main.c is, for people. `place`: among the test windows; `label`: of its recording."""
        return label

    def difference(self, figures: F) -> str:
        """What differs between the firmware and its reference beside the outputs that `verify` compares; "" if nothing does."""
        return ""
