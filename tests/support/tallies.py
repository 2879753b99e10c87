"""What became of campaigns of hostile files, and how that gets from the tests, in whatever process they ran, to the end of pytest's output."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

PROPERTY = "campaign"  # of a test's report


@dataclass(slots=True)
class Tally:
    """What became of a campaign's mutants. `found`: seed -> complaint."""

    format: str
    mutants: int = 0
    refused: int = 0
    accepted: int = 0
    seconds: float = 0.0
    worst_seconds: float = 0.0
    worst_mib: float = 0.0
    found: dict[int, str] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        """Take in what became of other mutants of the format."""
        for name in ("mutants", "refused", "accepted", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.worst_seconds = max(self.worst_seconds, other.worst_seconds)
        self.worst_mib = max(self.worst_mib, other.worst_mib)
        self.found |= other.found

    def line(self) -> str:
        """One line for a person."""
        return (
            f"{self.format:<10} {self.mutants:>6} mutants  {self.seconds:>6.0f} s  {self.refused:>6} refused cleanly"
            f"  {self.accepted:>6} accepted  worst {self.worst_seconds:.2f} s  {self.worst_mib:.0f} MiB"
        )


def summary(properties: Iterable[tuple[str, object]]) -> list[str]:
    """A line for each format, of what the tests' reports hold."""
    tallies: dict[str, Tally] = {}
    for name, value in properties:
        if name == PROPERTY:
            tally = Tally(**value)  # type: ignore[arg-type]
            tallies.setdefault(tally.format, Tally(tally.format)).add(tally)
    return [tally.line() for tally in tallies.values()]


def told(tally: Tally) -> str:
    """The findings, one after the other, with what makes each again."""
    return "\n".join(
        f"{tally.format} {seed}: {said.encode('ascii', 'backslashreplace').decode()}" for seed, said in tally.found.items()
    )


def to_json(tally: Tally) -> dict[str, Any]:
    """For a test's report, which goes from pytest's workers to the one that prints."""
    return {**asdict(tally), "found": {}}
