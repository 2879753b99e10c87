"""What came of a search: a row for each candidate, the one that was chosen, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandgrain.base.tables import Line, Table
from sandgrain.base.text import duration, number, plain, size, tenths
from sandgrain.project.auto.candidates import Candidate
from sandgrain.project.auto.keep import text_of


@dataclass(frozen=True, slots=True)
class Tried:
    """A candidate and what came of it. Costs are those of the untrained network, with each layer's first kernel.

    `rounds`: of training that it was in. `score`: in the last of them, the mean over the folds; `spread`: their standard deviation.
    `outcome`: "chosen", or why it was not.
    """

    candidate: Candidate
    outcome: str
    rounds: int = 0
    score: float | None = None
    spread: float = 0.0
    ram_bytes: int | None = None
    flash_bytes: int | None = None
    latency_ms: float | None = None
    is_error: bool = False  # the score is one: less is better

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {
            **self.candidate.tables,
            "project": self.candidate.own,
            "outcome": self.outcome,
            "rounds": self.rounds,
            "score": self.score,
            "spread": self.spread,
            "ram_bytes": self.ram_bytes,
            "flash_bytes": self.flash_bytes,
            "latency_ms": self.latency_ms,
        }

    @property
    def name(self) -> str:
        """For people."""
        return plain(f"{self.candidate.network}: {self.candidate.features}", 28)

    @property
    def short(self) -> str:
        """The outcome in a word or two."""
        return re.split(r"[:,]| for | after | at ", self.outcome)[0]

    def row(self, *, whole: bool = False) -> list[str]:
        """For people; `whole`: with all that the outcome says."""
        costs = [
            "-" if self.ram_bytes is None else size(self.ram_bytes),
            "-" if self.flash_bytes is None else size(self.flash_bytes),
            "-" if self.latency_ms is None else duration(self.latency_ms),
        ]
        score = tenths(self.score) if not self.is_error else "-" if self.score is None else number(self.score)
        return [self.name, score, *costs, plain(self.outcome, 120) if whole else self.short]


@dataclass(frozen=True, slots=True)
class Searched:
    """All of it. `tried`: the chosen one first, then by how far they came. `how`: the comparison, for people."""

    measure: str
    how: str
    tried: tuple[Tried, ...]
    why: str
    windows: int
    folds: int
    written: bool = False  # to sandgrain.toml

    @property
    def chosen(self) -> Candidate:
        """What the firmware is built with."""
        return self.tried[0].candidate

    @property
    def settings(self) -> str:
        """The tables of sandgrain.toml that say so."""
        return text_of(self.chosen.tables)

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return {
            "measure": self.measure,
            "windows": self.windows,
            "folds": self.folds,
            "chosen": self.chosen.tables,
            "why": self.why,
            "written": self.written,
            "candidates": [t.to_json() for t in self.tried],
        }

    def table(self) -> Table:
        """The candidates."""
        columns = ["tried", self.measure, "RAM", "flash", "time", ""]
        return Table(columns, [t.row() for t in self.tried], (1, 2, 3, 4), fixed=(0, 5))

    def lines(self) -> list[Line]:
        """For people."""
        told: list[Line] = [self.table(), *(f"{t.name}: {plain(t.outcome, 200)}" for t in self.tried if ":" in t.outcome)]
        told += [self.how, f"chosen: {self.why}"]
        if self.chosen.own:
            return [*told, "sandgrain.toml says so already", ""]
        if self.written:
            return [*told, "written to sandgrain.toml", ""]
        settings = [f"  {line}" if line else "" for line in self.settings.splitlines()]
        return [
            *told,
            "to keep it, put this into sandgrain.toml instead of what it has there, or add --write:",
            *settings,
            "",
        ]

    def page(self) -> Mapping[str, Any]:
        """For the template."""
        return {
            "columns": ["tried", self.measure, "RAM", "flash", "time", ""],
            "rows": [t.row(whole=True) for t in self.tried],
            "how": self.how,
            "why": self.why,
            "settings": self.settings,
        }


def ordered(tried: Sequence[Tried], chosen: Tried) -> tuple[Tried, ...]:
    """The chosen one first, then those that came furthest, the better ones first."""
    rest = [t for t in tried if t.candidate != chosen.candidate]
    return (chosen, *sorted(rest, key=lambda t: (-t.rounds, (t.score or 0.0) * (1 if t.is_error else -1))))
