"""Time and energy of a number of cycles on a board: estimates, from the clock and the data sheet's run current."""

from __future__ import annotations


def milliseconds(cycles: float, clock_hz: int) -> float:
    """Milliseconds that `cycles` take at `clock_hz`."""
    return 1e3 * cycles / clock_hz


def energy_uj(cycles: float, clock_hz: int, supply_v: float, active_ma: float) -> float:
    """Microjoules: time x supply x run current. Estimated: no sleep, no peripherals, no regulator loss."""
    return 1e3 * supply_v * active_ma * cycles / clock_hz
