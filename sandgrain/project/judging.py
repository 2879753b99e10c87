"""A bundle over long recordings, judged as what it is: a network with labels, one that gives a number, or a detector of anomalies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sandgrain.base.errors import UsageError
from sandgrain.base.progress import Progress
from sandgrain.bundle import store
from sandgrain.bundle.listening import Listener
from sandgrain.frontend.signal import Signal, Target
from sandgrain.project import gauging, score, watching
from sandgrain.project.gauged import Gauged
from sandgrain.project.score import Scored
from sandgrain.project.streams import Stream
from sandgrain.project.watched import Watched


@dataclass(frozen=True, slots=True)
class How:
    """`normal`: for a detector, the labels that are no anomaly; (): those that say so by themselves. `skip_s`: seconds at a recording's
    start that are heard and not judged. `column`: for a model of numbers, the one that says what is true; "": the bundle's own."""

    normal: tuple[str, ...] = ()
    skip_s: float = 0.0
    column: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.skip_s < float("inf"):
            raise UsageError(f"--skip {self.skip_s:g}: choose seconds, 0 or more")


def signal_of(bundle: store.Bundle, how: How) -> Signal:
    """What the bundle hears. Raises UsageError for one that cannot be judged over recordings."""
    gives = "numbers" if gauging.gives_numbers(bundle) else "labels"
    if how.column and gives == "labels":
        raise UsageError("--target-column is for a model that gives numbers, and this one does not; leave it out")
    if watching.is_detector(bundle):
        return watching.front_of(bundle).pipeline.signal
    if how.normal:
        raise UsageError(f"--normal is for a detector of anomalies, and this model gives {gives}; leave it out")
    if gives == "numbers":
        return gauging.signal_of(bundle)
    score.ears_of(bundle)
    assert bundle.origin.front is not None
    return bundle.origin.front.pipeline.signal


def target_of(bundle: store.Bundle, how: How) -> Target | None:
    """Where recordings say the number that is true; None for a model of labels and a detector. Raises UsageError."""
    return gauging.target_of(gauging.signal_of(bundle), how.column) if gauging.gives_numbers(bundle) else None


def judged(
    bundle: store.Bundle, streams: Sequence[Stream], how: How, notes: tuple[str, ...], progress: Progress
) -> Scored | Watched | Gauged:
    """Hear each recording and count. `streams`: at the bundle's rate, with its channels. `notes`: what the reader left out."""
    longest = max((s.seconds for s in streams), default=0.0)
    if how.skip_s and how.skip_s >= longest:
        raise UsageError(f"--skip {how.skip_s:g}: no recording is that long, the longest has {longest:g} s; choose less")
    if watching.is_detector(bundle):
        guard = watching.guard_of(bundle, streams, how.normal, how.skip_s)
        return watching.watched(bundle, streams, guard, Listener(bundle), notes, progress)
    if gauging.gives_numbers(bundle):
        scale = gauging.scale_of(bundle, how.column, how.skip_s)
        return gauging.gauged(bundle, streams, scale, Listener(bundle), notes, progress)
    ears = replace(score.ears_of(bundle), skip_s=how.skip_s)
    return score.scored(bundle, streams, ears, Listener(bundle), notes, progress)
