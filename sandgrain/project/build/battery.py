"""How long a battery lasts when one inference runs in every period."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sandgrain.base.text import number
from sandgrain.bundle.report import Report
from sandgrain.device import targets
from sandgrain.project.file.schema import Target

HOURS = 24
GIVEN = "[target] sleep_ma"  # the source of a sleep current that the project states


@dataclass(frozen=True, slots=True)
class Battery:
    """How long a battery lasts when one inference runs every `period_s`.

    `duty`: share of the time that the core computes; above 1 it cannot keep up. `sleep_ma`: the current in the rest of it, and
    its source; None: not known, and `days`, of the active energy alone, is an upper bound.
    """

    mah: float
    period_s: float
    duty: float
    days: float
    sleep_ma: float | None = None
    sleep_source: str = ""

    @property
    def of_the_chip(self) -> bool:
        """Whether the sleep current is the board file's, which leaves out what else is on the board."""
        return self.sleep_ma is not None and self.sleep_source != GIVEN

    @property
    def counts(self) -> str:
        """What `days` counts, for people."""
        if self.sleep_ma is None:
            return "active energy alone, an upper bound: give [target] sleep_ma"
        asleep = f"{number(self.sleep_ma)} mA" if self.sleep_ma >= 0.1 else f"{number(1e3 * self.sleep_ma)} uA"
        return f"active energy and {asleep} asleep ({'the chip alone' if self.of_the_chip else 'as given'})"

    def to_json(self) -> dict[str, Any]:
        """A plain object."""
        return asdict(self)


def battery_of(report: Report, target: Target, board: targets.Board) -> Battery | None:
    """The charge that run and sleep currents take in each period, against the battery's; None if it is not asked or known."""
    if not target.battery_mah or report.latency_ms is None or report.cycles is None:
        return None
    period, busy = target.period_s, report.latency_ms / 1e3
    charge = board.active_ma * report.cycles / board.clock_hz  # mA s per inference; the same at another clock
    asleep, source = board.sleep_ma, board.sleep_source
    if target.sleep_ma is not None:
        asleep, source = target.sleep_ma, GIVEN
    charge += (asleep or 0.0) * max(period - busy, 0.0)
    return Battery(target.battery_mah, period, busy / period, target.battery_mah * period / charge / HOURS, asleep, source)
