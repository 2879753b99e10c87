"""Each recording cut into what trains, what is watched and what is tested, in the order of time, with a gap between.

For recordings that all have something that the model will meet again: one machine, one room, one person over days. What is tested
is later than what trained, as it will be on the device; what is new (another machine, another person) is not tested by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sandgrain.base.errors import UsageError
from sandgrain.dataset.records import SPLITS, Record


@dataclass(frozen=True, slots=True)
class Cutting:
    """`validation`, `test`: shares of each recording, 0: none. `gap`: samples left out at each border. `least`: samples of a part
    below which it is left out; a recording that has no room for all its parts trains whole. `lead`: samples at the start of its stream
    that belong to no part."""

    validation: float
    test: float
    gap: int = 0
    least: int = 1
    lead: int = 0


def cut(records: Sequence[Record], how: Callable[[Record], Cutting]) -> tuple[tuple[Record, ...], dict[str, str]]:
    """(the parts as recordings of their own, in order; key -> side). Raises UsageError where no recording can be cut."""
    found: list[Record] = []
    sides: dict[str, str] = {}
    for record in records:
        cutting = how(record)
        skip = min(max(cutting.lead - record.before, 0), record.shape[0])
        for side, first, last in _parts(record.shape[0] - skip, cutting):
            start, stop = (0 if last - first == record.shape[0] - skip else first + skip), last + skip
            whole = (start, stop) == (0, record.shape[0])
            part = record if whole else _part(record, start, stop)
            found.append(part)
            sides[part.key] = side
    if set(sides.values()) == {"train"}:
        longest = max(records, key=lambda r: r.shape[0])
        cutting, seconds = how(longest), longest.shape[0] / longest.rate if longest.rate else 0.0
        if cutting.validation or cutting.test:
            raise UsageError(
                f'split by = "time": the longest recording has {seconds:g} s, too few for its shares and a gap of {cutting.gap} samples;'
                ' make window_s, gap_s or the shares fit, or split by = "file"'
            )
    return tuple(found), sides


def _part(record: Record, start: int, stop: int) -> Record:
    """Samples `start` to `stop` of a recording, as one of its own."""
    return replace(
        record,
        key=f"{record.key}@{start}",
        shape=(stop - start, *record.shape[1:]),
        part=(record, start),
        before=record.before + start,
        unknown=None if record.unknown is None else record.unknown.between(start, stop),
    )


def _parts(samples: int, how: Cutting) -> list[tuple[str, int, int]]:
    """(side, start, stop) of each part that has samples."""
    shares = dict(zip(SPLITS, (1 - how.validation - how.test, how.validation, how.test), strict=True))
    borders, done = [0], 0.0
    for share in shares.values():
        done += share
        borders.append(min(round(done * samples), samples))
    found: list[tuple[str, int, int]] = []
    for k, (side, share) in enumerate(shares.items()):
        if share > 0:
            found.append((side, borders[k] + (how.gap if found else 0), borders[k + 1]))
    if any(stop - start < how.least for _, start, stop in found):
        return [("train", 0, samples)]
    return found
