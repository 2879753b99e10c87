"""A build while it runs: its stages, what each took, and what every stage may use."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sandgrain.base.progress import Progress, silent
from sandgrain.device import targets
from sandgrain.project.build.samples import Samples
from sandgrain.project.build.store import Store
from sandgrain.project.file.schema import Project
from sandgrain.project.inspection import Inspection

if TYPE_CHECKING:
    from sandgrain.project.build.folds import Crossed


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of a build. `kept`: its result was in the store already."""

    name: str
    seconds: float
    kept: bool


class Clock:
    """The stages of a build so far, in order."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []

    @contextmanager
    def stage(self, name: str, made: list[str] | None = None) -> Iterator[None]:
        """Time the block as a stage. `made`: a list that grows when a result is not in the store; None: nothing is stored."""
        start, before = time.monotonic(), len(made or ())
        yield
        kept = made is not None and len(made) == before
        self.stages.append(Stage(name, time.monotonic() - start, kept))


@dataclass(frozen=True, eq=False)
class Run:
    """What every stage of one build is given.

    `verified`: test windows, at most, that run on the emulated board. `crossed`: what cross-validation found, where it came first:
    the network is then trained on everything, and the test windows of `samples` are all that the folds have tested.
    """

    samples: Samples
    out: Path
    seed: int = 0
    verified: int = 500
    progress: Progress = silent
    clock: Clock = field(default_factory=Clock)
    crossed: Crossed | None = None

    @property
    def store(self) -> Store:
        return self.samples.store

    @property
    def found(self) -> Inspection:
        return self.samples.found

    @property
    def project(self) -> Project:
        return self.found.loaded.project

    @property
    def board(self) -> targets.Board:
        return self.found.loaded.board

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as a stage whose results are in the store."""
        with self.clock.stage(name, self.store.made):
            yield
