"""Alarms that were counted over time: how many come an hour, and what the true rate is below."""

from __future__ import annotations

from dataclasses import dataclass

from sandgrain.base.text import number, span
from sandgrain.project.build import metrics


@dataclass(frozen=True, slots=True)
class Hourly:
    """`hours`: how long was listened."""

    alarms: int
    hours: float

    @property
    def per_hour(self) -> float:
        """The rate that was seen."""
        return self.alarms / self.hours if self.hours else 0.0

    @property
    def at_most(self) -> float:
        """The rate that the true one is below with 95 % confidence (Poisson; windows that overlap count as if they did not)."""
        return metrics.poisson_bound(self.alarms) / self.hours if self.hours else float("inf")

    @property
    def length(self) -> str:
        """For people."""
        return span(3600 * self.hours)

    @property
    def shown(self) -> str:
        """For people."""
        return f"{number(self.per_hour)} per hour ({self.alarms:,} in {self.length}; below {number(self.at_most)} with 95 % confidence)"

    def doubt(self, limit: float) -> str:
        """Why the rate that was seen does not show that the true one is at most `limit` per hour; "" where it does, or is above it."""
        if not self.per_hour <= limit < self.at_most:
            return ""
        seen = f"{self.alarms:,} in {self.length}" if self.alarms else f"{self.length} without one"
        way = f"; {span(3600 * metrics.poisson_bound(self.alarms) / limit)} with no more would show it" if limit else ""
        return f"not shown to be at most {number(limit)} per hour: {seen} only bound them to {number(self.at_most)} per hour{way}"
