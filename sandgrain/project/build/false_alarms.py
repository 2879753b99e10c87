"""What a finished firmware decides in recordings with nothing in them: false alarms per hour, with their bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sandgrain.base.text import number, plain, span
from sandgrain.bundle import store
from sandgrain.bundle.listening import Listener
from sandgrain.dataset.tracks import Stretch
from sandgrain.project import negatives, score, watching
from sandgrain.project.build.firmware import Firmware
from sandgrain.project.build.hourly import Hourly
from sandgrain.project.build.stages import Run
from sandgrain.project.build.store import digest
from sandgrain.project.score import Hears
from sandgrain.project.streams import Stream

NOTHING = "normal"  # the label of all of it, for a detector


@dataclass(frozen=True, slots=True)
class Negatives:
    """What was heard in them. `false`: decisions or alarms. `by_label`: of a classifier, how many for each label that had one. `worst`: the
    recording with the most for its length, "" where there is none."""

    recordings: int
    seconds: float
    false: int
    by_label: dict[str, int]
    worst: str
    worst_false: int

    @property
    def hourly(self) -> Hourly:
        """The rate."""
        return Hourly(self.false, self.seconds / 3600)

    @property
    def told(self) -> str:
        """What the rate stands on, for people."""
        labels = ", ".join(f"{plain(name, 20)} {n}" for name, n in sorted(self.by_label.items(), key=lambda r: (-r[1], r[0]))[:3])
        most = f"; most in {plain(self.worst, 40)} ({self.worst_false})" if self.worst and self.recordings > 1 else ""
        where = f"{self.false:,} in {span(self.seconds)} with nothing in it"
        return f"{where}, below {number(self.hourly.at_most)} with 95 % confidence{'; ' if labels else ''}{labels}{most}"

    @property
    def row(self) -> tuple[str, str, str]:
        """Of a page."""
        return "negatives", f"{number(self.hourly.per_hour)} per hour", self.told

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        at_most = self.hourly.at_most if self.seconds else None
        return {**asdict(self), "false_alarms_per_hour": self.hourly.per_hour, "false_alarms_per_hour_at_most": at_most}


def counted(run: Run, firmware: Firmware) -> Negatives | None:
    """What the firmware says in the project's negatives; None without any, or where it decides nothing. Kept in the store."""
    found = negatives.manifests(run.found.loaded, run.samples.pipeline.signal)
    if not found:
        return None
    key = digest("negatives", firmware.report.build_id, [(str(m.root), m.sha256) for m in found])
    with run.stage("negatives"):
        kept = run.store.json("negatives", key, lambda: _kept(heard(firmware.bundle, negatives.streams(found))))
    return Negatives(**kept["found"]) if kept["found"] else None


def _kept(found: Negatives | None) -> dict[str, Any]:
    return {"found": None if found is None else asdict(found)}


def heard(bundle: store.Bundle, found: Sequence[Stream]) -> Negatives | None:
    """What the C of a bundle decides in them; None where it decides nothing."""
    if watching.is_detector(bundle):
        limit = bundle.compiled.source.options.threshold
        assert limit is not None
        guard = watching.Guard(watching.front_of(bundle).pipeline.signal.shape[0], limit, (NOTHING,))
        return of_detector(found, guard, Listener(bundle))
    if not bundle.compiled.source.has("decide"):
        return None
    return of_classes(found, score.ears_of(bundle), Listener(bundle))


def of_detector(found: Sequence[Stream], guard: watching.Guard, listener: Hears) -> Negatives:
    """Alarms of a detector; one that lasts is one."""
    tally = watching.Tally()
    tally.hear([replace(s, truth=(Stretch(0.0, s.seconds, NOTHING),)) for s in found], guard, listener)
    return _summed(found, [r.false for r in tally.recordings], {})


def of_classes(found: Sequence[Stream], ears: score.Ears, listener: Hears) -> Negatives:
    """Decisions of a classifier."""
    tally = score.Tally()
    tally.hear(found, ears, listener)
    labels = {ears.labels[k]: row[3] for k, row in tally.events.items() if row[3]}
    return _summed(found, [r.false for r in tally.recordings], labels)


def _summed(found: Sequence[Stream], false: Sequence[int], labels: dict[str, int]) -> Negatives:
    rates = [(n / max(s.seconds, 1e-9), s.name, n) for n, s in zip(false, found, strict=True) if n]
    _, worst, count = max(rates, default=(0.0, "", 0))
    return Negatives(len(found), sum(s.seconds for s in found), sum(false), labels, worst, count)
