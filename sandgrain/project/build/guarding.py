"""Whole test recordings as a detector hears them: judged by time, events and alarms an hour, as `sandgrain score` judges recordings."""

from __future__ import annotations

from collections.abc import Sequence

from sandgrain.base.text import number, plain, span
from sandgrain.bundle.listening import Listener
from sandgrain.project import streams, watching
from sandgrain.project.build.firmware import Firmware
from sandgrain.project.build.hourly import Hourly
from sandgrain.project.build.samples import Samples
from sandgrain.project.score import Hears
from sandgrain.project.streams import Stream
from sandgrain.project.watched import Watched

LISTED = 4  # labels that a line names


def whole(samples: Samples) -> list[Stream]:
    """The test recordings that a stream gives several results for, each put together again where a reader cut it at changes of its label."""
    if not samples.found.about.sampled:
        return []
    lead, window = samples.pipeline.lead, samples.pipeline.signal.shape[0]
    found = streams.whole(samples.records("test"), samples.found.manifest.layout, samples.opened, lead)
    return [s for s in found if s.length > lead + window]


def heard(found: Sequence[Stream], listener: Hears, samples: Samples, threshold: int, normal: str) -> watching.Tally:
    """What is counted over them. `normal`: the label of what is no anomaly."""
    tally = watching.Tally()
    tally.hear(found, _guard(samples, threshold, normal), listener)
    return tally


def judged(
    samples: Samples, firmware: Firmware, threshold: int, normal: str, folds: Sequence[watching.Tally] | None
) -> Watched | None:
    """The test recordings as the firmware hears them; with cross-validation, as the detectors of the `folds` heard them, which had not
    learned them. None where no recording is longer than a window."""
    if folds is None:
        found = whole(samples)
        tally = heard(found, Listener(firmware.bundle), samples, threshold, normal) if found else watching.Tally()
    else:
        tally = watching.Tally()
        for fold in folds:
            tally.add(fold)
    if not tally.recordings:
        return None
    named = (firmware.bundle.compiled.source.options.name, firmware.bundle.board.name)
    return watching.summed(tally, named, _guard(samples, threshold, normal))


def _guard(samples: Samples, threshold: int, normal: str) -> watching.Guard:
    return watching.Guard(samples.pipeline.signal.shape[0], threshold, (normal,))


def rate(found: Watched | None) -> Hourly | None:
    """Alarms that began where all was normal; None where nothing was."""
    return Hourly(found.false, found.hours) if found is not None and found.hours else None


def rows(found: Watched) -> list[tuple[str, str, str]]:
    """Of a page: what, the figure, what it stands on."""
    made = []
    if found.events:
        by = [f"{plain(e.label, 20) or '(none)'} {e.hits} of {e.events}{_late(e.delay_s)}" for e in found.events[:LISTED]]
        more = " ..." if len(found.events) > LISTED else ""
        hits, events = sum(e.hits for e in found.events), sum(e.events for e in found.events)
        made.append(("anomalies", f"{hits} of {events}", f"found: {', '.join(by)}{more}"))
    if (m := found.moments).f1 is not None:
        made.append(("F1 of the time", f"{m.f1:.3f}", f"always an alarm would give {m.always or 0:.3f}"))
    if (hourly := rate(found)) is not None:
        told = f"{found.false:,} in {hourly.length} of normal time, below {number(hourly.at_most)} with 95 % confidence"
        made.append(("false alarms", f"{number(hourly.per_hour)} per hour", f"{told}; one that lasts is one"))
    many = len(found.recordings)
    where = f"{many:,} test recording{'s' * (many != 1)}, {span(found.seconds)}"
    return [*made[:-1], (*made[-1][:2], f"{made[-1][2]}; {where}")] if made else []


def _late(seconds: float | None) -> str:
    return "" if seconds is None else f" after {number(seconds)} s"
